/* policy.h - the policy of a browser's upload: what its signer allows.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_POLICY_H
#define KPIPE_LOCAL_AWS_S3_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

/* A field of the form. All [borrowed]. */
struct s3_field {
    struct kpw_slice name, value;
};

enum s3_policy_verdict {
    S3_POLICY_FINE,
    S3_POLICY_INVALID,   /* no policy at all: "Invalid Policy: ..." */
    S3_POLICY_REFUSES,   /* "Invalid according to Policy: ..." */
    S3_POLICY_TOO_SMALL, /* content-length-range */
    S3_POLICY_TOO_LARGE,
};

struct s3_policy_case {
    const struct s3_field *fields; /* of the form before its file, and "bucket" */
    size_t n_fields;
    uint64_t size; /* of the file */
    int64_t now_ms;
    /* filled */
    struct kpw_buf text;         /* why it refuses [owned by caller] */
    uint64_t size_min, size_max; /* of content-length-range */
};

/* `policy`: base64 of the JSON, as the field has it. */
enum s3_policy_verdict s3_policy_judge(struct kpw_slice policy, struct s3_policy_case *c);

#endif
