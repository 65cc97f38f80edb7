/* chunk_test.c - S3 through HTTP: bodies in chunks whose signatures are proven. */
#include "plugins/local-aws/s3/signed_test.h"

enum { BIG_CHUNK = 8192, SMALL_CHUNK = 100, ALL = BIG_CHUNK + SMALL_CHUNK };

#define CRC "x-amz-checksum-crc32"

/* What is done to a request after it was signed. */
enum damage {
    NOTHING,
    OTHER_BYTE,      /* of the second chunk */
    OTHER_SIGNATURE, /* of the last, empty chunk */
    NO_SIGNATURES,
    SWAPPED_TRAILER, /* another checksum under the same trailer signature */
    NO_TRAILER,
};

static char content[ALL + 1];

static void add_chunk(struct kpw_buf *out, struct kpw_sigv4_chunks *chunks, const char *data,
                      size_t len, enum damage damage)
{
    char signature[KPW_SIGV4_HEX];

    kpw_sigv4_chunk_sign(chunks, data, len, signature);
    if (damage == OTHER_SIGNATURE && len == 0)
        signature[5] = signature[5] == '0' ? '1' : '0';
    if (damage == NO_SIGNATURES)
        kpw_buf_appendf(out, "%zx\r\n", len);
    else
        kpw_buf_appendf(out, "%zx;chunk-signature=%s\r\n", len, signature);
    kpw_buf_append(out, data, len);
    if (damage == OTHER_BYTE && len == SMALL_CHUNK)
        out->ptr[out->len - 1]++;
    if (len > 0)
        kpw_buf_puts(out, "\r\n");
}

static void add_trailer(struct kpw_buf *out, struct kpw_sigv4_chunks *chunks, enum damage damage)
{
    static const char block[] = CRC ":JROPrw==\n";
    char signature[KPW_SIGV4_HEX];

    if (damage == NO_TRAILER)
        return;
    kpw_sigv4_trailer_sign(chunks, kpw_slice(block, sizeof(block) - 1), signature);
    kpw_buf_puts(out, damage == SWAPPED_TRAILER ? CRC ":AAAAAA==\r\n" : CRC ":JROPrw==\r\n");
    kpw_buf_appendf(out, "x-amz-trailer-signature:%s\r\n", signature);
}

static int put_chunks(struct harness *h, const char *payload, enum damage damage)
{
    bool has_trailer = strcmp(payload, KPW_SIGV4_STREAMING_TRAILER) == 0;
    struct signer s = signer_s3(payload);
    struct kpw_sigv4_chunks chunks;
    struct kpw_buf out = KPW_BUF_INIT;
    char lines[300];
    const char *headers;
    int status;

    snprintf(lines, sizeof(lines),
             "Content-Encoding: aws-chunked\r\nx-amz-decoded-content-length: %d\r\n%s", ALL,
             has_trailer ? "x-amz-trailer: " CRC "\r\n" : "");
    headers = sign(&s, "PUT", "/bucket/k", lines, kpw_slice(NULL, 0), &chunks);
    memset(content, 'a', ALL);
    add_chunk(&out, &chunks, content, BIG_CHUNK, damage);
    add_chunk(&out, &chunks, content + BIG_CHUNK, SMALL_CHUNK, damage);
    add_chunk(&out, &chunks, "", 0, damage);
    if (has_trailer)
        add_trailer(&out, &chunks, damage);
    kpw_buf_puts(&out, "\r\n");
    REQUIRE(!out.failed);
    status = harness_request(h, "PUT", "/bucket/k", headers, out.ptr, out.len, &body);
    kpw_buf_fini(&out);
    return status;
}

static struct harness *start_bucket(void)
{
    struct harness *h = start_signed();
    struct signer s = signer_s3(NULL);

    EQ_INT(ask_signed(h, &s, "PUT", "/bucket", ""), 200);
    return h;
}

static void expect_content(struct harness *h)
{
    struct signer s = signer_s3(NULL);

    EQ_INT(ask_signed(h, &s, "GET", "/bucket/k", ""), 200);
    EQ_INT(strlen(body), ALL);
    EQ_INT(memcmp(body, content, ALL), 0);
}

TEST(chunks_with_right_signatures_are_stored)
{
    struct harness *h = start_bucket();

    EQ_INT(put_chunks(h, KPW_SIGV4_STREAMING, NOTHING), 200);
    expect_content(h);
    harness_free(h);
}

TEST(a_signed_trailer_is_proven)
{
    struct harness *h = start_bucket();

    EQ_INT(put_chunks(h, KPW_SIGV4_STREAMING_TRAILER, NOTHING), 200);
    EQ_STR(header(h, CRC), "JROPrw==");
    expect_content(h);
    harness_free(h);
}

TEST(a_damaged_chunk_leaves_nothing)
{
    static const struct {
        const char *payload;
        enum damage damage;
        int status;
        const char *code;
    } cases[] = {
        {KPW_SIGV4_STREAMING, OTHER_BYTE, 403, "SignatureDoesNotMatch"},
        {KPW_SIGV4_STREAMING, OTHER_SIGNATURE, 403, "SignatureDoesNotMatch"},
        {KPW_SIGV4_STREAMING, NO_SIGNATURES, 403, "SignatureDoesNotMatch"},
        {KPW_SIGV4_STREAMING_TRAILER, OTHER_BYTE, 403, "SignatureDoesNotMatch"},
        {KPW_SIGV4_STREAMING_TRAILER, SWAPPED_TRAILER, 403, "SignatureDoesNotMatch"},
        {KPW_SIGV4_STREAMING_TRAILER, NO_TRAILER, 403, "SignatureDoesNotMatch"},
    };
    struct harness *h = start_bucket();
    struct signer s = signer_s3(NULL);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EQ_INT(put_chunks(h, cases[i].payload, cases[i].damage), cases[i].status);
        EQ_STR(element("Code", 0), cases[i].code);
        EQ_INT(ask_signed(h, &s, "GET", "/bucket/k", ""), 404);
    }
    harness_free(h);
}

TEST(a_body_that_is_not_the_signed_one_is_not_stored)
{
    struct harness *h = start_bucket();
    struct signer s = signer_s3(NULL);
    const char *headers = sign(&s, "PUT", "/bucket/k", "", kpw_slice_cstr("signed"), NULL);

    EQ_INT(harness_request(h, "PUT", "/bucket/k", headers, "forged", 6, &body), 400);
    EQ_STR(element("Code", 0), "XAmzContentSHA256Mismatch");
    headers = sign(&s, "POST", "/bucket?delete", "Content-MD5: GL6SfCZ6sFOMR2q83hQmlw==\r\n",
                   kpw_slice_cstr("signed"), NULL);
    EQ_INT(harness_request(h, "POST", "/bucket?delete", headers, "forged", 6, &body), 400);
    EQ_STR(element("Code", 0), "XAmzContentSHA256Mismatch");
    headers = sign(&s, "PUT", "/bucket?policy", "", kpw_slice_cstr("{\"Statement\":[]}"), NULL);
    EQ_INT(harness_request(h, "PUT", "/bucket?policy", headers, "{\"Statement\":[1]}", 17, &body),
           400);
    EQ_STR(element("Code", 0), "XAmzContentSHA256Mismatch");
    headers = sign(&s, "PUT", "/bucket2", "", kpw_slice_cstr(""), NULL);
    EQ_INT(harness_request(h, "PUT", "/bucket2", headers, "<a/>", 4, &body), 400);
    EQ_STR(element("Code", 0), "XAmzContentSHA256Mismatch");
    harness_free(h);
}

/* ---- frames that are refused without any signature */

static int put_frames(struct harness *h, const char *frames)
{
    char headers[300];

    snprintf(headers, sizeof(headers),
             SCOPE "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
                   "x-amz-decoded-content-length: 3\r\nx-amz-trailer: " CRC "\r\n");
    return harness_request(h, "PUT", "/bucket/k", headers, frames, strlen(frames), &body);
}

TEST(broken_frames_are_refused)
{
    static const struct {
        const char *frames, *code;
    } cases[] = {
        {"3\r\nabc\r\n0\r\n" CRC ":NSRBwg==\r\n\r\n", NULL},
        {"3\r\nabc\r\n0\r\n" CRC ": NSRBwg==\n", NULL},
        {"3\r\nabc\r\n0\r\n" CRC ":AAAAAA==\r\n\r\n", "BadDigest"},
        {"3\r\nabc\r\n0\r\n" CRC ":rubbish\r\n\r\n", "InvalidRequest"},
        {"3\r\nabc\r\n0\r\n\r\n", "MalformedTrailerError"},
        {"3\r\nabc\r\n", "IncompleteBody"},
        {"3\r\nab", "IncompleteBody"},
        {"4\r\nabc\r\n0\r\n\r\n", "IncompleteBody"},
        {"zz\r\nabc\r\n0\r\n\r\n", "IncompleteBody"},
        {"2\r\nab\r\n0\r\n" CRC ":NSRBwg==\r\n\r\n", "IncompleteBody"},
        {"1\r\na\r\n2\r\nbc\r\n0\r\n" CRC ":NSRBwg==\r\n\r\n", "InvalidChunkSizeError"},
        {"ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "IncompleteBody"},
        {"", "IncompleteBody"},
    };
    struct harness *h = start(NULL);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = put_frames(h, cases[i].frames);

        EQ_INT(status == 200, cases[i].code == NULL);
        if (cases[i].code)
            EQ_STR(element("Code", 0), cases[i].code);
    }
    EQ_INT(ask(h, "PUT", "/bucket/k",
               "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n", "0\r\n\r\n"),
           411);
    EQ_STR(element("Code", 0), "MissingContentLength");
    harness_free(h);
}
