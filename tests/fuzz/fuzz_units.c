/* fuzz_units.c - quantities: what is understood is shown in a form that means the same. */
#include <stdlib.h>
#include <string.h>

#include "core/base/units.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(const char *text, bool (*read)(const char *, int64_t *),
                  const char *(*show)(int64_t, char *, size_t))
{
    int64_t value = -1, again = -1;
    char shown[40];

    if (!read(text, &value))
        return;
    if (value < 0 || !read(show(value, shown, sizeof shown), &again) || again != value)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    check(text, units_bytes, units_show_bytes);
    check(text, units_duration, units_show_duration);
    free(text);
    return 0;
}
