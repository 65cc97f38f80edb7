/* request.c - see proxy.h: which request is taken, and what the others hear.
 *
 * The order of checks is the gateway's: route, key, throttle, media type, body.
 * Statuses, texts and error types are those of its default gateway responses.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"

#define JSON_TYPE "application/json"

/* ---- answers of the gateway itself */

void proxy_respond(struct proxy *proxy, kp_exchange *exchange, int status, const char *id,
                   const char *error_type, kp_slice body)
{
    char api_id[16], trace[6 + 10 + 1 + 24];
    kp_http_header headers[5] = {
        {{"Content-Type", 12}, {JSON_TYPE, sizeof JSON_TYPE - 1}},
        {{"x-amzn-RequestId", 16}, {id, KPO_UUID_LENGTH}},
        {{"x-amz-apigw-id", 14}, {api_id, sizeof api_id}},
    };
    size_t n = 3;

    memcpy(api_id, id, 8);
    memcpy(api_id + 8, id + 28, 7);
    api_id[15] = '=';
    if (error_type) {
        headers[n++] = (kp_http_header){{"x-amzn-ErrorType", 16}, {error_type, strlen(error_type)}};
    } else {
        memcpy(trace, "Root=1-", 7);
        memcpy(trace + 7, id, 8);
        trace[15] = '-';
        memcpy(trace + 16, id + 9, 4);
        memcpy(trace + 20, id + 14, 4);
        memcpy(trace + 24, id + 24, 12);
        memcpy(trace + 36, id + 19, 4);
        headers[n++] = (kp_http_header){{"X-Amzn-Trace-Id", 15}, {trace, 40}};
    }
    proxy->ext->respond(exchange, status, headers, n, body, NULL);
}

void proxy_error(struct proxy *proxy, kp_exchange *exchange, int status, const char *id,
                 const char *error_type, const char *body)
{
    proxy_respond(proxy, exchange, status, id, error_type, (kp_slice){body, strlen(body)});
}

void proxy_internal_error(struct proxy *proxy, kp_exchange *exchange, int status, const char *id)
{
    proxy_error(proxy, exchange, status, id, "InternalServerErrorException",
                "{\"message\": \"Internal server error\"}");
}

/* ---- routes */

static bool cut(kp_slice *path, const char *prefix, size_t len)
{
    if (path->len < len || memcmp(path->ptr, prefix, len) != 0)
        return false;
    path->ptr += len;
    path->len -= len;
    return true;
}

/* The path without the stage in front and without a slash at the end. */
static kp_slice resource_path(const struct proxy *proxy, kp_slice path)
{
    const char *stage = proxy->config->stage;
    size_t len = strlen(stage);

    if (len && path.len > len + 1 && path.ptr[0] == '/' && path.ptr[len + 1] == '/' &&
        memcmp(path.ptr + 1, stage, len) == 0) {
        path.ptr += len + 1;
        path.len -= len + 1;
    }
    if (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path.len ? path : (kp_slice){"/", 1};
}

/* "GET /predictFare", "ANY /orders/{proxy+}" */
static bool route_split(const char *route, kp_slice *ret_method, kp_slice *ret_path)
{
    const char *blank = strchr(route, ' ');

    if (!blank || blank == route || blank[1] != '/')
        return false;
    *ret_method = (kp_slice){route, (size_t)(blank - route)};
    *ret_path = (kp_slice){blank + 1, strlen(blank + 1)};
    return true;
}

bool routes_check(const kp_list *routes, const char **ret_bad)
{
    kp_slice method, path;

    for (size_t i = 0; i < routes->count; i++) {
        const char *brace = strchr(routes->items[i], '{');

        *ret_bad = routes->items[i];
        if (!route_split(routes->items[i], &method, &path) ||
            (brace && strcmp(brace, "{proxy+}") != 0))
            return false;
    }
    return true;
}

static bool same(kp_slice a, kp_slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static bool route_takes(kp_slice pattern, struct event_route *route)
{
    static const char greedy[] = "{proxy+}";
    size_t n = sizeof greedy - 1;
    kp_slice rest = route->path;

    route->resource = pattern;
    route->rest = (kp_slice){NULL, 0};
    if (pattern.len < n || memcmp(pattern.ptr + pattern.len - n, greedy, n) != 0)
        return same(pattern, route->path);
    if (!cut(&rest, pattern.ptr, pattern.len - n) || !rest.len)
        return false;
    route->rest = rest;
    return true;
}

static bool find_route(const struct proxy *proxy, const kp_server_request *request,
                       struct event_route *route)
{
    const kp_list *routes = &proxy->config->routes;
    kp_slice method, pattern;

    if (!routes->count) {
        static const char all[] = "/{proxy+}";

        route->resource = (kp_slice){all, sizeof all - 1};
        route->rest = (kp_slice){route->path.ptr + 1, route->path.len - 1};
        return true;
    }
    for (size_t i = 0; i < routes->count; i++)
        if (route_split(routes->items[i], &method, &pattern) &&
            (slice_is(method, "ANY") || same(method, request->method)) &&
            route_takes(pattern, route))
            return true;
    return false;
}

/* ---- checks */

static kp_slice header(const kp_server_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (slice_is(request->headers[i].name, name))
            return request->headers[i].value;
    return (kp_slice){NULL, 0};
}

/* In a time that does not depend on where the texts differ. */
static bool is_key(kp_slice given, const char *key)
{
    size_t len = strlen(key);
    unsigned char differ = given.len != len;

    for (size_t i = 0; i < len; i++)
        differ |= (unsigned char)(key[i] ^ (given.len ? given.ptr[i % given.len] : 0));
    return !differ;
}

static bool is_json(const kp_server_request *request)
{
    kp_slice type = header(request, "content-type");
    const char *end = type.ptr ? memchr(type.ptr, ';', type.len) : NULL;

    if (!type.ptr)
        return true; /* absent counts as JSON */
    if (end)
        type.len = (size_t)(end - type.ptr);
    while (type.len && type.ptr[type.len - 1] == ' ')
        type.len--;
    return slice_is(type, JSON_TYPE);
}

/* Key and throttle; true: the request may go on, else it was answered. */
static bool admit(struct proxy *proxy, kp_exchange *exchange, const kp_server_request *request,
                  const char *id)
{
    const struct proxy_config *config = proxy->config;

    if (config->api_key && !is_key(header(request, "x-api-key"), config->api_key)) {
        proxy_error(proxy, exchange, 403, id, "ForbiddenException", "{\"message\":\"Forbidden\"}");
        return false;
    }
    if ((proxy->throttle && !throttle_take(proxy->throttle, kp->now_ms())) ||
        proxy->in_flight >= config->max_in_flight) {
        kp->count(proxy->node, "throttled", 1);
        proxy_error(proxy, exchange, 429, id, "TooManyRequestsException",
                    "{\"message\":\"Too Many Requests\"}");
        return false;
    }
    return true;
}

static void no_route(struct proxy *proxy, kp_exchange *exchange, const char *id)
{
    proxy_error(proxy, exchange, 403, id, "MissingAuthenticationTokenException",
                "{\"message\":\"Missing Authentication Token\"}");
}

/* ---- the two modes */

static void put_records(struct proxy *proxy, kp_exchange *exchange,
                        const kp_server_request *request, bool many, const char *id)
{
    static const char too_many[] =
        "1 validation error detected: Value at 'records' failed to satisfy constraint: Member "
        "must have length between 1 and 500, inclusive";
    enum parse parse;
    kp_batch *b;
    uint32_t first;

    if (!is_json(request)) {
        proxy_error(proxy, exchange, 415, id, "BadRequestException",
                    "{\"message\": \"Unsupported Media Type\"}");
        return;
    }
    parse = record_parse(proxy, request->body, many);
    if (parse == PARSE_NOT_THE_MODEL) {
        proxy_error(proxy, exchange, 400, id, "BadRequestException",
                    "{\"message\": \"Invalid request body\"}");
        return;
    }
    if (parse == PARSE_TOO_MANY || !proxy->n_parsed) {
        answer_problem(proxy, exchange, id, "ValidationException",
                       (kp_slice){too_many, sizeof too_many - 1});
        return;
    }
    b = turn_batch(proxy);
    first = b ? b->count : 0;
    if (b && record_append(proxy, b, many))
        turn_add(proxy, exchange, first, many ? WANTS_RECORDS : WANTS_RECORD, id);
    else
        proxy_internal_error(proxy, exchange, 500, id);
}

static void put_event(struct proxy *proxy, kp_exchange *exchange, const kp_server_request *request,
                      const struct event_route *route, const char *id)
{
    kp_batch *b = turn_batch(proxy);
    uint32_t first = b ? b->count : 0;

    if (b && event_build(proxy, b, request, route, id))
        turn_add(proxy, exchange, first, WANTS_REPLY, id);
    else
        proxy_internal_error(proxy, exchange, 500, id);
}

void proxy_request(kp_node *node, void *arg, kp_exchange *exchange,
                   const kp_server_request *request)
{
    struct proxy *proxy = arg;
    struct event_route route = {.path = resource_path(proxy, request->path)};
    char id[KPO_UUID_LENGTH];
    bool many = slice_is(route.path, "/records");

    (void)node;
    kpo_uuid(id);
    if (proxy->stopped) {
        proxy_error(proxy, exchange, 503, id, "InternalServerErrorException",
                    "{\"message\":\"Service Unavailable\"}");
        return;
    }
    if (proxy->config->mode == MODE_PROXY_EVENT) {
        if (!find_route(proxy, request, &route))
            no_route(proxy, exchange, id);
        else if (admit(proxy, exchange, request, id))
            put_event(proxy, exchange, request, &route, id);
        return;
    }
    if (!slice_is(request->method, "POST") || !(many || slice_is(route.path, "/record")))
        no_route(proxy, exchange, id);
    else if (admit(proxy, exchange, request, id))
        put_records(proxy, exchange, request, many, id);
}
