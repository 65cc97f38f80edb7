/* object_test.c - S3 through HTTP: what an object carries beside its content. */
#include "plugins/local-aws/s3/s3_test.h"

#define ETAG_OF_1 "\"c4ca4238a0b923820dcc509a6f75849b\""

TEST(metadata_that_is_not_ascii_travels_as_an_encoded_word)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-meta-utf8: gr\xC3\xBC\xC3\x9F\r\n", ""), 200);
    EQ_INT(ask(h, "HEAD", "/bucket/k", "", ""), 200);
    EQ_STR(header(h, "x-amz-meta-utf8"), "=?UTF-8?B?Z3LDvMOf?=");
    EQ_INT(ask(h, "PUT", "/bucket/k",
               "x-amz-meta-latin: gr\xFC\xDF\r\nx-amz-meta-word: =?UTF-8?Q?gr=C3=BC?= "
               "=?UTF-8?B?w58=?=\r\nx-amz-meta-plain: =?UTF-8?Q?a_b?=\r\n"
               "x-amz-meta-bad: =?UTF-8?Q?a=0D=0Ab?=\r\n",
               ""),
           200);
    EQ_INT(ask(h, "HEAD", "/bucket/k", "", ""), 200);
    EQ_STR(header(h, "x-amz-meta-latin"), "=?UTF-8?B?Z3LDvMOf?=");
    EQ_STR(header(h, "x-amz-meta-word"), "=?UTF-8?B?Z3LDvMOf?=");
    EQ_STR(header(h, "x-amz-meta-plain"), "a b");
    EQ_STR(header(h, "x-amz-meta-bad"), "=?UTF-8?Q?a=0D=0Ab?="); /* no header of its own */
    harness_free(h);
}

TEST(headers_of_the_content_come_back_and_can_be_overridden)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k",
               "Cache-Control: no-cache\r\nContent-Language: de\r\nContent-Disposition: inline\r\n"
               "Expires: Thu, 01 Jan 2032 00:00:00 GMT\r\nx-amz-storage-class: STANDARD_IA\r\n"
               "x-amz-website-redirect-location: /else\r\n",
               "1"),
           200);
    EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 200);
    EQ_STR(header(h, "cache-control"), "no-cache");
    EQ_STR(header(h, "content-language"), "de");
    EQ_STR(header(h, "content-disposition"), "inline");
    EQ_STR(header(h, "expires"), "Thu, 01 Jan 2032 00:00:00 GMT");
    EQ_STR(header(h, "x-amz-storage-class"), "STANDARD_IA");
    EQ_STR(header(h, "x-amz-website-redirect-location"), "/else");
    EQ_STR(header(h, "content-type"), "binary/octet-stream");
    EQ_INT(ask(h, "GET",
               "/bucket/k?response-content-type=text%2Fcsv&response-cache-control=private&"
               "response-content-disposition=a%0D%0Ab",
               "", ""),
           200);
    EQ_STR(header(h, "content-type"), "text/csv");
    EQ_STR(header(h, "cache-control"), "private");
    EQ_INT(ask(h, "GET", "/bucket?list-type=2", "", ""), 200);
    EQ_STR(element("StorageClass", 0), "STANDARD_IA");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-storage-class: COLD\r\n", ""), 400);
    EQ_STR(element("Code", 0), "InvalidStorageClass");
    harness_free(h);
}

TEST(what_cannot_be_kept_is_refused)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-server-side-encryption-customer-algorithm: AES256\r\n",
               ""),
           501);
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-object-lock-mode: GOVERNANCE\r\n", ""), 400);
    EQ_STR(element("Message", 0), "Bucket is missing Object Lock Configuration");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-server-side-encryption: rot13\r\n", ""), 400);
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-server-side-encryption: aws:kms\r\n", ""), 200);
    EQ_STR(header(h, "x-amz-server-side-encryption"), "aws:kms");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-expected-bucket-owner: 111122223333\r\n", ""), 403);
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-expected-bucket-owner: 000000000000\r\n", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket/k?versionId=null", "", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket/k?versionId=3HL4kqtJ", "", ""), 400);
    EQ_STR(element("Message", 0), "Invalid version id specified");
    EQ_INT(ask(h, "GET", "/bucket/k?retention", "", ""), 501);
    harness_free(h);
}

/* ---- conditions: the first of a pair counts, RFC 9110 ---- */

TEST(a_condition_that_holds_overrides_the_one_with_a_date)
{
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"If-Match: " ETAG_OF_1 "\r\nIf-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n", 200},
        {"If-Match: c4ca4238a0b923820dcc509a6f75849b\r\n", 200},
        {"If-Match: *\r\n", 200},
        {"If-Match: \"00\", " ETAG_OF_1 "\r\n", 200},
        {"If-None-Match: \"00\"\r\nIf-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT\r\n", 200},
        {"If-None-Match: " ETAG_OF_1 "\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
         304},
        {"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n", 200},
        {"If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT\r\n", 200}, /* of the future: ignored */
        {"If-Modified-Since: rubbish\r\n", 200},
        {"If-Match: \"00\"\r\nIf-None-Match: " ETAG_OF_1 "\r\n", 412},
    };
    struct harness *h = start(NULL);

    put(h, "k", "1");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EQ_INT(ask(h, "GET", "/bucket/k", cases[i].headers, ""), cases[i].status);
        EQ_INT(ask(h, "HEAD", "/bucket/k", cases[i].headers, ""), cases[i].status);
        EQ_STR(body, "");
    }
    EQ_INT(ask(h, "GET", "/bucket/k", "If-None-Match: *\r\n", ""), 304);
    EQ_STR(header(h, "etag"), ETAG_OF_1);
    YES(header(h, "last-modified")[0] != '\0');
    harness_free(h);
}

TEST(a_deletion_keeps_its_condition)
{
    struct harness *h = start(NULL);

    put(h, "k", "1");
    EQ_INT(ask(h, "DELETE", "/bucket/k", "If-Match: \"00\"\r\n", ""), 412);
    EQ_INT(ask(h, "DELETE", "/bucket/k", "x-amz-if-match-size: 1\r\n", ""), 501);
    EQ_INT(ask(h, "DELETE", "/bucket/k", "If-Match: " ETAG_OF_1 "\r\n", ""), 204);
    EQ_INT(ask(h, "DELETE", "/bucket/k", "If-Match: " ETAG_OF_1 "\r\n", ""), 404);
    harness_free(h);
}

TEST(an_entry_of_a_deletion_may_have_its_own_condition)
{
    struct harness *h = start(NULL);

    put(h, "a", "1");
    put(h, "b", "1");
    EQ_INT(ask(h, "POST", "/bucket?delete", "x-amz-checksum-crc32: EtVzTQ==\r\n",
               "<Delete><Quiet>true</Quiet><Object><Key>a</Key><ETag>00</ETag></Object>"
               "<Object><Key>b</Key></Object><Object><VersionId>1</VersionId><Key>a</Key></Object>"
               "</Delete>"),
           200);
    EQ_STR(element("Error><Key", 0), "a");
    EQ_STR(element("Code", 0), "PreconditionFailed");
    EQ_STR(element("Code", 1), "NoSuchVersion");
    EQ_STR(element("Deleted><Key", 0), "");
    EQ_INT(ask(h, "GET", "/bucket/a", "", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket/b", "", ""), 404);
    harness_free(h);
}

/* ---- copies ---- */

TEST(a_copy_takes_metadata_along_or_replaces_it)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/a",
               "x-amz-meta-m: old\r\nx-amz-tagging: t=old\r\nx-amz-storage-class: GLACIER_IR\r\n",
               "1"),
           200);
    EQ_INT(ask(h, "PUT", "/bucket/b", "x-amz-copy-source: bucket/a\r\nx-amz-meta-m: new\r\n", ""),
           200);
    EQ_INT(ask(h, "HEAD", "/bucket/b", "", ""), 200);
    EQ_STR(header(h, "x-amz-meta-m"), "old");
    EQ_STR(header(h, "x-amz-tagging-count"), "1");
    EQ_STR(header(h, "x-amz-storage-class"), ""); /* as the request says: not at all */
    EQ_INT(ask(h, "PUT", "/bucket/a",
               "x-amz-copy-source: bucket/a\r\nx-amz-metadata-directive: REPLACE\r\n"
               "x-amz-meta-m: new\r\nx-amz-tagging-directive: REPLACE\r\nx-amz-tagging: t=new\r\n",
               ""),
           200);
    EQ_INT(ask(h, "HEAD", "/bucket/a", "", ""), 200);
    EQ_STR(header(h, "x-amz-meta-m"), "new");
    EQ_INT(ask(h, "GET", "/bucket/a?tagging", "", ""), 200);
    EQ_STR(element("Value", 0), "new");
    EQ_INT(ask(h, "PUT", "/bucket/b",
               "x-amz-copy-source: bucket/a\r\nx-amz-metadata-directive: KEEP\r\n", ""),
           400);
    EQ_STR(element("Message", 0), "Unknown metadata directive.");
    harness_free(h);
}

TEST(a_copy_keeps_the_conditions_of_both_ends)
{
    struct harness *h = start(NULL);

    put(h, "a", "1");
    put(h, "there", "2");
#define COPY "x-amz-copy-source: bucket/a\r\n"
    EQ_INT(ask(h, "PUT", "/bucket/b", COPY "x-amz-copy-source-if-match: \"00\"\r\n", ""), 412);
    EQ_STR(element("Condition", 0), "x-amz-copy-source-If-Match");
    EQ_INT(
        ask(h, "PUT", "/bucket/b", COPY "x-amz-copy-source-if-none-match: " ETAG_OF_1 "\r\n", ""),
        412);
    EQ_INT(ask(h, "PUT", "/bucket/there", COPY "If-None-Match: *\r\n", ""), 412);
    EQ_INT(ask(h, "PUT", "/bucket/b", COPY "If-None-Match: *\r\n", ""), 200);
    EQ_INT(ask(h, "PUT", "/bucket/b", "x-amz-copy-source: bucket/a?versionId=7\r\n", ""), 400);
    EQ_INT(ask(h, "PUT", "/bucket/b", "x-amz-copy-source: bucket/a?versionId=null\r\n", ""), 200);
    EQ_INT(ask(h, "PUT", "/bucket/b", "x-amz-copy-source: a\r\n", ""), 400);
    EQ_STR(element("Message", 0), "Invalid copy source object key");
    EQ_INT(ask(h, "PUT", "/bucket/b", "x-amz-copy-source: /gone/a\r\n", ""), 404);
    EQ_STR(element("Code", 0), "NoSuchBucket");
    harness_free(h);
}

/* ---- tags and access lists ---- */

TEST(tags_are_put_read_and_removed)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-tagging: a=1&b=%C3%BC\r\n", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket/k?tagging", "", ""), 200);
    EQ_STR(element("Key", 1), "b");
    EQ_STR(element("Value", 1), "\xC3\xBC");
    EQ_INT(ask(h, "PUT", "/bucket/k?tagging", "",
               "<Tagging><TagSet><Tag><Value>x&amp;y</Value><Key>k 1</Key></Tag></TagSet>"
               "</Tagging>"),
           200);
    EQ_INT(ask(h, "GET", "/bucket/k?tagging", "", ""), 200);
    EQ_STR(element("Key", 0), "k 1");
    EQ_STR(element("Value", 0), "x&amp;y");
    EQ_INT(ask(h, "DELETE", "/bucket/k?tagging", "", ""), 204);
    EQ_INT(ask(h, "HEAD", "/bucket/k", "", ""), 200);
    EQ_STR(header(h, "x-amz-tagging-count"), "");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-tagging: a=1&a=2\r\n", ""), 400);
    EQ_STR(element("Code", 0), "InvalidArgument");
    EQ_INT(ask(h, "PUT", "/bucket/k?tagging", "",
               "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>"
               "<Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>"),
           400);
    EQ_STR(element("Message", 0), "Cannot provide multiple Tags with the same key");
    EQ_INT(ask(h, "PUT", "/bucket/k?tagging", "",
               "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"),
           400);
    EQ_STR(element("Code", 0), "MalformedXML");
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-tagging: a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=\r\n", ""),
           400);
    EQ_STR(element("Message", 0), "Object tags cannot be greater than 10");
    harness_free(h);
}

TEST(an_access_list_is_kept)
{
    struct harness *h = start(NULL);

    put(h, "k", "1");
    EQ_INT(ask(h, "GET", "/bucket/k?acl", "", ""), 200);
    EQ_STR(element("Permission", 0), "FULL_CONTROL");
    EQ_STR(element("Permission", 1), "");
    EQ_INT(ask(h, "PUT", "/bucket/k?acl", "x-amz-acl: public-read\r\n", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket/k?acl", "", ""), 200);
    EQ_STR(element("Permission", 1), "READ");
    EQ_STR(element("URI", 0), "http://acs.amazonaws.com/groups/global/AllUsers");
    EQ_INT(ask(h, "PUT", "/bucket/k?acl", "", ""), 400);
    EQ_STR(element("Code", 0), "MissingSecurityHeader");
    EQ_INT(ask(h, "PUT", "/bucket?acl", "x-amz-acl: secret\r\n", ""), 400);
    EQ_INT(ask(h, "PUT", "/bucket?acl", "x-amz-acl: log-delivery-write\r\n", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket?acl", "", ""), 200);
    EQ_STR(element("Permission", 2), "READ_ACP");
    harness_free(h);
}

/* ---- digests ---- */

TEST(every_checksum_is_taken_kept_and_told)
{
    static const struct {
        const char *name, *right, *wrong;
    } cases[] = {
        {"crc32", "NSRBwg==", "AAAAAA=="},
        {"crc32c", "Nks/tw==", "AAAAAA=="},
        {"crc64nvme", "BeXKuz/B+us=", "AAAAAAAAAAA="},
        {"sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {"sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
    };
    struct harness *h = start(NULL);
    char headers[200], name[40];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(name, sizeof(name), "x-amz-checksum-%s", cases[i].name);
        snprintf(headers, sizeof(headers), "%s: %s\r\n", name, cases[i].wrong);
        EQ_INT(ask(h, "PUT", "/bucket/k", headers, "abc"), 400);
        EQ_STR(element("Code", 0), "BadDigest");
        EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 404);
        snprintf(headers, sizeof(headers), "%s: %s\r\n", name, cases[i].right);
        EQ_INT(ask(h, "PUT", "/bucket/k", headers, "abc"), 200);
        EQ_STR(header(h, name), cases[i].right);
        EQ_INT(ask(h, "HEAD", "/bucket/k", "", ""), 200);
        EQ_STR(header(h, name), "");
        EQ_INT(ask(h, "HEAD", "/bucket/k", "x-amz-checksum-mode: ENABLED\r\n", ""), 200);
        EQ_STR(header(h, name), cases[i].right);
        EQ_STR(header(h, "x-amz-checksum-type"), "FULL_OBJECT");
        EQ_INT(
            ask(h, "GET", "/bucket/k", "x-amz-checksum-mode: ENABLED\r\nRange: bytes=0-1\r\n", ""),
            206);
        EQ_STR(header(h, name), "");
        EQ_INT(ask(h, "DELETE", "/bucket/k", "", ""), 204);
    }
    harness_free(h);
}

TEST(digests_that_do_not_fit_the_request_are_refused)
{
    static const struct {
        const char *headers, *code;
    } cases[] = {
        {"x-amz-checksum-crc32: NSRBwg==\r\nx-amz-checksum-sha1: qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\r\n",
         "InvalidRequest"},
        {"x-amz-checksum-crc32: NSRBwg\r\n", "InvalidRequest"},
        {"x-amz-checksum-md4: NSRBwg==\r\n", "InvalidRequest"},
        {"x-amz-sdk-checksum-algorithm: CRC32\r\n", "InvalidRequest"},
        {"x-amz-sdk-checksum-algorithm: SHA1\r\nx-amz-checksum-crc32: NSRBwg==\r\n",
         "InvalidRequest"},
        {"Content-MD5: rubbish\r\n", "InvalidDigest"},
        {"x-amz-content-sha256: "
         "0000000000000000000000000000000000000000000000000000000000000000\r\n",
         "XAmzContentSHA256Mismatch"},
        {"x-amz-content-sha256: nonsense\r\n", "InvalidArgument"},
    };
    struct harness *h = start(NULL);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EQ_INT(ask(h, "PUT", "/bucket/k", cases[i].headers, "abc"), 400);
        EQ_STR(element("Code", 0), cases[i].code);
    }
    EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 404);
    harness_free(h);
}

TEST(a_presigned_url_expires_also_where_nobody_verifies)
{
    struct harness *h = start(NULL);

    put(h, "k", "1");
    EQ_INT(ask(h, "GET", "/bucket/k?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60", "", ""), 403);
    EQ_STR(element("Message", 0), "Request has expired");
    EQ_STR(element("Expires", 0), "2020-01-01T00:01:00Z");
    EQ_INT(ask(h, "GET", "/bucket/k?X-Amz-Date=29990101T000000Z&X-Amz-Expires=60", "", ""), 200);
    EQ_INT(ask(h, "GET", "/bucket/k?AWSAccessKeyId=test&Expires=1600000000", "", ""), 403);
    EQ_INT(ask(h, "GET", "/bucket/k?AWSAccessKeyId=test&Expires=99999999999", "", ""), 200);
    harness_free(h);
}

/* ---- names ---- */

TEST(awkward_keys_are_different_objects)
{
    static const char *const keys[] = {
        "a",  "a/b",    "a//b",  "a/./b",  "a/../b",           "../x", "%2e%2e/%2e%2e",
        "a/", "a%25b",  "a%2Bb", "%01%7F", "%C3%BC/%E2%82%AC", "%20",  "a+b",
        "//", "a%fake", NULL};
    struct harness *h = start(NULL);
    char target[100], text[20];

    for (int i = 0; keys[i]; i++) {
        if (strcmp(keys[i], "a%fake") == 0) { /* no escape: refused */
            EQ_INT(ask(h, "PUT", "/bucket/a%fake", "", ""), 400);
            continue;
        }
        snprintf(text, sizeof(text), "text %d", i);
        put(h, keys[i], text);
    }
    for (int i = 0; keys[i + 1]; i++) {
        snprintf(target, sizeof(target), "/bucket/%s", keys[i]);
        snprintf(text, sizeof(text), "text %d", i);
        EQ_INT(ask(h, "GET", target, "", ""), 200);
        /* "../.." and "a+b" come twice: in two spellings */
        if (strcmp(keys[i], "a%2Bb") != 0)
            EQ_STR(body, text);
    }
    EQ_INT(ask(h, "PUT", "/bucket/nul%00", "", ""), 400);
    EQ_INT(ask(h, "PUT", "/bucket/%FF", "", ""), 400);
    harness_free(h);
}

TEST(the_longest_key_is_served_and_a_longer_one_is_not)
{
    struct harness *h = start(NULL);
    char target[3200] = "/bucket/";

    for (int i = 0; i < 1024; i++)
        strcat(target, i % 3 ? "%01" : "/");
    EQ_INT(ask(h, "PUT", target, "", "deep"), 200);
    EQ_INT(ask(h, "GET", target, "", ""), 200);
    EQ_STR(body, "deep");
    strcat(target, "x");
    EQ_INT(ask(h, "PUT", target, "", ""), 400);
    EQ_STR(element("Code", 0), "KeyTooLongError");
    harness_free(h);
}

/* ---- with the disk: in three steps ---- */

TEST(an_object_of_many_bytes_goes_the_long_way)
{
    enum { SIZE = 3 * 1024 * 1024 };
    struct harness *h = start(NULL);
    char *text = malloc(SIZE + 1);

    REQUIRE(text != NULL);
    memset(text, 'y', SIZE);
    text[SIZE] = '\0';
    EQ_INT(ask(h, "PUT", "/bucket/k", "If-None-Match: *\r\n", text), 200);
    EQ_INT(ask(h, "PUT", "/bucket/k", "x-amz-checksum-crc32: AAAAAA==\r\n", text), 400);
    EQ_INT(ask(h, "GET", "/bucket/k", "", ""), 200);
    EQ_INT(strlen(body), SIZE);
    EQ_INT(ask(h, "PUT", "/bucket/c", "x-amz-copy-source: bucket/k\r\n", ""), 200);
    EQ_INT(ask(h, "HEAD", "/bucket/c", "", ""), 200);
    EQ_STR(header(h, "content-length"), "3145728");
    free(text);
    harness_free(h);
}

static bool is_answered(void *arg)
{
    return harness_request_answered(arg);
}

TEST(of_two_writers_that_want_nothing_there_one_wins)
{
    enum { SIZE = 1024 * 1024 };
    struct harness *h = start(NULL);
    struct harness_exchange *x[2];
    char *text = malloc(SIZE);
    int won = 0, lost = 0;

    REQUIRE(text != NULL);
    memset(text, 'z', SIZE);
    for (int i = 0; i < 2; i++)
        x[i] =
            harness_request_begin(h, "PUT", "/bucket/k", SCOPE "If-None-Match: *\r\n", text, SIZE);
    for (int i = 0; i < 2; i++) {
        int status;

        harness_wait(h, is_answered, x[i]);
        status = harness_request_end(h, x[i], &body);
        won += status == 200;
        lost += status == 412;
    }
    EQ_INT(won, 1);
    EQ_INT(lost, 1);
    free(text);
    harness_free(h);
}

TEST(a_bucket_that_goes_takes_what_was_on_its_way)
{
    enum { SIZE = 1024 * 1024 };
    struct harness *h = start(NULL);
    struct harness_exchange *put_x, *delete_x;
    char *text = malloc(SIZE);
    int put_status, delete_status;

    REQUIRE(text != NULL);
    memset(text, 'z', SIZE);
    put_x = harness_request_begin(h, "PUT", "/bucket/k", SCOPE, text, SIZE);
    delete_x = harness_request_begin(h, "DELETE", "/bucket", SCOPE, "", 0);
    harness_wait(h, is_answered, put_x);
    put_status = harness_request_end(h, put_x, &body);
    harness_wait(h, is_answered, delete_x);
    delete_status = harness_request_end(h, delete_x, &body);
    YES((put_status == 200 && delete_status == 409) || (put_status == 404 && delete_status == 204));
    free(text);
    harness_free(h);
}
