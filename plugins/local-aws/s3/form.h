/* form.h - the body of a browser's upload (multipart/form-data), part by part.
 *
 * The body is complete when it is looked at: a part is a few slices of it. Headers of a part are
 * bounded; what is not as RFC 7578 has it ends the reading.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_FORM_H
#define KPIPE_LOCAL_AWS_S3_FORM_H

#include <kpipe/ext/server.h>
#include <stdbool.h>

#include "sdk/wire/slice.h"

struct s3_form {
    struct kpw_slice rest;
    char mark[80]; /* CR LF "--" boundary */
    size_t mark_len;
    bool is_bad; /* broken, or it ends too early */
    bool is_over;
};

/* All [borrowed from the body]. */
struct s3_form_part {
    struct kpw_slice name, filename, type, data; /* len 0: not given */
};

/* POST with that content type? */
bool s3_is_form(const kp_server_request *request);
/* False: the content type has no boundary, or a wrong one. */
bool s3_form_init(struct s3_form *form, struct kpw_slice content_type, struct kpw_slice body);
/* False: no more parts, or is_bad. */
bool s3_form_next(struct s3_form *form, struct s3_form_part *ret);

#endif
