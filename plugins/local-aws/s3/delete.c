/* delete.c - DeleteObject and DeleteObjects. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/local.h"
#include "plugins/local-aws/s3/receive.h"

enum { KEYS_MAX = 1000 };

/* Conditions that only directory buckets know. */
static bool has_known_conditions(struct s3_call *call)
{
    static const char *const names[] = {"x-amz-if-match-last-modified-time", "x-amz-if-match-size"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (s3_header(call, names[i]).ptr) {
            s3_not_implemented(call, names[i], NULL);
            return false;
        }
    return true;
}

static bool may_delete(struct s3_call *call, const struct s3_key *key)
{
    struct kpw_slice match = s3_header(call, "if-match");
    struct s3_object object;
    bool exists, same;

    if (!has_known_conditions(call))
        return false;
    if (!match.ptr)
        return true;
    exists = s3_object_find(call->store, key, &object);
    same = exists && s3_etag_in(match, object.meta.etag);
    s3_object_fini(&object);
    if (!exists)
        s3_no_such_key(call);
    else if (!same)
        s3_precondition_failed(call, "If-Match");
    return same;
}

void s3_delete_object(struct s3_call *call)
{
    struct s3_key key = s3_key(call);

    if (!s3_check_version(call) || !may_delete(call, &key))
        return;
    if (s3_object_delete(call->store, &key))
        s3_ok(call, 204);
    else
        s3_trouble(call);
}

/* ---- many at once ---- */

/* One <Object> of the document. */
struct entry {
    struct kpw_buf key, version, etag; /* [owned] */
    const char *code, *message;        /* why it is not deleted; NULL: it is [static] */
};

struct deletion {
    struct s3_call *call;
    struct entry *entries; /* [owned] */
    size_t count, room;
    bool quiet;
};

static struct entry *add_entry(struct deletion *d)
{
    if (d->count == KEYS_MAX)
        return NULL;
    if (d->count == d->room) {
        size_t room = d->room * 2 + 16;
        struct entry *more = realloc(d->entries, room * sizeof(*more));

        if (!more)
            return NULL;
        d->entries = more;
        d->room = room;
    }
    d->entries[d->count] = (struct entry){.code = NULL};
    return &d->entries[d->count++];
}

static void deletion_fini(struct deletion *d)
{
    for (size_t i = 0; i < d->count; i++) {
        kpw_buf_fini(&d->entries[i].key);
        kpw_buf_fini(&d->entries[i].version);
        kpw_buf_fini(&d->entries[i].etag);
    }
    free(d->entries);
}

/* The members of one <Object>, up to its end. */
static bool read_entry(struct kpw_xml *xml, struct entry *entry)
{
    bool ok = entry != NULL;

    while (ok && kpw_xml_next(xml) != KPW_XML_CLOSE) {
        struct kpw_slice name = kpw_xml_local(xml->value);

        if (xml->type == KPW_XML_TEXT)
            continue;
        if (xml->type != KPW_XML_OPEN)
            ok = false;
        else if (kpw_slice_is(name, "Key"))
            ok = kpw_xml_text(xml, &entry->key);
        else if (kpw_slice_is(name, "VersionId"))
            ok = kpw_xml_text(xml, &entry->version);
        else if (kpw_slice_is(name, "ETag"))
            ok = kpw_xml_text(xml, &entry->etag);
        else
            ok = kpw_xml_skip(xml);
    }
    return ok && entry->key.len > 0 && s3_is_text(entry->key.ptr, entry->key.len) &&
           !entry->version.failed && !entry->etag.failed;
}

static bool read_quiet(struct kpw_xml *xml, bool *ret)
{
    struct kpw_buf text = KPW_BUF_INIT;
    bool ok = kpw_xml_text(xml, &text);

    *ret = kpw_slice_is(kpw_buf_slice(&text), "true");
    kpw_buf_fini(&text);
    return ok;
}

static bool read_deletion(struct deletion *d)
{
    struct kpw_slice body = s3_body(d->call);
    enum kpw_xml_type type;
    struct kpw_xml xml;
    bool ok = true;

    kpw_xml_init(&xml, body.ptr ? body.ptr : "", body.len);
    while (ok && (type = kpw_xml_next(&xml)) != KPW_XML_END) {
        struct kpw_slice name = kpw_xml_local(xml.value);

        ok = type != KPW_XML_ERROR;
        if (type == KPW_XML_OPEN && kpw_slice_is(name, "Object"))
            ok = read_entry(&xml, add_entry(d));
        else if (type == KPW_XML_OPEN && kpw_slice_is(name, "Quiet"))
            ok = read_quiet(&xml, &d->quiet);
    }
    return ok && d->count > 0;
}

/* Does the object that is there have the ETag that the entry asks for, if it asks? */
static bool matches(const struct deletion *d, const struct entry *entry, const struct s3_key *key)
{
    struct s3_object object;
    bool same;

    if (entry->etag.len == 0)
        return true;
    same = s3_object_find(d->call->store, key, &object) &&
           s3_etag_in(kpw_buf_slice(&entry->etag), object.meta.etag);
    s3_object_fini(&object);
    return same;
}

static bool judge(const struct deletion *d, struct entry *entry, const struct s3_key *key)
{
    if (local_fault_entry(d->call->local, d->call->exchange)) {
        entry->code = "InternalError";
        entry->message = "We encountered an internal error. Please try again.";
    } else if (entry->version.len && !kpw_slice_is(kpw_buf_slice(&entry->version), "null")) {
        entry->code = "NoSuchVersion";
        entry->message = "The specified version does not exist.";
    } else if (!matches(d, entry, key)) {
        entry->code = "PreconditionFailed";
        entry->message = "At least one of the pre-conditions you specified did not hold";
    }
    return !entry->code;
}

/* All at once: one commit, however many. */
static void delete_all(struct deletion *d)
{
    struct s3_key *keys = calloc(d->count, sizeof(*keys));
    size_t n = 0;
    bool ok;

    for (size_t i = 0; keys && i < d->count; i++) {
        struct entry *entry = &d->entries[i];
        struct s3_key key = {d->call->bucket, entry->key.ptr, entry->key.len};

        if (judge(d, entry, &key))
            keys[n++] = key;
    }
    ok = keys && s3_objects_delete(d->call->store, keys, n);
    for (size_t i = 0; !ok && i < d->count; i++) {
        d->entries[i].code = "InternalError";
        d->entries[i].message = "We encountered an internal error. Please try again.";
    }
    free(keys);
}

static void put_entry(struct deletion *d, const struct entry *entry)
{
    struct kpw_buf *body = &d->call->body;
    const char *element = entry->code ? "Error" : "Deleted";

    if (!entry->code && d->quiet)
        return;
    kpw_xml_put_open(body, element, NULL);
    kpw_xml_put_element(body, "Key", entry->key.ptr, entry->key.len);
    if (entry->version.len)
        kpw_xml_put_element(body, "VersionId", entry->version.ptr, entry->version.len);
    if (entry->code) {
        kpw_xml_put_element_cstr(body, "Code", entry->code);
        kpw_xml_put_element_cstr(body, "Message", entry->message);
    }
    kpw_xml_put_close(body, element);
}

void s3_delete_objects(struct s3_call *call)
{
    struct deletion d = {.call = call};

    if (!s3_check_document(call, S3_REQUIRED))
        return;
    if (read_deletion(&d)) {
        delete_all(&d);
        s3_begin_xml(call, "DeleteResult");
        for (size_t i = 0; i < d.count; i++)
            put_entry(&d, &d.entries[i]);
        kpw_xml_put_close(&call->body, "DeleteResult");
    } else {
        s3_malformed_xml(call);
    }
    deletion_fini(&d);
}
