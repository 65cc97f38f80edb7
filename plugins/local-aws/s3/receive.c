/* receive.c - a request's body on its way into a file, with every digest the request carries. */
#include "plugins/local-aws/s3/receive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/local.h"
#include "plugins/local-aws/s3/chunked.h"
#include "sdk/wire/hash.h"

enum { SLICE = 128 * 1024 }; /* bytes */

static bool bad_request(struct s3_call *call, const char *text)
{
    s3_refuse(call, "InvalidRequest", text, NULL);
    return false;
}

static bool invalid_header(struct s3_call *call, const char *header)
{
    char text[120];

    snprintf(text, sizeof(text), "Value for %.80s header is invalid.", header);
    return bad_request(call, text);
}

/* ---- what the headers promise */

/* Is a header named x-amz-checksum-* one that carries a value? */
static bool is_value_header(struct kpw_slice name)
{
    return name.len > 15 && strncasecmp(name.ptr, "x-amz-checksum-", 15) == 0 &&
           !kpw_slice_is_nocase(name, "x-amz-checksum-algorithm") &&
           !kpw_slice_is_nocase(name, "x-amz-checksum-type") &&
           !kpw_slice_is_nocase(name, "x-amz-checksum-mode");
}

static bool set_expected(struct s3_receive *r, struct kpw_slice value)
{
    uint8_t raw[S3_SUM_RAW_MAX];

    if (value.len >= sizeof(r->expected) ||
        !s3_unbase64(value.ptr, value.len, raw, s3_sum_length(r->algorithm)))
        return invalid_header(r->call, s3_sum_header(r->algorithm));
    memcpy(r->expected, value.ptr, value.len);
    r->expected[value.len] = '\0';
    r->has_check = true;
    return true;
}

static bool only_one(struct s3_receive *r)
{
    return r->expected[0] == '\0' ||
           bad_request(r->call, "Expecting a single x-amz-checksum- header. Multiple checksum "
                                "Types are not allowed.");
}

static bool expect_header(struct s3_receive *r, struct kpw_slice name, struct kpw_slice value)
{
    enum s3_algorithm algorithm = s3_sum_of_header(name.ptr, name.len);
    char header[80];

    if (!is_value_header(name))
        return true;
    if (algorithm == S3_SUM_NONE) {
        snprintf(header, sizeof(header), "%.*s", (int)(name.len < 70 ? name.len : 70), name.ptr);
        return invalid_header(r->call, header);
    }
    if (!only_one(r))
        return false;
    r->algorithm = algorithm;
    return set_expected(r, value);
}

static bool expect_trailer(struct s3_receive *r)
{
    struct kpw_slice name = s3_header(r->call, "x-amz-trailer");

    if (!name.ptr || !is_value_header(name))
        return true;
    if (!only_one(r))
        return false;
    r->algorithm = s3_sum_of_header(name.ptr, name.len);
    r->in_trailer = true;
    return r->algorithm != S3_SUM_NONE ||
           bad_request(r->call, "The value specified in the x-amz-trailer header is not supported");
}

/* What SDKs announce must come, in a header or in the trailer. */
static bool check_announced(struct s3_receive *r)
{
    struct kpw_slice name = s3_header(r->call, "x-amz-sdk-checksum-algorithm");

    if (!name.ptr)
        return true;
    if (s3_sum_named(name.ptr, name.len) == S3_SUM_NONE)
        return invalid_header(r->call, "x-amz-sdk-checksum-algorithm");
    if (r->expected[0] == '\0' && !r->in_trailer)
        return bad_request(r->call, "x-amz-sdk-checksum-algorithm specified, but no corresponding "
                                    "x-amz-checksum-* or x-amz-trailer headers were found.");
    return s3_sum_named(name.ptr, name.len) == r->algorithm ||
           invalid_header(r->call, "x-amz-sdk-checksum-algorithm");
}

static bool read_expectations(struct s3_receive *r)
{
    struct s3_call *call = r->call;

    for (size_t i = 0; i < call->request->n_headers; i++) {
        const kp_http_header *h = &call->request->headers[i];

        if (!expect_header(r, kpw_slice(h->name.ptr, h->name.len),
                           kpw_slice(h->value.ptr, h->value.len)))
            return false;
    }
    for (size_t i = 0; i < call->n_parameters; i++) {
        const struct s3_parameter *p = &call->parameters[i];

        if (!expect_header(r, kpw_slice(p->name, strlen(p->name)), kpw_slice(p->value, p->len)))
            return false;
    }
    r->has_check = r->has_check || s3_header_or_parameter(call, "content-md5").ptr;
    return expect_trailer(r) && check_announced(r);
}

static bool is_streaming(const struct s3_call *call)
{
    return kpw_slice_starts(s3_header(call, "x-amz-content-sha256"), "STREAMING-");
}

/* A payload hash in the header that is a hash, not a word. */
static bool wants_payload_check(const struct s3_call *call)
{
    struct kpw_slice hash = s3_header_or_parameter(call, "x-amz-content-sha256");
    uint8_t raw[S3_SUM_RAW_MAX];

    return hash.len == 64 && kpw_hex_decode(hash.ptr, hash.len, raw);
}

static bool check_payload_word(struct s3_call *call)
{
    static const char *const words[] = {KPW_SIGV4_UNSIGNED, KPW_SIGV4_STREAMING,
                                        KPW_SIGV4_STREAMING_TRAILER,
                                        "STREAMING-UNSIGNED-PAYLOAD-TRAILER"};
    struct kpw_slice word = s3_header(call, "x-amz-content-sha256");
    char text[80];

    if (!word.ptr || wants_payload_check(call))
        return true;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (kpw_slice_is(word, words[i]))
            return true;
    if (kpw_slice_starts(word, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) {
        s3_not_implemented(call, "x-amz-content-sha256", NULL);
        return false;
    }
    snprintf(text, sizeof(text), "%.*s", (int)(word.len < 70 ? word.len : 70), word.ptr);
    s3_refuse(call, "InvalidArgument",
              "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
              "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
              "valid sha256 value.",
              "ArgumentName", "x-amz-content-sha256", "ArgumentValue", text, NULL);
    return false;
}

static bool has_decoded_length(struct s3_call *call)
{
    if (!is_streaming(call) || s3_header(call, "x-amz-decoded-content-length").ptr)
        return true;
    s3_refuse(call, "MissingContentLength", "You must provide the Content-Length HTTP header.",
              NULL);
    return false;
}

/* A whole body is in memory before it is looked at: that bounds one PUT. */
static bool is_small_enough(struct s3_call *call)
{
    struct kpw_slice text = s3_header(call, "x-amz-decoded-content-length");
    char size[24], most[16];

    snprintf(size, sizeof(size), "%zu", s3_body(call).len);
    if (text.ptr && is_streaming(call))
        snprintf(size, sizeof(size), "%.*s", (int)(text.len < 20 ? text.len : 20), text.ptr);
    if (strtoull(size, NULL, 10) <= LOCAL_BODY_MAX)
        return true;
    snprintf(most, sizeof(most), "%u", LOCAL_BODY_MAX);
    s3_refuse(call, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
              "ProposedSize", size, "MaxSizeAllowed", most, NULL);
    return false;
}

static bool start_sums(struct s3_receive *r)
{
    r->has_payload = wants_payload_check(r->call);
    if (s3_sum_init(&r->md5, S3_MD5) && s3_sum_init(&r->sum, r->algorithm) &&
        (!r->has_payload || s3_sum_init(&r->payload, S3_SHA256)))
        return true;
    s3_trouble(r->call);
    return false;
}

static bool begin(struct s3_receive *r, struct s3_call *call, enum s3_algorithm wanted,
                  bool has_sums)
{
    *r = (struct s3_receive){.call = call, .temp = {-1, ""}, .algorithm = wanted};
    if ((has_sums && !read_expectations(r)) || !check_payload_word(call) ||
        !has_decoded_length(call) || !is_small_enough(call))
        return false;
    if (r->algorithm == S3_SUM_NONE)
        r->algorithm = S3_CRC64NVME; /* what S3 computes by itself */
    return start_sums(r);
}

bool s3_receive_begin(struct s3_receive *r, struct s3_call *call, enum s3_algorithm wanted)
{
    if (!begin(r, call, wanted, true))
        return false;
    if (s3_temp_open(call->store, &r->temp))
        return true;
    s3_trouble(call);
    return false;
}

void s3_receive_fini(struct s3_receive *r)
{
    s3_sum_fini(&r->md5);
    s3_sum_fini(&r->sum);
    s3_sum_fini(&r->payload);
    s3_temp_drop(r->call->store, &r->temp);
    s3_meta_fini(&r->meta);
}

/* ---- the bytes */

/* In slices that stay in the cache while every digest and the file take them. */
static bool take_piece(struct s3_receive *r, const char *data, size_t len)
{
    while (len > 0) {
        size_t n = len < SLICE ? len : SLICE;

        s3_sum_add(&r->md5, data, n);
        s3_sum_add(&r->sum, data, n);
        if (r->has_payload)
            s3_sum_add(&r->payload, data, n);
        if (r->temp.fd >= 0 && !s3_temp_write(&r->temp, data, n)) {
            s3_trouble(r->call);
            return false;
        }
        r->meta.size += n;
        data += n;
        len -= n;
    }
    return true;
}

static bool incomplete(struct s3_call *call)
{
    s3_refuse(call, "IncompleteBody", "The request body terminated unexpectedly", NULL);
    return false;
}

static bool malformed_trailer(struct s3_call *call)
{
    s3_refuse(call, "MalformedTrailerError",
              "The request contained trailing data that was not well-formed or did not conform to "
              "our published schema.",
              NULL);
    return false;
}

static bool check_decoded_length(struct s3_receive *r)
{
    struct kpw_slice text = s3_header(r->call, "x-amz-decoded-content-length");
    char size[24];

    snprintf(size, sizeof(size), "%llu", (unsigned long long)r->meta.size);
    return !text.ptr || kpw_slice_is(text, size) || incomplete(r->call);
}

static bool same_signature(struct s3_receive *r, const char *given, size_t len, const char *ours)
{
    if (len == KPW_SIGV4_HEX - 1 && kpw_equal_ct(given, ours, len))
        return true;
    s3_refuse(r->call, "SignatureDoesNotMatch",
              "The request signature we calculated does not match the signature you provided. "
              "Check your key and signing method.",
              NULL);
    return false;
}

static bool prove_chunk(struct s3_receive *r, const struct s3_chunked *chunked, const char *data,
                        size_t len)
{
    char ours[KPW_SIGV4_HEX];

    if (!r->call->proves_chunks)
        return true;
    kpw_sigv4_chunk_sign(&r->call->chunks, data, len, ours);
    return same_signature(r, chunked->signature, chunked->signature_len, ours);
}

static bool prove_trailer(struct s3_receive *r, const struct s3_chunked *chunked)
{
    const char *given;
    char ours[KPW_SIGV4_HEX], *block;
    size_t len, n;

    if (!r->call->proves_chunks ||
        !kpw_slice_is(s3_header(r->call, "x-amz-content-sha256"), KPW_SIGV4_STREAMING_TRAILER))
        return true;
    block = malloc(chunked->trailer_len + 1);
    if (!block) {
        s3_trouble(r->call);
        return false;
    }
    n = s3_chunked_trailer_block(chunked, block, &given, &len);
    kpw_sigv4_trailer_sign(&r->call->chunks, kpw_slice(block, n), ours);
    free(block);
    return same_signature(r, given, len, ours);
}

static bool check_frames(struct s3_receive *r, const struct s3_chunked *chunked)
{
    if (chunked->is_bad)
        return incomplete(r->call);
    if (chunked->is_small) {
        s3_refuse(r->call, "InvalidChunkSizeError",
                  "Only the last chunk is allowed to have a size less than 8192 bytes", NULL);
        return false;
    }
    return check_decoded_length(r) && prove_chunk(r, chunked, "", 0) && prove_trailer(r, chunked);
}

static bool take_chunked(struct s3_receive *r, struct kpw_slice body)
{
    struct s3_chunked chunked;
    const char *data;
    size_t len;

    s3_chunked_init(&chunked, body.ptr ? body.ptr : "", body.len);
    while (s3_chunked_next(&chunked, &data, &len))
        if (!prove_chunk(r, &chunked, data, len) || !take_piece(r, data, len))
            return false;
    if (!check_frames(r, &chunked))
        return false;
    if (!r->in_trailer)
        return true;
    if (s3_chunked_trailer(&chunked, s3_sum_header(r->algorithm), &data, &len))
        return set_expected(r, kpw_slice(data, len));
    return malformed_trailer(r->call);
}

static bool is_chunked(const struct s3_call *call)
{
    struct kpw_slice encoding = s3_header(call, "content-encoding");

    return is_streaming(call) ||
           (encoding.ptr && memmem(encoding.ptr, encoding.len, "aws-chunked", 11) &&
            s3_header(call, "x-amz-decoded-content-length").ptr);
}

/* ---- what came of it */

static bool check_payload(struct s3_receive *r)
{
    struct kpw_slice given = s3_header_or_parameter(r->call, "x-amz-content-sha256");
    uint8_t raw[S3_SUM_RAW_MAX];
    char hex[2 * S3_SUM_RAW_MAX + 1], theirs[2 * S3_SUM_RAW_MAX + 1];

    if (!r->has_payload)
        return true;
    s3_hex(raw, s3_sum_end(&r->payload, raw), hex);
    if (kpw_slice_is_nocase(given, hex))
        return true;
    snprintf(theirs, sizeof(theirs), "%.*s", (int)given.len, given.ptr);
    s3_refuse(r->call, "XAmzContentSHA256Mismatch",
              "The provided 'x-amz-content-sha256' header does not match what was computed.",
              "ClientComputedContentSHA256", theirs, "S3ComputedContentSHA256", hex, NULL);
    return false;
}

static bool check_md5(struct s3_call *call, const uint8_t *raw)
{
    struct kpw_slice given = s3_header_or_parameter(call, "content-md5");
    uint8_t expected[S3_SUM_RAW_MAX];
    char text[S3_SUM_TEXT_MAX], ours[S3_SUM_TEXT_MAX];

    if (!given.ptr)
        return true;
    snprintf(text, sizeof(text), "%.*s", (int)(given.len < 40 ? given.len : 40), given.ptr);
    if (!s3_unbase64(given.ptr, given.len, expected, 16)) {
        s3_refuse(call, "InvalidDigest", "The Content-MD5 you specified was invalid.",
                  "Content-MD5", text, NULL);
        return false;
    }
    if (memcmp(expected, raw, 16) == 0)
        return true;
    s3_base64(raw, 16, ours);
    s3_refuse(call, "BadDigest", "The Content-MD5 you specified did not match what we received.",
              "ExpectedDigest", text, "CalculatedDigest", ours, NULL);
    return false;
}

static bool check_checksum(struct s3_receive *r, const char *ours)
{
    char text[120];

    if (r->expected[0] == '\0' || strcmp(r->expected, ours) == 0)
        return true;
    snprintf(text, sizeof(text), "The %s you specified did not match the calculated checksum.",
             s3_sum_name(r->algorithm));
    s3_refuse(r->call, "BadDigest", text, NULL);
    return false;
}

static bool finish(struct s3_receive *r)
{
    struct s3_meta *meta = &r->meta;
    uint8_t raw[S3_SUM_RAW_MAX];

    s3_sum_end(&r->md5, raw);
    s3_hex(raw, 16, meta->etag);
    if (!check_payload(r) || !check_md5(r->call, raw))
        return false;
    s3_base64(raw, s3_sum_end(&r->sum, raw), meta->checksum);
    meta->algorithm = r->algorithm;
    meta->is_composite = false;
    if (!check_checksum(r, meta->checksum))
        return false;
    if (r->temp.fd < 0 || !r->call->store->sync || s3_temp_sync(&r->temp))
        return true;
    s3_trouble(r->call);
    return false;
}

bool s3_receive_run(struct s3_receive *r, struct kpw_slice body)
{
    return (is_chunked(r->call) ? take_chunked(r, body)
                                : take_piece(r, body.ptr ? body.ptr : "", body.len)) &&
           finish(r);
}

bool s3_check_document(struct s3_call *call, enum s3_document kind)
{
    struct s3_receive r;
    bool ok = begin(&r, call, S3_SUM_NONE, kind != S3_PAYLOAD_ONLY);

    if (ok && kind == S3_REQUIRED && !r.has_check && !r.in_trailer)
        ok = bad_request(call, "Missing required header for this request: Content-MD5 OR "
                               "x-amz-checksum-*");
    ok = ok && s3_receive_run(&r, s3_body(call));
    s3_receive_fini(&r);
    return ok;
}
