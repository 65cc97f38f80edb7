/* layout.h - the parts a multipart object was made of, as its row keeps them.
 *
 * A line per part in order, "SIZE CHECKSUM\n"; the checksum is "-" when the upload asked for none.
 * Parts are counted from 1 without gaps, whatever their numbers were in the upload.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_S3_LAYOUT_H
#define KPIPE_LOCAL_AWS_S3_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/slice.h"

struct s3_layout_part {
    uint32_t number;
    uint64_t first, size;
    struct kpw_slice checksum; /* [borrowed from the text] empty: none */
};

/* Goes through a text: start with all zero. False: it is over. */
bool s3_layout_next(const char *text, const char **at, struct s3_layout_part *part);
/* False: there is no such part. */
bool s3_layout_find(const char *text, uint32_t number, struct s3_layout_part *ret);
void s3_layout_put(struct kpw_buf *out, uint64_t size, const char *checksum);

#endif
