/* dynamodb_send.c - see dynamodb_send.h.
 *
 * The AWS client is asked for one attempt at a time: only so is it known when the one that was
 * answered had left, and that time is what a lease's deadline counts from.
 */
#include "core/lease/dynamodb_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum {
    MAX_ATTEMPTS = 5,
    MAX_RETRIES = 100, /* in hand; each answer that is good gives one back */
    BASE_MS = 50,      /* of the pause before the second attempt */
    MAX_PAUSE_MS = 1000,
    LEAST_MS = 200, /* an attempt with less time is not begun */
    ITEM = 1024,    /* bytes of an answer with one row, about */
};

struct dynamodb_send {
    TAILQ_ENTRY(dynamodb_send) at;
    struct dynamodb_io *db;
    struct request request; /* operation NULL: only waits */
    char *body, target[64]; /* [owned] */
    kp_aws_call *call;      /* NULL: waits for due_ms */
    int64_t first_ms, sent_ms, due_ms;
    int attempt;
    struct dynamodb_asker asker;
};

static void send_free(struct dynamodb_send *send)
{
    request_fini(&send->request);
    free(send->body);
    free(send);
}

/* ---- what went wrong, in words */

/* "... is not authorized to perform: dynamodb:Scan on resource: arn:aws:... because ..."; NULL: it
 * does not say. [owned by caller] */
static char *resource_of(const char *message)
{
    static const char before[] = "on resource: ";
    const char *at = strstr(message, before);

    if (!at || strncmp(at + sizeof before - 1, "arn:", 4) != 0)
        return NULL;
    at += sizeof before - 1;
    return mem_dupn(at, strcspn(at, " \t\r\n"));
}

/* The table of the request as an ARN, or by name and region. [owned by caller] */
static char *name_of(const struct dynamodb_send *send, const char *message)
{
    const struct dynamodb_io *db = send->db;
    const char *table = send->request.table;
    char *arn = resource_of(message);

    if (arn)
        return arn;
    if (db->arn) /* the others begin with the name of the lease table */
        return mem_fmt("%s%s", db->arn, table + strlen(db->table));
    if (db->region)
        return mem_fmt("table %s in %s", table, db->region);
    return mem_fmt("table %s", table);
}

static char *describe(const struct dynamodb_send *send, const char *code, const char *message)
{
    const char *operation = send->request.operation;
    char *name, *text;

    if (!strcmp(code, "ResourceNotFoundException") && strcmp(operation, "CreateTable") != 0)
        return mem_fmt("the table %s does not exist%s%s", send->request.table,
                       send->db->region ? " in " : "", send->db->region ? send->db->region : "");
    name = name_of(send, message);
    if (!strcmp(code, "AccessDeniedException"))
        text = mem_fmt("no permission for dynamodb:%s on %s", operation, name);
    else
        text = mem_fmt("dynamodb:%s on %s failed: %s%s%s", operation, name, code,
                       *message ? ": " : "", message);
    free(name);
    return text;
}

/* ---- answers */

static bool is_momentary(const kp_aws_response *response)
{
    return response->retryable || response->throttled ||
           !strcmp(response->error, "TransactionConflictException");
}

/* What passes without anybody's doing, though not within this request. */
static bool may_pass(const kp_aws_response *response)
{
    return is_momentary(response) || !strncmp(response->error, "ExpiredToken", 12) ||
           !strcmp(response->error, "ResourceInUseException");
}

static void start(struct dynamodb_send *send);

/* True: there will be another attempt. */
static bool retry(struct dynamodb_send *send, const kp_aws_response *response)
{
    struct dynamodb_io *db = send->db;
    int64_t most = BASE_MS << send->attempt, pause, now = clock_mono_ms();

    if (!is_momentary(response) || send->attempt >= MAX_ATTEMPTS || !db->retries)
        return false;
    if (most > MAX_PAUSE_MS)
        most = MAX_PAUSE_MS;
    pause = 1 + (int64_t)kpw_random_below(&db->random, (uint64_t)most);
    if (pause < response->retry_after_ms)
        pause = response->retry_after_ms;
    if (now + pause + LEAST_MS > send->first_ms + db->most_ms)
        return false;
    log_debug("leases.retried", "table=%s operation=%s error=%s attempt=%d wait_ms=%lld",
              send->request.table, send->request.operation, response->error, send->attempt,
              (long long)pause);
    db->retries--;
    send->due_ms = now + pause;
    start(send);
    return true;
}

static void finish(struct dynamodb_send *send, struct dynamodb_answer *answer)
{
    struct dynamodb_asker asker = send->asker;

    TAILQ_REMOVE(&send->db->sends, send, at);
    answer->first_ms = send->first_ms;
    answer->sent_ms = send->sent_ms;
    send_free(send);
    asker.answered(asker.arg, answer);
}

static void failed(struct dynamodb_send *send, const kp_aws_response *response, json_t *body)
{
    char *code = mem_dup(response->error);
    char *message = describe(send, code, response->message ? response->message : "");
    struct dynamodb_answer answer = {.body = body,
                                     .error = code,
                                     .message = message,
                                     .is_final = !may_pass(response),
                                     .is_missing = !strcmp(code, "ResourceNotFoundException") ||
                                                   !strcmp(code, "AccessDeniedException")};

    finish(send, &answer);
    free(message);
    free(code);
}

static void worked(struct dynamodb_send *send, json_t *body)
{
    struct dynamodb_answer answer = {.body = body};

    if (send->db->retries < MAX_RETRIES)
        send->db->retries++;
    if (!json_is_object(body)) {
        answer.error = "BadAnswer";
        answer.message = "DynamoDB's answer is no JSON object";
    }
    finish(send, &answer);
}

static void on_answer(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct dynamodb_send *send = arg;
    json_t *body;

    (void)node;
    send->call = NULL;
    if (response->error && retry(send, response))
        return;
    body = json_loadb(response->body.ptr ? response->body.ptr : "", response->body.len, 0, NULL);
    if (response->error)
        failed(send, response, body);
    else
        worked(send, body);
    json_decref(body);
}

/* ---- sending */

static void attempt(struct dynamodb_send *send)
{
    struct dynamodb_io *db = send->db;
    int64_t now = clock_mono_ms(), left = send->first_ms + db->most_ms - now;
    kp_aws_request request = {.size = sizeof request,
                              .service = "dynamodb",
                              .target = send->target,
                              .content_type = "application/x-amz-json-1.0",
                              .body = {send->body, strlen(send->body)},
                              .timeout_ms = left < db->attempt_ms ? left : db->attempt_ms,
                              .attempts = 1,
                              .expected_body =
                                  strcmp(send->request.operation, "Scan") != 0 ? ITEM : 0};

    if (request.timeout_ms < LEAST_MS)
        request.timeout_ms = LEAST_MS;
    send->sent_ms = now;
    send->attempt++;
    send->call = aws_client_call(db->aws, NULL, &request, on_answer, send);
}

static void set_timer(struct dynamodb_io *db);

static void on_timer(uv_timer_t *timer)
{
    struct dynamodb_io *db = timer->data;
    struct dynamodb_send *send, *due = NULL;
    int64_t now = clock_mono_ms();

    TAILQ_FOREACH(send, &db->sends, at)
    {
        if (send->call || send->due_ms > now)
            continue;
        if (send->request.operation)
            attempt(send);
        else if (!due)
            due = send;
    }
    set_timer(db);
    if (due) /* one at a time, as it may free us; the timer rings at once for the next */
        finish(due, &(struct dynamodb_answer){0});
}

static void set_timer(struct dynamodb_io *db)
{
    const struct dynamodb_send *send;
    int64_t first = INT64_MAX, now = clock_mono_ms();

    TAILQ_FOREACH(send, &db->sends, at)
    {
        if (!send->call && send->due_ms < first)
            first = send->due_ms;
    }
    if (first == INT64_MAX)
        uv_timer_stop(db->timer);
    else
        uv_timer_start(db->timer, on_timer, first > now ? (uint64_t)(first - now) : 0, 0);
}

/* At due_ms. */
static void start(struct dynamodb_send *send)
{
    set_timer(send->db);
}

void dynamodb_send(struct dynamodb_io *db, struct request *request,
                   const struct dynamodb_asker *asker)
{
    struct dynamodb_send *send = mem_new(sizeof *send);

    send->db = db;
    send->request = *request;
    *request = (struct request){0}; /* moved */
    send->body = json_dumps(send->request.input, JSON_COMPACT);
    snprintf(send->target, sizeof send->target, "DynamoDB_20120810.%s", send->request.operation);
    send->asker = *asker;
    send->first_ms = clock_mono_ms();
    TAILQ_INSERT_TAIL(&db->sends, send, at);
    attempt(send);
}

void dynamodb_wait(struct dynamodb_io *db, int64_t ms, const struct dynamodb_asker *asker)
{
    struct dynamodb_send *send = mem_new(sizeof *send);

    send->db = db;
    send->asker = *asker;
    send->due_ms = clock_mono_ms() + ms;
    TAILQ_INSERT_TAIL(&db->sends, send, at);
    start(send);
}

bool dynamodb_is(const struct dynamodb_answer *answer, const char *error)
{
    return answer->error && !strcmp(answer->error, error);
}

/* ---- begin and end */

void dynamodb_send_init(struct dynamodb_io *db, uv_loop_t *loop)
{
    TAILQ_INIT(&db->sends);
    kpw_random_init(&db->random);
    db->retries = MAX_RETRIES;
    db->timer = mem_new(sizeof *db->timer);
    uv_timer_init(loop, db->timer);
    db->timer->data = db;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void dynamodb_send_fini(struct dynamodb_io *db)
{
    struct dynamodb_send *send;

    while ((send = TAILQ_FIRST(&db->sends))) {
        TAILQ_REMOVE(&db->sends, send, at);
        if (send->call)
            aws_client_cancel(send->call);
        send->asker.dropped(send->asker.arg);
        send_free(send);
    }
    uv_timer_stop(db->timer);
    uv_close((uv_handle_t *)db->timer, on_closed);
}
