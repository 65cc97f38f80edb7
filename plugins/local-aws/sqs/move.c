/* move.c - message move tasks: the messages of a dead-letter queue go back, or elsewhere.
 *
 * A task is a row of the database and goes on after a restart. One timer steps all tasks that run:
 * with a limit as many messages per second, without one a few hundred at a time, so that requests
 * get their turn between. A moved message is a new one: with a new id, sent now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sql.h"
#include "plugins/local-aws/sqs/call.h"
#include "sdk/wire/base64.h"

enum {
    STEP_MAX = 200, /* messages per step of a task without a limit */
    STEP_MS = 1000, /* between steps of tasks with a limit */
    RATE_MAX = 500,
    LIST_MAX = 10, /* also how many tasks of a queue are remembered */
    HANDLE_MAX = 500,
    ARN_MAX = 200,
};

enum slot {
    MOVE_ADD = SQS_STORE_STATEMENTS,
    MOVE_CHANGE,
    MOVE_RUNNING,
    MOVE_OF_QUEUE,
    MOVE_GET,
    MOVE_FORGET,
    MOVE_NEXT_ID,
    SLOTS
};

_Static_assert((int)SLOTS <= (int)SQS_STATEMENTS, "every statement has a slot");

static const char schema_text[] =
    "CREATE TABLE IF NOT EXISTS sqs_move(id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL,"
    " scope TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, rate INTEGER NOT NULL,"
    " status TEXT NOT NULL, reason TEXT NOT NULL, moved INTEGER NOT NULL, total INTEGER NOT NULL,"
    " started INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS sqs_move_source ON sqs_move(scope, source, id);";

struct task {
    int64_t id;
    char uid[KPW_UUID_SIZE];
    char scope[40];
    char source[ARN_MAX]; /* ARN */
    char target[ARN_MAX]; /* ARN; "": where each message came from */
    int64_t rate;         /* messages per second; 0: no limit */
    char status[16];      /* RUNNING, COMPLETED, CANCELLED, FAILED */
    char reason[60];      /* of FAILED */
    int64_t moved, total, started_ms;
};

/* ---- rows ---- */

#define COLUMNS "id, uid, scope, source, target, rate, status, reason, moved, total, started"

static sqlite3_stmt *use(struct sqs_store *store, enum slot slot, const char *text)
{
    return sql_use(store->db, &store->st[slot], text);
}

static void read_task(sqlite3_stmt *st, struct task *ret)
{
    ret->id = sqlite3_column_int64(st, 0);
    snprintf(ret->uid, sizeof(ret->uid), "%s", sql_text(st, 1));
    snprintf(ret->scope, sizeof(ret->scope), "%s", sql_text(st, 2));
    snprintf(ret->source, sizeof(ret->source), "%s", sql_text(st, 3));
    snprintf(ret->target, sizeof(ret->target), "%s", sql_text(st, 4));
    ret->rate = sqlite3_column_int64(st, 5);
    snprintf(ret->status, sizeof(ret->status), "%s", sql_text(st, 6));
    snprintf(ret->reason, sizeof(ret->reason), "%s", sql_text(st, 7));
    ret->moved = sqlite3_column_int64(st, 8);
    ret->total = sqlite3_column_int64(st, 9);
    ret->started_ms = sqlite3_column_int64(st, 10);
}

static bool add_task(struct sqs_store *store, const struct task *task)
{
    sqlite3_stmt *st = use(store, MOVE_ADD,
                           "INSERT INTO sqs_move(uid, scope, source, target, rate, status, reason,"
                           " moved, total, started) VALUES(?, ?, ?, ?, ?, ?, '', 0, ?, ?)");

    sql_bind_text(st, 1, task->uid);
    sql_bind_text(st, 2, task->scope);
    sql_bind_text(st, 3, task->source);
    sql_bind_text(st, 4, task->target);
    sql_bind_int(st, 5, task->rate);
    sql_bind_text(st, 6, task->status);
    sql_bind_int(st, 7, task->total);
    sql_bind_int(st, 8, task->started_ms);
    return sql_run(st);
}

static bool change_task(struct sqs_store *store, const struct task *task)
{
    sqlite3_stmt *st = use(store, MOVE_CHANGE,
                           "UPDATE sqs_move SET status = ?, reason = ?, moved = ? WHERE id = ?");

    sql_bind_text(st, 1, task->status);
    sql_bind_text(st, 2, task->reason);
    sql_bind_int(st, 3, task->moved);
    sql_bind_int(st, 4, task->id);
    return sql_run(st);
}

static bool find_task(struct sqs_store *store, const char *scope, const char *uid, struct task *ret)
{
    sqlite3_stmt *st =
        use(store, MOVE_GET, "SELECT " COLUMNS " FROM sqs_move WHERE scope = ? AND uid = ?");

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, uid);
    if (!sql_row(st))
        return false;
    read_task(st, ret);
    sqlite3_reset(st);
    return true;
}

/* The running tasks, in order; returns how many of at most `max`. */
static size_t running_tasks(struct sqs_store *store, int64_t after, struct task *tasks, size_t max)
{
    sqlite3_stmt *st = use(store, MOVE_RUNNING,
                           "SELECT " COLUMNS " FROM sqs_move WHERE status = 'RUNNING' AND id > ?"
                           " ORDER BY id LIMIT ?");
    size_t n = 0;

    sql_bind_int(st, 1, after);
    sql_bind_int(st, 2, (long long)max);
    while (n < max && sql_row(st))
        read_task(st, &tasks[n++]);
    if (st)
        sqlite3_reset(st);
    return n;
}

/* The last tasks of a queue, newest first. */
static size_t tasks_of(struct sqs_store *store, const char *scope, const char *source,
                       struct task *tasks, size_t max)
{
    sqlite3_stmt *st = use(store, MOVE_OF_QUEUE,
                           "SELECT " COLUMNS " FROM sqs_move WHERE scope = ? AND source = ?"
                           " ORDER BY id DESC LIMIT ?");
    size_t n = 0;

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, source);
    sql_bind_int(st, 3, (long long)max);
    while (n < max && sql_row(st))
        read_task(st, &tasks[n++]);
    if (st)
        sqlite3_reset(st);
    return n;
}

static bool forget_old(struct sqs_store *store, const char *scope, const char *source)
{
    sqlite3_stmt *st = use(store, MOVE_FORGET,
                           "DELETE FROM sqs_move WHERE scope = ?1 AND source = ?2 AND id NOT IN"
                           " (SELECT id FROM sqs_move WHERE scope = ?1 AND source = ?2"
                           " ORDER BY id DESC LIMIT ?3)");

    sql_bind_text(st, 1, scope);
    sql_bind_text(st, 2, source);
    sql_bind_int(st, 3, LIST_MAX);
    return sql_run(st);
}

/* The first message that may be moved; 0: there is none. */
static int64_t next_message(struct sqs_store *store, int64_t queue, int64_t now_ms)
{
    sqlite3_stmt *st = use(store, MOVE_NEXT_ID,
                           "SELECT id FROM sqs_message WHERE queue = ? AND visible <= ?"
                           " ORDER BY visible, id LIMIT 1");
    int64_t id;

    sql_bind_int(st, 1, queue);
    sql_bind_int(st, 2, now_ms);
    if (!sql_row(st))
        return 0;
    id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return id;
}

/* ---- moving ---- */

static void end_task(struct task *task, const char *status, const char *reason)
{
    snprintf(task->status, sizeof(task->status), "%s", status);
    snprintf(task->reason, sizeof(task->reason), "%s", reason);
}

/* Moves one message as a new one. False: the task has ended, or the disk is in trouble. */
static bool move_one(struct sqs_call *call, struct task *task, const struct sqs_queue *source,
                     int64_t id)
{
    struct sqs_message message;
    struct sqs_queue target = {0};
    const char *arn = task->target, *name;
    bool ok = sqs_message_find(call->store, source->id, id, &message);

    if (ok && !arn[0])
        arn = sqs_text(message.system, "DeadLetterQueueSourceArn");
    name = arn ? sqs_name_of_arn(call, arn) : NULL;
    if (ok && !arn) {
        end_task(task, "FAILED", "CouldNotDetermineMessageSource");
        ok = false;
    } else if (ok && (!name || !sqs_queue_find(call->store, call->region, name, &target))) {
        end_task(task, "FAILED", "AWS.SimpleQueueService.NonExistentQueue");
        ok = false;
    }
    if (ok) {
        json_object_del(message.system, "DeadLetterQueueSourceArn");
        kpw_random_uuid(&call->service->local->random, message.uid);
        message.sent_ms = message.visible_ms = call->now_ms;
        message.first_ms = message.received_ms = message.receives = 0;
        ok = sqs_message_add(call->store, &target, &message) && sqs_message_remove(call->store, id);
        task->moved += ok;
    }
    sqs_queue_fini(&target);
    sqs_message_fini(&message);
    return ok;
}

static bool step_task(struct sqs_call *call, struct task *task)
{
    int64_t n = task->rate ? task->rate : STEP_MAX, id = 1;
    const char *name = sqs_name_of_arn(call, task->source);
    struct sqs_queue source = {0};
    bool ok = name && sqs_queue_find(call->store, call->region, name, &source);

    if (!ok)
        end_task(task, "FAILED", "AWS.SimpleQueueService.NonExistentQueue");
    while (ok && n-- > 0 && task->moved < task->total &&
           (id = next_message(call->store, source.id, call->now_ms)) != 0)
        ok = move_one(call, task, &source, id);
    if (ok && (!id || task->moved >= task->total))
        end_task(task, "COMPLETED", "");
    sqs_queue_fini(&source);
    /* What was moved before the end of a task stays moved. */
    return change_task(call->store, task);
}

static void step_all(kp_node *node, void *arg);

/* Sets the timer when a task runs: at once when one may go on at once. */
static void set_mover(struct sqs_service *service)
{
    const kp_timer_ext *ext = service->local->timer_ext;
    int64_t wait_ms = -1, after = 0;
    struct task task;

    while (running_tasks(&service->store, after, &task, 1)) {
        after = task.id;
        if (wait_ms < 0 || !task.rate)
            wait_ms = task.rate ? STEP_MS : 0;
    }
    if (wait_ms >= 0 && !service->mover)
        service->mover = ext->create(service->local->node, step_all, service);
    if (service->mover && wait_ms >= 0)
        ext->start(service->mover, wait_ms, 0);
}

static void step_all(kp_node *node, void *arg)
{
    struct sqs_service *service = arg;
    struct sqs_call call = {.service = service,
                            .store = &service->store,
                            .operation = "StartMessageMoveTask",
                            .now_ms = local_now_ms(service->local)};
    int64_t after = 0;
    struct task task;

    (void)node;
    commit_begin(&service->commit);
    while (running_tasks(&service->store, after, &task, 1)) {
        bool ok = sql_begin(service->store.db);

        after = task.id;
        snprintf(call.region, sizeof(call.region), "%s", task.scope);
        ok = ok && step_task(&call, &task);
        sql_end(service->store.db, ok);
    }
    commit_end(&service->commit);
    sqs_wake(service, 0);
    set_mover(service);
}

bool sqs_moves_open(struct sqs_service *service)
{
    if (!sql_exec(service->store.db, schema_text))
        return false;
    set_mover(service);
    return true;
}

void sqs_moves_close(struct sqs_service *service)
{
    if (service->mover)
        service->local->timer_ext->destroy(service->mover);
    service->mover = NULL;
}

/* ---- operations ---- */

static bool no_queue(struct sqs_call *call, const char *parameter)
{
    return sqs_refuse(&call->err, "ResourceNotFoundException",
                      "The resource that you specified for the %s parameter doesn't exist.",
                      parameter);
}

/* The queue of an ARN. sqs_queue_fini() in any case. */
static bool queue_of_arn(struct sqs_call *call, const char *parameter, const char *arn,
                         struct sqs_queue *ret)
{
    const char *name = sqs_name_of_arn(call, arn);

    memset(ret, 0, sizeof(*ret));
    return (name && sqs_queue_find(call->store, call->region, name, ret)) ||
           no_queue(call, parameter);
}

static bool is_target(void *arg, const struct sqs_queue *queue)
{
    const char *text = sqs_text(queue->attributes, "RedrivePolicy");
    json_t *policy = text ? json_loads(text, 0, NULL) : NULL;
    const char *target = sqs_text(policy, "deadLetterTargetArn");
    const char **arn = arg;

    if (target && strcmp(target, *arn) == 0)
        *arn = NULL;
    json_decref(policy);
    return *arn != NULL;
}

/* Do the dead letters of any queue go there? */
static bool is_dead_letter_queue(struct sqs_call *call, const char *arn)
{
    sqs_queue_each(call->store, &(struct sqs_range){call->region, "", ""}, is_target, &arn);
    return arn == NULL;
}

static void put_handle(const struct task *task, char out[HANDLE_MAX])
{
    char raw[HANDLE_MAX / 4 * 3 - 3];
    int n = snprintf(raw, sizeof(raw), "{\"taskId\":\"%s\",\"sourceArn\":\"%s\"}", task->uid,
                     task->source);

    out[kpw_base64_encode(raw, (size_t)n, out)] = '\0';
}

static bool check_start(struct sqs_call *call, const struct task *task,
                        const struct sqs_queue *source, const struct sqs_queue *target)
{
    struct task last;

    if (task->rate < 0 || task->rate > RATE_MAX ||
        (!task->rate && sqs_member(call->in, "MaxNumberOfMessagesPerSecond")))
        return sqs_invalid(&call->err,
                           "Value %lld for parameter MaxNumberOfMessagesPerSecond is invalid. "
                           "Reason: Must be between 1 and 500, if provided.",
                           (long long)task->rate);
    if (!is_dead_letter_queue(call, task->source))
        return sqs_invalid(&call->err, "Source queue must be configured as a Dead Letter Queue.");
    if (task->target[0] && target->id == source->id)
        return sqs_invalid(&call->err, "Source queue and destination queue cannot be the same.");
    if (task->target[0] && target->is_fifo != source->is_fifo)
        return sqs_invalid(&call->err,
                           "Source queue and destination queue must be of the same type.");
    if (tasks_of(call->store, call->region, task->source, &last, 1) &&
        strcmp(last.status, "RUNNING") == 0)
        return sqs_invalid(&call->err, "There is already a task running. Only one active task is "
                                       "allowed for a source queue arn at a given time.");
    return true;
}

static bool start_task(struct sqs_call *call, struct task *task, const struct sqs_queue *source)
{
    struct sqs_counts counts;
    char handle[HANDLE_MAX];

    if (!sqs_expire(call, source))
        return false;
    sqs_queue_count(call->store, source->id, call->now_ms, &counts);
    kpw_random_uuid(&call->service->local->random, task->uid);
    snprintf(task->scope, sizeof(task->scope), "%s", call->region);
    end_task(task, "RUNNING", "");
    task->total = counts.visible;
    task->started_ms = call->now_ms;
    if (!add_task(call->store, task) || !forget_old(call->store, task->scope, task->source))
        return sqs_trouble(&call->err);
    put_handle(task, handle);
    json_object_set_new(call->out, "TaskHandle", json_string(handle));
    set_mover(call->service);
    return true;
}

bool sqs_start_move(struct sqs_call *call)
{
    const char *source_arn = sqs_text(call->in, "SourceArn");
    const char *target_arn = sqs_text(call->in, "DestinationArn");
    struct sqs_queue source = {0}, target = {0};
    struct task task = {0};
    bool ok;

    if (!source_arn)
        return sqs_missing(&call->err, "SourceArn");
    ok = queue_of_arn(call, "SourceArn", source_arn, &source) &&
         (!target_arn || queue_of_arn(call, "DestinationArn", target_arn, &target)) &&
         sqs_int(call->in, "MaxNumberOfMessagesPerSecond", &task.rate, &call->err);
    snprintf(task.source, sizeof(task.source), "%s", source_arn);
    snprintf(task.target, sizeof(task.target), "%s", target_arn ? target_arn : "");
    ok = ok && check_start(call, &task, &source, &target) && start_task(call, &task, &source);
    sqs_queue_fini(&source);
    sqs_queue_fini(&target);
    return ok;
}

/* [new reference] A task as it is listed; only a running one can be cancelled by its handle. */
static json_t *describe(const struct task *task)
{
    json_t *out = json_object();
    char handle[HANDLE_MAX];

    put_handle(task, handle);
    if (strcmp(task->status, "RUNNING") == 0)
        json_object_set_new(out, "TaskHandle", json_string(handle));
    json_object_set_new(out, "Status", json_string(task->status));
    json_object_set_new(out, "SourceArn", json_string(task->source));
    if (task->target[0])
        json_object_set_new(out, "DestinationArn", json_string(task->target));
    if (task->rate)
        json_object_set_new(out, "MaxNumberOfMessagesPerSecond", json_integer(task->rate));
    json_object_set_new(out, "ApproximateNumberOfMessagesMoved", json_integer(task->moved));
    json_object_set_new(out, "ApproximateNumberOfMessagesToMove", json_integer(task->total));
    if (task->reason[0])
        json_object_set_new(out, "FailureReason", json_string(task->reason));
    json_object_set_new(out, "StartedTimestamp", json_integer(task->started_ms));
    return out;
}

bool sqs_list_moves(struct sqs_call *call)
{
    const char *arn = sqs_text(call->in, "SourceArn");
    struct task tasks[LIST_MAX];
    struct sqs_queue source;
    int64_t max = 1;
    json_t *results;
    size_t n;
    bool ok;

    if (!arn)
        return sqs_missing(&call->err, "SourceArn");
    ok = queue_of_arn(call, "SourceArn", arn, &source) &&
         sqs_int(call->in, "MaxResults", &max, &call->err);
    sqs_queue_fini(&source);
    if (!ok)
        return false;
    if (max < 1 || max > LIST_MAX)
        return sqs_invalid(&call->err,
                           "Value %lld for parameter MaxResults is invalid. Reason: Must be "
                           "between 1 and 10, if provided.",
                           (long long)max);
    results = json_array();
    n = tasks_of(call->store, call->region, arn, tasks, (size_t)max);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(results, describe(&tasks[i]));
    json_object_set_new(call->out, "Results", results);
    return true;
}

/* The task id and the queue's ARN that a handle names. */
static json_t *read_handle(const char *text)
{
    size_t len = strlen(text), n = 0;
    char raw[HANDLE_MAX + 4];
    json_t *ret = NULL;

    if (kpw_base64_decoded_max(len) < sizeof(raw) && kpw_base64_decode(text, len, raw, &n))
        ret = json_loadb(raw, n, 0, NULL);
    if (sqs_text(ret, "taskId") && sqs_text(ret, "sourceArn"))
        return ret;
    json_decref(ret);
    return NULL;
}

bool sqs_cancel_move(struct sqs_call *call)
{
    const char *text = sqs_text(call->in, "TaskHandle");
    struct sqs_queue source = {0};
    struct task task;
    json_t *handle;
    bool ok;

    if (!text)
        return sqs_missing(&call->err, "TaskHandle");
    handle = read_handle(text);
    if (!handle)
        return sqs_invalid(&call->err, "Value for parameter TaskHandle is invalid.");
    ok = queue_of_arn(call, "SourceArn", sqs_text(handle, "sourceArn"), &source);
    if (ok && (!find_task(call->store, call->region, sqs_text(handle, "taskId"), &task) ||
               strcmp(task.status, "RUNNING") != 0))
        ok = sqs_refuse(&call->err, "ResourceNotFoundException", "Task does not exist.");
    if (ok) {
        end_task(&task, "CANCELLED", "");
        json_object_set_new(call->out, "ApproximateNumberOfMessagesMoved",
                            json_integer(task.moved));
        ok = change_task(call->store, &task) || sqs_trouble(&call->err);
    }
    sqs_queue_fini(&source);
    json_decref(handle);
    return ok;
}
