/* test_wire_cbor.c - the examples of RFC 8949, what must be refused, and the writer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "sdk/wire/cbor.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "sdk/wire/random.h"
#include "sdk/wire/u128.h"
#include "tests/kptest.h"

/* The bytes of a text in hex. [static buffer, 4 in turn] */
static struct kpw_slice hex(const char *text)
{
    static char out[4][512];
    static int at;

    at = (at + 1) % 4;
    REQUIRE(kpw_hex_decode(text, strlen(text), out[at]));
    return kpw_slice(out[at], strlen(text) / 2);
}

static struct kpw_cbor reader(struct kpw_slice bytes)
{
    struct kpw_cbor r;

    kpw_cbor_init(&r, bytes.ptr, bytes.len);
    return r;
}

/* ---- an item as text: JSON where JSON has it, else the notation of RFC 8949 */

static void say(struct kpw_cbor *r, struct kpw_buf *out);

static void say_number(struct kpw_buf *out, bool is_negative, kpw_u128 n)
{
    char text[KPW_U128_SIZE];

    kpw_u128_format(is_negative ? n + 1 : n, text);
    kpw_buf_appendf(out, "%s%s", is_negative ? "-" : "", text);
}

static void say_bytes(const struct kpw_cbor *r, struct kpw_buf *out)
{
    char text[64];

    REQUIRE(r->value.len * 2 < sizeof text);
    kpw_buf_puts(out, "h'");
    kpw_buf_append(out, text, kpw_hex(r->value.ptr, r->value.len, text));
    kpw_buf_putc(out, '\'');
}

/* The two examples whose chunks are shown. */
static void say_string(const struct kpw_cbor *r, struct kpw_buf *out)
{
    char text[512];

    REQUIRE(r->number <= sizeof text);
    kpw_cbor_join_to(r, text);
    if (r->type == KPW_CBOR_TEXT) {
        kpw_json_put_string(out, text, (size_t)r->number);
    } else if (r->is_chunked) {
        YES(r->number == 5 && !memcmp(text, "\1\2\3\4\5", 5));
        kpw_buf_puts(out, "(_ h'0102', h'030405')");
    } else {
        say_bytes(r, out);
    }
}

static void say_tag(struct kpw_cbor *r, struct kpw_buf *out)
{
    uint64_t tag = r->number;
    uint8_t bytes[16] = {0};

    kpw_cbor_next(r);
    if ((tag == 2 || tag == 3) && r->type == KPW_CBOR_BYTES && r->value.len <= 16) {
        memcpy(bytes + 16 - r->value.len, r->value.ptr, r->value.len);
        say_number(out, tag == 3, kpw_u128_from_bytes(bytes));
        return;
    }
    kpw_buf_appendf(out, "%llu(", (unsigned long long)tag);
    say(r, out);
    kpw_buf_putc(out, ')');
}

static void say_items(struct kpw_cbor *r, struct kpw_buf *out)
{
    bool is_map = r->type == KPW_CBOR_MAP;
    enum kpw_cbor_type end = is_map ? KPW_CBOR_MAP_END : KPW_CBOR_ARRAY_END;

    kpw_buf_putc(out, is_map ? '{' : '[');
    for (size_t i = 0; kpw_cbor_next(r) != end; i++) {
        REQUIRE(r->type != KPW_CBOR_ERROR && r->type != KPW_CBOR_END);
        YES(r->is_key == (is_map && i % 2 == 0));
        kpw_buf_puts(out, !i ? "" : is_map && i % 2 ? ": " : ", ");
        say(r, out);
    }
    kpw_buf_putc(out, is_map ? '}' : ']');
}

static void say_float(double n, struct kpw_buf *out)
{
    if (isfinite(n))
        kpw_json_put_double(out, n);
    else
        kpw_buf_puts(out, isnan(n) ? "NaN" : n > 0 ? "Infinity" : "-Infinity");
}

/* The item that was just read. */
static void say(struct kpw_cbor *r, struct kpw_buf *out)
{
    switch (r->type) {
    case KPW_CBOR_MAP:
    case KPW_CBOR_ARRAY: say_items(r, out); break;
    case KPW_CBOR_UINT: say_number(out, false, r->number); break;
    case KPW_CBOR_NEGATIVE: say_number(out, true, r->number); break;
    case KPW_CBOR_BYTES:
    case KPW_CBOR_TEXT: say_string(r, out); break;
    case KPW_CBOR_TAG: say_tag(r, out); break;
    case KPW_CBOR_FLOAT: say_float(r->real, out); break;
    case KPW_CBOR_FALSE: kpw_buf_puts(out, "false"); break;
    case KPW_CBOR_TRUE: kpw_buf_puts(out, "true"); break;
    case KPW_CBOR_NULL: kpw_buf_puts(out, "null"); break;
    case KPW_CBOR_UNDEFINED: kpw_buf_puts(out, "undefined"); break;
    case KPW_CBOR_SIMPLE: kpw_buf_appendf(out, "simple(%d)", (int)r->number); break;
    default: kpw_buf_appendf(out, "error: %s", r->error); break;
    }
}

/* JSON as say() writes it, from its text. */
static void say_json(struct kpw_json *j, struct kpw_buf *out)
{
    double n;

    switch (j->type) {
    case KPW_JSON_OBJECT:
    case KPW_JSON_ARRAY: {
        bool is_map = j->type == KPW_JSON_OBJECT;

        kpw_buf_putc(out, is_map ? '{' : '[');
        for (size_t i = 0; kpw_json_next(j) != (is_map ? KPW_JSON_OBJECT_END : KPW_JSON_ARRAY_END);
             i++) {
            kpw_buf_puts(out, !i ? "" : is_map && i % 2 ? ": " : ", ");
            say_json(j, out);
        }
        kpw_buf_putc(out, is_map ? '}' : ']');
        break;
    }
    case KPW_JSON_KEY:
    case KPW_JSON_STRING: {
        struct kpw_buf text = KPW_BUF_INIT;

        kpw_json_unescape(j->value, &text);
        kpw_json_put_string(out, text.ptr, text.len);
        kpw_buf_fini(&text);
        break;
    }
    case KPW_JSON_NUMBER:
        if (j->is_integer && !kpw_slice_is(j->value, "-0")) {
            kpw_buf_put_slice(out, j->value);
        } else {
            YES(kpw_json_to_double(j->value, &n));
            kpw_json_put_double(out, n);
        }
        break;
    default: kpw_buf_put_slice(out, j->value); break;
    }
}

static void check_text(struct kpw_slice bytes, const char *want)
{
    struct kpw_cbor r = reader(bytes);
    struct kpw_buf out = KPW_BUF_INIT;

    kpw_cbor_next(&r);
    say(&r, &out);
    EQ_STR(kpw_buf_cstr(&out), want);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_END);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_END);
    kpw_buf_fini(&out);
}

/* Writes the item that was just read with the calls of the writer. */
static void copy(struct kpw_cbor *r, struct kpw_buf *out)
{
    enum kpw_cbor_type end = r->type == KPW_CBOR_MAP ? KPW_CBOR_MAP_END : KPW_CBOR_ARRAY_END;

    switch (r->type) {
    case KPW_CBOR_MAP:
    case KPW_CBOR_ARRAY:
        if (r->type == KPW_CBOR_MAP)
            kpw_cbor_put_map(out, (size_t)r->number);
        else
            kpw_cbor_put_list(out, (size_t)r->number);
        while (kpw_cbor_next(r) != end && r->type != KPW_CBOR_ERROR)
            copy(r, out);
        break;
    case KPW_CBOR_UINT: kpw_cbor_put_uint(out, r->number); break;
    case KPW_CBOR_NEGATIVE: kpw_cbor_put_head(out, KPW_CBOR_MAJOR_NEGATIVE, r->number); break;
    case KPW_CBOR_BYTES: kpw_cbor_put_bytes(out, r->value.ptr, r->value.len); break;
    case KPW_CBOR_TEXT: kpw_cbor_put_text(out, r->value.ptr, r->value.len); break;
    case KPW_CBOR_TAG: kpw_cbor_put_head(out, KPW_CBOR_MAJOR_TAG, r->number); break;
    case KPW_CBOR_FLOAT: kpw_cbor_put_double(out, r->real); break;
    case KPW_CBOR_FALSE:
    case KPW_CBOR_TRUE: kpw_cbor_put_bool(out, r->type == KPW_CBOR_TRUE); break;
    case KPW_CBOR_NULL: kpw_cbor_put_null(out); break;
    default: CU_FAIL("an item that the writer does not have"); break;
    }
}

static bool has_writer(struct kpw_slice bytes)
{
    return (uint8_t)bytes.ptr[0] >> 5 != 7 || bytes.len > 2 ||
           ((uint8_t)bytes.ptr[0] >= 0xf4 && (uint8_t)bytes.ptr[0] <= 0xf6);
}

static void check_copy(struct kpw_slice bytes)
{
    struct kpw_cbor r = reader(bytes);
    struct kpw_buf out = KPW_BUF_INIT;

    while (kpw_cbor_next(&r) != KPW_CBOR_END && r.type != KPW_CBOR_ERROR)
        copy(&r, &out);
    YES(kpw_slice_eq(kpw_buf_slice(&out), bytes));
    kpw_buf_fini(&out);
}

TEST(the_examples_of_the_rfc_are_read_and_written)
{
    json_t *all = json_load_file(kptest_path("tests/vectors/cbor/appendix_a.json"),
                                 JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    json_t *entry;
    size_t i, n_texts = 0, n_copies = 0;
    FILE *file = fopen(kptest_path("tests/vectors/cbor/appendix_a.json"), "rbe");
    static char text[65536];
    struct kpw_slice doc = {text, 0}, value;

    REQUIRE(all != NULL && file != NULL);
    doc.len = fread(text, 1, sizeof text, file);
    fclose(file);
    json_array_foreach(all, i, entry)
    {
        struct kpw_slice bytes = hex(json_string_value(json_object_get(entry, "hex")));
        struct kpw_buf want = KPW_BUF_INIT;
        const char *notation = json_string_value(json_object_get(entry, "diagnostic"));
        char path[32];

        if (kpw_slice_eq(bytes, hex("f818"))) { /* well-formed in RFC 7049 only */
            NO(kpw_cbor_valid(bytes.ptr, bytes.len));
            continue;
        }
        snprintf(path, sizeof path, "[%zu].decoded", i);
        if (notation) {
            kpw_buf_puts(&want, notation);
        } else { /* the text itself: numbers may be larger than jansson's */
            enum kpw_json_type type = kpw_json_find(doc, path, &value);
            struct kpw_json j;

            if (type == KPW_JSON_STRING) /* with its quotes */
                value = kpw_slice(value.ptr - 1, value.len + 2);
            kpw_json_init(&j, value.ptr, value.len);
            kpw_json_next(&j);
            say_json(&j, &want);
        }
        check_text(bytes, kpw_buf_cstr(&want));
        kpw_buf_fini(&want);
        n_texts++;
        if (json_is_true(json_object_get(entry, "roundtrip")) && has_writer(bytes)) {
            check_copy(bytes);
            n_copies++;
        }
    }
    EQ_INT(n_texts, 81);
    YES(n_copies > 50);
    json_decref(all);
}

TEST(every_width_of_a_number_is_read)
{
    check_text(hex("1801"), "1");
    check_text(hex("190001"), "1");
    check_text(hex("1a00000001"), "1");
    check_text(hex("1b0000000000000001"), "1");
    check_text(hex("3b0000000000000001"), "-2");
    check_text(hex("5900026869"), "h'6869'");
    check_text(hex("7b00000000000000026869"), "\"hi\"");
    check_text(hex("9a0000000101"), "[1]");
    check_text(hex("bb00000000000000010102"), "{1: 2}");
    check_text(hex("da0000000100"), "1(0)");
}

TEST(strings_in_chunks_are_joined)
{
    struct kpw_cbor r = reader(hex("5f41014041024103ff"));
    char text[8];

    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_BYTES);
    YES(r.is_chunked);
    EQ_INT(r.number, 3);
    kpw_cbor_join_to(&r, text);
    YES(!memcmp(text, "\1\2\3", 3));
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_END);

    r = reader(hex("7f626869ff")); /* one chunk is a slice */
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_TEXT);
    NO(r.is_chunked);
    YES(kpw_slice_is(r.value, "hi"));

    r = reader(hex("5fff"));
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_BYTES);
    NO(r.is_chunked);
    EQ_INT(r.value.len, 0);
    EQ_INT(r.number, 0);
}

/* Words of hex, none of which is one item. */
static const char *const broken[] = {
    "18 19ff 1a000000 1b00000000000000 41 62c3a9ff 5a00000002ff 6261", /* cut off, too much */
    "5bffffffffffffffff 7bffffffffffffffff 9bffffffffffffffff bbffffffffffffffff",
    "bb8000000000000000 9a0001000000 81 8201 a1 a101 9f01 bf0102 c0 81c1 5f 5f4101",
    "1c 1d 1e 1f 3c 5d 7e 9c bd dc fc fd fe 3f df", /* reserved; no indefinite form */
    "ff 81ff 8201ff a1ff a101ff bf01ff bf010203ff 9fc0ff bfc0ff c1ff",    /* breaks */
    "5f6161ff 5f5f4101ffff 7f4161ff 5f00ff 5fc041ff 5f1cff 7f7f6161ffff", /* chunks */
    "f8 f800 f813 f818 f81f",                       /* simple values in the wrong form */
    "0000 f6f6 8000 a0ff",                          /* something follows */
    "61ff 62c080 63eda080 64f4908080 7f61c361a9ff", /* not UTF-8 */
};

static void check_broken(const char *word)
{
    struct kpw_slice bytes = hex(word);
    struct kpw_cbor r = reader(bytes);

    NO(kpw_cbor_valid(bytes.ptr, bytes.len));
    while (kpw_cbor_next(&r) != KPW_CBOR_ERROR && r.type != KPW_CBOR_END)
        ;
    EQ_INT(r.type, KPW_CBOR_ERROR);
    REQUIRE(r.error != NULL);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_ERROR);
}

TEST(what_is_not_well_formed_is_refused)
{
    size_t n = 0;

    NO(kpw_cbor_valid("", 0));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char line[200], *rest = NULL;

        snprintf(line, sizeof line, "%s", broken[i]);
        for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
            check_broken(word);
            n++;
        }
    }
    EQ_INT(n, 70);
}

TEST(nesting_has_a_bound_and_tags_have_none)
{
    char bytes[200];
    struct kpw_cbor r;

    memset(bytes, (char)0x81, sizeof bytes);
    bytes[KPW_CBOR_DEPTH] = 0;
    YES(kpw_cbor_valid(bytes, KPW_CBOR_DEPTH + 1));
    memset(bytes, (char)0x9f, sizeof bytes);
    r = reader(kpw_slice(bytes, sizeof bytes));
    for (int i = 0; i < KPW_CBOR_DEPTH; i++)
        EQ_INT(kpw_cbor_next(&r), KPW_CBOR_ARRAY);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_ERROR);
    EQ_INT(r.offset, KPW_CBOR_DEPTH);
    memset(bytes, (char)0xc1, sizeof bytes);
    bytes[sizeof bytes - 1] = 0;
    YES(kpw_cbor_valid(bytes, sizeof bytes));
}

TEST(values_are_skipped_whole)
{
    struct kpw_cbor r = reader(hex("a36161c182019f02ff61625f41014102ff616303"));

    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_MAP);
    EQ_INT(r.number, 3);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_TEXT);
    YES(r.is_key);
    YES(kpw_cbor_skip(&r)); /* begins nothing */
    YES(kpw_slice_is(r.value, "a"));
    YES(kpw_cbor_skip_value(&r));
    YES(kpw_slice_eq(r.value, hex("c182019f02ff")));
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_TEXT);
    YES(kpw_cbor_skip_value(&r));
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_TEXT);
    YES(r.is_key && kpw_slice_is(r.value, "c"));
    YES(kpw_cbor_skip_value(&r));
    EQ_INT(r.number, 3);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_MAP_END);
    EQ_INT(kpw_cbor_next(&r), KPW_CBOR_END);

    r = reader(hex("a101820162"));
    kpw_cbor_next(&r);
    NO(kpw_cbor_skip(&r));
    EQ_INT(r.type, KPW_CBOR_ERROR);
    NO(kpw_cbor_skip(&r));
}

TEST(integers_are_read_within_64_bits)
{
    static const struct {
        const char *bytes;
        bool fits;
        int64_t n;
    } rows[] = {
        {"00", true, 0},
        {"20", true, -1},
        {"1b7fffffffffffffff", true, INT64_MAX},
        {"3b7fffffffffffffff", true, INT64_MIN},
        {"1b8000000000000000", false, 0},
        {"3b8000000000000000", false, 0},
        {"f93c00", false, 0},
        {"6130", false, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kpw_cbor r = reader(hex(rows[i].bytes));
        int64_t n = 0;

        kpw_cbor_next(&r);
        EQ_INT(kpw_cbor_to_int64(&r, &n), rows[i].fits);
        EQ_INT(n, rows[i].n);
    }
}

static void check_written(struct kpw_buf *buf, const char *want)
{
    YES(!buf->failed && kpw_slice_eq(kpw_buf_slice(buf), hex(want)));
    kpw_buf_clear(buf);
}

TEST(the_writer_takes_the_shortest_form)
{
    struct kpw_buf buf = KPW_BUF_INIT;

    kpw_cbor_put_time_ms(&buf, 1700000000123);
    check_written(&buf, "c11b0000018bcfe5687b");
    kpw_cbor_put_time_ms(&buf, -1);
    check_written(&buf, "c120");
    kpw_cbor_put_int(&buf, INT64_MIN);
    check_written(&buf, "3b7fffffffffffffff");
    kpw_cbor_put_uint(&buf, 65536);
    check_written(&buf, "1a00010000");
    kpw_cbor_put_cstr(&buf, "");
    check_written(&buf, "60");
    kpw_cbor_put_bytes(&buf, NULL, 0);
    check_written(&buf, "40");
    kpw_cbor_put_text(&buf, "a\xff\xc3\xa9\xc3", 5); /* mended */
    check_written(&buf, "6961efbfbdc3a9efbfbd");
    kpw_cbor_put_map_any(&buf);
    kpw_cbor_put_list_any(&buf);
    kpw_cbor_put_break(&buf);
    kpw_cbor_put_break(&buf);
    check_written(&buf, "bf9fffff");
    kpw_buf_fini(&buf);
}

TEST(doubles_keep_their_value_in_every_width)
{
    static const double edges[] = {0.0,
                                   -0.0,
                                   1.5,
                                   65504,
                                   65505,
                                   65536,
                                   5.9604644775390625e-8,
                                   6.1e-5,
                                   0.1,
                                   1e300,
                                   5e-324,
                                   3.5e38,
                                   -1e-40,
                                   2.9802322387695312e-8,
                                   0.000060975551605224609375};
    struct kpw_random random;
    struct kpw_buf buf = KPW_BUF_INIT;

    kpw_random_init_from(&random, 7);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = kpw_random_next(&random);
        double n;
        float f;
        struct kpw_cbor r;

        memcpy(&n, &bits, sizeof n);
        if (i < (int)(sizeof edges / sizeof *edges)) {
            n = edges[i];
        } else if (i % 3) { /* single floats, or with few digits */
            uint32_t low = (uint32_t)bits & (i % 3 == 1 ? UINT32_MAX : 0xffffe000u);

            memcpy(&f, &low, sizeof f);
            n = (double)f;
        }
        kpw_buf_clear(&buf);
        kpw_cbor_put_double(&buf, n);
        r = reader(kpw_buf_slice(&buf));
        EQ_INT(kpw_cbor_next(&r), KPW_CBOR_FLOAT);
        YES(isnan(n) ? isnan(r.real) && buf.len == 3 : !memcmp(&r.real, &n, sizeof n));
        EQ_INT(kpw_cbor_next(&r), KPW_CBOR_END);
    }
    kpw_buf_fini(&buf);
}

TEST(a_reader_of_any_bytes_ends)
{
    struct kpw_random random;
    char bytes[64];

    kpw_random_init_from(&random, 11);
    for (int i = 0; i < 200000; i++) {
        size_t len = (size_t)(kpw_random_next(&random) % sizeof bytes), n = 0;
        struct kpw_cbor r;

        for (size_t at = 0; at < len; at++)
            bytes[at] = (char)kpw_random_next(&random);
        kpw_cbor_init(&r, bytes, len);
        while (kpw_cbor_next(&r) != KPW_CBOR_END && r.type != KPW_CBOR_ERROR)
            REQUIRE(++n < 2 * sizeof bytes);
        EQ_INT(kpw_cbor_valid(bytes, len), r.type == KPW_CBOR_END);
    }
}
