/* test_wire_gzip.c - what is written, read by zlib; what zlib writes, read back; and damage. */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "sdk/wire/gzip.h"
#include "sdk/wire/random.h"
#include "tests/kptest.h"

#define MANY ((size_t)3 << 20)

/* Bytes that compress as JSON lines do. [owned by caller] */
static char *lines(size_t len)
{
    struct kpw_random random;
    char *text = malloc(len + 200);
    size_t at = 0;

    REQUIRE(text != NULL);
    kpw_random_init_from(&random, 1);
    while (at < len)
        at += (size_t)sprintf(text + at, "{\"trip_id\":%u,\"fare\":%u.%02u,\"zone\":\"Queens\"}\n",
                              (unsigned)kpw_random_below(&random, 1000000),
                              (unsigned)kpw_random_below(&random, 90),
                              (unsigned)kpw_random_below(&random, 100));
    return text;
}

/* [owned by caller] */
static char *noise(size_t len)
{
    struct kpw_random random;
    char *bytes = malloc(len + 1);

    REQUIRE(bytes != NULL);
    kpw_random_init_from(&random, 2);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)kpw_random_next(&random);
    return bytes;
}

/* Far matches of the shortest length between noise: what a block costs most for. [owned by caller]
 */
static char *scraps(size_t len)
{
    struct kpw_random random;
    char *bytes = noise(len);

    kpw_random_init_from(&random, 3);
    for (size_t i = 32768; i + 8 < len; i += 4) {
        size_t back = 24000 + kpw_random_below(&random, 8000);

        memcpy(bytes + i, bytes + i - back, 4);
    }
    return bytes;
}

/* True if `gz` is exactly that many gzip members with that content, by zlib's judgement. */
static bool zlib_reads(const struct kpw_buf *gz, const char *want, size_t len, int members)
{
    char *got = malloc(len + 1);
    z_stream z = {.next_in = (Bytef *)gz->ptr, .avail_in = (uInt)gz->len};
    int result = Z_STREAM_END;

    REQUIRE(got && inflateInit2(&z, 15 + 16) == Z_OK);
    z.next_out = (Bytef *)got;
    z.avail_out = (uInt)len + 1;
    for (; members && result == Z_STREAM_END; members--) {
        result = inflate(&z, Z_FINISH);
        if (members > 1)
            inflateReset(&z);
    }
    result = result == Z_STREAM_END && !z.avail_in && z.avail_out == 1 &&
             (!len || !memcmp(got, want, len));
    inflateEnd(&z);
    free(got);
    return result;
}

static void both_levels(const char *data, size_t len)
{
    for (int level = KPW_GZIP_FAST; level <= KPW_GZIP_BEST; level++) {
        struct kpw_buf gz = KPW_BUF_INIT, again = KPW_BUF_INIT, back = KPW_BUF_INIT;

        YES(kpw_gzip_compress(&gz, data, len, (enum kpw_gzip_level)level));
        YES(zlib_reads(&gz, data, len, 1));
        EQ_INT(gz.ptr[3], 0);                    /* no name */
        YES(!memcmp(gz.ptr + 4, "\0\0\0\0", 4)); /* no time */
        YES(kpw_gzip_compress(&again, data, len, (enum kpw_gzip_level)level));
        YES(kpw_slice_eq(kpw_buf_slice(&gz), kpw_buf_slice(&again)));
        EQ_INT(kpw_inflate(&back, gz.ptr, gz.len, KPW_INFLATE_GZIP, len), KPW_INFLATE_OK);
        YES(kpw_slice_eq(kpw_buf_slice(&back), kpw_slice(data, len)));
        kpw_buf_fini(&gz);
        kpw_buf_fini(&again);
        kpw_buf_fini(&back);
    }
}

TEST(gzip_can_be_read_by_zlib_at_every_size)
{
    static const size_t sizes[] = {0, 1, 2, 17, 255, 4095, 65535, 65536, 65537, 1000000, MANY};
    char *text = lines(MANY), *bytes = noise(MANY);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        both_levels(text, sizes[i]);
        both_levels(bytes, sizes[i]);
    }
    both_levels(NULL, 0);
    free(text);
    free(bytes);
}

TEST(the_better_level_is_smaller)
{
    struct kpw_buf fast = KPW_BUF_INIT, best = KPW_BUF_INIT;
    char *text = lines(1000000);

    YES(kpw_gzip_compress(&fast, text, 1000000, KPW_GZIP_FAST));
    YES(kpw_gzip_compress(&best, text, 1000000, KPW_GZIP_BEST));
    YES(best.len < fast.len);
    YES(fast.len < 1000000 / 3);
    kpw_buf_fini(&fast);
    kpw_buf_fini(&best);
    free(text);
}

/* ---- the streaming writer */

static void stream(struct kpw_gzip *gz, const char *data, size_t len, size_t piece)
{
    struct kpw_buf out = KPW_BUF_INIT;

    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;

        REQUIRE(kpw_gzip_append(gz, data + at, n, &out));
    }
    EQ_INT(kpw_gzip_total_in(gz), len);
    REQUIRE(kpw_gzip_finish(gz, &out));
    YES(zlib_reads(&out, data, len, 1));
    kpw_buf_fini(&out);
}

TEST(a_writer_takes_any_pieces)
{
    static const size_t pieces[] = {1, 7, 100, 1000, 65536, 1000000};
    struct kpw_gzip *gz = kpw_gzip_new();
    char *text = lines(300000), *bytes = noise(300000);

    REQUIRE(gz != NULL);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        stream(gz, text, 300000, pieces[i]);
        kpw_gzip_reset(gz);
        stream(gz, bytes, 300000, pieces[i]);
        kpw_gzip_reset(gz);
    }
    stream(gz, text, 0, 1);
    kpw_gzip_free(gz);
    kpw_gzip_free(NULL);
    free(text);
    free(bytes);
}

TEST(a_reset_writer_is_as_good_as_new)
{
    struct kpw_gzip *used = kpw_gzip_new(), *fresh = kpw_gzip_new();
    struct kpw_buf a = KPW_BUF_INIT, b = KPW_BUF_INIT, waste = KPW_BUF_INIT;
    char *text = lines(200000);

    REQUIRE(used && fresh);
    kpw_gzip_append(used, text + 1000, 150000, &waste);
    kpw_gzip_reset(used); /* in the middle of a member */
    EQ_INT(kpw_gzip_total_in(used), 0);
    YES(kpw_gzip_append(used, text, 100000, &a) && kpw_gzip_finish(used, &a));
    YES(kpw_gzip_append(fresh, text, 100000, &b) && kpw_gzip_finish(fresh, &b));
    YES(kpw_slice_eq(kpw_buf_slice(&a), kpw_buf_slice(&b)));
    kpw_gzip_reset(used);
    YES(kpw_gzip_append(used, text + 100000, 100000, &a) && kpw_gzip_finish(used, &a));
    YES(zlib_reads(&a, text, 200000, 2)); /* two members behind each other */
    kpw_buf_fini(&b);
    EQ_INT(kpw_inflate(&b, a.ptr, a.len, KPW_INFLATE_GZIP, 200000), KPW_INFLATE_OK);
    YES(kpw_slice_eq(kpw_buf_slice(&b), kpw_slice(text, 200000)));
    kpw_buf_fini(&a);
    kpw_buf_fini(&b);
    kpw_buf_fini(&waste);
    kpw_gzip_free(used);
    kpw_gzip_free(fresh);
    free(text);
}

TEST(after_a_flush_everything_can_be_read)
{
    struct kpw_gzip *gz = kpw_gzip_new();
    struct kpw_buf out = KPW_BUF_INIT, back = KPW_BUF_INIT;
    char *text = lines(50000);

    REQUIRE(gz != NULL);
    for (size_t at = 0; at < 50000; at += 10000) {
        YES(kpw_gzip_append(gz, text + at, 10000, &out));
        YES(kpw_gzip_flush(gz, &out));
        kpw_buf_clear(&back);
        EQ_INT(kpw_inflate(&back, out.ptr, out.len, KPW_INFLATE_GZIP, 50000),
               KPW_INFLATE_TRUNCATED);
        YES(kpw_slice_eq(kpw_buf_slice(&back), kpw_slice(text, at + 10000)));
    }
    YES(kpw_gzip_flush(gz, &out));
    YES(kpw_gzip_finish(gz, &out));
    YES(zlib_reads(&out, text, 50000, 1));
    kpw_buf_fini(&out);
    kpw_buf_fini(&back);
    kpw_gzip_free(gz);
    free(text);
}

/* The room is made exactly as large as asked for each time, so that a sanitizer sees one byte more;
 * and it suffices to finish, at every moment. */
static void into_room(const char *data, size_t len, size_t piece)
{
    struct kpw_gzip *gz = kpw_gzip_new();
    struct kpw_buf out = KPW_BUF_INIT;

    REQUIRE(gz != NULL);
    for (size_t at = 0; at <= len; at += piece) {
        size_t n = len - at < piece ? len - at : piece, room = kpw_gzip_room(gz, n), used;
        char *to = malloc(room);

        REQUIRE(to != NULL);
        used = kpw_gzip_append_to(gz, data + at, n, to, room);
        if (at + piece > len)
            used += kpw_gzip_finish_to(gz, to + used, room - used);
        REQUIRE(used <= room);
        kpw_buf_append(&out, to, used);
        free(to);
    }
    YES(zlib_reads(&out, data, len, 1));
    kpw_buf_fini(&out);
    kpw_gzip_free(gz);
}

TEST(the_room_asked_for_suffices)
{
    static const size_t sizes[] = {0, 1, 50, 1000, 40000, 70000, 200000, 600000};
    static const size_t pieces[] = {13, 500, 33000, 700000};
    char *data[] = {lines(600000), noise(600000), scraps(600000), calloc(1, 600001)};

    for (size_t d = 0; d < 4; d++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t p = i > 5 ? 1 : 0; p < 4; p++)
                into_room(data[d], sizes[i], pieces[p]);
        }
        free(data[d]);
    }
}

TEST(room_is_not_asked_for_without_need)
{
    struct kpw_gzip *gz = kpw_gzip_new();
    struct kpw_buf out = KPW_BUF_INIT;
    char *text = lines(1000000);

    REQUIRE(gz != NULL);
    YES(kpw_gzip_room(gz, 1000) < 4096);
    kpw_gzip_append(gz, text, 1000, &out);
    YES(kpw_gzip_room(gz, 1000) < 8192);
    kpw_gzip_append(gz, text, 1000000, &out);
    YES(kpw_gzip_room(gz, 1000) < 400000); /* however much went in before */
    kpw_gzip_free(gz);
    kpw_buf_fini(&out);
    free(text);
}

TEST(a_limit_of_the_output_is_kept)
{
    char *bytes = noise(100000), *text = lines(100000);

    for (int level = KPW_GZIP_FAST; level <= KPW_GZIP_BEST; level++) {
        struct kpw_buf out = {.limit = 50000};

        YES(kpw_gzip_compress(&out, text, 100000, (enum kpw_gzip_level)level));
        kpw_buf_fini(&out);
        NO(kpw_gzip_compress(&out, bytes, 100000, (enum kpw_gzip_level)level));
        YES(out.failed && out.len <= 50000);
        NO(kpw_gzip_compress(&out, text, 10, (enum kpw_gzip_level)level)); /* stays failed */
        kpw_buf_fini(&out);
    }
    free(bytes);
    free(text);
}

/* ---- inflating */

/* [owned by caller] what zlib makes of it, `bits` as in deflateInit2() */
static struct kpw_buf zlib_writes(const char *data, size_t len, int level, int bits)
{
    struct kpw_buf out = KPW_BUF_INIT;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len};

    REQUIRE(deflateInit2(&z, level, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.avail_out = (uInt)deflateBound(&z, len);
    z.next_out = (Bytef *)kpw_buf_reserve(&out, z.avail_out);
    REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out.len = z.total_out;
    deflateEnd(&z);
    return out;
}

TEST(all_three_formats_are_inflated)
{
    static const int bits[] = {15 + 16, 15, -15};
    char *text = lines(200000);

    for (int format = KPW_INFLATE_GZIP; format <= KPW_INFLATE_RAW; format++) {
        for (int level = 0; level <= 9; level += 3) {
            for (size_t len = 0; len <= 200000; len = len * 9 + 1) {
                struct kpw_buf in = zlib_writes(text, len, level, bits[format]);
                struct kpw_buf out = KPW_BUF_INIT;

                kpw_buf_puts(&out, "kept");
                EQ_INT(kpw_inflate(&out, in.ptr, in.len, (enum kpw_inflate_format)format, len),
                       KPW_INFLATE_OK);
                YES(out.len == len + 4 && !memcmp(out.ptr, "kept", 4) &&
                    !memcmp(out.ptr + 4, text, len));
                kpw_buf_fini(&in);
                kpw_buf_fini(&out);
            }
        }
    }
    free(text);
}

TEST(every_cut_is_seen)
{
    static const int bits[] = {15 + 16, 15, -15};
    char *text = lines(2000);

    for (int format = KPW_INFLATE_GZIP; format <= KPW_INFLATE_RAW; format++) {
        struct kpw_buf in = zlib_writes(text, 2000, 6, bits[format]), out = KPW_BUF_INIT;

        for (size_t len = 0; len < in.len; len++) {
            char *exact = malloc(len + !len);

            memcpy(exact, in.ptr, len);
            kpw_buf_clear(&out);
            EQ_INT(kpw_inflate(&out, exact, len, (enum kpw_inflate_format)format, 5000),
                   KPW_INFLATE_TRUNCATED);
            YES(out.len <= 2000 && !memcmp(out.ptr, text, out.len));
            free(exact);
        }
        kpw_buf_fini(&in);
        kpw_buf_fini(&out);
    }
    free(text);
}

TEST(bytes_behind_the_end_are_refused)
{
    static const int bits[] = {15 + 16, 15, -15};
    static const char *const more[] = {"x", "\0\0\0\0\0\0\0\0\0\0\0\0", "not a gzip member at all"};
    static const size_t n_more[] = {1, 12, 24};
    char *text = lines(2000);

    for (int format = KPW_INFLATE_GZIP; format <= KPW_INFLATE_RAW; format++) {
        for (size_t i = 0; i < 3; i++) {
            struct kpw_buf in = zlib_writes(text, 2000, 6, bits[format]), out = KPW_BUF_INIT;
            enum kpw_inflate_result result;

            kpw_buf_append(&in, more[i], n_more[i]);
            result = kpw_inflate(&out, in.ptr, in.len, (enum kpw_inflate_format)format, 5000);
            EQ_INT(result, format == KPW_INFLATE_GZIP && i == 0 ? KPW_INFLATE_TRUNCATED
                                                                : KPW_INFLATE_CORRUPT);
            YES(out.len == 2000 && !memcmp(out.ptr, text, 2000));
            kpw_buf_fini(&in);
            kpw_buf_fini(&out);
        }
    }
    free(text);
}

TEST(a_flipped_bit_never_passes_as_the_same_text)
{
    char *text = lines(1500);
    struct kpw_buf in = zlib_writes(text, 1500, 6, 15 + 16), out = KPW_BUF_INIT;
    size_t unseen = 0;

    for (size_t i = 0; i < in.len * 8; i++) {
        enum kpw_inflate_result result;

        in.ptr[i / 8] ^= (char)(1 << i % 8);
        kpw_buf_clear(&out);
        result = kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 100000);
        if (result == KPW_INFLATE_OK) {
            YES(out.len == 1500 && !memcmp(out.ptr, text, 1500));
            unseen++;
        }
        in.ptr[i / 8] ^= (char)(1 << i % 8);
    }
    /* time, extra flags, system, the text hint and what fills the last byte mean nothing */
    YES(unseen <= 8 * 6 + 1 + 7);
    kpw_buf_fini(&in);
    kpw_buf_fini(&out);
    free(text);
}

TEST(the_limit_holds_to_the_byte)
{
    char *zeros = calloc(1, 1000001);
    struct kpw_buf in, out = KPW_BUF_INIT;

    REQUIRE(zeros != NULL);
    in = zlib_writes(zeros, 1000000, 9, 15 + 16);
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 1000000), KPW_INFLATE_OK);
    EQ_INT(out.len, 1000000);
    kpw_buf_clear(&out);
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 999999), KPW_INFLATE_TOO_LARGE);
    EQ_INT(out.len, 999999);
    kpw_buf_fini(&out);
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 1000), KPW_INFLATE_TOO_LARGE);
    EQ_INT(out.len, 1000);
    YES(out.cap < 100000); /* and not much more memory */
    kpw_buf_fini(&out);
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 0), KPW_INFLATE_TOO_LARGE);
    EQ_INT(out.len, 0);
    out.limit = 500;
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 1000), KPW_INFLATE_NO_MEMORY);
    kpw_buf_fini(&out);
    kpw_buf_fini(&in);
    in = zlib_writes(zeros, 500, 9, 15 + 16); /* just fits, whatever else would be allowed */
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 1000000), KPW_INFLATE_OK);
    EQ_INT(out.len, 500);
    out.limit = 0;
    kpw_buf_fini(&in);
    kpw_buf_fini(&out);
    in = zlib_writes(zeros, 0, 9, 15 + 16);
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 0), KPW_INFLATE_OK);
    kpw_buf_fini(&in);
    kpw_buf_fini(&out);
    free(zeros);
}

TEST(a_header_with_all_its_fields_is_passed_over)
{
    /* flags: header checksum absent, extra field, name, comment */
    static const char header[] = "\x1f\x8b\x08\x1c\x01\x02\x03\x04\x00\x03"
                                 "\x04\x00"
                                 "abcd"
                                 "name.txt\0"
                                 "a comment";
    struct kpw_buf raw = zlib_writes("hello", 5, 6, 15 + 16), in = KPW_BUF_INIT, out = KPW_BUF_INIT;

    kpw_buf_append(&in, header, sizeof header); /* with the NUL of the comment */
    kpw_buf_append(&in, raw.ptr + 10, raw.len - 10);
    EQ_INT(kpw_inflate(&out, in.ptr, in.len, KPW_INFLATE_GZIP, 100), KPW_INFLATE_OK);
    EQ_STR(kpw_buf_cstr(&out), "hello");
    kpw_buf_fini(&raw);
    kpw_buf_fini(&in);
    kpw_buf_fini(&out);
}

TEST(each_result_has_a_text)
{
    for (int i = KPW_INFLATE_OK; i <= KPW_INFLATE_NO_MEMORY; i++)
        YES(strlen(kpw_inflate_text((enum kpw_inflate_result)i)) > 10);
}
