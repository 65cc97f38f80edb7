/* test_wire_json_value.c - texts, numbers and values by path. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/wire/json.h"
#include "sdk/wire/random.h"
#include "tests/kptest.h"

static const char *unescape(const char *raw)
{
    static char out[4][256];
    static int at;

    at = (at + 1) % 4;
    out[at][kpw_json_unescape_to(kpw_slice_cstr(raw), out[at])] = '\0';
    return out[at];
}

TEST(escapes_become_characters)
{
    EQ_STR(unescape("plain"), "plain");
    EQ_STR(unescape(""), "");
    EQ_STR(unescape("\\\"\\\\\\/\\b\\f\\n\\r\\t"), "\"\\/\b\f\n\r\t");
    EQ_STR(unescape("\\u0041\\u00e9\\u20AC\\ud83d\\uDE00!"),
           "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!");
    EQ_STR(unescape("\\ud800"), "\xef\xbf\xbd");
    EQ_STR(unescape("\\udc00x"), "\xef\xbf\xbdx");
    EQ_STR(unescape("\\ud800\\u0041"), "\xef\xbf\xbd"
                                       "A");
    EQ_STR(unescape("\\ud800\\ud83d\\ude00"), "\xef\xbf\xbd\xf0\x9f\x98\x80");
    EQ_STR(unescape("\\ud800\\"), "\xef\xbf\xbd\\"); /* not what the scanner lets through */
    EQ_STR(unescape("\\u12"), "\\u12");
}

TEST(unescaping_works_in_place_and_against_a_limit)
{
    char text[] = "a\\u0042c\\nd";
    struct kpw_buf buf = {.limit = 5};

    kpw_json_unescape(kpw_slice_cstr(text), &buf); /* the raw text is longer than the limit */
    NO(buf.failed);
    EQ_STR(kpw_buf_cstr(&buf), "aBc\nd");
    kpw_json_unescape(kpw_slice_cstr("x"), &buf);
    YES(buf.failed);
    kpw_buf_fini(&buf);
    buf.limit = 0;
    kpw_json_unescape(kpw_slice_cstr(text), &buf);
    EQ_STR(kpw_buf_cstr(&buf), "aBc\nd");
    kpw_buf_fini(&buf);
    EQ_INT(kpw_json_unescape_to(kpw_slice(text, strlen(text)), text), 5);
    YES(!memcmp(text, "aBc\nd", 5));
    EQ_INT(kpw_json_unescape_to(kpw_slice(NULL, 0), text), 0);
}

TEST(a_text_is_compared_without_its_escapes)
{
    YES(kpw_json_text_is(kpw_slice_cstr("a\\u0062c"), "abc"));
    YES(kpw_json_text_is(kpw_slice_cstr(""), ""));
    YES(kpw_json_text_is(kpw_slice_cstr("\\u20ac"), "\xe2\x82\xac"));
    NO(kpw_json_text_is(kpw_slice_cstr("abc"), "ab"));
    NO(kpw_json_text_is(kpw_slice_cstr("ab"), "abc"));
    NO(kpw_json_text_is(kpw_slice_cstr("a\\u0000"), "a"));
}

/* ---- numbers */

static bool to_int(const char *text, int64_t *ret)
{
    return kpw_json_to_int64(kpw_slice_cstr(text), ret);
}

TEST(integers_are_exact_or_refused)
{
    static const char *const bad[] = {"",    "-",   "1.0", "1e3", "9223372036854775808",
                                      "+1",  "01",  " 1",  "1 ",  "-9223372036854775809",
                                      "0x1", "--1", "1a",  "-01", "99999999999999999999999"};
    int64_t n = 1;
    uint64_t u = 1;

    YES(to_int("0", &n) && n == 0);
    YES(to_int("-0", &n) && n == 0);
    YES(to_int("-12", &n) && n == -12);
    YES(to_int("9223372036854775807", &n) && n == INT64_MAX);
    YES(to_int("-9223372036854775808", &n) && n == INT64_MIN);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_FALSE(to_int(bad[i], &n));
    YES(kpw_json_to_uint64(kpw_slice_cstr("18446744073709551615"), &u) && u == UINT64_MAX);
    YES(kpw_json_to_uint64(kpw_slice_cstr("-0"), &u) && u == 0);
    NO(kpw_json_to_uint64(kpw_slice_cstr("18446744073709551616"), &u));
    NO(kpw_json_to_uint64(kpw_slice_cstr("-1"), &u));
    NO(kpw_json_to_uint64(kpw_slice(NULL, 0), &u));
}

static double to_double(const char *text)
{
    double d = -77;

    return kpw_json_to_double(kpw_slice_cstr(text), &d) ? d : (double)NAN;
}

TEST(doubles_are_rounded_exactly)
{
    static const char *const texts[] = {
        "0.1",
        "1e22",
        "1e23",
        "123456789012345680",
        "2.2250738585072011e-308",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "9007199254740993",
        "0.500000000000000166533453693773481063544750213623046875",
        "6.9294956446009195e15",
        "4.35",
        "100000000000000000000000",
        "-3.14",
        "1E+2",
        "0.000000000000000000000000000000000000001",
        "8.442911973260991817129021e-309",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CU_ASSERT_EQUAL(to_double(texts[i]), strtod(texts[i], NULL));
    YES(signbit(to_double("-0")) != 0);
    YES(to_double("1e-400") == 0);
    YES(to_double("0e999999999999999999999") == 0);
    YES(to_double("0.0e-999999999999999999999") == 0);
    YES(isnan(to_double("1e309")));
    YES(isnan(to_double("-1e999999999999999999999")));
    YES(isnan(to_double("1.7976931348623159e308")));
    YES(isnan(to_double("1.")));
    YES(isnan(to_double(".5")));
    YES(isnan(to_double("NaN")));
    YES(isnan(to_double("")));
    YES(isnan(to_double("1 ")));
}

/* 1 + 2^-53 lies between two doubles; what stands 1500 digits later decides. */
TEST(digits_far_behind_decide_a_tie)
{
    static char text[3000];
    double below, above;
    int n = snprintf(text, sizeof text, "1.00000000000000011102230246251565404236316680908203125");

    memset(text + n, '0', 1500);
    text[n + 1500] = '\0';
    below = to_double(text); /* exactly between two doubles: to the even one */
    text[n + 1499] = '1';
    above = to_double(text);
    YES(below == 1.0);
    YES(above == 1.0 + DBL_EPSILON);
}

TEST(many_zeros_are_only_zeros)
{
    static char text[4000];

    memset(text, '0', sizeof text);
    memcpy(text, "1", 1);
    memcpy(text + 2000, "e-1995", 7);
    YES(to_double(text) == 1e4);
    memset(text, '0', sizeof text);
    text[1] = '.';
    memcpy(text + 2000, "1e1998", 7);
    YES(to_double(text) == 0.1);
}

/* ---- by path */

#define DOC                                                                                \
    "{\"a\":{\"b\":[10,{\"c\":\"x\\ty\"},[1,2]]},\"a b\":{\"c.d\":true},\"e\\u0066\":1.5," \
    "\"n\":null,\"a\":2,\"s\":\"\"}"

static void finds(const char *path, enum kpw_json_type type, const char *raw)
{
    struct kpw_slice value;

    EQ_INT(kpw_json_find(kpw_slice_cstr(DOC), path, &value), type);
    YES(kpw_slice_is(value, raw));
}

TEST(values_are_found_by_path)
{
    finds("$", KPW_JSON_OBJECT, DOC);
    finds("", KPW_JSON_OBJECT, DOC);
    finds("$.a.b[0]", KPW_JSON_NUMBER, "10");
    finds("a.b[1].c", KPW_JSON_STRING, "x\\ty");
    finds("$['a']['b'][2][1]", KPW_JSON_NUMBER, "2");
    finds("$.a.b[2]", KPW_JSON_ARRAY, "[1,2]");
    finds("$['a b'][\"c.d\"]", KPW_JSON_TRUE, "true");
    finds("$.ef", KPW_JSON_NUMBER, "1.5");
    finds("n", KPW_JSON_NULL, "null");
    finds("s", KPW_JSON_STRING, "");
    finds("$.a.b[3]", KPW_JSON_END, "");
    finds("$.a.b[18446744073709551615]", KPW_JSON_END, "");
    finds("$.nope", KPW_JSON_END, "");
    finds("$.n.x", KPW_JSON_END, "");
    finds("$.a[0]", KPW_JSON_END, "");
    finds("$.a.b.c", KPW_JSON_END, "");
}

TEST(a_broken_path_is_an_error)
{
    static const char *const bad[] = {"$.",   "$..a", "$a",    "a.",    "a[",
                                      "a[x]", "a[0",  "a['b]", "a['b'", "a[0]b",
                                      "a[]",  ".",    "a[-1]", "a[01]", "$[18446744073709551616]"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct kpw_slice value = {"x", 1};

        CU_ASSERT_EQUAL(kpw_json_find(kpw_slice_cstr("{\"a\":[1]}"), bad[i], &value),
                        KPW_JSON_ERROR);
        EQ_INT(value.len, 0);
    }
}

TEST(damage_counts_up_to_the_value)
{
    struct kpw_slice value;

    EQ_INT(kpw_json_find(kpw_slice_cstr("{\"a\":1,}"), "a", &value), KPW_JSON_NUMBER);
    EQ_INT(kpw_json_find(kpw_slice_cstr("{\"a\":x,\"b\":1}"), "b", &value), KPW_JSON_ERROR);
    EQ_INT(kpw_json_find(kpw_slice_cstr("{\"a\":[1}"), "a", &value), KPW_JSON_ERROR);
    EQ_INT(kpw_json_find(kpw_slice_cstr("{\"a\":1,}"), "b", &value), KPW_JSON_ERROR);
    EQ_INT(kpw_json_find(kpw_slice(NULL, 0), "b", &value), KPW_JSON_ERROR);
    EQ_INT(value.len, 0);
}

/* ---- both ways */

static bool comes_back(double d)
{
    struct kpw_buf buf = KPW_BUF_INIT;
    double back = 0;
    bool ok;

    kpw_json_put_double(&buf, d);
    ok = kpw_json_valid(buf.ptr, buf.len) && kpw_json_to_double(kpw_buf_slice(&buf), &back) &&
         !memcmp(&back, &d, sizeof d);
    if (!ok)
        fprintf(stderr, "%a became %s\n", d, kpw_buf_cstr(&buf));
    kpw_buf_fini(&buf);
    return ok;
}

TEST(a_double_reads_back_as_it_was_written)
{
    static const double edges[] = {0.0,       -0.0, 1.0,     DBL_MIN,    DBL_MAX, -DBL_MAX,
                                   0x1p-1074, 0.1,  1e15,    1e16,       0x1p53,  0x1p53 - 1,
                                   1e21,      1e22, 1.0 / 3, 123456.789, -5e-7,   9.999e22};
    struct kpw_random random;

    kpw_random_init_from(&random, 7);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        CU_ASSERT_TRUE(comes_back(edges[i]));
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = kpw_random_next(&random);
        double d;

        memcpy(&d, &bits, sizeof d);
        if (isfinite(d) && !comes_back(d)) {
            CU_FAIL("a double changed");
            break;
        }
    }
}

TEST(numbers_do_not_depend_on_the_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C.UTF-8"};
    struct kpw_buf buf = KPW_BUF_INIT;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (setlocale(LC_NUMERIC, names[i]))
            break; /* with a comma where such a locale is installed */
    }
    kpw_json_put_double(&buf, 1234.5678901);
    EQ_STR(kpw_buf_cstr(&buf), "1234.5678901");
    YES(to_double("2.4703282292062328e-324") == 0x1p-1074);
    YES(comes_back(1.0 / 3));
    setlocale(LC_NUMERIC, "C");
    kpw_buf_fini(&buf);
}
