/* request.c - see enrich.h: a record becomes a request.
 *
 * The url is text with {member} in it; what is put in for a member is
 * percent-encoded, as are the values of the query. Nothing is allocated once a
 * call's buffers have grown to the size of its largest request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/async-http-enrich/enrich.h"
#include "sdk/wire/json.h"
#include "sdk/wire/uri.h"

#define NAME_MAX_BYTES 128 /* of a member in the url */

bool request_check_url(const char *url, const char **ret_problem)
{
    *ret_problem = NULL;
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        *ret_problem = "must begin with http:// or https://";
    for (const char *at = url; !*ret_problem && (at = strchr(at, '{')) != NULL; at++) {
        const char *brace = strchr(at, '}');

        if (!brace)
            *ret_problem = "'{' is not closed";
        else if (brace == at + 1 || brace - at > NAME_MAX_BYTES)
            *ret_problem = "{} must hold the name of a member";
    }
    return !*ret_problem;
}

static struct kpw_slice payload_of(const struct call *call)
{
    const kp_record *record = kp_at(call->held->b, call->i);

    return (struct kpw_slice){record->data, record->data_len};
}

/* ---- values */

/* The text of a member: strings unescaped, numbers and the like as they are. */
static bool put_member(struct kpw_buf *out, struct kpw_slice doc, const char *path)
{
    struct kpw_slice raw;
    enum kpw_json_type type = kpw_json_find(doc, path, &raw);

    if (type == KPW_JSON_END || type == KPW_JSON_ERROR || type == KPW_JSON_NULL)
        return false;
    if (type == KPW_JSON_STRING)
        kpw_json_unescape(raw, out);
    else
        kpw_buf_put_slice(out, raw);
    return !out->failed;
}

static bool put_function(struct enrich *enrich, const struct call *call, const kp_value *value,
                         struct kpw_buf *out, char *why, size_t size)
{
    kp_slice text = {"", 0};

    switch (enrich->lua->value(enrich->node, value, call->held->b, call->i, &text)) {
    case KP_LUA_TEXT: kpw_buf_append(out, text.ptr, text.len); return !out->failed;
    case KP_LUA_ERROR: snprintf(why, size, "%.*s", (int)text.len, text.ptr); return false;
    default: snprintf(why, size, "the function returned no text"); return false;
    }
}

static bool put_value(struct enrich *enrich, const struct call *call, const kp_value *value,
                      struct kpw_buf *out, char *why, size_t size)
{
    switch (value->kind) {
    case KP_V_FIELD:
        if (put_member(out, payload_of(call), value->text))
            return true;
        snprintf(why, size, "the record has no %s", value->text);
        return false;
    case KP_V_FUNCTION: return put_function(enrich, call, value, out, why, size);
    default: kpw_buf_puts(out, value->text ? value->text : ""); return !out->failed;
    }
}

/* ---- url */

/* Encodes what was put behind `from`. */
static void encode_tail(struct kpw_buf *out, struct kpw_buf *scratch, size_t from)
{
    if (out->failed)
        return;
    kpw_buf_clear(scratch);
    kpw_buf_append(scratch, out->ptr + from, out->len - from);
    out->len = from;
    kpw_uri_put(out, scratch->ptr, scratch->len, false);
    if (scratch->failed)
        out->failed = true;
}

static bool put_url_member(struct enrich *enrich, struct call *call, const char *name, size_t len,
                           char *why, size_t size)
{
    char path[NAME_MAX_BYTES + 8];
    size_t from = call->url.len;

    snprintf(path, sizeof path, name[0] == '$' ? "%.*s" : "$['%.*s']", (int)len, name);
    if (!put_member(&call->url, payload_of(call), path)) {
        snprintf(why, size, "the record has no %.*s", (int)len, name);
        return false;
    }
    encode_tail(&call->url, &enrich->scratch, from);
    return true;
}

static bool build_path(struct enrich *enrich, struct call *call, char *why, size_t size)
{
    const char *at = enrich->config->url, *brace;

    while ((brace = strchr(at, '{')) != NULL) {
        size_t len = strcspn(brace + 1, "}");

        kpw_buf_append(&call->url, at, (size_t)(brace - at));
        if (!put_url_member(enrich, call, brace + 1, len, why, size))
            return false;
        at = brace + len + 2;
    }
    kpw_buf_puts(&call->url, at);
    return true;
}

static bool build_query(struct enrich *enrich, struct call *call, char *why, size_t size)
{
    const kp_map *query = &enrich->config->query;
    bool has_query = strchr(enrich->config->url, '?') != NULL;

    for (size_t i = 0; i < query->count; i++) {
        size_t from;

        kpw_buf_puts(&call->url, has_query || i ? "&" : "?");
        kpw_uri_put(&call->url, query->items[i].name, strlen(query->items[i].name), false);
        kpw_buf_puts(&call->url, "=");
        from = call->url.len;
        if (!put_value(enrich, call, &query->items[i].value, &call->url, why, size))
            return false;
        encode_tail(&call->url, &enrich->scratch, from);
    }
    return true;
}

/* ---- headers */

/* No line ends or other bytes that do not belong into a header. */
static bool is_header_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

static bool build_headers(struct enrich *enrich, struct call *call, char *why, size_t size)
{
    const kp_map *headers = &enrich->config->headers;

    call->n_parts = 0;
    kpw_buf_clear(&call->headers);
    for (size_t i = 0; i < headers->count; i++) {
        size_t at = call->headers.len;

        if (!put_value(enrich, call, &headers->items[i].value, &call->headers, why, size))
            return false;
        if (call->headers.len > at &&
            !is_header_text(call->headers.ptr + at, call->headers.len - at)) {
            snprintf(why, size, "header %s would have a line end or control character in it",
                     headers->items[i].name);
            return false;
        }
        call->parts[call->n_parts].name =
            (kp_slice){headers->items[i].name, strlen(headers->items[i].name)};
        call->parts[call->n_parts].at = at;
        call->parts[call->n_parts++].len = call->headers.len - at;
    }
    return true;
}

/* shard/sequence/sub: by this a server can tell a request that comes again. */
static void put_identity(struct call *call)
{
    static const char name[] = "x-kpipe-record";
    const kp_record *record = kp_at(call->held->b, call->i);
    const kp_batch *b = call->held->b;
    size_t at = call->headers.len;

    if (!record->sequence_len || call->n_parts == MAX_HEADERS ||
        !is_header_text(b->lane_name.ptr, b->lane_name.len))
        return;
    kpw_buf_append(&call->headers, b->lane_name.ptr, b->lane_name.len);
    kpw_buf_puts(&call->headers, "/");
    kpw_buf_append(&call->headers, record->sequence, record->sequence_len);
    kpw_buf_puts(&call->headers, "/");
    kpw_json_put_uint(&call->headers, record->sub_sequence);
    call->parts[call->n_parts].name = (kp_slice){name, sizeof name - 1};
    call->parts[call->n_parts].at = at;
    call->parts[call->n_parts++].len = call->headers.len - at;
}

/* ---- the request */

static bool is_object(struct kpw_slice doc)
{
    size_t blank = 0;

    while (blank < doc.len && strchr(" \t\r\n", doc.ptr[blank]))
        blank++;
    return blank < doc.len && doc.ptr[blank] == '{' && kpw_json_valid(doc.ptr, doc.len);
}

static void forget_failures(struct enrich *enrich, struct call *call)
{
    struct kpw_buf *const bufs[] = {&call->url, &call->body, &call->headers, &enrich->scratch};

    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        if (bufs[i]->failed)
            kpw_buf_fini(bufs[i]);
}

bool request_build(struct enrich *enrich, struct call *call, char *why, size_t size)
{
    bool ok;

    *why = '\0';
    kpw_buf_clear(&call->url);
    kpw_buf_clear(&call->body);
    if (enrich->config->into && !is_object(payload_of(call))) {
        snprintf(why, size, "the record is no JSON object, it cannot get the member %s",
                 enrich->config->into);
        return false;
    }
    ok = build_path(enrich, call, why, size) && build_query(enrich, call, why, size) &&
         build_headers(enrich, call, why, size) &&
         (enrich->config->body.kind == KP_V_NONE ||
          put_value(enrich, call, &enrich->config->body, &call->body, why, size));
    if (ok)
        put_identity(call);
    if (ok && kpw_buf_cstr(&call->url) && !call->body.failed && !call->headers.failed)
        return true;
    if (!*why)
        snprintf(why, size, "out of memory");
    forget_failures(enrich, call);
    return false;
}

void request_send(struct enrich *enrich, struct call *call)
{
    kp_http_header headers[MAX_HEADERS];
    kp_http_request request = {
        .size = sizeof request,
        .method = enrich->config->method,
        .url = call->url.ptr,
        .headers = headers,
        .n_headers = call->n_parts,
        .body = {call->body.ptr, call->body.len},
        .timeout_ms = enrich->config->timeout_ms,
    };

    for (size_t i = 0; i < call->n_parts; i++) {
        headers[i].name = call->parts[i].name;
        headers[i].value = call->parts[i].len ? (kp_slice){call->headers.ptr + call->parts[i].at,
                                                           call->parts[i].len}
                                              : (kp_slice){"", 0};
    }
    call->http = enrich->http->send(enrich->node, &request, flow_answered, call);
}
