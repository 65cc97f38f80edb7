/* multipart_test.c - S3 through HTTP: objects in parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/s3/s3_test.h"

enum { BIG = 5 * 1024 * 1024 };

static char upload[100];

static void begin_upload(struct harness *h, const char *headers)
{
    EQ_INT(ask(h, "POST", "/bucket/big?uploads", headers, ""), 200);
    snprintf(upload, sizeof(upload), "%s", element("UploadId", 0));
    YES(upload[0] != '\0');
}

/* Sends a part; its ETag with quotes. [static buffer, 2 in turn] */
static const char *put_part(struct harness *h, int number, const char *data)
{
    static char etags[2][60];
    static int turn;
    char target[300];

    snprintf(target, sizeof(target), "/bucket/big?partNumber=%d&uploadId=%s", number, upload);
    EQ_INT(ask(h, "PUT", target, "", data), 200);
    turn = !turn;
    snprintf(etags[turn], sizeof(etags[turn]), "%s", header(h, "etag"));
    return etags[turn];
}

static int complete(struct harness *h, const char *headers, const char *first, const char *second)
{
    char target[300], list[600];

    snprintf(target, sizeof(target), "/bucket/big?uploadId=%s", upload);
    snprintf(list, sizeof(list),
             "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
             "<Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part>"
             "<Part><ETag>%s</ETag><PartNumber>3</PartNumber></Part></CompleteMultipartUpload>",
             first, second);
    return ask(h, "POST", target, headers, list);
}

static char *big_text(void)
{
    char *text = malloc(BIG + 1);

    REQUIRE(text != NULL);
    memset(text, 'x', BIG);
    text[BIG] = '\0';
    return text;
}

TEST(parts_become_one_object)
{
    struct harness *h = start(NULL);
    char *text = big_text(), first[60], second[60], target[300];

    begin_upload(h, "Content-Type: text/plain\r\n");
    snprintf(second, sizeof(second), "%s", put_part(h, 3, "tail"));
    snprintf(first, sizeof(first), "%s", put_part(h, 1, "replaced"));
    snprintf(first, sizeof(first), "%s", put_part(h, 1, text));
    snprintf(target, sizeof(target), "/bucket/big?uploadId=%s", upload);
    EQ_INT(ask(h, "GET", target, "", ""), 200);
    EQ_STR(element("PartNumber", 0), "1");
    EQ_STR(element("Size", 0), "5242880");
    EQ_STR(element("PartNumber", 1), "3");
    EQ_INT(ask(h, "GET", "/bucket?uploads", "", ""), 200);
    EQ_STR(element("UploadId", 0), upload);
    EQ_INT(ask(h, "GET", "/bucket/big", "", ""), 404); /* not before it is complete */
    EQ_INT(complete(h, "", first, second), 200);
    /* md5(md5(5 MiB of x) + md5("tail")) */
    EQ_STR(element("ETag", 0), "&quot;a45f1422f2dbe3d2890829dd76adba1b-2&quot;");
    EQ_INT(ask(h, "HEAD", "/bucket/big", "", ""), 200);
    EQ_STR(header(h, "content-length"), "5242884");
    EQ_STR(header(h, "content-type"), "text/plain");
    EQ_INT(ask(h, "GET", "/bucket/big", "Range: bytes=5242878-\r\n", ""), 206);
    EQ_STR(body, "xxtail");
    EQ_INT(ask(h, "GET", "/bucket/big", "", ""), 200); /* large: read on the pool */
    EQ_INT(strlen(body), BIG + 4);
    EQ_STR(body + BIG - 2, "xxtail");
    EQ_INT(complete(h, "", first, second), 404); /* the upload is no more */
    free(text);
    harness_free(h);
}

TEST(a_wrong_list_of_parts_is_refused)
{
    struct harness *h = start(NULL);
    char first[60], second[60];

    begin_upload(h, "");
    snprintf(first, sizeof(first), "%s", put_part(h, 1, "small"));
    snprintf(second, sizeof(second), "%s", put_part(h, 3, "tail"));
    EQ_INT(complete(h, "", first, second), 400);
    EQ_STR(element("Code", 0), "EntityTooSmall");
    EQ_INT(complete(h, "", first, first), 400);
    EQ_STR(element("Code", 0), "InvalidPart");
    EQ_STR(element("PartNumber", 0), "3");
    harness_free(h);
}

TEST(an_aborted_upload_leaves_nothing)
{
    const char *dir = kptest_dir();
    struct harness *h = start(dir);
    char target[300], path[4400];
    struct stat st;

    begin_upload(h, "");
    put_part(h, 1, "x");
    snprintf(target, sizeof(target), "/bucket/big?uploadId=%s", upload);
    EQ_INT(ask(h, "DELETE", target, "", ""), 204);
    EQ_INT(ask(h, "DELETE", target, "", ""), 404);
    EQ_STR(element("Code", 0), "NoSuchUpload");
    snprintf(path, sizeof(path), "%s/s3/.tmp", dir);
    EQ_INT(stat(path, &st), 0);
    EQ_INT(rmdir(path), 0); /* it is empty */
    harness_free(h);
}

TEST(an_upload_outlives_the_service)
{
    const char *dir = kptest_dir();
    struct harness *h = start(dir);
    char *text = big_text(), first[60], second[60];

    begin_upload(h, "x-amz-checksum-algorithm: CRC32\r\nx-amz-checksum-type: FULL_OBJECT\r\n");
    snprintf(first, sizeof(first), "%s", put_part(h, 1, text));
    harness_free(h);
    h = service_start(dir);
    snprintf(second, sizeof(second), "%s", put_part(h, 3, "tail"));
    EQ_INT(complete(h, "If-None-Match: *\r\n", first, second), 200);
    EQ_STR(element("ChecksumCRC32", 0), "WT3GYg==");
    EQ_STR(element("ChecksumType", 0), "FULL_OBJECT");
    begin_upload(h, "");
    put_part(h, 1, text);
    put_part(h, 3, "tail");
    EQ_INT(complete(h, "If-None-Match: *\r\n", first, second), 412);
    free(text);
    harness_free(h);
}

/* Creates "big" of 5 MiB of x and "tail", with the given headers. */
static void put_big(struct harness *h, const char *headers)
{
    char *text = big_text(), first[60], second[60];

    begin_upload(h, headers);
    snprintf(first, sizeof(first), "%s", put_part(h, 1, text));
    snprintf(second, sizeof(second), "%s", put_part(h, 3, "tail"));
    EQ_INT(complete(h, "", first, second), 200);
    free(text);
}

TEST(a_part_is_read_by_its_number)
{
    struct harness *h = start(NULL);

    put_big(h, "");
    EQ_INT(ask(h, "GET", "/bucket/big?partNumber=2", "", ""), 206);
    EQ_STR(body, "tail");
    EQ_STR(header(h, "content-range"), "bytes 5242880-5242883/5242884");
    EQ_STR(header(h, "x-amz-mp-parts-count"), "2");
    EQ_INT(ask(h, "HEAD", "/bucket/big?partNumber=1", "", ""), 206);
    EQ_STR(header(h, "content-length"), "5242880");
    EQ_INT(ask(h, "GET", "/bucket/big?partNumber=3", "", ""), 416);
    EQ_STR(element("Code", 0), "InvalidPartNumber");
    EQ_STR(element("ActualPartCount", 0), "2");
    EQ_INT(ask(h, "GET", "/bucket/big?partNumber=0", "", ""), 400);
    EQ_INT(ask(h, "GET", "/bucket/big?partNumber=1", "Range: bytes=0-1\r\n", ""), 400);
    put(h, "one", "whole");
    EQ_INT(ask(h, "GET", "/bucket/one?partNumber=1", "", ""), 206);
    EQ_STR(body, "whole");
    EQ_INT(ask(h, "GET", "/bucket/one?partNumber=2", "", ""), 416);
    harness_free(h);
}

TEST(attributes_tell_of_parts)
{
    struct harness *h = start(NULL);

    put_big(h, "x-amz-checksum-algorithm: CRC64NVME\r\n");
    EQ_INT(ask(h, "GET", "/bucket/big?attributes",
               "x-amz-object-attributes: ETag,Checksum, ObjectParts\r\n"
               "x-amz-object-attributes: ObjectSize,StorageClass\r\nx-amz-max-parts: 1\r\n",
               ""),
           200);
    EQ_STR(element("ETag", 0), "a45f1422f2dbe3d2890829dd76adba1b-2");
    EQ_STR(element("ChecksumType", 0), "FULL_OBJECT");
    EQ_STR(element("PartsCount", 0), "2");
    EQ_STR(element("PartNumber", 0), "1");
    EQ_STR(element("Size", 0), "5242880");
    EQ_STR(element("PartNumber", 1), "");
    EQ_STR(element("IsTruncated", 0), "true");
    EQ_STR(element("NextPartNumberMarker", 0), "1");
    EQ_STR(element("ObjectSize", 0), "5242884");
    EQ_STR(element("StorageClass", 0), "STANDARD");
    EQ_INT(ask(h, "GET", "/bucket/big?attributes", "", ""), 400);
    EQ_INT(ask(h, "GET", "/bucket/big?attributes", "x-amz-object-attributes: Colour\r\n", ""), 400);
    harness_free(h);
}

TEST(an_upload_whose_key_changed_meanwhile_is_in_conflict)
{
    struct harness *h = start(NULL);
    char *text = big_text(), first[60], second[60], match[100];

    begin_upload(h, "");
    snprintf(first, sizeof(first), "%s", put_part(h, 1, text));
    snprintf(second, sizeof(second), "%s", put_part(h, 3, "tail"));
    put(h, "big", "between");
    snprintf(match, sizeof(match), "If-Match: %s\r\n", header(h, "etag"));
    EQ_INT(complete(h, match, first, second), 409);
    EQ_STR(element("Code", 0), "ConditionalRequestConflict");
    EQ_STR(element("Condition", 0), "If-Match");
    EQ_INT(complete(h, "If-None-Match: *\r\n", first, second), 412);
    EQ_INT(ask(h, "DELETE", "/bucket/big", "", ""), 204);
    EQ_INT(complete(h, "If-None-Match: *\r\n", first, second), 409);
    EQ_INT(complete(h, "", first, second), 200);
    free(text);
    harness_free(h);
}

TEST(a_part_is_copied_from_an_object)
{
    struct harness *h = start(NULL);
    char *text = big_text(), first[60], second[60], target[300];

    put(h, "source", text);
    begin_upload(h, "");
    snprintf(target, sizeof(target), "/bucket/big?partNumber=1&uploadId=%s", upload);
    EQ_INT(ask(h, "PUT", target, "x-amz-copy-source: bucket/source\r\n", ""), 200);
    snprintf(first, sizeof(first), "\"%.32s\"", element("ETag", 0) + strlen("&quot;"));
    snprintf(target, sizeof(target), "/bucket/big?partNumber=3&uploadId=%s", upload);
    EQ_INT(ask(h, "PUT", target,
               "x-amz-copy-source: bucket/source\r\nx-amz-copy-source-range: bytes=0-9999999\r\n",
               ""),
           400);
    EQ_INT(ask(h, "PUT", target,
               "x-amz-copy-source: bucket/source\r\nx-amz-copy-source-range: bytes=2-5\r\n", ""),
           200);
    snprintf(second, sizeof(second), "\"%.32s\"", element("ETag", 0) + strlen("&quot;"));
    EQ_INT(complete(h, "", first, second), 200);
    EQ_INT(ask(h, "GET", "/bucket/big?partNumber=2", "", ""), 206);
    EQ_STR(body, "xxxx");
    free(text);
    harness_free(h);
}

TEST(uploads_fold_by_a_delimiter)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "POST", "/bucket/a/1?uploads", "", ""), 200);
    EQ_INT(ask(h, "POST", "/bucket/a/2?uploads", "", ""), 200);
    EQ_INT(ask(h, "POST", "/bucket/b?uploads", "", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket?uploads&delimiter=%2F", "", ""), 200);
    EQ_STR(element("CommonPrefixes><Prefix", 0), "a/");
    EQ_STR(element("CommonPrefixes><Prefix", 1), "");
    EQ_STR(element("Key", 0), "b");
    EQ_STR(element("Key", 1), "");
    EQ_INT(ask(h, "GET", "/bucket?uploads&prefix=a%2F&delimiter=%2F&max-uploads=1", "", ""), 200);
    EQ_STR(element("Key", 0), "a/1");
    EQ_STR(element("IsTruncated", 0), "true");
    harness_free(h);
}
