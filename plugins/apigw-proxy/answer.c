/* answer.c - see proxy.h: receipts become the answers of PutRecord and PutRecords.
 *
 * Records whose sink gives no sequence number (it is not a stream) get one made
 * of the time, the worker and a counter, so that it is unique and grows.
 */
#include <stdio.h>
#include <string.h>

#include "plugins/apigw-proxy/proxy.h"
#include "sdk/wire/json.h"

/* An error as Kinesis names it, and the status a strict mapping gives it. */
struct problem {
    kp_slice code, message;
    int status;
    bool hidden; /* the client gets no details: the fault is the server's */
};

static const struct known {
    const char *code;
    int status;
    bool hidden;
} known[] = {
    {"ProvisionedThroughputExceededException", 429, false},
    {"LimitExceededException", 429, false},
    {"KMSThrottlingException", 429, false},
    {"ThrottlingException", 429, false},
    {"ValidationException", 400, false},
    {"InvalidArgumentException", 400, false},
    {"SerializationException", 400, false},
    {"ResourceNotFoundException", 404, false},
    {"AccessDeniedException", 502, true},
    {"KMSAccessDeniedException", 502, true},
    {"UnrecognizedClientException", 502, true},
    {"InternalFailure", 502, true},
    {"ServiceUnavailable", 502, true},
};

/* A sink's reason reads "Code: text"; without a known code it is a failure of the server. */
static struct problem problem_of(const kp_result *result)
{
    static const char failure[] = "InternalFailure";
    kp_slice reason = result->reason;
    struct problem problem = {{failure, sizeof failure - 1}, reason, 502, true};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t len = strlen(known[i].code);

        if (reason.len < len || memcmp(reason.ptr, known[i].code, len) != 0)
            continue;
        problem.code = (kp_slice){reason.ptr, len};
        problem.status = known[i].status;
        problem.hidden = known[i].hidden;
        if (reason.len > len + 2 && reason.ptr[len] == ':')
            problem.message = (kp_slice){reason.ptr + len + 2, reason.len - len - 2};
    }
    return problem;
}

static bool is_good(const kp_result *result)
{
    return result->outcome == KP_DELIVERED || result->outcome == KP_FILTERED;
}

static void put_sequence(struct proxy *proxy, const kp_receipt *receipt)
{
    struct kpw_buf *out = &proxy->scratch;
    char made[64];
    int n;

    kpw_buf_puts(out, "\"SequenceNumber\":\"");
    if (receipt->sequence.len) {
        kpw_buf_append(out, receipt->sequence.ptr, receipt->sequence.len);
    } else {
        n = snprintf(made, sizeof made, "49%013lld%04u%012llu", (long long)kp->wall_ms(),
                     kp->info(proxy->node)->worker % 10000,
                     (unsigned long long)(proxy->sequence++ % 1000000000000));
        kpw_buf_append(out, made, (size_t)n);
    }
    kpw_buf_puts(out, "\",\"ShardId\":\"");
    if (receipt->shard.len)
        kpw_buf_append(out, receipt->shard.ptr, receipt->shard.len);
    else
        kpw_buf_puts(out, "shardId-000000000000");
    kpw_buf_puts(out, "\"");
}

static void send(struct proxy *proxy, kp_exchange *exchange, int status, const char *id)
{
    struct kpw_buf *out = &proxy->scratch;

    if (!out->failed) {
        proxy_respond(proxy, exchange, status, id, NULL, (kp_slice){out->ptr, out->len});
        return;
    }
    kpw_buf_fini(out);
    proxy_internal_error(proxy, exchange, 500, id);
}

/* The solution's construct passes every Kinesis error on as 200 with Kinesis' body, except 5xx. */
static void send_problem(struct proxy *proxy, kp_exchange *exchange, const char *id,
                         const struct problem *problem)
{
    struct kpw_buf *out = &proxy->scratch;
    bool construct = proxy->config->mapping == MAPPING_CONSTRUCT;

    if (problem->hidden && !construct) {
        proxy_internal_error(proxy, exchange, problem->status, id);
        return;
    }
    if (construct && problem->status >= 500) {
        proxy_error(proxy, exchange, 500, id, NULL, "Error");
        return;
    }
    kpw_buf_clear(out);
    kpw_buf_puts(out, construct ? "{\"__type\":" : "{\"message\":");
    if (construct)
        kpw_json_put_string(out, problem->code.ptr, problem->code.len);
    else
        kpw_json_put_string(out, problem->message.ptr, problem->message.len);
    kpw_buf_puts(out, construct ? ",\"message\":" : ",\"code\":");
    if (construct)
        kpw_json_put_string(out, problem->message.ptr, problem->message.len);
    else
        kpw_json_put_string(out, problem->code.ptr, problem->code.len);
    kpw_buf_puts(out, "}");
    send(proxy, exchange, construct ? 200 : problem->status, id);
}

void answer_problem(struct proxy *proxy, kp_exchange *exchange, const char *id, const char *code,
                    kp_slice message)
{
    struct problem problem = {{code, strlen(code)}, message, 400, false};

    send_problem(proxy, exchange, id, &problem);
}

void answer_record(struct proxy *proxy, const struct pending *pending, const kp_result *result)
{
    struct kpw_buf *out = &proxy->scratch;
    struct problem problem;

    if (!is_good(result)) {
        problem = problem_of(result);
        send_problem(proxy, pending->exchange, pending->id, &problem);
        return;
    }
    kpw_buf_clear(out);
    kpw_buf_puts(out, "{");
    put_sequence(proxy, &result->receipt);
    kpw_buf_puts(out, "}");
    send(proxy, pending->exchange, 200, pending->id);
}

static void put_failed(struct kpw_buf *out, const kp_result *result)
{
    struct problem problem = problem_of(result);
    static const char internal[] = "Internal server error";

    kpw_buf_puts(out, "\"ErrorCode\":");
    if (problem.status == 429)
        kpw_json_put_string(out, problem.code.ptr, problem.code.len);
    else
        kpw_buf_puts(out, "\"InternalFailure\"");
    kpw_buf_puts(out, ",\"ErrorMessage\":");
    if (problem.hidden)
        kpw_json_put_string(out, internal, sizeof internal - 1);
    else
        kpw_json_put_string(out, problem.message.ptr, problem.message.len);
}

/* 200 when all are in; strict mapping says 207 for a part, 429 or 502 for none. */
static int status_of(const struct proxy *proxy, const kp_result *results, uint32_t count,
                     uint32_t failed)
{
    if (!failed || proxy->config->mapping == MAPPING_CONSTRUCT)
        return 200;
    if (failed < count)
        return 207;
    for (uint32_t i = 0; i < count; i++)
        if (problem_of(&results[i]).status != 429)
            return 502;
    return 429;
}

void answer_records(struct proxy *proxy, const struct pending *pending, const kp_result *results)
{
    struct kpw_buf *out = &proxy->scratch;
    uint32_t failed = 0;

    results += pending->first;
    for (uint32_t i = 0; i < pending->count; i++)
        failed += !is_good(&results[i]);
    kpw_buf_clear(out);
    kpw_buf_puts(out, "{\"FailedRecordCount\":");
    kpw_json_put_uint(out, failed);
    kpw_buf_puts(out, ",\"Records\":[");
    for (uint32_t i = 0; i < pending->count; i++) {
        kpw_buf_puts(out, i ? ",{" : "{");
        if (is_good(&results[i]))
            put_sequence(proxy, &results[i].receipt);
        else
            put_failed(out, &results[i]);
        kpw_buf_puts(out, "}");
    }
    kpw_buf_puts(out, "]}");
    send(proxy, pending->exchange, status_of(proxy, results, pending->count, failed), pending->id);
}
