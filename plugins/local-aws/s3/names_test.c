/* names_test.c - S3's names, ranges, checksums and chunked bodies, without a server. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/s3/chunked.h"
#include "plugins/local-aws/s3/name.h"
#include "plugins/local-aws/s3/range.h"
#include "plugins/local-aws/s3/sum.h"
#include "tests/kptest.h"

static const char *path_of(const char *key, s3_kind_fn kind, void *arg)
{
    static char out[S3_PATH_MAX];

    return s3_key_path(kpw_slice_cstr(key), kind, arg, out, sizeof(out)) ? out : "too long";
}

TEST(keys_become_paths_a_person_recognises)
{
    EQ_STR(path_of("a/b.txt", NULL, NULL), "a/b.txt");
    EQ_STR(path_of("logs/2026-01-01 10:00.gz", NULL, NULL), "logs/2026-01-01 10:00.gz");
    EQ_STR(path_of("ticker=A/dt=1", NULL, NULL), "ticker=A/dt=1");
    EQ_STR(path_of("\xC3\xA4/\xE2\x82\xAC", NULL, NULL), "\xC3\xA4/\xE2\x82\xAC");
}

TEST(no_key_leaves_its_bucket)
{
    EQ_STR(path_of("../../etc/passwd", NULL, NULL), "%2E%2E/%2E%2E/etc/passwd");
    EQ_STR(path_of("/etc/passwd", NULL, NULL), "%e/etc/passwd");
    EQ_STR(path_of("a//b", NULL, NULL), "a/%e/b");
    EQ_STR(path_of("a/./b/..", NULL, NULL), "a/%2E/b/%2E%2E");
    EQ_STR(path_of("folder/", NULL, NULL), "folder/%e");
    EQ_STR(path_of("...", NULL, NULL), "...");
    EQ_STR(path_of("100%", NULL, NULL), "100%25");
    EQ_STR(path_of("%2E%2E", NULL, NULL), "%252E%252E");
    EQ_STR(path_of("a\nb\x7F", NULL, NULL), "a%0Ab%7F");
}

TEST(long_segments_are_cut_into_folders)
{
    char key[S3_KEY_MAX + 1];
    const char *path;

    memset(key, 'x', S3_KEY_MAX);
    key[S3_KEY_MAX] = '\0';
    path = path_of(key, NULL, NULL);
    EQ_INT(strlen(path), S3_KEY_MAX + 4 * 3);
    EQ_STR(path + 240 + 3 - 3, path_of(key, NULL, NULL) + 240);
    YES(strncmp(path + 240, "%+/x", 4) == 0);
    memset(key, '%', S3_KEY_MAX);
    YES(strlen(path_of(key, NULL, NULL)) < S3_PATH_MAX);
}

static enum s3_kind one_file(void *arg, const char *path)
{
    return strcmp(path, arg) == 0 ? S3_FILE : S3_FREE;
}

static enum s3_kind one_folder(void *arg, const char *path)
{
    return strcmp(path, arg) == 0 ? S3_FOLDER : S3_FREE;
}

TEST(a_key_may_be_a_folder_and_an_object)
{
    EQ_STR(path_of("a/b", one_file, (char[]){"a"}), "a%d/b");
    EQ_STR(path_of("a/b/c", one_file, (char[]){"a/b"}), "a/b%d/c");
    EQ_STR(path_of("a", one_folder, (char[]){"a"}), "a%f");
    EQ_STR(path_of("a", one_file, (char[]){"a"}), "a");
}

TEST(bucket_names_follow_the_rules)
{
    static const char *const good[] = {
        "abc", "my-bucket.1", "0a0",
        "a23456789012345678901234567890123456789012345678901234567890123"};
    static const char *const bad[] = {
        "ab",
        "Abc",
        "-abc",
        "abc-",
        "a..b",
        "a_b",
        ".tmp",
        "a/b",
        "192.168.0.1",
        "",
        "..",
        "a b",
        "a234567890123456789012345678901234567890123456789012345678901234"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        YES(s3_is_bucket_name(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        NO(s3_is_bucket_name(bad[i], strlen(bad[i])));
}

TEST(escapes_are_decoded_once_and_strictly)
{
    char out[64];

    EQ_INT(s3_decode("a%20b+c", 7, out, sizeof(out)), 5);
    EQ_STR(out, "a b+c");
    EQ_INT(s3_decode_query("a%20b+c", 7, out, sizeof(out)), 5);
    EQ_STR(out, "a b c");
    EQ_INT(s3_decode("%252e", 5, out, sizeof(out)), 3);
    EQ_STR(out, "%2e");
    EQ_INT(s3_decode("%2", 2, out, sizeof(out)), -1);
    EQ_INT(s3_decode("%zz", 3, out, sizeof(out)), -1);
    EQ_INT(s3_decode("abcdef", 6, out, 4), -1);
    NO(s3_is_text("a\xC0\x80", 3));
    NO(s3_is_text("a\0b", 3));
    NO(s3_is_text("\xED\xA0\x80", 3));
    YES(s3_is_text("\xF0\x9F\x98\x80", 4));
}

static const char *range(const char *text, uint64_t size)
{
    static char out[64];
    uint64_t first = 0, last = 0;

    switch (s3_range_parse(text, strlen(text), size, &first, &last)) {
    case S3_RANGE_WHOLE: return "whole";
    case S3_RANGE_UNSATISFIABLE: return "416";
    case S3_RANGE_PART: break;
    }
    snprintf(out, sizeof(out), "%d-%d", (int)first, (int)last);
    return out;
}

TEST(ranges_are_read_as_s3_reads_them)
{
    EQ_STR(range("bytes=0-8", 10), "0-8");
    EQ_STR(range("bytes=1-", 10), "1-9");
    EQ_STR(range("bytes=-2", 10), "8-9");
    EQ_STR(range("bytes=-15", 10), "0-9");
    EQ_STR(range("bytes=0-100", 10), "0-9");
    EQ_STR(range("bytes=1-0", 10), "whole");
    EQ_STR(range("bytes=0--1", 10), "whole");
    EQ_STR(range("bytes=-1-", 10), "whole");
    EQ_STR(range("0-8", 10), "whole");
    EQ_STR(range("bytes=0-1,3-4", 10), "whole");
    EQ_STR(range("bytes=100-200", 10), "416");
    EQ_STR(range("bytes=-0", 10), "416");
    EQ_STR(range("bytes=0-", 0), "416");
    EQ_STR(range("bytes=99999999999999999999999-", 10), "416");
    EQ_STR(range("bytes=-99999999999999999999999", 10), "0-9");
}

static const char *sum_of(enum s3_algorithm algorithm, const char *text, size_t len)
{
    static char out[S3_SUM_TEXT_MAX];
    uint8_t raw[S3_SUM_RAW_MAX];
    struct s3_sum sum;

    YES(s3_sum_init(&sum, algorithm));
    s3_sum_add(&sum, text, len / 2);
    s3_sum_add(&sum, text + len / 2, len - len / 2);
    s3_base64(raw, s3_sum_end(&sum, raw), out);
    return out;
}

TEST(checksums_match_the_known_vectors)
{
    static const char digits[] = "12345678912345678";
    struct s3_sum sum;
    uint8_t raw[S3_SUM_RAW_MAX];
    char hex[2 * S3_SUM_RAW_MAX + 1];

    EQ_STR(sum_of(S3_CRC32, "abc", 3), "NSRBwg==");
    EQ_STR(sum_of(S3_CRC32C, "abc", 3), "Nks/tw==");
    EQ_STR(sum_of(S3_CRC64NVME, "abc", 3), "BeXKuz/B+us=");
    EQ_STR(sum_of(S3_SHA1, "abc", 3), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    EQ_STR(sum_of(S3_SHA256, "abc", 3), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    EQ_STR(sum_of(S3_CRC32, "", 0), "AAAAAA==");
    YES(s3_sum_init(&sum, S3_CRC64NVME));
    s3_sum_add(&sum, digits, 9);
    s3_hex(raw, s3_sum_end(&sum, raw), hex);
    EQ_STR(hex, "ae8b14860a799888");
    YES(s3_sum_init(&sum, S3_MD5));
    s3_hex(raw, s3_sum_end(&sum, raw), hex);
    EQ_STR(hex, "d41d8cd98f00b204e9800998ecf8427e");
    EQ_INT(s3_sum_of_header("x-amz-checksum-crc32c", 21), S3_CRC32C);
    EQ_INT(s3_sum_of_header("x-amz-checksum-mode", 19), S3_SUM_NONE);
    YES(s3_unbase64("NSRBwg==", 8, raw, 4));
    NO(s3_unbase64("NSRBwg==", 8, raw, 5));
    NO(s3_unbase64("NSRB!g==", 8, raw, 4));
}

static const char *unchunked(const char *body, struct s3_chunked *chunked)
{
    static char out[256];
    const char *data;
    size_t len, n = 0;

    s3_chunked_init(chunked, body, strlen(body));
    while (s3_chunked_next(chunked, &data, &len)) {
        memcpy(out + n, data, len);
        n += len;
    }
    out[n] = '\0';
    return chunked->is_bad ? "bad" : out;
}

TEST(chunked_bodies_are_decoded_with_their_trailers)
{
    struct s3_chunked chunked;
    const char *value;
    size_t len;

    EQ_STR(
        unchunked("3\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32: NSRBwg==\r\n\r\n", &chunked),
        "abcde");
    YES(s3_chunked_trailer(&chunked, "x-amz-checksum-crc32", &value, &len));
    YES(len == 8 && memcmp(value, "NSRBwg==", 8) == 0);
    NO(s3_chunked_trailer(&chunked, "x-amz-checksum-crc32c", &value, &len));
    EQ_STR(unchunked("3;chunk-signature=00ff\r\nabc\r\n0;chunk-signature=11\r\n"
                     "x-amz-checksum-sha1:zz\n\r\n",
                     &chunked),
           "abc");
    YES(s3_chunked_trailer(&chunked, "x-amz-checksum-sha1", &value, &len));
    EQ_INT(len, 2);
    EQ_STR(unchunked("0\r\n\r\n", &chunked), "");
    EQ_STR(unchunked("0\r\n", &chunked), "");
}

TEST(broken_chunks_are_noticed)
{
    struct s3_chunked chunked;

    EQ_STR(unchunked("", &chunked), "bad");
    EQ_STR(unchunked("3\r\nab", &chunked), "bad");
    EQ_STR(unchunked("3\r\nabc", &chunked), "bad");
    EQ_STR(unchunked("3\r\nabcd\r\n0\r\n", &chunked), "bad");
    EQ_STR(unchunked("3\r\nabc\r\n", &chunked), "bad");
    EQ_STR(unchunked("g\r\nabc\r\n", &chunked), "bad");
    EQ_STR(unchunked("ffffffffffffffffffff\r\nabc\r\n", &chunked), "bad");
}
