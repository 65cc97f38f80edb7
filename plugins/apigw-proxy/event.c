/* event.c - see proxy.h: a request becomes a proxy event (version 1.0) of API Gateway. */
#include <stdio.h>
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"
#include "sdk/wire/utf8.h"

#define ACCOUNT   "000000000000"
#define MAX_PAIRS 256 /* of a query or of headers; more are left out */

static void put_slice(struct kpw_buf *out, const char *name, kp_slice value)
{
    kpw_json_put_member(out, name, value.ptr, value.len);
}

/* ---- names with one or several values */

struct pairs {
    struct {
        struct kpw_slice name, value;
    } items[MAX_PAIRS];
    uint32_t n;
};

static bool same_name(const struct pairs *pairs, uint32_t a, uint32_t b)
{
    return kpw_slice_eq(pairs->items[a].name, pairs->items[b].name);
}

static bool seen_before(const struct pairs *pairs, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (same_name(pairs, k, i))
            return true;
    return false;
}

static void put_name(struct kpw_buf *out, struct kpw_slice name)
{
    if (out->len && out->ptr[out->len - 1] != '{')
        kpw_buf_puts(out, ",");
    kpw_json_put_string(out, name.ptr, name.len);
    kpw_buf_puts(out, ":");
}

/* The last value of each name. */
static void put_single(struct kpw_buf *out, const struct pairs *pairs)
{
    kpw_buf_puts(out, "{");
    for (uint32_t i = 0; i < pairs->n; i++) {
        uint32_t last = i;

        if (seen_before(pairs, i))
            continue;
        for (uint32_t k = i + 1; k < pairs->n; k++)
            if (same_name(pairs, i, k))
                last = k;
        put_name(out, pairs->items[i].name);
        kpw_json_put_string(out, pairs->items[last].value.ptr, pairs->items[last].value.len);
    }
    kpw_buf_puts(out, "}");
}

/* All values of each name. */
static void put_multi(struct kpw_buf *out, const struct pairs *pairs)
{
    kpw_buf_puts(out, "{");
    for (uint32_t i = 0; i < pairs->n; i++) {
        if (seen_before(pairs, i))
            continue;
        put_name(out, pairs->items[i].name);
        kpw_buf_puts(out, "[");
        for (uint32_t k = i; k < pairs->n; k++) {
            if (!same_name(pairs, i, k))
                continue;
            if (k > i)
                kpw_buf_puts(out, ",");
            kpw_json_put_string(out, pairs->items[k].value.ptr, pairs->items[k].value.len);
        }
        kpw_buf_puts(out, "]");
    }
    kpw_buf_puts(out, "}");
}

static void put_pairs(struct kpw_buf *out, const struct pairs *pairs, const char *single,
                      const char *multi)
{
    kpw_json_put_key(out, single);
    if (pairs->n)
        put_single(out, pairs);
    else
        kpw_buf_puts(out, "null");
    kpw_json_put_key(out, multi);
    if (pairs->n)
        put_multi(out, pairs);
    else
        kpw_buf_puts(out, "null");
}

static void put_headers(struct kpw_buf *out, const kp_server_request *request)
{
    struct pairs pairs = {.n = 0};

    for (size_t i = 0; i < request->n_headers && pairs.n < MAX_PAIRS; i++, pairs.n++) {
        const kp_http_header *header = &request->headers[i];

        pairs.items[pairs.n].name = (struct kpw_slice){header->name.ptr, header->name.len};
        pairs.items[pairs.n].value = (struct kpw_slice){header->value.ptr, header->value.len};
    }
    put_pairs(out, &pairs, "headers", "multiValueHeaders");
}

/* Decodes into `room`, which is as long as the query. What is not rightly encoded stays as it is.
 */
static struct kpw_slice decode(struct kpw_slice raw, char **room)
{
    struct kpw_slice text = {*room, 0};

    if (!kpw_uri_decode(raw.ptr, raw.len, true, *room, &text.len))
        return raw;
    *room += text.len;
    return text;
}

static void put_query(struct kpw_buf *out, const kp_server_request *request, char *room)
{
    struct pairs pairs = {.n = 0};
    struct kpw_query q;

    kpw_query_init(&q, (struct kpw_slice){request->query.ptr, request->query.len});
    while (pairs.n < MAX_PAIRS && kpw_query_next(&q)) {
        pairs.items[pairs.n].name = decode(q.name, &room);
        pairs.items[pairs.n].value = decode(q.value, &room);
        pairs.n++;
    }
    put_pairs(out, &pairs, "queryStringParameters", "multiValueQueryStringParameters");
}

/* ---- the context */

static kp_slice header_of(const kp_server_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (slice_is(request->headers[i].name, name))
            return request->headers[i].value;
    return (kp_slice){"", 0};
}

/* "127.0.0.1" of "127.0.0.1:40000", "::1" of "[::1]:40000" */
static kp_slice ip_of(kp_slice peer)
{
    size_t len = peer.len;

    while (len && peer.ptr[len - 1] != ':')
        len--;
    len -= len > 0;
    if (len > 2 && peer.ptr[0] == '[')
        return (kp_slice){peer.ptr + 1, len - 2};
    return (kp_slice){peer.ptr, len};
}

/* 10/Oct/2000:13:55:36 +0000 */
static void put_request_time(struct kpw_buf *out, int64_t now_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct kpw_civil c;

    kpw_civil_from_s(now_ms / 1000, &c);
    kpw_json_put_key(out, "requestTime");
    kpw_buf_appendf(out, "\"%02d/%.3s/%04d:%02d:%02d:%02d +0000\"", c.day,
                    months + 3 * (c.month - 1), c.year, c.hour, c.minute, c.second);
    kpw_json_put_member_int(out, "requestTimeEpoch", now_ms);
}

static void put_context(struct kpw_buf *out, const struct proxy *proxy,
                        const kp_server_request *request, const struct event_route *route,
                        const char *id)
{
    kp_slice peer = ip_of(request->peer);

    kpw_json_put_key(out, "requestContext");
    kpw_buf_puts(out, "{");
    put_slice(out, "resourcePath", route->resource);
    put_slice(out, "httpMethod", request->method);
    put_slice(out, "path", request->path);
    kpw_json_put_member_cstr(out, "accountId", ACCOUNT);
    kpw_json_put_member_cstr(out, "apiId", "kpipe");
    kpw_json_put_member_cstr(out, "protocol", "HTTP/1.1");
    kpw_json_put_member_cstr(out, "stage", proxy->config->stage);
    put_slice(out, "domainName", header_of(request, "host"));
    put_request_time(out, kp->wall_ms());
    kpw_json_put_member(out, "requestId", id, KPO_UUID_LENGTH);
    kpw_json_put_key(out, "identity");
    kpw_buf_puts(out, "{");
    put_slice(out, "sourceIp", peer);
    put_slice(out, "userAgent", header_of(request, "user-agent"));
    kpw_buf_puts(out, "}}");
}

/* ---- the event */

static void put_body(struct kpw_buf *out, kp_slice body)
{
    bool text = kpw_utf8_valid(body.ptr, body.len);

    kpw_json_put_key(out, "body");
    if (!body.len) {
        kpw_buf_puts(out, "null");
    } else if (text) {
        kpw_json_put_string(out, body.ptr, body.len);
    } else {
        kpw_buf_puts(out, "\"");
        kpw_base64_put(out, body.ptr, body.len);
        kpw_buf_puts(out, "\"");
    }
    kpw_json_put_member_bool(out, "isBase64Encoded", !text);
    kpw_buf_puts(out, "}");
}

static void put_path(struct kpw_buf *out, const struct event_route *route)
{
    kpw_json_put_key(out, "pathParameters");
    if (!route->rest.ptr || !route->rest.len) {
        kpw_buf_puts(out, "null");
        return;
    }
    kpw_buf_puts(out, "{");
    put_slice(out, "proxy", route->rest);
    kpw_buf_puts(out, "}");
}

static bool add_record(struct kpw_buf *event, kp_batch *b, const char *id)
{
    char *copy = event->failed ? NULL : kp->alloc(b, event->len + KPO_UUID_LENGTH);
    kp_record *record = copy ? kp->append(b, 1) : NULL;

    if (!record)
        return false;
    memcpy(copy, event->ptr, event->len);
    memcpy(copy + event->len, id, KPO_UUID_LENGTH);
    record->data = copy;
    record->data_len = (uint32_t)event->len;
    record->key = copy + event->len;
    record->key_len = KPO_UUID_LENGTH;
    record->type = "application/json";
    record->arrival_ms = kp->wall_ms();
    return true;
}

bool event_build(struct proxy *proxy, kp_batch *b, const kp_server_request *request,
                 const struct event_route *route, const char *id)
{
    struct kpw_buf *out = &proxy->scratch;
    char *room = kp->alloc(b, request->query.len + 1);
    bool ok = false;

    if (!room)
        return false;
    kpw_buf_clear(out);
    kpw_buf_puts(out, "{");
    put_slice(out, "resource", route->resource);
    put_slice(out, "path", route->path);
    put_slice(out, "httpMethod", request->method);
    put_headers(out, request);
    put_query(out, request, room);
    put_path(out, route);
    kpw_json_put_key(out, "stageVariables");
    kpw_buf_puts(out, "null");
    put_context(out, proxy, request, route, id);
    put_body(out, request->body);
    ok = add_record(out, b, id);
    if (out->failed)
        kpw_buf_fini(out);
    return ok;
}
