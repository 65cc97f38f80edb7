/* test_wire_u128.c - hash keys and sequence numbers. */
#include "sdk/wire/u128.h"
#include "tests/kptest.h"

#define MAX_TEXT "340282366920938463463374607431768211455" /* 2^128 - 1 */

static bool parses(const char *text, kpw_u128 *ret)
{
    return kpw_u128_parse(kpw_slice_cstr(text), ret);
}

TEST(numbers_of_128_bits_go_both_ways)
{
    char text[KPW_U128_SIZE];
    kpw_u128 n = 1;

    YES(parses("0", &n) && n == 0);
    EQ_INT(kpw_u128_format(n, text), 1);
    EQ_STR(text, "0");
    YES(parses(MAX_TEXT, &n) && n == KPW_U128_MAX);
    EQ_INT(kpw_u128_format(n, text), 39);
    EQ_STR(text, MAX_TEXT);
    YES(parses("170141183460469231731687303715884105728", &n) && n == (kpw_u128)1 << 127);
    YES(parses("0000000000000000000000000000000000000007", &n) && n == 7);
    for (kpw_u128 power = 1;; power *= 10) {
        size_t len = kpw_u128_format(power, text);

        YES(kpw_u128_parse(kpw_slice(text, len), &n) && n == power);
        YES(text[0] == '1' && strspn(text + 1, "0") == len - 1);
        if (power > KPW_U128_MAX / 10)
            break;
    }
}

TEST(what_is_no_number_of_128_bits_is_refused)
{
    kpw_u128 n = 42;

    NO(parses("", &n));
    NO(parses("340282366920938463463374607431768211456", &n));
    NO(parses("999999999999999999999999999999999999999", &n));
    NO(parses("00000000000000000000000000000000000000007", &n)); /* 41 digits */
    NO(parses("-1", &n));
    NO(parses("+1", &n));
    NO(parses(" 1", &n));
    NO(parses("1 ", &n));
    NO(parses("1a", &n));
    YES(n == 42);
}

TEST(a_digest_is_read_with_its_first_byte_on_top)
{
    const uint8_t bytes[16] = {0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

    YES(kpw_u128_from_bytes(bytes) == ((kpw_u128)1 << 127 | 1));
}

static int compare(const char *a, const char *b)
{
    int one = kpw_decimal_compare(kpw_slice_cstr(a), kpw_slice_cstr(b));
    int other = kpw_decimal_compare(kpw_slice_cstr(b), kpw_slice_cstr(a));

    YES((one > 0) == (other < 0) && (one == 0) == (other == 0));
    return one < 0 ? -1 : one > 0;
}

TEST(decimals_of_any_length_are_compared_by_value)
{
    EQ_INT(compare("9", "10"), -1);
    EQ_INT(compare("10", "9"), 1);
    EQ_INT(compare("00010", "10"), 0);
    EQ_INT(compare("", "0"), 0);
    EQ_INT(compare("000", ""), 0);
    EQ_INT(compare("", "1"), -1);
    EQ_INT(compare("49590338271490256608559692538361571095921575989136588898",
                   "49590338271490256608559692538361571095921575989136588899"),
           -1);
    EQ_INT(compare("149590338271490256608559692538361571095921575989136588898",
                   "49590338271490256608559692538361571095921575989136588899"),
           1);
}

TEST(decimals_are_digits_only)
{
    YES(kpw_decimal_valid(kpw_slice_cstr("0")));
    YES(kpw_decimal_valid(
        kpw_slice_cstr("0049590338271490256608559692538361571095921575989136588898")));
    NO(kpw_decimal_valid(kpw_slice_cstr("")));
    NO(kpw_decimal_valid(kpw_slice_cstr("1.0")));
    NO(kpw_decimal_valid(kpw_slice_cstr("-1")));
    NO(kpw_decimal_valid(kpw_slice_cstr("TRIM_HORIZON")));
    NO(kpw_decimal_valid(kpw_slice("1\0", 2)));
}
