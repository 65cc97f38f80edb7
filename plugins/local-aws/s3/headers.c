/* headers.c - the headers an object keeps: taken from a request, and given back. */
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/words.h"

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

/* A header's text; NULL: it holds what JSON cannot. */
static json_t *header_text(struct kpw_slice value)
{
    struct kpw_buf out = KPW_BUF_INIT;
    json_t *text;

    s3_words_decode(value, &out);
    text = json_stringn(out.ptr ? out.ptr : "", out.len);
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

/* What this service cannot keep is refused and not ignored. */
static bool check_demands(struct s3_call *call)
{
    static const char *const missing[] = {"x-amz-server-side-encryption-customer-algorithm",
                                          "x-amz-server-side-encryption-customer-key",
                                          "x-amz-write-offset-bytes"};
    static const char *const locks[] = {"x-amz-object-lock-mode",
                                        "x-amz-object-lock-retain-until-date",
                                        "x-amz-object-lock-legal-hold"};

    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        if (s3_header_or_parameter(call, missing[i]).ptr) {
            s3_not_implemented(call, missing[i], NULL);
            return false;
        }
    for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++)
        if (s3_header_or_parameter(call, locks[i]).ptr) {
            s3_refuse(call, "InvalidRequest", "Bucket is missing Object Lock Configuration", NULL);
            return false;
        }
    return true;
}

static bool check_encryption(struct s3_call *call, struct kpw_slice value)
{
    char text[40];

    if (kpw_slice_is(value, "AES256") || kpw_slice_is(value, "aws:kms") ||
        kpw_slice_is(value, "aws:kms:dsse"))
        return true;
    snprintf(text, sizeof(text), "%.*s", (int)(value.len < 30 ? value.len : 30), value.ptr);
    s3_refuse(call, "InvalidArgument", "The encryption method specified is not supported",
              "ArgumentName", "x-amz-server-side-encryption", "ArgumentValue", text, NULL);
    return false;
}

static bool check_header(struct s3_call *call, const char *name, struct kpw_slice value)
{
    if (strcmp(name, "x-amz-storage-class") == 0)
        return check_storage_class(call, value);
    if (strcmp(name, "x-amz-server-side-encryption") == 0)
        return check_encryption(call, value);
    if (strcmp(name, "x-amz-acl") == 0)
        return s3_is_canned_acl(call, value);
    if (strcmp(name, "x-amz-tagging") == 0)
        return s3_check_tagging_header(call, value);
    return true;
}

json_t *s3_stored_headers(struct s3_call *call)
{
    static const char *const names[] = {"content-type",
                                        "content-encoding",
                                        "content-disposition",
                                        "content-language",
                                        "cache-control",
                                        "expires",
                                        "x-amz-storage-class",
                                        "x-amz-website-redirect-location",
                                        "x-amz-tagging",
                                        "x-amz-acl",
                                        "x-amz-server-side-encryption",
                                        "x-amz-server-side-encryption-aws-kms-key-id"};
    json_t *headers = json_object();
    bool ok = check_demands(call);

    for (size_t i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++) {
        struct kpw_slice value = s3_header_or_parameter(call, names[i]);

        if (!value.ptr || value.len == 0)
            continue;
        ok = check_header(call, names[i], value);
        if (ok)
            keep_header(headers, names[i], value);
    }
    if (ok && keep_metadata(call, headers))
        return headers;
    json_decref(headers);
    return NULL;
}

/* ---- answers ---- */

const char *s3_stored(const struct s3_meta *meta, const char *name)
{
    const char *text = json_string_value(json_object_get(meta->headers, name));

    return text ? text : "";
}

/* Kept for other answers than those of the object itself. */
static bool is_private(const char *name, const char *text)
{
    return strcmp(name, "x-amz-tagging") == 0 || strcmp(name, "x-amz-acl") == 0 ||
           (strcmp(name, "x-amz-storage-class") == 0 && strcmp(text, "STANDARD") == 0);
}

static void add_stored(struct s3_call *call, const char *name, const char *text)
{
    struct kpw_buf value = KPW_BUF_INIT;

    if (strncmp(name, "x-amz-meta-", 11) == 0)
        s3_words_encode(kpw_slice_cstr(text), &value);
    else
        kpw_buf_puts(&value, text);
    if (kpw_buf_cstr(&value))
        s3_add_header(call, name, "%s", value.ptr);
    kpw_buf_fini(&value);
}

/* Adds what response-* parameters ask for. True: the type is among it. */
static bool add_overrides(struct s3_call *call)
{
    static const char *const names[] = {"content-type",  "content-language", "expires",
                                        "cache-control", "content-encoding", "content-disposition"};
    char parameter[48];
    bool has_type = false;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct s3_parameter *p;

        snprintf(parameter, sizeof(parameter), "response-%s", names[i]);
        p = s3_parameter(call, parameter);
        /* A line end in it would start a header of its own. */
        if (!p || strpbrk(p->value, "\r\n"))
            continue;
        s3_add_header(call, names[i], "%s", p->value);
        has_type = has_type || i == 0;
    }
    return has_type;
}

void s3_add_stored_headers(struct s3_call *call, const struct s3_meta *meta)
{
    bool has_type = add_overrides(call);
    char parameter[48];
    const char *name;
    json_t *value;

    call->names = json_incref(meta->headers);
    json_object_foreach(meta->headers, name, value)
    {
        const char *text = json_string_value(value);

        snprintf(parameter, sizeof(parameter), "response-%.30s", name);
        if (!text || is_private(name, text) || s3_parameter(call, parameter))
            continue;
        has_type = has_type || strcmp(name, "content-type") == 0;
        add_stored(call, name, text);
    }
    if (!has_type)
        s3_add_header(call, "content-type", "binary/octet-stream");
    if (!s3_stored(meta, "x-amz-server-side-encryption")[0])
        s3_add_header(call, "x-amz-server-side-encryption", "AES256");
}

void s3_add_encryption(struct s3_call *call, const struct s3_meta *meta)
{
    const char *kind = s3_stored(meta, "x-amz-server-side-encryption");
    const char *key = s3_stored(meta, "x-amz-server-side-encryption-aws-kms-key-id");

    s3_add_header(call, "x-amz-server-side-encryption", "%s", kind[0] ? kind : "AES256");
    if (key[0])
        s3_add_header(call, "x-amz-server-side-encryption-aws-kms-key-id", "%s", key);
}
