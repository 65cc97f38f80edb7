/* fuzz_kinesis_cbor.c - a Kinesis request in CBOR: its members, the errors, and that the values lie
 * inside the body or the memory for texts. The same body is read as JSON too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/check.c"
#include "plugins/local-aws/kinesis/read.c"
#include "tests/fuzz/kinesis_members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Every byte of a value can be read. */
static void touch(struct kpw_slice text)
{
    static volatile char last;

    for (size_t i = 0; i < text.len; i++)
        last = text.ptr[i];
    (void)last;
}

static void touch_all(const struct check *check)
{
    for (size_t i = 0; table[i].name; i++)
        touch(check->values[i].text);
    for (size_t i = 0; i < check->n_items; i++)
        touch(check->items[i]);
    for (size_t i = 0; i < check->n_records; i++) {
        const struct check_record *r = &check->records[i];

        touch(r->key.text);
        touch(r->hash.text);
        touch(r->data.text);
        must(!check->is_cbor || check_blob_len(check, &r->data) == r->data.text.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct check check; /* used again, as the service does */
    char *text = malloc(size ? size : 1);
    enum check_result result;

    must(text != NULL);
    memcpy(text, data, size);
    for (int form = 0; form < 2; form++) {
        check.is_cbor = form == 0;
        result = check_read(&check, table, kpw_slice(text, size));
        must((result == CHECK_OK || result == CHECK_BROKEN) == !check.error.len);
        if (result != CHECK_BROKEN)
            touch_all(&check);
        if (check.is_cbor)
            must(result == CHECK_BROKEN || kpw_cbor_valid(text, size));
    }
    free(text);
    return 0;
}
