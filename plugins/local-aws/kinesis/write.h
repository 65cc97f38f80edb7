/* write.h - an answer or an event, in JSON or in CBOR, written by the same calls.
 *
 * The writer knows about commas and breaks; that begins and ends pair up is the caller's business.
 * Blobs are base64 in JSON and bytes in CBOR; times are seconds with three decimals in JSON, and in
 * CBOR tag 1 with an integer of milliseconds. CBOR containers end with a break, as the service's
 * do.
 *
 *     struct write *w = kinesis_write(call);
 *     write_object(w);
 *     write_member(w, "StreamName", stream->name);
 *     write_key(w, "Shards");
 *     write_list(w);
 *     ...
 *     write_list_end(w);
 *     write_object_end(w);
 *     kinesis_answer(call);
 *
 * Threads: one at a time per struct write.   Errors: `out` fails.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_WRITE_H
#define KPIPE_LOCAL_AWS_KINESIS_WRITE_H

#include "sdk/wire/slice.h"

enum { WRITE_FORMAT_MAX = 1024 }; /* bytes of one write_format() */

struct write {
    struct kpw_buf *out; /* [borrowed] */
    bool is_cbor;
    bool has_item; /* JSON: a comma goes in front of the next item */
};
/* Begins at the end of `out`. */
struct write write_to(struct kpw_buf *out, bool is_cbor);

void write_object(struct write *w);
void write_object_end(struct write *w);
void write_list(struct write *w);
void write_list_end(struct write *w);
void write_key(struct write *w, const char *name); /* name: needs no escapes */

void write_string(struct write *w, const void *ptr, size_t len); /* any UTF-8 */
void write_int(struct write *w, int64_t n);
void write_bool(struct write *w, bool value);
void write_time(struct write *w, int64_t ms); /* since the epoch */
void write_blob(struct write *w, const void *ptr, size_t len);
/* A string that printf makes; longer ones are cut. */
void write_format(struct write *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A string that others append to w->out between the two; it needs no escapes (ARNs, tokens). */
size_t write_text_begin(struct write *w);
void write_text_end(struct write *w, size_t begun); /* what write_text_begin() returned */

/* A key and its value. */
void write_member(struct write *w, const char *name, const char *text);
void write_member_slice(struct write *w, const char *name, struct kpw_slice text);
void write_member_int(struct write *w, const char *name, int64_t n);
void write_member_bool(struct write *w, const char *name, bool value);
void write_member_time(struct write *w, const char *name, int64_t ms);

#endif
