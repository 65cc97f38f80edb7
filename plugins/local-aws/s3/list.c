/* list.c - ListObjects, ListObjectsV2 and ListObjectVersions (of a bucket without versions).
 *
 * Keys come from the store in order. A key that holds the delimiter behind the
 * prefix becomes a common prefix, and the walk goes on behind all keys of that
 * prefix: so a page costs what it shows, however many keys a folder has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/document.h"
#include "sdk/wire/base64.h"

enum { KEYS_MAX = 1000 };
enum listing { LIST_V1, LIST_V2, LIST_VERSIONS };

struct list {
    struct s3_call *call;
    enum listing kind;
    const char *prefix, *delimiter;
    size_t prefix_len, delimiter_len;
    long max_keys;
    bool encode;         /* encoding-type=url */
    struct kpw_buf from; /* where the walk (re)starts [owned] */
    bool from_included;
    bool again; /* restart behind a common prefix */
    bool truncated;
    long count;
    struct kpw_buf last; /* the last key or common prefix shown [owned] */
    bool last_is_prefix;
    struct kpw_buf contents, prefixes; /* XML [owned] */
};

static const struct s3_parameter *given(const struct list *l, const char *name)
{
    const struct s3_parameter *p = s3_parameter(l->call, name);

    return p && p->len > 0 ? p : NULL;
}

static void put_name(struct list *l, struct kpw_buf *out, const char *element, const char *text,
                     size_t len)
{
    char *encoded;

    if (!l->encode) {
        kpw_xml_put_element(out, element, text, len);
        return;
    }
    encoded = malloc(3 * len + 1);
    if (encoded)
        kpw_xml_put_element(out, element, encoded, s3_encode_listed(text, len, encoded));
    else
        out->failed = true;
    free(encoded);
}

/* ---- the walk ---- */

static void remember_last(struct list *l, const char *text, size_t len, bool is_prefix)
{
    kpw_buf_clear(&l->last);
    kpw_buf_append(&l->last, text, len);
    l->last_is_prefix = is_prefix;
}

/* The smallest key behind all that begin with the text: its last byte plus one. Bytes of 0xFF
 * cannot occur in UTF-8. */
static void restart_behind(struct list *l, const char *text, size_t len)
{
    kpw_buf_clear(&l->from);
    kpw_buf_append(&l->from, text, len);
    if (l->from.len > 0)
        l->from.ptr[l->from.len - 1] = (char)(l->from.ptr[l->from.len - 1] + 1);
    l->from_included = true;
}

static void put_object(struct list *l, const struct s3_entry *entry)
{
    struct kpw_buf *out = &l->contents;
    const char *element = l->kind == LIST_VERSIONS ? "Version" : "Contents";
    const struct s3_parameter *owner = s3_parameter(l->call, "fetch-owner");
    char time[32];

    s3_iso_time(entry->modified_ms, time);
    kpw_xml_put_open(out, element, NULL);
    put_name(l, out, "Key", entry->key, entry->len);
    if (l->kind == LIST_VERSIONS)
        kpw_buf_puts(out, "<VersionId>null</VersionId><IsLatest>true</IsLatest>");
    kpw_xml_put_element_cstr(out, "LastModified", time);
    kpw_buf_appendf(out, "<ETag>&quot;%s&quot;</ETag>", entry->etag);
    if (entry->algorithm != S3_SUM_NONE) {
        kpw_xml_put_element_cstr(out, "ChecksumAlgorithm", s3_sum_name(entry->algorithm));
        kpw_xml_put_element_cstr(out, "ChecksumType",
                                 entry->is_composite ? "COMPOSITE" : "FULL_OBJECT");
    }
    kpw_xml_put_element_int(out, "Size", (int64_t)entry->size);
    if (l->kind != LIST_V2 || (owner && strcmp(owner->value, "true") == 0))
        kpw_buf_puts(out, "<Owner><ID>" S3_OWNER_ID "</ID></Owner>");
    kpw_xml_put_element_cstr(out, "StorageClass",
                             entry->storage_class[0] ? entry->storage_class : "STANDARD");
    kpw_xml_put_close(out, element);
}

static void put_prefix(struct list *l, const char *text, size_t len)
{
    kpw_xml_put_open(&l->prefixes, "CommonPrefixes", NULL);
    put_name(l, &l->prefixes, "Prefix", text, len);
    kpw_xml_put_close(&l->prefixes, "CommonPrefixes");
}

static bool take_entry(void *arg, const struct s3_entry *entry)
{
    struct list *l = arg;
    const char *delimiter = NULL;
    size_t len;

    l->again = false;
    if (entry->len < l->prefix_len || memcmp(entry->key, l->prefix, l->prefix_len) != 0)
        return false; /* keys with the prefix stand together: it is over */
    if (l->count == l->max_keys) {
        l->truncated = true;
        return false;
    }
    if (l->delimiter_len > 0)
        delimiter = memmem(entry->key + l->prefix_len, entry->len - l->prefix_len, l->delimiter,
                           l->delimiter_len);
    l->count++;
    if (!delimiter) {
        put_object(l, entry);
        remember_last(l, entry->key, entry->len, false);
        return true;
    }
    len = (size_t)(delimiter - entry->key) + l->delimiter_len;
    put_prefix(l, entry->key, len);
    remember_last(l, entry->key, len, true);
    restart_behind(l, entry->key, len);
    l->again = true;
    return false;
}

static void walk(struct list *l)
{
    struct kpw_buf from = KPW_BUF_INIT;

    /* Never start before the prefix. */
    if (l->from.len < l->prefix_len
            ? memcmp(l->from.ptr ? l->from.ptr : "", l->prefix, l->from.len) <= 0
            : memcmp(l->from.ptr ? l->from.ptr : "", l->prefix, l->prefix_len) < 0) {
        kpw_buf_clear(&l->from);
        kpw_buf_append(&l->from, l->prefix, l->prefix_len);
        l->from_included = true;
    }
    do {
        kpw_buf_clear(&from);
        kpw_buf_append(&from, l->from.ptr, l->from.len);
        l->again = false;
        s3_object_each(l->call->store, &(struct s3_key){l->call->bucket, from.ptr, from.len},
                       l->from_included, take_entry, l);
    } while (l->again && !from.failed);
    kpw_buf_fini(&from);
}

/* ---- parameters ---- */

static bool invalid_argument(struct list *l, const char *text, const char *name, const char *value)
{
    s3_refuse(l->call, "InvalidArgument", text, "ArgumentName", name, "ArgumentValue", value, NULL);
    return false;
}

static bool read_max_keys(struct list *l)
{
    const struct s3_parameter *p = s3_parameter(l->call, "max-keys");
    char *end;

    l->max_keys = KEYS_MAX;
    if (!p || p->len == 0)
        return true;
    l->max_keys = strtol(p->value, &end, 10);
    if (*end != '\0')
        return invalid_argument(l, "Provided max-keys not an integer or within integer range",
                                "max-keys", p->value);
    if (l->max_keys < 0)
        return invalid_argument(l, "Argument maxKeys must be an integer between 0 and 2147483647",
                                "maxKeys", p->value);
    if (l->max_keys > KEYS_MAX)
        l->max_keys = KEYS_MAX;
    return true;
}

/* Start of the page: behind `text`, or behind all keys with it when it is a common prefix. */
static void start_at(struct list *l, const char *text, size_t len)
{
    bool is_prefix = l->delimiter_len > 0 && len > l->delimiter_len && len > l->prefix_len &&
                     memcmp(text + len - l->delimiter_len, l->delimiter, l->delimiter_len) == 0 &&
                     memcmp(text, l->prefix, l->prefix_len) == 0;

    if (is_prefix) {
        restart_behind(l, text, len);
        return;
    }
    kpw_buf_clear(&l->from);
    kpw_buf_append(&l->from, text, len);
    l->from_included = false;
}

/* A token is the last name shown, as base64 with a mark in front. */
static bool read_token(struct list *l, const struct s3_parameter *token)
{
    static const char wrong[] = "The continuation token provided is incorrect";
    char *raw = malloc(kpw_base64_decoded_max(token->len) + 1);
    size_t n = 0;
    bool ok = raw && token->len > 0 && kpw_base64_decode_url(token->value, token->len, raw, &n) &&
              n > 1 && raw[0] == '1' && s3_is_text(raw + 1, n - 1);

    if (ok)
        start_at(l, raw + 1, n - 1);
    free(raw);
    return ok || invalid_argument(l, wrong, "continuation-token", token->value);
}

static bool read_start(struct list *l)
{
    const struct s3_parameter *token =
        l->kind == LIST_V2 ? s3_parameter(l->call, "continuation-token") : NULL;
    const struct s3_parameter *start = given(l, l->kind == LIST_V2   ? "start-after"
                                                : l->kind == LIST_V1 ? "marker"
                                                                     : "key-marker");

    if (token)
        return read_token(l, token);
    if (start && l->kind == LIST_V2) {
        kpw_buf_append(&l->from, start->value, start->len);
        l->from_included = false;
    } else if (start) {
        start_at(l, start->value, start->len);
    }
    return true;
}

static bool read_parameters(struct list *l)
{
    const struct s3_parameter *prefix = given(l, "prefix"), *delimiter = given(l, "delimiter");
    const struct s3_parameter *encoding = s3_parameter(l->call, "encoding-type");

    l->prefix = prefix ? prefix->value : "";
    l->prefix_len = prefix ? prefix->len : 0;
    l->delimiter = delimiter ? delimiter->value : "";
    l->delimiter_len = delimiter ? delimiter->len : 0;
    if (encoding && strcmp(encoding->value, "url") != 0)
        return invalid_argument(l, "Invalid Encoding Method specified in Request", "encoding-type",
                                encoding->value);
    l->encode = encoding != NULL;
    return read_max_keys(l) && read_start(l);
}

/* ---- answers ---- */

static void put_given(struct list *l, const char *element, const char *parameter, bool always)
{
    const struct s3_parameter *p = given(l, parameter);

    if (p || always)
        put_name(l, &l->call->body, element, p ? p->value : "", p ? p->len : 0);
}

static void put_token(struct list *l)
{
    struct kpw_buf raw = KPW_BUF_INIT;
    char *text;

    kpw_buf_putc(&raw, '1');
    kpw_buf_put_slice(&raw, kpw_buf_slice(&l->last));
    text = malloc(kpw_base64_encoded_len(raw.len) + 1);
    if (text)
        kpw_xml_put_element(&l->call->body, "NextContinuationToken", text,
                            kpw_base64_encode_url(raw.ptr, raw.len, false, text));
    else
        l->call->body.failed = true;
    free(text);
    kpw_buf_fini(&raw);
}

static void put_position(struct list *l)
{
    struct kpw_buf *body = &l->call->body;

    if (l->kind == LIST_V2) {
        const struct s3_parameter *token = s3_parameter(l->call, "continuation-token");

        put_given(l, "StartAfter", "start-after", false);
        if (token)
            kpw_xml_put_element(body, "ContinuationToken", token->value, token->len);
        if (l->truncated)
            put_token(l);
        kpw_xml_put_element_int(body, "KeyCount", l->count);
    } else if (l->kind == LIST_V1) {
        put_given(l, "Marker", "marker", true);
        if (l->truncated && l->delimiter_len > 0)
            put_name(l, body, "NextMarker", l->last.ptr, l->last.len);
    } else {
        put_given(l, "KeyMarker", "key-marker", true);
        kpw_buf_puts(body, "<VersionIdMarker></VersionIdMarker>");
        if (l->truncated) {
            put_name(l, body, "NextKeyMarker", l->last.ptr, l->last.len);
            kpw_buf_puts(body, "<NextVersionIdMarker>null</NextVersionIdMarker>");
        }
    }
}

static void answer(struct list *l)
{
    struct kpw_buf *body = &l->call->body;
    const char *root = l->kind == LIST_VERSIONS ? "ListVersionsResult" : "ListBucketResult";

    s3_begin_xml(l->call, root);
    kpw_xml_put_element_cstr(body, "Name", l->call->bucket);
    put_name(l, body, "Prefix", l->prefix, l->prefix_len);
    put_position(l);
    kpw_xml_put_element_int(body, "MaxKeys", l->max_keys);
    put_given(l, "Delimiter", "delimiter", false);
    if (l->encode)
        kpw_xml_put_element_cstr(body, "EncodingType", "url");
    kpw_xml_put_element_cstr(body, "IsTruncated", l->truncated ? "true" : "false");
    kpw_buf_put_slice(body, kpw_buf_slice(&l->contents));
    kpw_buf_put_slice(body, kpw_buf_slice(&l->prefixes));
    body->failed = body->failed || l->contents.failed || l->prefixes.failed || l->last.failed;
    kpw_xml_put_close(body, root);
}

static void list(struct s3_call *call, enum listing kind)
{
    struct list l = {.call = call, .kind = kind};

    if (read_parameters(&l)) {
        if (l.max_keys > 0)
            walk(&l);
        answer(&l);
    }
    kpw_buf_fini(&l.from);
    kpw_buf_fini(&l.last);
    kpw_buf_fini(&l.contents);
    kpw_buf_fini(&l.prefixes);
}

void s3_list_objects(struct s3_call *call, bool v2)
{
    list(call, v2 ? LIST_V2 : LIST_V1);
}

void s3_list_versions(struct s3_call *call)
{
    if (given(&(struct list){.call = call}, "version-id-marker") &&
        !given(&(struct list){.call = call}, "key-marker")) {
        s3_refuse(call, "InvalidArgument",
                  "A version-id marker cannot be specified without a key marker.", "ArgumentName",
                  "version-id-marker", NULL);
        return;
    }
    list(call, LIST_VERSIONS);
}
