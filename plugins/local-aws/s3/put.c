/* put.c - PutObject: bodies in, digests verified, conditions kept. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/chunked.h"
#include "sdk/wire/hash.h"

enum { METADATA_MAX = 2048, METADATA_HEADERS_MAX = 128 }; /* bytes; all must fit an answer */

/* ---- the headers an object keeps ---- */

/* "gzip,aws-chunked" without the part that is only about the transport. */
static json_t *content_encoding(struct kpw_slice value)
{
    struct kpw_buf out = KPW_BUF_INIT;
    json_t *ret = NULL;

    while (value.len > 0) {
        const char *comma = memchr(value.ptr, ',', value.len);
        size_t n = comma ? (size_t)(comma - value.ptr) : value.len;
        struct kpw_slice part = kpw_slice_trim(kpw_slice(value.ptr, n));

        if (part.len > 0 && !kpw_slice_is_nocase(part, "aws-chunked"))
            kpw_buf_appendf(&out, "%s%.*s", out.len ? "," : "", (int)part.len, part.ptr);
        n = comma ? n + 1 : n;
        value.ptr += n;
        value.len -= n;
    }
    if (out.len > 0)
        ret = json_stringn(out.ptr, out.len);
    kpw_buf_fini(&out);
    return ret;
}

/* A header's bytes as JSON text: those that are not UTF-8 are taken as Latin-1. */
static json_t *header_text(struct kpw_slice value)
{
    json_t *text = json_stringn(value.ptr, value.len);
    struct kpw_buf out = KPW_BUF_INIT;

    if (text)
        return text;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if (c < 0x80) {
            kpw_buf_putc(&out, (char)c);
        } else {
            kpw_buf_putc(&out, (char)(0xC0 | c >> 6));
            kpw_buf_putc(&out, (char)(0x80 | (c & 0x3F)));
        }
    }
    text = json_stringn(out.ptr, out.len);
    kpw_buf_fini(&out);
    return text;
}

static void keep_header(json_t *headers, const char *name, struct kpw_slice value)
{
    json_t *text =
        strcmp(name, "content-encoding") == 0 ? content_encoding(value) : header_text(value);

    if (text)
        json_object_set_new(headers, name, text);
}

static bool keep_metadata(struct s3_call *call, json_t *headers)
{
    static const char prefix[] = "x-amz-meta-";
    size_t sum = 0;
    char name[256];

    for (size_t i = 0; i < call->request->n_headers; i++) {
        const kp_http_header *h = &call->request->headers[i];

        if (h->name.len < sizeof(prefix) - 1 || h->name.len >= sizeof(name) ||
            strncasecmp(h->name.ptr, prefix, sizeof(prefix) - 1) != 0)
            continue;
        for (size_t k = 0; k < h->name.len; k++)
            name[k] = (char)(h->name.ptr[k] >= 'A' && h->name.ptr[k] <= 'Z' ? h->name.ptr[k] | 0x20
                                                                            : h->name.ptr[k]);
        name[h->name.len] = '\0';
        sum += h->name.len - (sizeof(prefix) - 1) + h->value.len;
        keep_header(headers, name, kpw_slice(h->value.ptr, h->value.len));
    }
    for (size_t i = 0; i < call->n_parameters; i++) {
        const struct s3_parameter *p = &call->parameters[i];

        if (strncmp(p->name, prefix, sizeof(prefix) - 1) == 0)
            keep_header(headers, p->name, kpw_slice(p->value, p->len));
    }
    if (sum <= METADATA_MAX && json_object_size(headers) <= METADATA_HEADERS_MAX)
        return true;
    s3_refuse(call, "MetadataTooLarge",
              "Your metadata headers exceed the maximum allowed metadata size", "MaxSizeAllowed",
              "2048", NULL);
    return false;
}

static bool check_storage_class(struct s3_call *call, struct kpw_slice value)
{
    static const char *const known[] = {"STANDARD",     "REDUCED_REDUNDANCY",  "STANDARD_IA",
                                        "ONEZONE_IA",   "INTELLIGENT_TIERING", "GLACIER",
                                        "DEEP_ARCHIVE", "GLACIER_IR",          "OUTPOSTS",
                                        "SNOW",         "EXPRESS_ONEZONE"};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (kpw_slice_is(value, known[i]))
            return true;
    s3_refuse(call, "InvalidStorageClass", "The storage class you specified is not valid", NULL);
    return false;
}

json_t *s3_stored_headers(struct s3_call *call)
{
    static const char *const names[] = {"content-type",        "content-encoding",
                                        "content-disposition", "content-language",
                                        "cache-control",       "expires",
                                        "x-amz-storage-class", "x-amz-website-redirect-location",
                                        "x-amz-tagging"};
    json_t *headers = json_object();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct kpw_slice value = s3_header_or_parameter(call, names[i]);

        if (!value.ptr || value.len == 0)
            continue;
        if (strcmp(names[i], "x-amz-storage-class") == 0 && !check_storage_class(call, value)) {
            json_decref(headers);
            return NULL;
        }
        keep_header(headers, names[i], value);
    }
    if (keep_metadata(call, headers))
        return headers;
    json_decref(headers);
    return NULL;
}

/* ---- receiving a body ---- */

struct receive {
    struct s3_call *call;
    struct s3_temp *temp;
    struct s3_sum md5, sum, payload; /* ETag; checksum; x-amz-content-sha256 */
    bool has_payload;                /* the payload's hash is to be verified */
    uint64_t size;
    enum s3_algorithm algorithm;
    char expected[S3_CHECKSUM_MAX]; /* base64 the client sent; "": none */
    bool in_trailer;
};

static bool bad_request(struct s3_call *call, const char *text)
{
    s3_refuse(call, "InvalidRequest", text, NULL);
    return false;
}

static bool invalid_checksum(struct s3_call *call, const char *header)
{
    char text[120];

    snprintf(text, sizeof(text), "Value for %s header is invalid.", header);
    return bad_request(call, text);
}

/* Is a header named x-amz-checksum-* one that carries a value? */
static bool is_value_header(struct kpw_slice name)
{
    return name.len > 15 && strncasecmp(name.ptr, "x-amz-checksum-", 15) == 0 &&
           !kpw_slice_is_nocase(name, "x-amz-checksum-algorithm") &&
           !kpw_slice_is_nocase(name, "x-amz-checksum-type") &&
           !kpw_slice_is_nocase(name, "x-amz-checksum-mode");
}

static bool set_expected(struct receive *r, struct kpw_slice value)
{
    uint8_t raw[S3_SUM_RAW_MAX];

    if (value.len >= sizeof(r->expected) ||
        !s3_unbase64(value.ptr, value.len, raw, s3_sum_length(r->algorithm)))
        return invalid_checksum(r->call, s3_sum_header(r->algorithm));
    memcpy(r->expected, value.ptr, value.len);
    r->expected[value.len] = '\0';
    return true;
}

static bool expect_header(struct receive *r, struct kpw_slice name, struct kpw_slice value)
{
    enum s3_algorithm algorithm = s3_sum_of_header(name.ptr, name.len);
    char header[80];

    if (!is_value_header(name))
        return true;
    if (algorithm == S3_SUM_NONE) {
        snprintf(header, sizeof(header), "%.*s", (int)(name.len < 70 ? name.len : 70), name.ptr);
        return invalid_checksum(r->call, header);
    }
    if (r->expected[0] != '\0')
        return bad_request(r->call, "Expecting a single x-amz-checksum- header. Multiple checksum "
                                    "Types are not allowed.");
    r->algorithm = algorithm;
    return set_expected(r, value);
}

static bool expect_trailer(struct receive *r)
{
    struct kpw_slice name = s3_header(r->call, "x-amz-trailer");

    if (!name.ptr || !is_value_header(name))
        return true;
    if (r->expected[0] != '\0')
        return bad_request(r->call, "Expecting a single x-amz-checksum- header. Multiple checksum "
                                    "Types are not allowed.");
    r->algorithm = s3_sum_of_header(name.ptr, name.len);
    r->in_trailer = true;
    return r->algorithm != S3_SUM_NONE ||
           bad_request(r->call, "The value specified in the x-amz-trailer header is not supported");
}

static bool read_expectations(struct receive *r)
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
    return expect_trailer(r);
}

static bool take_piece(struct receive *r, const char *data, size_t len)
{
    s3_sum_add(&r->md5, data, len);
    s3_sum_add(&r->sum, data, len);
    if (r->has_payload)
        s3_sum_add(&r->payload, data, len);
    r->size += len;
    if (s3_temp_write(r->temp, data, len))
        return true;
    s3_trouble(r->call);
    return false;
}

static bool incomplete(struct s3_call *call)
{
    s3_refuse(call, "IncompleteBody", "The request body terminated unexpectedly", NULL);
    return false;
}

static bool check_decoded_length(struct receive *r)
{
    struct kpw_slice text = s3_header(r->call, "x-amz-decoded-content-length");
    char size[24];

    snprintf(size, sizeof(size), "%llu", (unsigned long long)r->size);
    return !text.ptr || kpw_slice_is(text, size) || incomplete(r->call);
}

static bool take_chunked(struct receive *r)
{
    struct kpw_slice body = s3_body(r->call);
    struct s3_chunked chunked;
    const char *data;
    size_t len;

    s3_chunked_init(&chunked, body.ptr, body.len);
    while (s3_chunked_next(&chunked, &data, &len))
        if (!take_piece(r, data, len))
            return false;
    if (chunked.is_bad)
        return incomplete(r->call);
    if (!check_decoded_length(r))
        return false;
    if (!r->in_trailer)
        return true;
    if (s3_chunked_trailer(&chunked, s3_sum_header(r->algorithm), &data, &len))
        return set_expected(r, kpw_slice(data, len));
    s3_refuse(r->call, "MalformedTrailerError",
              "The request contained trailing data that was not well-formed or did not conform to "
              "our published schema.",
              NULL);
    return false;
}

static bool is_chunked(const struct s3_call *call)
{
    struct kpw_slice encoding = s3_header(call, "content-encoding");

    if (kpw_slice_starts(s3_header(call, "x-amz-content-sha256"), "STREAMING-"))
        return true;
    return encoding.ptr && memmem(encoding.ptr, encoding.len, "aws-chunked", 11) &&
           s3_header(call, "x-amz-decoded-content-length").ptr;
}

/* A payload hash in the header that is a hash, not a word. */
static bool wants_payload_check(const struct s3_call *call)
{
    struct kpw_slice hash = s3_header(call, "x-amz-content-sha256");
    uint8_t raw[S3_SUM_RAW_MAX];

    return hash.len == 64 && kpw_hex_decode(hash.ptr, hash.len, raw);
}

static bool check_payload(struct receive *r)
{
    uint8_t raw[S3_SUM_RAW_MAX];
    char hex[2 * S3_SUM_RAW_MAX + 1];

    if (!r->has_payload)
        return true;
    s3_hex(raw, s3_sum_end(&r->payload, raw), hex);
    if (kpw_slice_is(s3_header(r->call, "x-amz-content-sha256"), hex))
        return true;
    s3_refuse(r->call, "XAmzContentSHA256Mismatch",
              "The provided 'x-amz-content-sha256' header does not match what was computed.", NULL);
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

static bool check_checksum(struct receive *r, const char *ours)
{
    char text[120];

    if (r->expected[0] == '\0' || strcmp(r->expected, ours) == 0)
        return true;
    snprintf(text, sizeof(text), "The %s you specified did not match the calculated checksum.",
             s3_sum_name(r->algorithm));
    s3_refuse(r->call, "BadDigest", text, NULL);
    return false;
}

static bool finish_receive(struct receive *r, struct s3_meta *meta)
{
    uint8_t raw[S3_SUM_RAW_MAX];

    s3_sum_end(&r->md5, raw);
    s3_hex(raw, 16, meta->etag);
    if (!check_payload(r) || !check_md5(r->call, raw))
        return false;
    s3_base64(raw, s3_sum_end(&r->sum, raw), meta->checksum);
    meta->size = r->size;
    meta->algorithm = r->algorithm;
    meta->is_composite = false;
    return check_checksum(r, meta->checksum);
}

static bool start_sums(struct receive *r)
{
    r->has_payload = wants_payload_check(r->call);
    if (s3_sum_init(&r->md5, S3_MD5) && s3_sum_init(&r->sum, r->algorithm) &&
        (!r->has_payload || s3_sum_init(&r->payload, S3_SHA256)) &&
        s3_temp_open(r->call->store, r->temp))
        return true;
    s3_trouble(r->call);
    return false;
}

bool s3_receive(struct s3_call *call, enum s3_algorithm wanted, struct s3_temp *temp,
                struct s3_meta *meta)
{
    struct receive r = {.call = call, .temp = temp, .algorithm = wanted};
    struct kpw_slice body = s3_body(call);
    bool ok = read_expectations(&r);

    if (r.algorithm == S3_SUM_NONE)
        r.algorithm = S3_CRC64NVME; /* what S3 computes by itself */
    ok = ok && start_sums(&r) &&
         (is_chunked(call) ? take_chunked(&r) : take_piece(&r, body.ptr, body.len)) &&
         finish_receive(&r, meta);
    s3_sum_fini(&r.md5);
    s3_sum_fini(&r.sum);
    s3_sum_fini(&r.payload);
    return ok;
}

/* ---- conditions ---- */

bool s3_etag_in(struct kpw_slice list, const char *etag)
{
    size_t n = strlen(etag);

    list = kpw_slice_trim(list);
    if (kpw_slice_is(list, "*"))
        return true;
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        struct kpw_slice one = kpw_slice_trim(kpw_slice(list.ptr, len));

        if (kpw_slice_starts(one, "W/"))
            one = kpw_slice(one.ptr + 2, one.len - 2);
        if (one.len >= 2 && one.ptr[0] == '"' && one.ptr[one.len - 1] == '"')
            one = kpw_slice(one.ptr + 1, one.len - 2);
        if (one.len == n && memcmp(one.ptr, etag, n) == 0)
            return true;
        len = comma ? len + 1 : len;
        list.ptr += len;
        list.len -= len;
    }
    return false;
}

static bool not_implemented(struct s3_call *call, const char *header, const char *more)
{
    s3_refuse(call, "NotImplemented",
              "A header you provided implies functionality that is not implemented", "Header",
              header, "additionalMessage", more, NULL);
    return false;
}

/* S3 writes if nothing is there, or if a named ETag is: one of the two at a time. */
static bool are_known_conditions(struct s3_call *call, struct kpw_slice match,
                                 struct kpw_slice none)
{
    if (match.ptr && none.ptr)
        return not_implemented(call, "If-Match,If-None-Match",
                               "Multiple conditional request headers present in the request");
    if (none.ptr && !kpw_slice_is(none, "*"))
        return not_implemented(
            call, "If-None-Match",
            "We don't accept the provided value of If-None-Match header for this "
            "API");
    if (match.ptr && kpw_slice_is(match, "*"))
        return not_implemented(
            call, "If-Match", "We don't accept the provided value of If-Match header for this API");
    return true;
}

bool s3_may_write(struct s3_call *call, const char *if_match_name, const char *if_none_match_name)
{
    struct kpw_slice match = s3_header(call, if_match_name);
    struct kpw_slice none = s3_header(call, if_none_match_name);
    struct s3_key key = s3_key(call);
    struct s3_object object;
    bool exists, same;

    if (!match.ptr && !none.ptr)
        return true;
    if (!are_known_conditions(call, match, none))
        return false;
    exists = s3_object_find(call->store, &key, &object);
    same = exists && match.ptr && s3_etag_in(match, object.meta.etag);
    s3_object_fini(&object);
    if (none.ptr && exists)
        s3_precondition_failed(call, "If-None-Match");
    else if (match.ptr && !exists)
        s3_no_such_key(call);
    else if (match.ptr && !same)
        s3_precondition_failed(call, "If-Match");
    else
        return true;
    return false;
}

void s3_add_checksum(struct s3_call *call, const struct s3_meta *meta)
{
    if (meta->algorithm == S3_SUM_NONE || meta->checksum[0] == '\0')
        return;
    s3_add_header(call, s3_sum_header(meta->algorithm), "%s", meta->checksum);
    s3_add_header(call, "x-amz-checksum-type", "%s",
                  meta->is_composite ? "COMPOSITE" : "FULL_OBJECT");
}

void s3_put_object(struct s3_call *call)
{
    struct s3_temp temp = {-1, ""};
    struct s3_meta meta = {.modified_ms = call->now_ms};
    struct s3_key key = s3_key(call);

    meta.headers = s3_stored_headers(call);
    /* Conditions before the body saves the work; nothing else runs between them and publish. */
    if (!meta.headers || !s3_may_write(call, "if-match", "if-none-match") ||
        !s3_receive(call, S3_SUM_NONE, &temp, &meta))
        goto out;
    if (!s3_object_publish(call->store, &key, &temp, &meta)) {
        s3_trouble(call);
        goto out;
    }
    s3_ok(call, 200);
    s3_add_header(call, "etag", "\"%s\"", meta.etag);
    s3_add_header(call, "x-amz-server-side-encryption", "AES256");
    s3_add_checksum(call, &meta);
out:
    s3_temp_drop(call->store, &temp);
    s3_meta_fini(&meta);
}
