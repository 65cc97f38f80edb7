/* fuzz_time.c - date texts: what is read, written and read again is the same moment. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/time.h"
#include "sdk/wire/u128.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_number(struct kpw_slice text)
{
    char out[KPW_U128_SIZE];
    kpw_u128 n, back;

    if (!kpw_u128_parse(text, &n))
        return;
    must(kpw_u128_parse(kpw_slice(out, kpw_u128_format(n, out)), &back) && n == back);
    must(kpw_decimal_valid(text) && kpw_decimal_compare(text, kpw_slice_cstr(out)) == 0);
}

/* The same for a moment instead of a text. */
static void check_moment(const uint8_t *data, size_t size)
{
    char out[KPW_ISO8601_SIZE];
    struct kpw_civil civil;
    int64_t ms = 0, back;

    if (size < sizeof ms)
        return;
    memcpy(&ms, data, sizeof ms);
    must(kpw_iso8601_parse(kpw_slice(out, kpw_iso8601_format(ms, out)), &back));
    if (ms >= KPW_TIME_MIN_S * 1000 && ms < (KPW_TIME_MAX_S + 1) * 1000)
        must(back == ms);
    if (kpw_civil_from_s(ms, &civil))
        must(kpw_civil_to_s(&civil, &back) && back == ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1), out[32];
    struct kpw_slice text = {copy, size};
    int64_t n, back;

    must(copy != NULL);
    memcpy(copy, data, size);
    if (kpw_iso8601_parse(text, &n))
        must(kpw_iso8601_parse(kpw_slice(out, kpw_iso8601_format(n, out)), &back) && n == back);
    if (kpw_http_date_parse(text, &n))
        must(kpw_http_date_parse(kpw_slice(out, kpw_http_date_format(n, out)), &back) && n == back);
    if (kpw_amz_date_parse(text, &n))
        must(kpw_slice_eq(kpw_slice(out, kpw_amz_date_format(n, out)), text));
    check_number(text);
    check_moment(data, size);
    free(copy);
    return 0;
}
