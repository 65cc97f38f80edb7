/* test_wire_json_put.c - the writer: always JSON, whatever the bytes. */
#include <math.h>

#include "sdk/wire/json.h"
#include "sdk/wire/random.h"
#include "tests/kptest.h"

static struct kpw_buf buf;

/* What stands on the buffer, which is empty afterwards. [static, until the next call] */
static const char *written(void)
{
    static char text[512];

    text[0] = '\0';
    REQUIRE(!buf.failed && buf.len < sizeof text);
    memcpy(text, kpw_buf_cstr(&buf), buf.len + 1);
    kpw_buf_fini(&buf);
    return text;
}

TEST(strings_are_escaped_as_needed_only)
{
    kpw_json_put_cstr(&buf, "plain / \x7f \xc3\xa9 \xf0\x9f\x98\x80");
    EQ_STR(written(), "\"plain / \x7f \xc3\xa9 \xf0\x9f\x98\x80\"");
    kpw_json_put_cstr(&buf, "\"\\\b\f\n\r\t\x01\x1f");
    EQ_STR(written(), "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"");
    kpw_json_put_string(&buf, "a\0b", 3);
    EQ_STR(written(), "\"a\\u0000b\"");
    kpw_json_put_string(&buf, NULL, 0);
    EQ_STR(written(), "\"\"");
}

TEST(bytes_that_are_not_utf8_are_replaced_each)
{
    kpw_json_put_cstr(&buf, "a\xff\xc3(\xe2\x82");
    EQ_STR(written(), "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(any_bytes_become_json)
{
    struct kpw_random random;
    char bytes[64];

    kpw_random_init_from(&random, 3);
    for (int round = 0; round < 5000; round++) {
        size_t len = kpw_random_below(&random, sizeof bytes);

        for (size_t i = 0; i < len; i++) {
            uint64_t n = kpw_random_next(&random);

            bytes[i] = "ab\"\\\n\xc3\xa9\xf0\x9f\x98\x80"[n % 11];
            if (n & 0x100)
                bytes[i] = (char)(n >> 16);
        }
        kpw_json_put_string(&buf, bytes, len);
        if (!kpw_json_valid(buf.ptr, buf.len)) {
            CU_FAIL("not JSON");
            break;
        }
        kpw_buf_clear(&buf);
    }
    kpw_buf_fini(&buf);
}

TEST(numbers_are_short_and_exact)
{
    kpw_json_put_int(&buf, INT64_MIN);
    EQ_STR(written(), "-9223372036854775808");
    kpw_json_put_int(&buf, 0);
    EQ_STR(written(), "0");
    kpw_json_put_uint(&buf, UINT64_MAX);
    EQ_STR(written(), "18446744073709551615");
    kpw_json_put_double(&buf, 3);
    EQ_STR(written(), "3");
    kpw_json_put_double(&buf, 9007199254740991.0);
    EQ_STR(written(), "9007199254740991");
    kpw_json_put_double(&buf, 0.1);
    EQ_STR(written(), "0.1");
    kpw_json_put_double(&buf, 0.1 + 0.2);
    EQ_STR(written(), "0.30000000000000004");
    kpw_json_put_double(&buf, -0.0);
    EQ_STR(written(), "-0");
    kpw_json_put_double(&buf, NAN);
    EQ_STR(written(), "null");
    kpw_json_put_double(&buf, -INFINITY);
    EQ_STR(written(), "null");
}

TEST(members_bring_their_commas)
{
    kpw_buf_putc(&buf, '{');
    kpw_json_put_member(&buf, "a", "x\"", 2);
    kpw_json_put_member_cstr(&buf, "b", "y");
    kpw_json_put_member_int(&buf, "c", -1);
    kpw_json_put_key(&buf, "d");
    kpw_buf_putc(&buf, '{');
    kpw_json_put_member_bool(&buf, "e", true);
    kpw_buf_putc(&buf, '}');
    kpw_json_put_member_bool(&buf, "f\n", false);
    kpw_buf_putc(&buf, '}');
    YES(kpw_json_valid(buf.ptr, buf.len));
    EQ_STR(written(), "{\"a\":\"x\\\"\",\"b\":\"y\",\"c\":-1,\"d\":{\"e\":true},\"f\\n\":false}");
}

TEST(a_full_buffer_ends_the_writing)
{
    buf.limit = 10;
    kpw_json_put_cstr(&buf, "0123456789\n\n\n");
    YES(buf.failed);
    YES(buf.len <= 10);
    kpw_json_put_double(&buf, 0.5);
    kpw_json_put_member_int(&buf, "a", 1);
    YES(buf.failed && buf.len <= 10);
    kpw_buf_fini(&buf);
    buf.limit = 0;
}
