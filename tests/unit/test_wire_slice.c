/* test_wire_slice.c - slices and the growable buffer. */
#include <stdio.h>
#include <stdlib.h>

#include "sdk/wire/slice.h"
#include "tests/kptest.h"

TEST(slices_compare_by_bytes)
{
    struct kpw_slice a = kpw_slice("abc", 3), empty = {NULL, 0};

    YES(kpw_slice_eq(a, kpw_slice_cstr("abc")));
    NO(kpw_slice_eq(a, kpw_slice_cstr("abd")));
    NO(kpw_slice_eq(a, kpw_slice_cstr("ab")));
    YES(kpw_slice_eq(empty, kpw_slice("", 0)));
    YES(kpw_slice_eq(empty, kpw_slice_cstr(NULL)));
    YES(kpw_slice_is(a, "abc"));
    NO(kpw_slice_is(a, "abcd"));
    NO(kpw_slice_is(kpw_slice("ab\0c", 4), "ab"));
    YES(kpw_slice_is(empty, ""));
    YES(kpw_slice_is_nocase(a, "aBC"));
    NO(kpw_slice_is_nocase(a, "aBd"));
    NO(kpw_slice_is_nocase(kpw_slice("a\0x", 3), "a\0y"));
    YES(kpw_slice_starts(a, "ab"));
    YES(kpw_slice_starts(a, ""));
    NO(kpw_slice_starts(a, "abcd"));
}

TEST(slices_are_trimmed_at_both_ends)
{
    YES(kpw_slice_is(kpw_slice_trim(kpw_slice_cstr(" \t a b\t ")), "a b"));
    YES(kpw_slice_is(kpw_slice_trim(kpw_slice_cstr(" \t ")), ""));
    YES(kpw_slice_is(kpw_slice_trim(kpw_slice_cstr("")), ""));
    YES(kpw_slice_is(kpw_slice_trim(kpw_slice(NULL, 0)), ""));
}

TEST(a_buffer_holds_what_was_appended)
{
    struct kpw_buf buf = KPW_BUF_INIT;

    for (int i = 0; i < 1000; i++)
        kpw_buf_appendf(&buf, "%d,", i);
    kpw_buf_putc(&buf, '!');
    kpw_buf_puts(&buf, "end");
    kpw_buf_put_slice(&buf, kpw_slice_cstr("."));
    kpw_buf_append(&buf, NULL, 0);
    NO(buf.failed);
    EQ_INT(buf.len, 10 * 2 + 90 * 3 + 900 * 4 + 5);
    YES(!strncmp(kpw_buf_cstr(&buf), "0,1,2,", 6));
    EQ_STR(kpw_buf_cstr(&buf) + buf.len - 9, "999,!end.");
    kpw_buf_clear(&buf);
    EQ_STR(kpw_buf_cstr(&buf), "");
    kpw_buf_fini(&buf);
    YES(!buf.ptr && !buf.len && !buf.cap);
}

TEST(a_long_format_is_not_cut)
{
    struct kpw_buf buf = KPW_BUF_INIT;
    char text[5000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    kpw_buf_appendf(&buf, "<%s|%s>", text, text);
    EQ_INT(buf.len, 2 * 4999 + 3);
    EQ_INT(buf.ptr[buf.len - 1], '>');
    EQ_INT(strlen(kpw_buf_cstr(&buf)), buf.len);
    kpw_buf_fini(&buf);
}

TEST(a_buffer_stops_at_its_limit_and_stays_failed)
{
    struct kpw_buf buf = {.limit = 8};

    kpw_buf_append(&buf, "12345678", 8);
    NO(buf.failed);
    EQ_STR(kpw_buf_cstr(&buf), "12345678"); /* the NUL does not count */
    kpw_buf_putc(&buf, '9');
    YES(buf.failed);
    EQ_INT(buf.len, 8);
    kpw_buf_clear(&buf);
    kpw_buf_putc(&buf, 'x');
    EQ_INT(buf.len, 0);
    YES(kpw_buf_cstr(&buf) == NULL);
    kpw_buf_fini(&buf);
    NO(buf.failed);
    EQ_INT(buf.limit, 8);
    kpw_buf_appendf(&buf, "%s", "123456789");
    YES(buf.failed);
    EQ_INT(buf.len, 0);
    kpw_buf_fini(&buf);
}

TEST(an_impossible_size_fails_the_buffer)
{
    struct kpw_buf buf = KPW_BUF_INIT;

    kpw_buf_putc(&buf, 'a');
    YES(kpw_buf_reserve(&buf, SIZE_MAX) == NULL);
    YES(buf.failed);
    kpw_buf_fini(&buf);
    YES(kpw_buf_reserve(&buf, SIZE_MAX / 2) == NULL);
    YES(buf.failed);
    kpw_buf_fini(&buf);
}

TEST(taking_hands_the_bytes_over)
{
    struct kpw_buf buf = {.limit = 100};
    size_t len = 99;
    char *text;

    kpw_buf_puts(&buf, "abc");
    text = kpw_buf_take(&buf, &len);
    EQ_INT(len, 3);
    EQ_STR(text, "abc");
    free(text);
    YES(!buf.ptr && !buf.len);
    EQ_INT(buf.limit, 100);
    text = kpw_buf_take(&buf, &len); /* nothing: still a text */
    EQ_INT(len, 0);
    EQ_STR(text, "");
    free(text);
    buf.limit = 2;
    kpw_buf_puts(&buf, "abc");
    YES(kpw_buf_take(&buf, &len) == NULL);
    NO(buf.failed); /* ready for the next use */
}
