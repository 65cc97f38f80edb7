/* layout.c - the parts a multipart object was made of, as its row keeps them. */
#include "plugins/local-aws/s3/layout.h"

#include <stdlib.h>
#include <string.h>

bool s3_layout_next(const char *text, const char **at, struct s3_layout_part *part)
{
    const char *from = *at ? *at : text, *newline = strchr(from, '\n');
    char *end;

    if (!newline)
        return false;
    part->first = *at ? part->first + part->size : 0;
    part->number = *at ? part->number + 1 : 1;
    part->size = strtoull(from, &end, 10);
    if (end == from || *end != ' ')
        return false;
    part->checksum = kpw_slice(end + 1, (size_t)(newline - end - 1));
    if (kpw_slice_is(part->checksum, "-"))
        part->checksum.len = 0;
    *at = newline + 1;
    return true;
}

bool s3_layout_find(const char *text, uint32_t number, struct s3_layout_part *ret)
{
    const char *at = NULL;

    while (s3_layout_next(text, &at, ret))
        if (ret->number == number)
            return true;
    return false;
}

void s3_layout_put(struct kpw_buf *out, uint64_t size, const char *checksum)
{
    kpw_buf_appendf(out, "%llu %s\n", (unsigned long long)size, checksum[0] ? checksum : "-");
}
