/* test_wire_lz4.c - frames of the lz4 command, whole, byte by byte, and damaged. */
#include <stdio.h>
#include <stdlib.h>

#include "sdk/wire/hash.h"
#include "sdk/wire/json.h"
#include "sdk/wire/lz4.h"
#include "sdk/wire/random.h"
#include "tests/kptest.h"

#define FOLDER     "tests/vectors/lz4-frame/"
#define PLAIN_SIZE 165119 /* of what most of the frames hold */

static struct kpw_buf read_file(const char *name)
{
    struct kpw_buf buf = KPW_BUF_INIT;
    char path[200];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, FOLDER "%s", name);
    file = fopen(kptest_path(path), "rbe");
    REQUIRE(file != NULL);
    do {
        REQUIRE(kpw_buf_reserve(&buf, 65536) != NULL);
        n = fread(buf.ptr + buf.len, 1, 65536, file);
        buf.len += n;
    } while (n);
    fclose(file);
    return buf;
}

struct vector {
    char file[64], digest[65];
    int64_t size, plain_size;
    bool is_valid;
};

/* The next entry of index.json; false at its end. */
static bool next_vector(struct kpw_json *r, struct vector *ret)
{
    *ret = (struct vector){.plain_size = -1};
    if (kpw_json_next(r) != KPW_JSON_OBJECT)
        return false;
    while (kpw_json_next(r) == KPW_JSON_KEY) {
        struct kpw_slice key = r->value, value;
        enum kpw_json_type type = kpw_json_value(r, &value);

        if (kpw_slice_is(key, "file"))
            snprintf(ret->file, sizeof ret->file, "%.*s", (int)value.len, value.ptr);
        else if (kpw_slice_is(key, "plain_sha256"))
            snprintf(ret->digest, sizeof ret->digest, "%.*s", (int)value.len, value.ptr);
        else if (kpw_slice_is(key, "size"))
            kpw_json_to_int64(value, &ret->size);
        else if (kpw_slice_is(key, "plain_size"))
            kpw_json_to_int64(value, &ret->plain_size);
        else if (kpw_slice_is(key, "valid"))
            ret->is_valid = type == KPW_JSON_TRUE;
    }
    return true;
}

static bool is_right(const struct vector *v, const struct kpw_buf *out)
{
    char digest[KPW_SHA256_HEX + 1];

    kpw_sha256_hex(out->ptr, out->len, digest);
    return (int64_t)out->len == v->plain_size && !strcmp(digest, v->digest);
}

/* Through read() in pieces of `step` bytes of input and `room` bytes of output. */
static enum kpw_lz4_result read_pieces(struct kpw_lz4 *lz, const struct kpw_buf *in, size_t step,
                                       size_t room, struct kpw_buf *out)
{
    enum kpw_lz4_result result = KPW_LZ4_MORE;
    char *to = malloc(room);
    size_t n;

    REQUIRE(to != NULL);
    kpw_buf_clear(out);
    kpw_lz4_reset(lz);
    for (size_t at = 0; at < in->len && result <= KPW_LZ4_DONE; at += step) {
        struct kpw_slice piece = {in->ptr + at, in->len - at < step ? in->len - at : step};

        do {
            result = kpw_lz4_read(lz, &piece, to, room, &n);
            kpw_buf_append(out, to, n);
        } while (result == KPW_LZ4_MORE && (piece.len || n == room));
    }
    free(to);
    return result;
}

static void check_valid(const struct vector *v, const struct kpw_buf *in, struct kpw_buf *out)
{
    static const size_t steps[][2] = {
        {1, 65536}, {1, 1}, {17, 4096}, {100000, 100}, {4096, 300000}};
    struct kpw_lz4 *lz = kpw_lz4_new(true, 0);

    REQUIRE(lz != NULL);
    EQ_INT(kpw_lz4_decode(out, in->ptr, in->len, true, 0), KPW_LZ4_DONE);
    YES(is_right(v, out));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        EQ_INT(read_pieces(lz, in, steps[i][0], steps[i][1], out), KPW_LZ4_DONE);
        YES(is_right(v, out));
    }
    kpw_buf_clear(out);
    if (v->plain_size) {
        EQ_INT(kpw_lz4_decode(out, in->ptr, in->len, true, (uint64_t)v->plain_size), KPW_LZ4_DONE);
        YES(is_right(v, out));
        kpw_buf_clear(out);
        EQ_INT(kpw_lz4_decode(out, in->ptr, in->len, true, (uint64_t)v->plain_size - 1),
               KPW_LZ4_TOO_LARGE);
        EQ_INT(out->len, v->plain_size - 1);
    }
    kpw_lz4_free(lz);
}

static void check_damaged(const struct vector *v, const struct kpw_buf *in, struct kpw_buf *out)
{
    struct kpw_lz4 *lz = kpw_lz4_new(true, 0);
    bool cut = !strcmp(v->file, "truncated.lz4");

    REQUIRE(lz != NULL);
    EQ_INT(kpw_lz4_decode(out, in->ptr, in->len, true, 0),
           cut ? KPW_LZ4_TRUNCATED : KPW_LZ4_CORRUPT);
    EQ_INT(read_pieces(lz, in, 1, 4096, out), cut ? KPW_LZ4_MORE : KPW_LZ4_CORRUPT);
    EQ_INT(read_pieces(lz, in, 5000, 300000, out), cut ? KPW_LZ4_MORE : KPW_LZ4_CORRUPT);
    kpw_lz4_free(lz);
}

TEST(every_frame_gets_the_verdict_of_the_index)
{
    struct kpw_buf index = read_file("index.json");
    size_t n_valid = 0, n_damaged = 0;
    struct kpw_json r;
    struct vector v;

    kpw_json_init(&r, index.ptr, index.len);
    REQUIRE(kpw_json_next(&r) == KPW_JSON_ARRAY);
    while (next_vector(&r, &v)) {
        struct kpw_buf in = read_file(v.file), out = KPW_BUF_INIT;

        EQ_INT(in.len, v.size);
        /* the command still reads what lz4 wrote before it had frames; kpipe does not */
        v.is_valid &= strcmp(v.file, "legacy.lz4") != 0;
        if (v.is_valid)
            check_valid(&v, &in, &out);
        else
            check_damaged(&v, &in, &out);
        n_valid += v.is_valid;
        n_damaged += !v.is_valid;
        kpw_buf_fini(&in);
        kpw_buf_fini(&out);
    }
    EQ_INT(r.type, KPW_JSON_ARRAY_END);
    EQ_INT(n_valid, 10);
    EQ_INT(n_damaged, 6);
    kpw_buf_fini(&index);
}

TEST(one_frame_is_read_and_the_rest_left)
{
    struct kpw_buf two = read_file("two-frames.lz4"), out = KPW_BUF_INIT;
    struct kpw_lz4 *lz = kpw_lz4_new(false, 0);
    struct kpw_slice in = kpw_buf_slice(&two);
    size_t first, n;

    REQUIRE(lz && kpw_buf_reserve(&out, 200000));
    EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &first), KPW_LZ4_DONE);
    YES(in.len > 0 && first < PLAIN_SIZE);
    EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &n), KPW_LZ4_DONE); /* stays there */
    EQ_INT(n, 0);
    kpw_lz4_reset(lz);
    EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &n), KPW_LZ4_DONE);
    EQ_INT(first + n, PLAIN_SIZE);
    EQ_INT(in.len, 0);
    kpw_lz4_free(lz);
    EQ_INT(kpw_lz4_decode(&out, two.ptr, two.len, false, 0), KPW_LZ4_CORRUPT);
    kpw_buf_fini(&two);
    kpw_buf_fini(&out);
}

TEST(skippable_frames_are_no_content)
{
    static const char skip[] = "\x5f\x2a\x4d\x18\x03\x00\x00\x00xyz";
    static const char skip_nothing[] = "\x50\x2a\x4d\x18\x00\x00\x00";
    struct kpw_buf frame = read_file("default.lz4"), in = KPW_BUF_INIT, out = KPW_BUF_INIT;

    EQ_INT(kpw_lz4_decode(&out, skip, 11, true, 0), KPW_LZ4_TRUNCATED);
    EQ_INT(kpw_lz4_decode(&out, skip, 11, false, 0), KPW_LZ4_TRUNCATED);
    kpw_buf_append(&in, skip, 11);
    kpw_buf_append(&in, skip_nothing, 8);
    kpw_buf_put_slice(&in, kpw_buf_slice(&frame));
    EQ_INT(kpw_lz4_decode(&out, in.ptr, in.len, false, 0), KPW_LZ4_DONE);
    EQ_INT(out.len, PLAIN_SIZE);
    kpw_buf_append(&in, skip, 11);
    EQ_INT(kpw_lz4_decode(&out, in.ptr, in.len, true, 0), KPW_LZ4_DONE);
    EQ_INT(out.len, 2 * PLAIN_SIZE);
    EQ_INT(kpw_lz4_decode(&out, in.ptr, in.len - 1, true, 0), KPW_LZ4_TRUNCATED);
    kpw_buf_fini(&frame);
    kpw_buf_fini(&in);
    kpw_buf_fini(&out);
}

TEST(all_frames_done_means_complete_if_it_ends_here)
{
    struct kpw_buf frame = read_file("default.lz4"), out = KPW_BUF_INIT;
    struct kpw_lz4 *lz = kpw_lz4_new(true, 0);
    struct kpw_slice in;
    size_t n;

    REQUIRE(lz && kpw_buf_reserve(&out, 200000));
    in = kpw_slice(NULL, 0);
    EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &n), KPW_LZ4_MORE);
    for (int i = 0; i < 3; i++) {
        in = kpw_buf_slice(&frame);
        EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &n), KPW_LZ4_DONE);
        EQ_INT(n, PLAIN_SIZE);
        in = kpw_slice(NULL, 0);
        EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &n), KPW_LZ4_DONE);
        EQ_INT(n, 0);
    }
    in = kpw_slice(frame.ptr, 3);
    EQ_INT(kpw_lz4_read(lz, &in, out.ptr, 200000, &n), KPW_LZ4_MORE);
    kpw_lz4_free(lz);
    kpw_lz4_free(NULL);
    kpw_buf_fini(&frame);
    kpw_buf_fini(&out);
}

TEST(every_cut_of_a_frame_is_seen)
{
    struct kpw_buf frame = read_file("blocks64k-linked-blockchecksum.lz4"), out = KPW_BUF_INIT;

    for (size_t len = 0; len < frame.len; len += len < 64 || frame.len - len < 64 ? 1 : 997) {
        kpw_buf_clear(&out);
        EQ_INT(kpw_lz4_decode(&out, frame.ptr, len, false, 0), KPW_LZ4_TRUNCATED);
    }
    kpw_buf_fini(&frame);
    kpw_buf_fini(&out);
}

TEST(damage_never_passes_where_there_is_a_checksum)
{
    struct kpw_buf frame = read_file("default.lz4"), out = KPW_BUF_INIT;
    struct kpw_random random;

    kpw_random_init_from(&random, 4);
    for (int i = 0; i < 500; i++) {
        size_t at = kpw_random_below(&random, frame.len);
        char bit = (char)(1 << kpw_random_below(&random, 8));

        frame.ptr[at] ^= bit;
        kpw_buf_clear(&out);
        CU_ASSERT_NOT_EQUAL(kpw_lz4_decode(&out, frame.ptr, frame.len, false, 1000000),
                            KPW_LZ4_DONE);
        frame.ptr[at] ^= bit;
    }
    kpw_buf_fini(&frame);
    kpw_buf_fini(&out);
}

TEST(a_limit_of_the_buffer_is_no_memory)
{
    struct kpw_buf frame = read_file("default.lz4"), out = {.limit = 1000};

    EQ_INT(kpw_lz4_decode(&out, frame.ptr, frame.len, false, 0), KPW_LZ4_NO_MEMORY);
    kpw_buf_fini(&out);
    out.limit = PLAIN_SIZE;
    EQ_INT(kpw_lz4_decode(&out, frame.ptr, frame.len, false, 0), KPW_LZ4_DONE);
    EQ_INT(out.len, PLAIN_SIZE);
    kpw_buf_fini(&out);
    kpw_buf_fini(&frame);
}

TEST(each_lz4_result_has_a_text)
{
    for (int i = KPW_LZ4_MORE; i <= KPW_LZ4_NO_MEMORY; i++)
        YES(strlen(kpw_lz4_text((enum kpw_lz4_result)i)) > 10);
}
