/* test_wire_json.c - the pull scanner against the JSON parsing test suite, and token by token. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sdk/wire/json.h"
#include "tests/kptest.h"

/* ---- the test suite */

/* The text at the end of a page behind which nothing may be read, `shift` bytes further in front:
 * whatever the scanner reads beyond its end is a crash. */
struct fenced {
    char *map, *fence;
    size_t size;
};

static struct fenced fence_of(size_t room)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct fenced f = {.size = (room / page + 2) * page};

    f.map = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(f.map != MAP_FAILED);
    f.fence = f.map + f.size - page;
    REQUIRE(mprotect(f.fence, page, PROT_NONE) == 0);
    return f;
}

/* [owned by caller] */
static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rbe");
    char *text;

    REQUIRE(file != NULL);
    REQUIRE(fseek(file, 0, SEEK_END) == 0);
    *ret_len = (size_t)ftell(file);
    rewind(file);
    text = malloc(*ret_len + 1);
    REQUIRE(text != NULL);
    REQUIRE(fread(text, 1, *ret_len, file) == *ret_len);
    fclose(file);
    return text;
}

/* Skipping instead of reading must come to the same verdict. */
static bool skips(const char *text, size_t len)
{
    struct kpw_json r;

    kpw_json_init(&r, text, len);
    kpw_json_next(&r);
    return kpw_json_skip(&r) && kpw_json_next(&r) == KPW_JSON_END;
}

/* The verdict, which must not depend on where the text lies or what stands in front. */
static bool verdict(const char *text, size_t len)
{
    struct fenced f = fence_of(len + 64);
    bool first = kpw_json_valid(text, len);

    for (size_t shift = 0; shift < 17; shift++) {
        char *at = f.fence - len - shift;

        memset(f.map, '"', f.size - (size_t)sysconf(_SC_PAGESIZE));
        memcpy(at, text, len);
        CU_ASSERT_EQUAL(kpw_json_valid(at, len), first);
        CU_ASSERT_EQUAL(skips(at, len), first);
    }
    munmap(f.map, f.size);
    return first;
}

TEST(the_test_suite_gets_its_verdicts)
{
    const char *folder = kptest_path("tests/vectors/json-parsing/test_parsing");
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    size_t n_yes = 0, n_no = 0, n_either = 0;

    REQUIRE(dir != NULL);
    while ((entry = readdir(dir))) {
        char path[1400];
        size_t len;
        char *text;
        bool ok;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        text = read_file(path, &len);
        ok = verdict(text, len);
        free(text);
        n_yes += entry->d_name[0] == 'y';
        n_no += entry->d_name[0] == 'n';
        n_either += entry->d_name[0] == 'i';
        if ((entry->d_name[0] == 'y' && !ok) || (entry->d_name[0] == 'n' && ok)) {
            fprintf(stderr, "%s: %s\n", entry->d_name, ok ? "accepted" : "refused");
            CU_FAIL("a wrong verdict");
        }
    }
    closedir(dir);
    EQ_INT(n_yes, 95);
    EQ_INT(n_no, 188);
    EQ_INT(n_either, 35);
}

/* The suite leaves these open; kpipe's answers are part of its contract. */
TEST(what_the_suite_leaves_open_is_decided)
{
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {
        {"i_structure_500_nested_arrays.json", true},
        {"i_structure_UTF-8_BOM_empty_object.json", false},
        {"i_number_huge_exp.json", true}, /* a literal; only its conversion overflows */
        {"i_number_double_huge_neg_exp.json", true},
        {"i_string_1st_surrogate_but_2nd_missing.json", true},
        {"i_object_key_lone_2nd_surrogate.json", true},
        {"i_string_invalid_utf-8.json", false},
        {"i_string_overlong_sequence_2_bytes.json", false},
        {"i_string_UTF8_surrogate_U+D800.json", false},
        {"i_string_UTF-16LE_with_BOM.json", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[200];
        size_t len;
        char *text;

        snprintf(path, sizeof path, "tests/vectors/json-parsing/test_parsing/%s", cases[i].name);
        text = read_file(kptest_path(path), &len);
        CU_ASSERT_EQUAL(kpw_json_valid(text, len), cases[i].ok);
        free(text);
    }
}

/* Every byte at every place of the 16 that the scanner takes at once. */
TEST(a_byte_in_a_string_is_judged_the_same_at_every_place)
{
    char text[48];

    for (size_t at = 1; at < 40; at++) {
        for (int c = 0; c < 256; c++) {
            bool want = c >= 0x20 && c < 0x80 && c != '\\';

            memset(text, 'x', sizeof text);
            text[0] = text[40] = '"';
            text[at] = (char)c;
            if (c == '"')
                want = at == 39 ? false : at == 40;
            if (kpw_json_valid(text, 41) != want) {
                CU_FAIL("a byte was judged wrongly");
                return;
            }
        }
    }
}

static bool valid(const char *text)
{
    return kpw_json_valid(text, strlen(text));
}

TEST(utf8_is_checked_to_the_last_bit)
{
    YES(valid("\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\""));
    YES(valid("\"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\""));
    NO(valid("\"\xc1\xbf\""));         /* too long a form */
    NO(valid("\"\xe0\x9f\xbf\""));     /* too long a form */
    NO(valid("\"\xf0\x8f\xbf\xbf\"")); /* too long a form */
    NO(valid("\"\xed\xa0\x80\""));     /* a surrogate */
    NO(valid("\"\xf4\x90\x80\x80\"")); /* above U+10FFFF */
    NO(valid("\"\xf5\x80\x80\x80\""));
    NO(valid("\"\x80\""));
    NO(valid("\"\xc3\""));
    NO(valid("\"\xe2\x82\""));
    NO(valid("\"\xf0\x9f\x98\""));
    NO(kpw_json_valid("\"\xc3", 2));
    NO(valid("\"\xc3(\""));
    NO(valid("\"\xe2\x28\xa1\""));
}

/* ---- tokens */

static void expect(struct kpw_json *r, enum kpw_json_type type, const char *value)
{
    EQ_INT(kpw_json_next(r), type);
    EQ_INT(r->type, type);
    YES(kpw_slice_is(r->value, value));
    YES((r->error != NULL) == (type == KPW_JSON_ERROR));
}

TEST(tokens_come_in_order_with_their_texts)
{
    const char *text = " { \"a\\n\" : [ 1 , -2.5e3 , \"x\" ] ,\r\n\t\"b\":{},\"c\":[],"
                       "\"d\":true,\"e\":false,\"f\":null } ";
    struct kpw_json r;

    kpw_json_init(&r, text, strlen(text));
    expect(&r, KPW_JSON_OBJECT, "{");
    expect(&r, KPW_JSON_KEY, "a\\n");
    YES(r.has_escape);
    expect(&r, KPW_JSON_ARRAY, "[");
    expect(&r, KPW_JSON_NUMBER, "1");
    YES(r.is_integer);
    expect(&r, KPW_JSON_NUMBER, "-2.5e3");
    NO(r.is_integer);
    expect(&r, KPW_JSON_STRING, "x");
    NO(r.has_escape);
    expect(&r, KPW_JSON_ARRAY_END, "]");
    expect(&r, KPW_JSON_KEY, "b");
    expect(&r, KPW_JSON_OBJECT, "{");
    expect(&r, KPW_JSON_OBJECT_END, "}");
    expect(&r, KPW_JSON_KEY, "c");
    expect(&r, KPW_JSON_ARRAY, "[");
    expect(&r, KPW_JSON_ARRAY_END, "]");
    expect(&r, KPW_JSON_KEY, "d");
    expect(&r, KPW_JSON_TRUE, "true");
    expect(&r, KPW_JSON_KEY, "e");
    expect(&r, KPW_JSON_FALSE, "false");
    expect(&r, KPW_JSON_KEY, "f");
    expect(&r, KPW_JSON_NULL, "null");
    expect(&r, KPW_JSON_OBJECT_END, "}");
    expect(&r, KPW_JSON_END, "");
    expect(&r, KPW_JSON_END, "");
}

TEST(an_error_says_what_and_where_and_stays)
{
    const char *text = "{\n  \"a\": 1,\n  \"b\" 2\n}";
    uint32_t line, column;
    struct kpw_json r;

    kpw_json_init(&r, text, strlen(text));
    while (kpw_json_next(&r) != KPW_JSON_ERROR)
        REQUIRE(r.type != KPW_JSON_END);
    EQ_STR(r.error, "a ':' must follow the name");
    kpw_json_position(&r, &line, &column);
    EQ_INT(line, 3);
    EQ_INT(column, 7);
    EQ_INT(kpw_json_next(&r), KPW_JSON_ERROR);
    NO(kpw_json_skip(&r));
    EQ_STR(r.error, "a ':' must follow the name");
}

static const char *error_of(const char *text)
{
    struct kpw_json r;

    kpw_json_init(&r, text, strlen(text));
    while (kpw_json_next(&r) != KPW_JSON_ERROR) {
        if (r.type == KPW_JSON_END)
            return "(none)";
    }
    return r.error;
}

TEST(each_kind_of_damage_has_its_message)
{
    EQ_STR(error_of(""), "there is no text");
    EQ_STR(error_of(" "), "the text ends too early");
    EQ_STR(error_of("["), "the text ends too early");
    EQ_STR(error_of("[1"), "the text ends too early");
    EQ_STR(error_of("[1,"), "the text ends too early");
    EQ_STR(error_of("[1,]"), "not a JSON value");
    EQ_STR(error_of("[1}"), "a ',' or ']' must be here");
    EQ_STR(error_of("{\"a\":1]"), "a ',' or '}' must be here");
    EQ_STR(error_of("{\"a\":1,}"), "a name in quotes must be here");
    EQ_STR(error_of("{1:1}"), "a name in quotes must be here");
    EQ_STR(error_of("1 2"), "there is something behind the value");
    EQ_STR(error_of("\"\\x\""), "a string has an escape that JSON does not know");
    EQ_STR(error_of("\"\\u12g4\""), "a string has an escape that JSON does not know");
    EQ_STR(error_of("\"\\u123"), "a string has an escape that JSON does not know");
    EQ_STR(error_of("\"a\tb\""), "a control character in a string must be escaped");
    EQ_STR(error_of("\"abc"), "a string is not closed");
    EQ_STR(error_of("01"), "not a JSON number");
    EQ_STR(error_of("tru"), "not a JSON value");
    EQ_STR(error_of("truely"), "there is something behind the value");
}

TEST(depth_is_allowed_up_to_its_limit)
{
    char text[2 * (KPW_JSON_DEPTH + 1)];

    for (size_t depth = KPW_JSON_DEPTH; depth <= KPW_JSON_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CU_ASSERT_EQUAL(kpw_json_valid(text, 2 * depth), depth == KPW_JSON_DEPTH);
    }
    /* objects and arrays in turn: each level remembers its own kind */
    for (size_t i = 0; i < 100; i++)
        memcpy(text + 6 * i, "[{\"a\":", 6);
    text[600] = '1';
    for (size_t i = 0; i < 100; i++)
        memcpy(text + 601 + 2 * i, "}]", 2);
    YES(kpw_json_valid(text, 801));
    text[700] = text[700] == ']' ? '}' : ']';
    NO(kpw_json_valid(text, 801));
}

TEST(skipping_gives_the_raw_text_of_a_value)
{
    const char *text = "{\"a\":{\"x\":[1,{}]},\"b\":\"s\\\"t\",\"c\":12,\"d\":[3] , \"e\":null}";
    struct kpw_json r;
    struct kpw_slice value;

    kpw_json_init(&r, text, strlen(text));
    expect(&r, KPW_JSON_OBJECT, "{");
    YES(kpw_json_skip(&r));
    YES(kpw_slice_is(r.value, text));
    EQ_INT(r.type, KPW_JSON_OBJECT_END);
    kpw_json_init(&r, text, strlen(text));
    kpw_json_next(&r);
    expect(&r, KPW_JSON_KEY, "a");
    YES(kpw_json_skip(&r));
    YES(kpw_slice_is(r.value, "{\"x\":[1,{}]}"));
    expect(&r, KPW_JSON_KEY, "b");
    YES(kpw_json_skip(&r));
    YES(kpw_slice_is(r.value, "\"s\\\"t\""));
    YES(kpw_json_skip(&r)); /* behind a value: nothing */
    expect(&r, KPW_JSON_KEY, "c");
    EQ_INT(kpw_json_value(&r, &value), KPW_JSON_NUMBER);
    YES(kpw_slice_is(value, "12"));
    expect(&r, KPW_JSON_KEY, "d");
    EQ_INT(kpw_json_value(&r, &value), KPW_JSON_ARRAY);
    YES(kpw_slice_is(value, "[3]"));
    expect(&r, KPW_JSON_KEY, "e");
    EQ_INT(kpw_json_value(&r, &value), KPW_JSON_NULL);
    expect(&r, KPW_JSON_OBJECT_END, "}");
    expect(&r, KPW_JSON_END, "");
}

TEST(values_of_an_array_are_walked)
{
    const char *text = "[1,\"a\",[2],{\"b\":[]}]", *broken = "[[1,}]]";
    enum kpw_json_type types[] = {KPW_JSON_NUMBER, KPW_JSON_STRING, KPW_JSON_ARRAY, KPW_JSON_OBJECT,
                                  KPW_JSON_ARRAY_END};
    const char *raw[] = {"1", "a", "[2]", "{\"b\":[]}", "]"};
    struct kpw_slice value;
    struct kpw_json r;

    kpw_json_init(&r, text, strlen(text));
    kpw_json_next(&r);
    for (size_t i = 0; i < 5; i++) {
        EQ_INT(kpw_json_value(&r, &value), types[i]);
        YES(kpw_slice_is(value, raw[i]));
    }
    EQ_INT(kpw_json_next(&r), KPW_JSON_END);
    kpw_json_init(&r, broken, strlen(broken));
    kpw_json_next(&r);
    EQ_INT(kpw_json_value(&r, &value), KPW_JSON_ERROR);
}
