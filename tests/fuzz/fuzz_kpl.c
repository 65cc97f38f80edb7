/* fuzz_kpl.c - aggregated records: whatever is read lies inside the record and, written again,
 * reads the same. The digest is put right first, or nothing behind it would be tried. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/hash.h"
#include "sdk/wire/kpl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void must_lie_inside(struct kpw_slice part, const char *all, size_t len)
{
    must(!part.ptr || (part.ptr >= all && part.ptr + part.len <= all + len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = size + KPW_KPL_OVERHEAD;
    struct kpw_kpl_reader one = {0}, two = {0};
    struct kpw_kpl_writer w = {0};
    struct kpw_buf out = KPW_BUF_INIT;
    char *all = malloc(len);

    must(all != NULL);
    memcpy(all, KPW_KPL_MAGIC, 4);
    memcpy(all + 4, data, size);
    kpw_md5(data, size, (uint8_t *)all + 4 + size);
    if (kpw_kpl_read(&one, all, len) == KPW_KPL_AGGREGATE && one.n) {
        for (size_t i = 0; i < one.n; i++) {
            must_lie_inside(one.records[i].data, all, len);
            must_lie_inside(one.records[i].partition_key, all, len);
            must_lie_inside(one.records[i].explicit_hash_key, all, len);
            must(kpw_kpl_add(&w, &one.records[i]));
        }
        kpw_kpl_finish(&w, &out);
        must(kpw_kpl_read(&two, out.ptr, out.len) == KPW_KPL_AGGREGATE && two.n == one.n);
        for (size_t i = 0; i < one.n; i++)
            must(kpw_slice_eq(one.records[i].data, two.records[i].data) &&
                 kpw_slice_eq(one.records[i].partition_key, two.records[i].partition_key) &&
                 kpw_slice_eq(one.records[i].explicit_hash_key, two.records[i].explicit_hash_key));
    }
    kpw_kpl_reader_fini(&one);
    kpw_kpl_reader_fini(&two);
    kpw_kpl_writer_fini(&w);
    kpw_buf_fini(&out);
    free(all);
    return 0;
}
