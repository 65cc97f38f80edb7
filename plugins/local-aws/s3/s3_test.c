/* s3_test.c - S3 through HTTP: the life of an object, conditions, ranges, listings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/s3/s3_test.h"

TEST(an_object_lives_and_dies)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/a/b.txt",
               "Content-Type: text/plain\r\nx-amz-meta-Color: blue\r\n", "hello"),
           200);
    EQ_STR(header(h, "etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    EQ_INT(ask(h, "GET", "/bucket/a/b.txt", "", ""), 200);
    EQ_STR(body, "hello");
    EQ_STR(header(h, "content-type"), "text/plain");
    EQ_STR(header(h, "x-amz-meta-color"), "blue");
    EQ_INT(ask(h, "HEAD", "/bucket/a/b.txt", "", ""), 200);
    EQ_STR(header(h, "content-length"), "5");
    EQ_STR(body, "");
    EQ_INT(ask(h, "DELETE", "/bucket", "", ""), 409);
    EQ_INT(ask(h, "DELETE", "/bucket/a/b.txt", "", ""), 204);
    EQ_INT(ask(h, "DELETE", "/bucket/a/b.txt", "", ""), 204);
    EQ_INT(ask(h, "GET", "/bucket/a/b.txt", "", ""), 404);
    EQ_STR(element("Code", 0), "NoSuchKey");
    EQ_STR(element("Key", 0), "a/b.txt");
    EQ_INT(ask(h, "HEAD", "/bucket/a/b.txt", "", ""), 404);
    EQ_STR(body, "");
    EQ_INT(ask(h, "DELETE", "/bucket", "", ""), 204);
    EQ_INT(ask(h, "GET", "/bucket/a", "", ""), 404);
    EQ_STR(element("Code", 0), "NoSuchBucket");
    harness_free(h);
}

TEST(an_object_is_a_plain_file)
{
    const char *dir = kptest_dir();
    struct harness *h = start(dir);
    char path[4400], text[20] = "";
    FILE *file;

    put(h, "2026/01/x.json", "{}");
    snprintf(path, sizeof(path), "%s/s3/bucket/2026/01/x.json", dir);
    file = fopen(path, "re");
    REQUIRE(file != NULL);
    EQ_INT(fread(text, 1, sizeof(text) - 1, file), 2);
    fclose(file);
    EQ_STR(text, "{}");
    harness_free(h);
}

TEST(keys_cannot_leave_their_folder)
{
    const char *dir = kptest_dir();
    struct harness *h = start(dir);
    char path[4400];
    struct stat st;

    EQ_INT(ask(h, "PUT", "/bucket/%2e%2e/%2e%2e/state.db", "", "bad"), 200);
    EQ_INT(ask(h, "PUT", "/bucket/../../lock", "", "bad"), 200);
    snprintf(path, sizeof(path), "%s/s3/bucket/%%2E%%2E/%%2E%%2E/state.db", dir);
    EQ_INT(stat(path, &st), 0);
    EQ_INT(ask(h, "GET", "/bucket/../../lock", "", ""), 200);
    EQ_STR(body, "bad");
    EQ_INT(ask(h, "PUT", "/..%2fother/x", "", ""), 400);
    harness_free(h);
}

TEST(objects_outlive_the_service)
{
    const char *dir = kptest_dir();
    struct harness *h = start(dir);

    put(h, "kept", "content");
    harness_free(h);
    h = service_start(dir);
    EQ_INT(ask(h, "GET", "/bucket/kept", "", ""), 200);
    EQ_STR(body, "content");
    EQ_STR(header(h, "etag"), "\"9a0364b9e99bb480dd25e1f0284c8555\"");
    harness_free(h);
}

TEST(writes_keep_their_conditions)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k", "If-None-Match: *\r\n", "1"), 200);
    EQ_INT(ask(h, "PUT", "/bucket/k", "If-None-Match: *\r\n", "2"), 412);
    EQ_STR(element("Condition", 0), "If-None-Match");
    EQ_INT(ask(h, "PUT", "/bucket/k", "If-Match: \"00\"\r\n", "2"), 412);
    EQ_INT(ask(h, "PUT", "/bucket/other", "If-Match: \"00\"\r\n", "2"), 404);
    EQ_INT(ask(h, "PUT", "/bucket/k", "If-None-Match: \"00\"\r\n", "2"), 501);
    EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 200);
    EQ_STR(body, "1");
    EQ_INT(ask(h, "PUT", "/bucket/k", "If-Match: \"c4ca4238a0b923820dcc509a6f75849b\"\r\n", "2"),
           200);
    EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 200);
    EQ_STR(body, "2");
    harness_free(h);
}

TEST(reads_keep_their_conditions)
{
    struct harness *h = start(NULL);

    put(h, "k", "1");
    EQ_INT(
        ask(h, "GET", "/bucket/k", "If-None-Match: \"c4ca4238a0b923820dcc509a6f75849b\"\r\n", ""),
        304);
    EQ_STR(body, "");
    EQ_INT(ask(h, "GET", "/bucket/k", "If-Match: \"00\"\r\n", ""), 412);
    EQ_INT(ask(h, "GET", "/bucket/k", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n", ""),
           412);
    harness_free(h);
}

TEST(a_damaged_body_is_not_stored)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k", "Content-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\n", "hello"), 200);
    EQ_INT(ask(h, "PUT", "/bucket/k", "Content-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\n", "hallo"), 400);
    EQ_STR(element("Code", 0), "BadDigest");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-checksum-crc32: AAAAAA==\r\n", "abc"), 400);
    EQ_STR(element("Code", 0), "BadDigest");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-checksum-crc32: NSRBwg==\r\n", "abc"), 200);
    EQ_STR(header(h, "x-amz-checksum-crc32"), "NSRBwg==");
    EQ_INT(ask(h, "GET", "/bucket/k", "x-amz-checksum-mode: ENABLED\r\n", ""), 200);
    EQ_STR(header(h, "x-amz-checksum-crc32"), "NSRBwg==");
    EQ_STR(body, "abc");
    harness_free(h);
}

TEST(the_framing_of_aws_chunked_is_not_stored)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k",
               "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
               "Content-Encoding: gzip,aws-chunked\r\nx-amz-decoded-content-length: 3\r\n"
               "x-amz-trailer: x-amz-checksum-crc32\r\n",
               "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n"),
           200);
    EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 200);
    EQ_STR(body, "abc");
    EQ_STR(header(h, "content-encoding"), "gzip");
    EQ_INT(ask(h, "PUT", "/bucket/k",
               "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
               "x-amz-decoded-content-length: 4\r\n",
               "3\r\nabc\r\n0\r\n\r\n"),
           400);
    EQ_STR(element("Code", 0), "IncompleteBody");
    harness_free(h);
}

TEST(ranges_are_served)
{
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } cases[] = {
        {"bytes=0-8", 206, "012345678", "bytes 0-8/10"},
        {"bytes=1-", 206, "123456789", "bytes 1-9/10"},
        {"bytes=-2", 206, "89", "bytes 8-9/10"},
        {"bytes=-15", 206, "0123456789", "bytes 0-9/10"},
        {"bytes=0-100", 206, "0123456789", "bytes 0-9/10"},
        {"bytes=1-0", 200, "0123456789", ""},
        {"bytes=0-1,3-4", 200, "0123456789", ""},
    };
    struct harness *h = start(NULL);
    char range[60];

    put(h, "k", "0123456789");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(range, sizeof(range), "Range: %s\r\n", cases[i].range);
        EQ_INT(ask(h, "GET", "/bucket/k", range, ""), cases[i].status);
        EQ_STR(body, cases[i].body);
        EQ_STR(header(h, "content-range"), cases[i].content_range);
    }
    EQ_INT(ask(h, "GET", "/bucket/k", "Range: bytes=100-200\r\n", ""), 416);
    EQ_STR(element("Code", 0), "InvalidRange");
    EQ_STR(element("ActualObjectSize", 0), "10");
    harness_free(h);
}

/* ---- listings ---- */

TEST(a_listing_folds_folders_and_goes_on_page_by_page)
{
    struct harness *h = start(NULL);
    char target[400];

    put(h, "a", "");
    put(h, "b/1", "");
    put(h, "b/2", "");
    put(h, "c", "xyz");
    put(h, "d/1", "");
    EQ_INT(ask(h, "GET", "/bucket?list-type=2&delimiter=%2F&max-keys=2", "", ""), 200);
    EQ_STR(element("Key", 0), "a");
    EQ_STR(element("CommonPrefixes><Prefix", 0), "b/");
    EQ_STR(element("KeyCount", 0), "2");
    EQ_STR(element("IsTruncated", 0), "true");
    snprintf(target, sizeof(target),
             "/bucket?list-type=2&delimiter=%%2F&max-keys=2&continuation-token=%s",
             element("NextContinuationToken", 0));
    EQ_INT(ask(h, "GET", target, "", ""), 200);
    EQ_STR(element("Key", 0), "c");
    EQ_STR(element("Size", 0), "3");
    EQ_STR(element("CommonPrefixes><Prefix", 0), "d/");
    EQ_STR(element("IsTruncated", 0), "false");
    EQ_INT(ask(h, "GET", "/bucket?list-type=2&prefix=b%2F", "", ""), 200);
    EQ_STR(element("Key", 0), "b/1");
    EQ_STR(element("Key", 1), "b/2");
    EQ_STR(element("Key", 2), "");
    EQ_INT(ask(h, "GET", "/bucket?list-type=2&continuation-token=rubbish", "", ""), 400);
    EQ_STR(element("Code", 0), "InvalidArgument");
    harness_free(h);
}

TEST(many_objects_are_deleted_at_once)
{
    struct harness *h = start(NULL);

    put(h, "a", "");
    put(h, "b", "");
    EQ_INT(ask(h, "POST", "/bucket?delete", "Content-MD5: GL6SfCZ6sFOMR2q83hQmlw==\r\n",
               "<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object></Delete>"),
           200);
    EQ_STR(element("Key", 0), "a");
    EQ_STR(element("Key", 1), "none");
    EQ_INT(ask(h, "GET", "/bucket?list-type=2", "", ""), 200);
    EQ_STR(element("Key", 0), "b");
    EQ_STR(element("KeyCount", 0), "1");
    EQ_INT(ask(h, "POST", "/bucket?delete", "", "<Delete>"), 400);
    EQ_STR(element("Code", 0), "InvalidRequest"); /* no digest */
    EQ_INT(ask(h, "POST", "/bucket?delete", "x-amz-checksum-crc32: hRSJYA==\r\n", "<Delete>"), 400);
    EQ_STR(element("Code", 0), "MalformedXML");
    harness_free(h);
}

TEST(an_object_is_copied)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/a%20b", "Content-Type: text/plain\r\n", "hello"), 200);
    EQ_INT(ask(h, "PUT", "/bucket/c", "x-amz-copy-source: /bucket/a%20b\r\n", ""), 200);
    EQ_STR(element("ETag", 0), "&quot;5d41402abc4b2a76b9719d911017c592&quot;");
    EQ_INT(ask(h, "GET", "/bucket/c", "", ""), 200);
    EQ_STR(body, "hello");
    EQ_STR(header(h, "content-type"), "text/plain");
    EQ_INT(ask(h, "PUT", "/bucket/c", "x-amz-copy-source: bucket/none\r\n", ""), 404);
    EQ_INT(ask(h, "PUT", "/bucket/c", "x-amz-copy-source: bucket/c\r\n", ""), 400);
    harness_free(h);
}
