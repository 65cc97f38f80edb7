/* record.c - see proxy.h: bodies of /record and /records.
 *
 * The models are {"data": string, "partitionKey": string} and {"records": [...]}
 * of them; further members are allowed. The strings stay where they are in the
 * body until all of it is known to be right; then they are unescaped straight
 * into the batch.
 */
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"
#include "sdk/wire/json.h"

/* Reads one object, its bracket just read. Of equal names the last counts. */
static bool read_record(struct kpw_json *r, struct parsed *ret)
{
    bool has_data = false, has_key = false;
    struct kpw_slice value;

    while (kpw_json_next(r) == KPW_JSON_KEY) {
        bool is_data = kpw_json_text_is(r->value, "data");
        bool is_key = !is_data && kpw_json_text_is(r->value, "partitionKey");
        enum kpw_json_type type = kpw_json_value(r, &value);

        if (!is_data && !is_key)
            continue;
        if (type != KPW_JSON_STRING)
            return false;
        if (is_data)
            ret->data = (kp_slice){value.ptr, value.len};
        else
            ret->key = (kp_slice){value.ptr, value.len};
        has_data |= is_data;
        has_key |= is_key;
    }
    return r->type == KPW_JSON_OBJECT_END && has_data && has_key;
}

/* The list of /records, its bracket just read. */
static enum parse read_list(struct proxy *proxy, struct kpw_json *r)
{
    struct parsed ignored;
    bool too_many = false;

    proxy->n_parsed = 0;
    while (kpw_json_next(r) == KPW_JSON_OBJECT) {
        too_many = proxy->n_parsed == RECORDS_MAX;
        if (!read_record(r, too_many ? &ignored : &proxy->parsed[proxy->n_parsed]))
            return PARSE_NOT_THE_MODEL;
        proxy->n_parsed += !too_many;
    }
    if (r->type != KPW_JSON_ARRAY_END)
        return PARSE_NOT_THE_MODEL;
    return too_many ? PARSE_TOO_MANY : PARSE_OK;
}

static enum parse read_records(struct proxy *proxy, struct kpw_json *r)
{
    enum parse parse = PARSE_NOT_THE_MODEL;

    while (kpw_json_next(r) == KPW_JSON_KEY) {
        if (!kpw_json_text_is(r->value, "records")) {
            kpw_json_skip(r);
            continue;
        }
        if (kpw_json_next(r) != KPW_JSON_ARRAY)
            return PARSE_NOT_THE_MODEL;
        parse = read_list(proxy, r);
        if (parse == PARSE_NOT_THE_MODEL)
            return parse;
    }
    return r->type == KPW_JSON_OBJECT_END ? parse : PARSE_NOT_THE_MODEL;
}

enum parse record_parse(struct proxy *proxy, kp_slice body, bool many)
{
    struct kpw_json r;
    enum parse parse;

    kpw_json_init(&r, body.ptr, body.len);
    if (kpw_json_next(&r) != KPW_JSON_OBJECT)
        return PARSE_NOT_THE_MODEL;
    if (many) {
        parse = read_records(proxy, &r);
    } else {
        proxy->n_parsed = 1;
        parse = read_record(&r, &proxy->parsed[0]) ? PARSE_OK : PARSE_NOT_THE_MODEL;
    }
    if (parse != PARSE_NOT_THE_MODEL && kpw_json_next(&r) != KPW_JSON_END)
        return PARSE_NOT_THE_MODEL; /* something stands behind it */
    return parse;
}

static char *put_text(char *at, kp_slice raw, const char **ret, uint32_t *ret_len)
{
    size_t len = kpw_json_unescape_to((struct kpw_slice){raw.ptr, raw.len}, at);

    *ret = at;
    *ret_len = (uint32_t)len;
    return at + len;
}

/* The construct's template for /record keeps the JSON text, quotes and all. */
static char *put_quoted(char *at, kp_slice raw, const char **ret, uint32_t *ret_len)
{
    at[0] = '"';
    memcpy(at + 1, raw.ptr, raw.len);
    at[raw.len + 1] = '"';
    *ret = at;
    *ret_len = (uint32_t)raw.len + 2;
    return at + raw.len + 2;
}

bool record_append(struct proxy *proxy, kp_batch *b, bool many)
{
    bool quoted = proxy->config->quoted_single_record && !many;
    int64_t now_ms = kp->wall_ms();
    kp_record *record;
    size_t bytes = 0;
    char *at;

    for (uint32_t i = 0; i < proxy->n_parsed; i++)
        bytes += proxy->parsed[i].data.len + proxy->parsed[i].key.len + 2;
    at = kp->alloc(b, bytes);
    record = at ? kp->append(b, proxy->n_parsed) : NULL;
    if (!record)
        return false;
    for (uint32_t i = 0; i < proxy->n_parsed; i++, record++) {
        const struct parsed *parsed = &proxy->parsed[i];

        at = quoted ? put_quoted(at, parsed->data, &record->data, &record->data_len)
                    : put_text(at, parsed->data, &record->data, &record->data_len);
        at = put_text(at, parsed->key, &record->key, &record->key_len);
        record->arrival_ms = now_ms;
    }
    return true;
}
