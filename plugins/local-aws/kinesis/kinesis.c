/* kinesis.c - a request from its members to its answer; how answers and errors look; addressing.
 *
 * A request passes the checks of door.c, then those of its members (check.h); the first that fails
 * answers.
 */
#include "plugins/local-aws/kinesis/consumers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/report.h"

enum { EXPIRE_MS = 60000 };

/* ---- answers */

struct kpw_buf *kinesis_out(struct kinesis_call *call)
{
    struct kpw_buf *out = &call->k->out;

    if (out->failed || out->cap > 4u << 20)
        kpw_buf_fini(out);
    kpw_buf_clear(out);
    return out;
}

struct write *kinesis_write(struct kinesis_call *call)
{
    call->k->writer = write_to(kinesis_out(call), call->is_cbor);
    return &call->k->writer;
}

const char *kinesis_media(const struct kinesis_call *call)
{
    return call->is_cbor ? KINESIS_CBOR_11 : LOCAL_JSON_11;
}

void kinesis_answer(struct kinesis_call *call)
{
    const struct kpw_buf *out = &call->k->out;

    if (out->failed)
        kinesis_trouble(call, "out of memory");
    else
        kinesis_respond(call, &(struct local_answer){.status = 200,
                                                     .content_type = kinesis_media(call),
                                                     .body = {out->ptr, out->len}});
}

void kinesis_answer_empty(struct kinesis_call *call)
{
    kinesis_respond(call,
                    &(struct local_answer){.status = 200, .content_type = kinesis_media(call)});
}

/* [borrowed] the message; without memory the status alone says it. */
static void send_error(struct kinesis_call *call, const char *type, const struct kpw_buf *message)
{
    bool is_ours = !strcmp(type, "InternalFailure");
    kp_http_header header = {{"x-amzn-ErrorType", 16}, {type, strlen(type)}};
    struct kpw_buf body = KPW_BUF_INIT;
    struct write w = write_to(&body, call->is_cbor);

    write_object(&w);
    write_member(&w, "__type", type);
    if (message)
        write_member_slice(&w, strcmp(type, "SerializationException") ? "message" : "Message",
                           kpw_buf_slice(message));
    write_object_end(&w);
    kinesis_respond(call, &(struct local_answer){.status = is_ours || body.failed ? 500 : 400,
                                                 .content_type = kinesis_media(call),
                                                 .body = {body.ptr, body.failed ? 0 : body.len},
                                                 .headers = &header,
                                                 .n_headers = 1});
    kpw_buf_fini(&body);
}

bool kinesis_fail(struct kinesis_call *call, const char *type, const char *fmt, ...)
{
    struct kpw_buf text = KPW_BUF_INIT;
    va_list args;

    if (fmt) {
        va_start(args, fmt);
        kpw_buf_vappendf(&text, fmt, args);
        va_end(args);
    }
    send_error(call, type, fmt ? &text : NULL);
    kpw_buf_fini(&text);
    return false;
}

bool kinesis_trouble(struct kinesis_call *call, const char *what)
{
    kp->log(call->k->local->node, KP_LOG_ERROR, "kinesis.trouble", "error=\"%s\"", what);
    kp->count(call->k->local->node, "kinesis_internal_failures", 1);
    return kinesis_fail(call, "InternalFailure", NULL);
}

/* ---- addressing */

/* The part of an ARN behind ":stream/". */
static struct kpw_slice name_of_arn(struct kpw_slice arn)
{
    const char *at = memmem(arn.ptr, arn.len, ":stream/", 8);

    if (!at)
        return kpw_slice(NULL, 0);
    at += 8;
    return kpw_slice(at, arn.len - (size_t)(at - arn.ptr));
}

bool kinesis_name(struct kinesis_call *call, struct kpw_slice *ret)
{
    static const struct check_value none;
    const struct check_value *name = check_find(call->check, "StreamName");
    const struct check_value *arn = check_get(call->check, "StreamARN");

    name = name ? name : &none; /* of operations that take an ARN only */
    if (!name->is_given && !arn->is_given)
        return kinesis_fail(call, "InvalidArgumentException",
                            "Either StreamName or StreamARN must be provided.");
    *ret = name->is_given ? name->text : name_of_arn(arn->text);
    if (name->is_given && arn->is_given && !kpw_slice_eq(name->text, name_of_arn(arn->text)))
        return kinesis_fail(call, "InvalidArgumentException",
                            "StreamName and StreamARN name different streams.");
    return true;
}

struct kinesis_stream *kinesis_find(struct kinesis_call *call)
{
    struct kinesis_stream *stream;
    struct kpw_slice name;

    if (!kinesis_name(call, &name))
        return NULL;
    stream = kinesis_stream_named(call->k, name);
    if (!stream)
        kinesis_fail(call, "ResourceNotFoundException", "Stream %.*s under account %s not found.",
                     (int)name.len, name.ptr, call->k->local->account);
    return stream;
}

void kinesis_arn(struct kinesis *k, const struct kinesis_stream *stream, struct kpw_buf *out)
{
    kpw_buf_appendf(out, "arn:aws:kinesis:%s:%s:stream/%s", k->local->region, k->local->account,
                    stream->name);
}

void kinesis_write_arn(struct kinesis *k, const struct kinesis_stream *stream, struct write *w)
{
    size_t begun;

    write_key(w, "StreamARN");
    begun = write_text_begin(w);
    kinesis_arn(k, stream, w->out);
    write_text_end(w, begun);
}

/* ---- requests */

static void run(struct kinesis_call *call, const struct kinesis_operation *operation,
                struct kpw_slice body)
{
    struct check *check = call->check;

    check->is_cbor = call->is_cbor;
    switch (check_read(check, operation->members, body)) {
    case CHECK_OK:
        if (kinesis_rate_take(call, operation))
            operation->run(call);
        return;
    case CHECK_BROKEN: kinesis_fail(call, "SerializationException", NULL); return;
    case CHECK_WRONG_TYPE:
        kinesis_fail(call, "SerializationException", "%s",
                     kpw_buf_cstr(&check->error) ? check->error.ptr : "");
        return;
    case CHECK_INVALID:
        kinesis_fail(call, "ValidationException", "%s",
                     kpw_buf_cstr(&check->error) ? check->error.ptr : "");
        return;
    }
}

static void serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    struct kinesis *k = local->state[LOCAL_KINESIS];
    struct kpw_slice body = {request->body.ptr, request->body.len};
    struct kinesis_call call = {.k = k, .check = &k->check, .x = x, .now_ms = local_now_ms(local)};

    run(&call, kinesis_enter(&call, request, target), body);
}

/* ---- life */

static void expire(kp_node *node, void *arg)
{
    (void)node;
    kinesis_expire(arg);
}

static bool open_service(struct local *local, char *why, size_t cap)
{
    struct kinesis *k = calloc(1, sizeof *k);

    snprintf(why, cap, "out of memory");
    if (!k)
        return false;
    local->state[LOCAL_KINESIS] = k;
    k->local = local;
    k->root = -1;
    k->got = reallocarray(NULL, KINESIS_GET_RECORDS, sizeof *k->got);
    k->expire_timer = local->timer_ext->create(local->node, expire, k);
    if (!k->got || !k->expire_timer || !kinesis_quiet_open(k) || !kinesis_put_open(k) ||
        !kinesis_state_open(k, why, cap))
        return false;
    kpw_hmac_key_init(&k->hmac, k->key, sizeof k->key);
    k->on_readable = kinesis_feed_readable;
    kinesis_life_begin(k);
    local->timer_ext->start(k->expire_timer, EXPIRE_MS, EXPIRE_MS);
    return true;
}

static void close_service(struct local *local)
{
    struct kinesis *k = local->state[LOCAL_KINESIS];

    if (!k)
        return;
    local->timer_ext->destroy(k->expire_timer);
    k->on_readable = NULL;
    kinesis_consumers_close(k);
    kinesis_life_close(k);
    kinesis_put_close(k);
    kinesis_state_close(k);
    kinesis_quiet_close(k);
    check_fini(&k->check);
    kpw_buf_fini(&k->out);
    kpw_buf_fini(&k->raw);
    free(k->got);
    kpw_wipe(k->key, sizeof k->key);
    free(k);
    local->state[LOCAL_KINESIS] = NULL;
}

static const struct local_throttle throttles[] = {
    {"PutRecord PutRecords GetRecords GetShardIterator", 400,
     "ProvisionedThroughputExceededException", NULL,
     "Rate exceeded for a shard of the stream: a fault rule says so."},
    {NULL, 400, "LimitExceededException", NULL, "Rate exceeded: a fault rule says so."},
};

const struct local_row local_kinesis = {
    .name = "kinesis",
    .label = "Kinesis",
    .hosts = "data-kinesis control-kinesis",
    .targets = "Kinesis_20131202",
    .form = LOCAL_FORM_JSON_11,
    .open = open_service,
    .admit = kinesis_admit,
    .serve = serve,
    .close = close_service,
    .report = kinesis_report,
    .throttles = throttles,
};
