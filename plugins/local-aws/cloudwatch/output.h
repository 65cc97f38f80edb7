/* output.h - an answer being written, as JSON, CBOR or XML, by the same calls.
 *
 * Members come with their names; inside a list pass NULL. Times are seconds in JSON and CBOR
 * (tag 1) and ISO 8601 in XML.
 *
 * Threads: [any]; one writer belongs to one thread.
 */
#ifndef KPIPE_LOCAL_AWS_CLOUDWATCH_OUTPUT_H
#define KPIPE_LOCAL_AWS_CLOUDWATCH_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

enum cw_form { CW_JSON, CW_CBOR, CW_XML };
enum { CW_DEPTH = 16 };

struct cw_out {
    enum cw_form form;
    struct kpw_buf buf; /* [owned] */
    /* private */
    unsigned depth;
    const char *names[CW_DEPTH]; /* [static] of open elements, for XML */
    bool is_list[CW_DEPTH];
};

/* Opens the result's object; cw_out_end() closes it. */
void cw_out_begin(struct cw_out *out, enum cw_form form);
void cw_out_end(struct cw_out *out);
void cw_out_fini(struct cw_out *out);

void cw_open_object(struct cw_out *out, const char *name);
void cw_open_list(struct cw_out *out, const char *name);
void cw_close(struct cw_out *out); /* the last that was opened */
/* A map from text to number: in XML a list of entries with key and value. */
void cw_open_map(struct cw_out *out, const char *name);
void cw_put_entry(struct cw_out *out, const char *key, double value);
void cw_put_text(struct cw_out *out, const char *name, const char *text);
void cw_put_real(struct cw_out *out, const char *name, double value);
void cw_put_int(struct cw_out *out, const char *name, int64_t value);
void cw_put_bool(struct cw_out *out, const char *name, bool value);
void cw_put_time(struct cw_out *out, const char *name, int64_t ms);

#endif
