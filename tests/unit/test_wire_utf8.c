/* test_wire_utf8.c - every sequence of up to two bytes, and the edges of the longer ones. */
#include <string.h>

#include "sdk/wire/utf8.h"
#include "tests/kptest.h"

static size_t len_of(const char *text)
{
    return kpw_utf8_len(text, text + strlen(text));
}

TEST(utf8_takes_the_edges_of_each_length)
{
    static const struct {
        const char *text;
        uint32_t c;
    } rows[] = {
        {"\x01", 1},
        {"\x7f", 0x7f},
        {"\xc2\x80", 0x80},
        {"\xdf\xbf", 0x7ff},
        {"\xe0\xa0\x80", 0x800},
        {"\xed\x9f\xbf", 0xd7ff},
        {"\xee\x80\x80", 0xe000},
        {"\xef\xbf\xbf", 0xffff},
        {"\xf0\x90\x80\x80", 0x10000},
        {"\xf4\x8f\xbf\xbf", 0x10ffff},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].text);
        uint32_t c = 0;

        EQ_INT(kpw_utf8_decode(rows[i].text, rows[i].text + n, &c), n);
        EQ_INT(c, rows[i].c);
        EQ_INT(len_of(rows[i].text), n);
        YES(kpw_utf8_valid(rows[i].text, n));
        for (size_t cut = 1; cut < n; cut++)
            NO(kpw_utf8_valid(rows[i].text, cut));
    }
}

TEST(utf8_refuses_long_forms_surrogates_and_what_is_above_the_last_character)
{
    static const char *const rows[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff\xbf\xbf\xbf",
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "\xf0\x90\x80\x28",
        "\xc3\xc3",
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t c = 1;

        EQ_INT(len_of(rows[i]), 0);
        EQ_INT(kpw_utf8_decode(rows[i], rows[i] + strlen(rows[i]), &c), 0);
        EQ_INT(c, 0);
    }
}

TEST(utf8_of_two_bytes_is_what_the_table_says)
{
    for (int i = 0; i < 0x10000; i++) {
        char two[2] = {(char)(i >> 8), (char)i};
        int first = i >> 8, second = i & 0xff;
        bool is_pair = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;

        EQ_INT(kpw_utf8_valid(two, 2), is_pair || (first < 0x80 && second < 0x80));
    }
}

TEST(utf8_text_may_be_empty_and_may_hold_a_nul)
{
    YES(kpw_utf8_valid(NULL, 0));
    YES(kpw_utf8_valid("a\0b", 3));
    YES(kpw_utf8_valid("gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x95", 11));
    NO(kpw_utf8_valid("gr\xc3\xbc\xc3", 5));
    NO(kpw_utf8_valid("ab\x80", 3));
}
