/* reply.c - see proxy.h: what a function returned becomes an HTTP answer.
 *
 * {"statusCode":200,"headers":{},"multiValueHeaders":{},"body":"","isBase64Encoded":false};
 * anything else is the gateway's 502. Headers that belong to the server are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"

#define MAX_HEADERS 64

struct reply {
    int64_t status;
    struct kpw_slice body; /* raw */
    bool has_body, is_base64;
    struct {
        size_t name, name_len, value, value_len; /* in `text` */
    } headers[MAX_HEADERS];
    size_t n_headers;
    struct kpw_buf text;
};

static bool is_servers_own(const char *name, size_t len)
{
    static const char *const own[] = {"connection", "content-length",    "date",
                                      "keep-alive", "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (kpw_slice_is_nocase((struct kpw_slice){name, len}, own[i]))
            return true;
    return false;
}

/* No bytes that could end the header or begin another one. */
static bool is_header_text(const char *text, size_t len, bool is_name)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f ||
            (is_name && (c <= ' ' || c >= 0x80 || strchr("()<>@,;:\\\"/[]?={}", c))))
            return false;
    }
    return len || !is_name;
}

static bool add_header(struct reply *reply, struct kpw_slice name, enum kpw_json_type type,
                       struct kpw_slice value)
{
    size_t at = reply->text.len, middle;

    if (type != KPW_JSON_STRING && type != KPW_JSON_NUMBER && type != KPW_JSON_TRUE &&
        type != KPW_JSON_FALSE)
        return false;
    kpw_json_unescape(name, &reply->text);
    middle = reply->text.len;
    kpw_json_unescape(value, &reply->text);
    if (reply->text.failed || reply->n_headers == MAX_HEADERS ||
        !is_header_text(reply->text.ptr + at, middle - at, true) ||
        !is_header_text(reply->text.ptr + middle, reply->text.len - middle, false))
        return false;
    if (is_servers_own(reply->text.ptr + at, middle - at))
        return true;
    reply->headers[reply->n_headers].name = at;
    reply->headers[reply->n_headers].name_len = middle - at;
    reply->headers[reply->n_headers].value = middle;
    reply->headers[reply->n_headers++].value_len = reply->text.len - middle;
    return true;
}

static bool read_values(struct reply *reply, struct kpw_json *r, struct kpw_slice name)
{
    struct kpw_slice value;
    enum kpw_json_type type;

    if (kpw_json_next(r) != KPW_JSON_ARRAY)
        return false;
    while ((type = kpw_json_value(r, &value)) != KPW_JSON_ARRAY_END)
        if (!add_header(reply, name, type, value))
            return false;
    return true;
}

static bool read_headers(struct reply *reply, struct kpw_json *r, bool multi)
{
    struct kpw_slice value;
    enum kpw_json_type type = kpw_json_next(r);

    if (type == KPW_JSON_NULL)
        return true;
    if (type != KPW_JSON_OBJECT)
        return false;
    while (kpw_json_next(r) == KPW_JSON_KEY) {
        struct kpw_slice name = r->value;

        if (multi) {
            if (!read_values(reply, r, name))
                return false;
            continue;
        }
        type = kpw_json_value(r, &value);
        if (!add_header(reply, name, type, value))
            return false;
    }
    return r->type == KPW_JSON_OBJECT_END;
}

/* Lambda functions give the status as a number; a text of digits is taken too. */
static bool read_status(struct reply *reply, enum kpw_json_type type, struct kpw_slice value)
{
    return (type == KPW_JSON_NUMBER || type == KPW_JSON_STRING) &&
           kpw_json_to_int64(value, &reply->status) && reply->status >= 200 && reply->status <= 599;
}

static bool read_member(struct reply *reply, struct kpw_json *r)
{
    struct kpw_slice name = r->value, value;
    enum kpw_json_type type;

    if (kpw_slice_is(name, "headers"))
        return read_headers(reply, r, false);
    if (kpw_slice_is(name, "multiValueHeaders"))
        return read_headers(reply, r, true);
    type = kpw_json_value(r, &value);
    if (kpw_slice_is(name, "statusCode"))
        return read_status(reply, type, value);
    if (kpw_slice_is(name, "isBase64Encoded")) {
        reply->is_base64 = type == KPW_JSON_TRUE;
        return type == KPW_JSON_TRUE || type == KPW_JSON_FALSE || type == KPW_JSON_NULL;
    }
    if (!kpw_slice_is(name, "body"))
        return type != KPW_JSON_ERROR;
    reply->body = value;
    reply->has_body = type == KPW_JSON_STRING;
    return type == KPW_JSON_STRING || type == KPW_JSON_NULL;
}

static bool read_reply(struct reply *reply, kp_slice answer)
{
    struct kpw_json r;

    kpw_json_init(&r, answer.ptr, answer.len);
    if (kpw_json_next(&r) != KPW_JSON_OBJECT)
        return false;
    while (kpw_json_next(&r) == KPW_JSON_KEY)
        if (!read_member(reply, &r))
            return false;
    return r.type == KPW_JSON_OBJECT_END && kpw_json_next(&r) == KPW_JSON_END && reply->status;
}

/* Puts the body behind the header texts; false: not base64, or no memory. */
static bool read_body(struct reply *reply, size_t *ret_at)
{
    size_t len;

    *ret_at = reply->text.len;
    if (!reply->has_body)
        return !reply->text.failed;
    kpw_json_unescape(reply->body, &reply->text);
    if (reply->text.failed)
        return false;
    if (!reply->is_base64)
        return true;
    if (!kpw_base64_decode(reply->text.ptr + *ret_at, reply->text.len - *ret_at,
                           reply->text.ptr + *ret_at, &len))
        return false;
    reply->text.len = *ret_at + len;
    return true;
}

static void send_reply(struct proxy *proxy, const struct pending *pending,
                       const struct reply *reply, size_t body_at)
{
    kp_http_header headers[MAX_HEADERS + 2];
    size_t n = 0;
    bool has_type = false;
    bool has_body = reply->text.len > body_at && reply->status != 204 && reply->status != 304;

    for (size_t i = 0; i < reply->n_headers; i++) {
        const char *name = reply->text.ptr + reply->headers[i].name;

        headers[n].name = (kp_slice){name, reply->headers[i].name_len};
        headers[n++].value =
            (kp_slice){reply->text.ptr + reply->headers[i].value, reply->headers[i].value_len};
        has_type |= kpw_slice_is_nocase((struct kpw_slice){name, reply->headers[i].name_len},
                                        "content-type");
    }
    if (!has_type)
        headers[n++] = (kp_http_header){{"Content-Type", 12}, {"application/json", 16}};
    headers[n++] = (kp_http_header){{"x-amzn-RequestId", 16}, {pending->id, sizeof pending->id}};
    proxy->ext->respond(pending->exchange, (int)reply->status, headers, n,
                        has_body ? (kp_slice){reply->text.ptr + body_at, reply->text.len - body_at}
                                 : (kp_slice){"", 0},
                        NULL);
}

void reply_send(struct proxy *proxy, const struct pending *pending, const kp_result *result)
{
    struct reply reply = {.text = proxy->scratch};
    size_t body_at;

    kpw_buf_clear(&reply.text);
    if (result->outcome == KP_FILTERED ||
        (result->outcome == KP_DELIVERED && !result->receipt.body.len)) {
        /* The sink is no function: that it has the event is all there is to say. */
        proxy_respond(proxy, pending->exchange, 200, pending->id, NULL, (kp_slice){"{}", 2});
    } else if (result->outcome == KP_DELIVERED && read_reply(&reply, result->receipt.body) &&
               read_body(&reply, &body_at)) {
        send_reply(proxy, pending, &reply, body_at);
    } else {
        proxy_internal_error(proxy, pending->exchange, result->outcome == KP_RETRY ? 503 : 502,
                             pending->id);
    }
    if (reply.text.failed)
        kpw_buf_fini(&reply.text);
    proxy->scratch = reply.text;
}
