/* fuzz_lease_file.c - any text as a lease file: it is read or refused, and what was read is written
 * so that it is read as the same again. */
#include <stdlib.h>
#include <string.h>

#include "core/lease/file_json.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static bool same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void compare(const struct memory_table *a, const struct memory_table *b)
{
    if (memory_table_count(a) != memory_table_count(b))
        abort();
    for (size_t i = 0; i < memory_table_count(a); i++) {
        const struct lease *one = memory_table_at(a, i), *other = memory_table_find(b, one->key);

        if (!other || !same(one->checkpoint, other->checkpoint) || one->sub != other->sub ||
            !same(one->pending, other->pending) || !same(one->low, other->low) ||
            !same(one->high, other->high) || !same(one->parents[0], other->parents[0]) ||
            !same(one->children[1], other->children[1]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    struct file_flows flows = {0}, again = {0};

    if (root && file_json_read(root, &flows)) {
        json_t *written = file_json_write(&flows, "app");

        if (!written || !file_json_read(written, &again) || flows.n != again.n)
            abort();
        for (size_t i = 0; i < flows.n; i++)
            compare(flows.all[i].table, file_flows_table(&again, flows.all[i].name));
        json_decref(written);
    }
    json_decref(root);
    file_flows_fini(&flows);
    file_flows_fini(&again);
    return 0;
}
