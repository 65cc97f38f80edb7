/* test_wire_uri.c - percent encoding, queries and paths. */
#include <stdio.h>

#include "sdk/wire/uri.h"
#include "tests/kptest.h"

static const char *encode(const char *text, bool keep_slash)
{
    static char out[4][256];
    static int at;

    at = (at + 1) % 4;
    out[at][kpw_uri_encode(text, strlen(text), keep_slash, out[at])] = '\0';
    return out[at];
}

TEST(all_but_the_unreserved_is_encoded)
{
    const char *kept = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char out[3];
    size_t n_kept = 0;

    EQ_STR(encode(kept, false), kept);
    EQ_STR(encode("a b/c+d=e&f\xc3\xa9*", false), "a%20b%2Fc%2Bd%3De%26f%C3%A9%2A");
    EQ_STR(encode("/a b/", true), "/a%20b/");
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;

        n_kept += kpw_uri_encode(&byte, 1, false, out) == 1;
    }
    EQ_INT(n_kept, strlen(kept));
    EQ_INT(kpw_uri_encode("\0\x7f", 2, false, (char[6]){0}), 6);
    EQ_INT(kpw_uri_encode(NULL, 0, false, out), 0);
}

TEST(a_limit_counts_what_is_written)
{
    struct kpw_buf buf = {.limit = 8};

    kpw_uri_put(&buf, "abcdefg", 7, false); /* could have been 21 */
    NO(buf.failed);
    EQ_STR(kpw_buf_cstr(&buf), "abcdefg");
    kpw_uri_put(&buf, " ", 1, false);
    YES(buf.failed);
    kpw_buf_fini(&buf);
    YES(kpw_uri_decode_put(&buf, kpw_slice_cstr("%61%62%63%64%65%66%67%68"), false));
    EQ_STR(kpw_buf_cstr(&buf), "abcdefgh");
    NO(kpw_uri_decode_put(&buf, kpw_slice_cstr("i"), false));
    YES(buf.failed);
    kpw_buf_fini(&buf);
    buf.limit = 0;
    kpw_uri_put(&buf, "a b", 3, false);
    EQ_STR(kpw_buf_cstr(&buf), "a%20b");
    kpw_uri_put(&buf, "", SIZE_MAX / 2, false);
    YES(buf.failed);
    kpw_buf_fini(&buf);
}

static const char *decode(const char *text, bool plus)
{
    static char out[256];
    size_t n;

    if (!kpw_uri_decode(text, strlen(text), plus, out, &n))
        return "(broken)";
    out[n] = '\0';
    return out;
}

TEST(decoding_takes_two_hex_digits_and_nothing_else)
{
    char text[] = "%41%42c", nul[4];
    size_t n = 0;

    EQ_STR(decode("a%20b%2fc%2Fd+e", false), "a b/c/d+e");
    EQ_STR(decode("a+b%2B", true), "a b+");
    EQ_STR(decode("%25", false), "%");
    EQ_STR(decode("", false), "");
    EQ_STR(decode("%", false), "(broken)");
    EQ_STR(decode("%4", false), "(broken)");
    EQ_STR(decode("a%4", false), "(broken)");
    EQ_STR(decode("%4g", false), "(broken)");
    EQ_STR(decode("%g4", false), "(broken)");
    EQ_STR(decode("% 4", false), "(broken)");
    EQ_STR(decode("%%41", false), "(broken)");
    EQ_STR(decode("%\x14\x11", false), "(broken)");
    YES(kpw_uri_decode(text, 7, false, text, &n)); /* in place */
    EQ_INT(n, 3);
    YES(!memcmp(text, "ABc", 3));
    YES(kpw_uri_decode("%00", 3, false, nul, &n));
    EQ_INT(n, 1);
    EQ_INT(nul[0], 0);
}

TEST(a_broken_text_adds_nothing_to_the_buffer)
{
    struct kpw_buf buf = KPW_BUF_INIT;

    kpw_buf_puts(&buf, "x");
    NO(kpw_uri_decode_put(&buf, kpw_slice_cstr("abc%"), false));
    EQ_STR(kpw_buf_cstr(&buf), "x");
    buf.limit = 3;
    NO(kpw_uri_decode_put(&buf, kpw_slice_cstr("a%zz"), false));
    EQ_STR(kpw_buf_cstr(&buf), "x");
    NO(buf.failed);
    kpw_buf_fini(&buf);
}

static void split(const char *target, const char *want_path, const char *want_query)
{
    struct kpw_slice path, query;

    kpw_uri_split(kpw_slice_cstr(target), &path, &query);
    YES(kpw_slice_is(path, want_path));
    YES(kpw_slice_is(query, want_query));
}

TEST(a_target_is_split_at_the_first_question_mark)
{
    split("/a?b=c", "/a", "b=c");
    split("/a", "/a", "");
    split("/a?", "/a", "");
    split("/a?b?c", "/a", "b?c");
    split("/a#b?c", "/a", "");
    split("/a?b#c", "/a", "b");
    split("?x", "", "x");
    split("", "", "");
}

TEST(a_query_is_walked_pair_by_pair)
{
    struct kpw_query q;

    kpw_query_init(&q, kpw_slice_cstr("&a=1&&b&c=&=d&e=f=g&"));
    REQUIRE(kpw_query_next(&q));
    YES(kpw_slice_is(q.name, "a") && kpw_slice_is(q.value, "1") && q.has_value);
    REQUIRE(kpw_query_next(&q));
    YES(kpw_slice_is(q.name, "b") && kpw_slice_is(q.value, "") && !q.has_value);
    REQUIRE(kpw_query_next(&q));
    YES(kpw_slice_is(q.name, "c") && kpw_slice_is(q.value, "") && q.has_value);
    REQUIRE(kpw_query_next(&q));
    YES(kpw_slice_is(q.name, "") && kpw_slice_is(q.value, "d"));
    REQUIRE(kpw_query_next(&q));
    YES(kpw_slice_is(q.name, "e") && kpw_slice_is(q.value, "f=g"));
    NO(kpw_query_next(&q));
    NO(kpw_query_next(&q));
    kpw_query_init(&q, kpw_slice(NULL, 0));
    NO(kpw_query_next(&q));
}

TEST(a_pair_is_found_by_its_decoded_name)
{
    struct kpw_slice text = kpw_slice_cstr("a%62=1&ab=2&x+y=3&z=%zz&%=4&a=5"), value;
    struct kpw_buf out = KPW_BUF_INIT;

    REQUIRE(kpw_query_find(text, "ab", &value));
    YES(kpw_slice_is(value, "1"));
    REQUIRE(kpw_query_find(text, "a", &value));
    YES(kpw_slice_is(value, "5"));
    NO(kpw_query_find(text, "x y", &value)); /* the plus is a plus outside of forms */
    REQUIRE(kpw_query_find(text, "x+y", &value));
    NO(kpw_query_find(text, "%", &value));
    NO(kpw_query_find(text, "nope", &value));
    NO(kpw_query_find(kpw_slice_cstr("a%00b=1"), "a", &value));
    YES(kpw_form_get(text, "x y", &out));
    EQ_STR(kpw_buf_cstr(&out), "3");
    NO(kpw_form_get(text, "z", &out));
    NO(kpw_form_get(text, "nope", &out));
    YES(kpw_form_get(kpw_slice_cstr("m=a+b%2Bc"), "m", &out));
    EQ_STR(kpw_buf_cstr(&out), "3a b+c");
    kpw_buf_fini(&out);
}

static const char *normal(const char *path)
{
    static char text[256];
    struct kpw_buf buf = KPW_BUF_INIT;

    kpw_buf_puts(&buf, "host");
    kpw_path_normalize(kpw_slice_cstr(path), &buf);
    snprintf(text, sizeof text, "%s", kpw_buf_cstr(&buf) + 4);
    YES(!strncmp(buf.ptr, "host", 4)); /* never eats what was there */
    kpw_buf_fini(&buf);
    return text;
}

TEST(dots_and_double_slashes_leave_a_path)
{
    EQ_STR(normal(""), "/");
    EQ_STR(normal("/"), "/");
    EQ_STR(normal("//"), "/");
    EQ_STR(normal("/a"), "/a");
    EQ_STR(normal("/a/"), "/a/");
    EQ_STR(normal("/a//b///c"), "/a/b/c");
    EQ_STR(normal("/./a/."), "/a/");
    EQ_STR(normal("/a/b/../c/./../../g"), "/g"); /* RFC 3986 section 5.2.4, with one more ".." */
    EQ_STR(normal("/a/b/.."), "/a/");
    EQ_STR(normal("/.."), "/");
    EQ_STR(normal("/../../.."), "/");
    EQ_STR(normal("/../a"), "/a");
    EQ_STR(normal("/..."), "/...");
    EQ_STR(normal("/a/.b/..c"), "/a/.b/..c");
    EQ_STR(normal("/%2e%2e/a"), "/%2e%2e/a");
}

static bool safe(const char *path)
{
    return kpw_path_is_safe(path, strlen(path));
}

TEST(only_paths_that_stay_inside_are_safe)
{
    char longest[4097];

    YES(safe("a"));
    YES(safe("a/b.c/..d/e..f/.g"));
    YES(safe("a/"));
    NO(safe(""));
    NO(safe("/"));
    NO(safe("/a"));
    NO(safe("a//b"));
    NO(safe("a//"));
    NO(safe("."));
    NO(safe(".."));
    NO(safe("../a"));
    NO(safe("a/.."));
    NO(safe("a/../"));
    NO(safe("a/./b"));
    NO(kpw_path_is_safe("a\0b", 3));
    memset(longest, 'a', sizeof longest);
    YES(kpw_path_is_safe(longest, 255));
    NO(kpw_path_is_safe(longest, 256));
    for (size_t i = 200; i < sizeof longest; i += 200)
        longest[i] = '/';
    YES(kpw_path_is_safe(longest, 4095));
    NO(kpw_path_is_safe(longest, 4096));
}
