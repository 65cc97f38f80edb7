/* test_wire_eventstream.c - messages of three implementations, whole, in pieces, and damaged. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/eventstream.h"
#include "sdk/wire/hash.h"
#include "tests/kptest.h"

#define FOLDER "tests/vectors/event-stream/"

enum { LIMIT = 1 << 20 };

static struct kpw_buf read_file(const char *name)
{
    struct kpw_buf buf = KPW_BUF_INIT;
    char path[200];
    FILE *file;

    snprintf(path, sizeof path, FOLDER "%s", name);
    file = fopen(kptest_path(path), "rbe");
    REQUIRE(file != NULL && kpw_buf_reserve(&buf, 4096) != NULL);
    buf.len = fread(buf.ptr, 1, 4096, file);
    fclose(file);
    return buf;
}

static json_t *read_index(void)
{
    json_t *index = json_load_file(kptest_path(FOLDER "index.json"), 0, NULL);

    REQUIRE(index != NULL);
    return index;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    REQUIRE(text != NULL);
    return text;
}

static void check_header(const struct kpw_event_header *header, const json_t *want)
{
    const json_t *value = json_object_get(want, "value");
    char text[128] = "";

    YES(kpw_slice_is(header->name, text_of(want, "name")));
    EQ_INT(header->type, json_integer_value(json_object_get(want, "type")));
    switch (header->type) {
    case KPW_EVENT_TRUE:
    case KPW_EVENT_FALSE: EQ_INT(header->number, json_is_true(value)); break;
    case KPW_EVENT_STRING: YES(kpw_slice_is(header->value, json_string_value(value))); break;
    case KPW_EVENT_BYTES:
    case KPW_EVENT_UUID:
        REQUIRE(header->value.len * 2 < sizeof text);
        kpw_hex(header->value.ptr, header->value.len, text);
        EQ_STR(text, json_string_value(value));
        break;
    default: EQ_INT(header->number, json_integer_value(value)); break;
    }
}

static void check_event(const struct kpw_event *event, const json_t *want)
{
    struct kpw_slice rest = event->headers;
    struct kpw_event_header header;
    char payload[256];
    json_t *entry;
    size_t i;

    EQ_INT(event->size, json_integer_value(json_object_get(want, "total_length")));
    EQ_INT(event->headers.len, json_integer_value(json_object_get(want, "headers_length")));
    json_array_foreach(json_object_get(want, "headers"), i, entry)
    {
        REQUIRE(kpw_event_header_next(&rest, &header));
        check_header(&header, entry);
    }
    NO(kpw_event_header_next(&rest, &header));
    EQ_INT(rest.len, 0);
    payload[kpw_base64_encode(event->payload.ptr, event->payload.len, payload)] = '\0';
    EQ_STR(payload, text_of(want, "payload_base64"));
}

/* Reads a file's bytes in pieces of `size` and compares; an invalid file must fail or not end. */
static void check_file(const json_t *entry, struct kpw_slice bytes, size_t size)
{
    json_t *messages = json_object_get(entry, "messages");
    enum kpw_event_result result = KPW_EVENT_MORE;
    struct kpw_event_reader r;
    size_t n = 0;

    kpw_event_reader_init(&r, LIMIT);
    for (size_t at = 0; at < bytes.len && result != KPW_EVENT_ERROR; at += size) {
        size_t len = bytes.len - at < size ? bytes.len - at : size;
        char *copy = malloc(len); /* so that a reader of old pieces is found out */
        struct kpw_slice piece = {copy, len};
        struct kpw_event event;

        REQUIRE(copy != NULL);
        memcpy(copy, bytes.ptr + at, len);
        while ((result = kpw_event_read(&r, &piece, &event)) == KPW_EVENT_OK)
            check_event(&event, json_array_get(messages, n++));
        if (result == KPW_EVENT_MORE)
            EQ_INT(piece.len, 0);
        free(copy);
    }
    if (json_is_true(json_object_get(entry, "valid"))) {
        EQ_INT(result, KPW_EVENT_MORE);
        EQ_INT(n, json_array_size(messages));
        EQ_INT(kpw_event_pending(&r), 0);
    } else {
        YES(n == 0 && (result == KPW_EVENT_ERROR ? r.error != NULL : kpw_event_pending(&r) > 0));
    }
    kpw_event_reader_fini(&r);
}

TEST(files_of_three_implementations_are_read_in_pieces_of_any_size)
{
    json_t *index = read_index(), *entry;
    size_t i, n_valid = 0;

    json_array_foreach(index, i, entry)
    {
        struct kpw_buf bytes = read_file(text_of(entry, "file"));

        EQ_INT(bytes.len, json_integer_value(json_object_get(entry, "size")));
        for (size_t size = 1; size <= bytes.len + 1; size++)
            check_file(entry, kpw_buf_slice(&bytes), size);
        n_valid += json_is_true(json_object_get(entry, "valid"));
        kpw_buf_fini(&bytes);
    }
    EQ_INT(i, 33);
    EQ_INT(n_valid, 17);
    json_decref(index);
}

/* Every message that can be read is written again with the same bytes. */
TEST(the_writer_makes_the_same_bytes)
{
    json_t *index = read_index(), *entry;
    size_t i, n = 0;

    json_array_foreach(index, i, entry)
    {
        struct kpw_buf bytes = read_file(text_of(entry, "file")), out = KPW_BUF_INIT;
        struct kpw_slice piece = kpw_buf_slice(&bytes);
        struct kpw_event_reader r;
        struct kpw_event event;

        kpw_event_reader_init(&r, LIMIT);
        while (json_is_true(json_object_get(entry, "valid")) &&
               kpw_event_read(&r, &piece, &event) == KPW_EVENT_OK) {
            struct kpw_event_writer w;
            struct kpw_event_header header;
            struct kpw_slice rest = event.headers;

            kpw_event_begin(&w, &out);
            while (kpw_event_header_next(&rest, &header))
                kpw_event_put_header(&w, &header);
            kpw_event_payload(&w);
            kpw_buf_put_slice(&out, event.payload);
            kpw_event_end(&w);
            n++;
        }
        if (out.len)
            YES(kpw_slice_eq(kpw_buf_slice(&out), kpw_buf_slice(&bytes)));
        kpw_event_reader_fini(&r);
        kpw_buf_fini(&bytes);
        kpw_buf_fini(&out);
    }
    EQ_INT(n, 20);
    json_decref(index);
}

/* The first message of SubscribeToShard. */
static void put_initial(struct kpw_buf *out)
{
    struct kpw_event_writer w;

    kpw_event_begin(&w, out);
    kpw_event_put_string(&w, ":event-type", kpw_slice_cstr("initial-response"));
    kpw_event_put_string(&w, ":content-type", kpw_slice_cstr("application/json"));
    kpw_event_put_string(&w, ":message-type", kpw_slice_cstr("event"));
    kpw_event_payload(&w);
    kpw_buf_puts(out, "{}");
    kpw_event_end(&w);
}

TEST(the_initial_response_is_the_known_one)
{
    static const char want[] =
        "00000068000000564e6817240b3a6576656e742d74797065070010696e697469616c2d726573706f6e73650d3a"
        "636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065"
        "0700056576656e747b7dd591c62b";
    struct kpw_buf out = KPW_BUF_INIT;
    char text[256];
    struct kpw_event_reader r;
    struct kpw_event event;
    struct kpw_slice piece;

    put_initial(&out);
    EQ_INT(out.len, 104);
    text[kpw_hex(out.ptr, out.len, text)] = '\0';
    EQ_STR(text, want);

    kpw_event_reader_init(&r, LIMIT);
    piece = kpw_buf_slice(&out);
    EQ_INT(kpw_event_read(&r, &piece, &event), KPW_EVENT_OK);
    YES(kpw_slice_is(kpw_event_string(&event, ":message-type"), "event"));
    YES(kpw_slice_is(kpw_event_string(&event, ":event-type"), "initial-response"));
    EQ_INT(kpw_event_string(&event, ":event").len, 0);
    YES(event.payload.ptr == out.ptr + 98); /* no copy */
    kpw_event_reader_fini(&r);
    kpw_buf_fini(&out);
}

TEST(one_changed_bit_is_found)
{
    struct kpw_buf out = KPW_BUF_INIT;

    put_initial(&out);
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        struct kpw_slice piece = kpw_buf_slice(&out);
        struct kpw_event_reader r;
        struct kpw_event event;

        kpw_event_reader_init(&r, LIMIT);
        out.ptr[bit / 8] ^= (char)(1 << bit % 8);
        EQ_INT(kpw_event_read(&r, &piece, &event), KPW_EVENT_ERROR);
        EQ_INT(kpw_event_read(&r, &piece, &event), KPW_EVENT_ERROR);
        out.ptr[bit / 8] ^= (char)(1 << bit % 8);
        kpw_event_reader_fini(&r);
    }
    kpw_buf_fini(&out);
}

/* A prelude of those lengths, with the right checksum. */
static void put_prelude(struct kpw_buf *out, uint32_t total, uint32_t headers)
{
    char *at;

    kpw_buf_clear(out);
    at = kpw_buf_reserve(out, 12);
    REQUIRE(at != NULL);
    for (int i = 0; i < 4; i++) {
        at[i] = (char)(total >> (24 - 8 * i));
        at[4 + i] = (char)(headers >> (24 - 8 * i));
    }
    total = kpw_crc32(0, at, 8);
    for (int i = 0; i < 4; i++)
        at[8 + i] = (char)(total >> (24 - 8 * i));
    out->len = 12;
}

TEST(lengths_are_judged_before_the_message_comes)
{
    static const struct {
        uint32_t total, headers;
        enum kpw_event_result want;
    } rows[] = {
        {16, 0, KPW_EVENT_MORE},
        {15, 0, KPW_EVENT_ERROR},
        {0, 0, KPW_EVENT_ERROR},
        {16, 1, KPW_EVENT_ERROR},
        {20, 0xffffffff, KPW_EVENT_ERROR},
        {LIMIT, 0, KPW_EVENT_MORE},
        {LIMIT + 1, 0, KPW_EVENT_ERROR},
        {0xffffffff, 0, KPW_EVENT_ERROR},
        {LIMIT, KPW_EVENT_HEADERS_MAX, KPW_EVENT_MORE},
        {LIMIT, KPW_EVENT_HEADERS_MAX + 1, KPW_EVENT_ERROR},
    };
    struct kpw_buf out = KPW_BUF_INIT;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kpw_event_reader r;
        struct kpw_event event;
        struct kpw_slice piece;

        kpw_event_reader_init(&r, LIMIT);
        put_prelude(&out, rows[i].total, rows[i].headers);
        piece = kpw_buf_slice(&out);
        EQ_INT(kpw_event_read(&r, &piece, &event), rows[i].want);
        kpw_event_reader_fini(&r);
    }
    kpw_buf_fini(&out);
}

TEST(the_writer_refuses_what_does_not_fit)
{
    static const char long_text[65536];
    static const struct kpw_event_header rows[] = {
        {.name = KPW_LIT(""), .type = KPW_EVENT_TRUE},
        {.name = {long_text, 256}, .type = KPW_EVENT_TRUE},
        {.name = KPW_LIT("a"), .type = KPW_EVENT_STRING, .value = {long_text, 65536}},
        {.name = KPW_LIT("a"), .type = KPW_EVENT_UUID, .value = {long_text, 15}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kpw_buf out = KPW_BUF_INIT;
        struct kpw_event_writer w;

        kpw_event_begin(&w, &out);
        kpw_event_put_header(&w, &rows[i]);
        kpw_event_end(&w);
        YES(out.failed);
        kpw_buf_fini(&out);
    }
}
