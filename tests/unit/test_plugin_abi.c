/* test_plugin_abi.c - the plugin ABI against its list in sdk/abi.
 *
 * The list of this version must be met line by line. Of the lists of older minor
 * versions every field must still stand where it stood; structs may have grown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/abi/abi_list.h"
#include "tests/kptest.h"

static const char *line_of(const struct abi_row *row)
{
    static char line[200];

    if (!row->of)
        snprintf(line, sizeof line, "%s = %lld\n", row->field, row->value);
    else if (!row->field)
        snprintf(line, sizeof line, "%s size %zu\n", row->of, row->size);
    else
        snprintf(line, sizeof line, "%s.%s offset %zu size %zu\n", row->of, row->field, row->offset,
                 row->size);
    return line;
}

static FILE *open_list(int minor)
{
    char name[64];

    snprintf(name, sizeof name, "sdk/abi/%d.%d.txt", KP_ABI_MAJOR, minor);
    return fopen(kptest_path(name), "re");
}

TEST(abi_is_as_listed_for_this_version)
{
    FILE *list = open_list(KP_ABI_MINOR);
    char line[200];

    REQUIRE(list != NULL);
    for (size_t i = 0; i < ABI_ROWS; i++) {
        const char *want = fgets(line, sizeof line, list) ? line : "(end of list)\n";

        if (strcmp(want, line_of(&abi_rows[i]))) {
            fprintf(stderr, "-%s+%s", want, line_of(&abi_rows[i]));
            CU_FAIL("sdk/abi differs: append the new rows and raise KP_ABI_MINOR");
            break;
        }
    }
    CU_ASSERT_PTR_NULL(fgets(line, sizeof line, list));
    fclose(list);
}

static bool is_met(const char *line)
{
    if (strstr(line, " size ") && !strstr(line, " offset "))
        return true; /* a struct may grow */
    for (size_t i = 0; i < ABI_ROWS; i++)
        if (!strcmp(line, line_of(&abi_rows[i])))
            return true;
    fprintf(stderr, "-%s", line);
    return false;
}

TEST(abi_keeps_what_older_minor_versions_promised)
{
    char line[200];

    for (int minor = 0; minor < KP_ABI_MINOR; minor++) {
        FILE *list = open_list(minor);

        REQUIRE(list != NULL);
        while (fgets(line, sizeof line, list))
            YES(is_met(line));
        fclose(list);
    }
}

static size_t align_up(size_t n, size_t align)
{
    return (n + align - 1) / align * align;
}

TEST(abi_list_has_every_field_of_every_struct)
{
    const struct abi_row *parent = NULL;
    size_t end = 0;

    for (size_t i = 0; i <= ABI_ROWS; i++) {
        const struct abi_row *row = i < ABI_ROWS ? &abi_rows[i] : NULL;
        bool is_field = row && row->of && row->field;

        if (is_field && row->offset != align_up(end, row->align)) {
            fprintf(stderr, "%s: a field before %s is not in the list\n", row->of, row->field);
            CU_FAIL("tests/abi/abi_list.h is not complete");
        }
        if (is_field) {
            end = row->offset + row->size;
            continue;
        }
        if (parent && align_up(end, parent->align) != parent->size) {
            fprintf(stderr, "%s: its last fields are not in the list\n", parent->of);
            CU_FAIL("tests/abi/abi_list.h is not complete");
        }
        parent = row && row->of ? row : NULL;
        end = 0;
    }
}
