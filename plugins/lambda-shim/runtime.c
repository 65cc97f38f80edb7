/* runtime.c - see shim.h: functions in child processes that speak the Lambda Runtime API.
 *
 * Every child has a server of its own on 127.0.0.1, so the port says who is
 * asking. A child is started at once, does its own initialisation and asks for
 * `next`; that request stays open until there is an event. It is killed when an
 * event takes longer than the timeout, and started again, after a delay when it
 * had not answered anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/lambda-shim/shim.h"
#include "sdk/wire/json.h"

#define API          "/2018-06-01/runtime/"
#define INIT_MS      10000
#define DELAY_MIN_MS 100
#define DELAY_MAX_MS 30000
#define BODY_MAX     (8 << 20) /* above ANSWER_MAX, so that the refusal is the API's own */

enum child_state {
    CHILD_DOWN,     /* waits to be started */
    CHILD_STARTING, /* has not asked for `next` yet */
    CHILD_READY,    /* its `next` is open */
    CHILD_RUNNING,  /* has an event */
    CHILD_ANSWERED, /* has answered it and has not asked again */
};

struct child {
    struct shim *shim;
    struct process process;
    enum child_state state;
    kp_server *server;
    kp_exchange *next; /* the open `next` [owned by server] */
    struct job *job;   /* what it works on, or will as soon as it asks */
    kp_timer *timer;   /* init, event or restart, by state */
    int64_t delay_ms;  /* before the next start */
    char api[48];      /* AWS_LAMBDA_RUNTIME_API */
    char init_error[1024];
    size_t init_error_len;
    char **env; /* [owned] */
};

static void child_start(struct child *child);

/* ---- answers of the API */

static void respond(struct child *child, kp_exchange *exchange, int status, const char *body)
{
    kp_http_header header = {{"content-type", 12}, {"application/json", 16}};

    child->shim->server->respond(exchange, status, &header, 1, (kp_slice){body, strlen(body)},
                                 NULL);
}

static void refuse(struct child *child, kp_exchange *exchange, int status, const char *type,
                   const char *message)
{
    char body[256];

    snprintf(body, sizeof body, "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}", message, type);
    respond(child, exchange, status, body);
}

static void give_event(struct child *child)
{
    struct shim *shim = child->shim;
    struct job *job = child->job;
    kp_exchange *next = child->next;
    char deadline[24], trace[80];
    int64_t deadline_ms = kp->wall_ms() + shim->config->timeout_ms;
    int n = snprintf(deadline, sizeof deadline, "%lld", (long long)deadline_ms);
    int m = snprintf(trace, sizeof trace, "Root=1-%08llx-%.8s%.4s%.12s;Sampled=0",
                     (unsigned long long)kp->wall_ms() / 1000, job->request_id, job->request_id + 9,
                     job->request_id + 24);
    kp_http_header headers[] = {
        {{"content-type", 12}, {"application/json", 16}},
        {{"lambda-runtime-aws-request-id", 29}, {job->request_id, REQUEST_ID_LENGTH}},
        {{"lambda-runtime-deadline-ms", 26}, {deadline, (size_t)n}},
        {{"lambda-runtime-invoked-function-arn", 35},
         {shim->function_arn, strlen(shim->function_arn)}},
        {{"lambda-runtime-trace-id", 23}, {trace, (size_t)m}},
    };

    child->next = NULL;
    child->state = CHILD_RUNNING;
    shim->timer->start(child->timer, shim->config->timeout_ms, 0);
    shim->server->respond(next, 200, headers, sizeof headers / sizeof *headers,
                          (kp_slice){job->event.ptr, job->event.len}, NULL);
}

/* ---- the end of an event */

static void finish(struct child *child, bool failed, kp_slice body)
{
    struct job *job = child->job;
    struct answer answer = {.failed = failed, .body = body};

    child->job = NULL;
    if (job)
        job_answered(job, &answer);
}

static void finish_error(struct child *child, const char *type, const char *text)
{
    struct kpw_buf error = KPW_BUF_INIT;
    char message[256];
    int n = snprintf(message, sizeof message, "RequestId: %s Error: %s",
                     child->job ? child->job->request_id : "", text);

    event_error(&error, type, message, (size_t)n);
    finish(child, true, error.failed ? (kp_slice){"{}", 2} : (kp_slice){error.ptr, error.len});
    kpw_buf_fini(&error);
}

/* ---- the process */

static void log_line(void *arg, const char *line, size_t len)
{
    struct child *child = arg;
    char what[24];

    snprintf(what, sizeof what, "pid=%d text", (int)child->process.pid);
    if (len)
        event_log(child->shim, KP_LOG_INFO, "function.printed", what, (kp_slice){line, len});
}

static void drop_next(struct child *child)
{
    if (child->next)
        child->shim->server->abort(child->next);
    child->next = NULL;
}

/* Forgets the process, which has ended or been killed, and starts another one after a while. */
static void child_gone(struct child *child)
{
    struct shim *shim = child->shim;
    bool useless = child->state == CHILD_STARTING || child->state == CHILD_RUNNING;

    if (child->process.output >= 0) {
        process_read(&child->process, log_line, child);
        shim->timer->watch_fd(shim->node, child->process.output, NULL, NULL);
    }
    if (child->process.pidfd >= 0)
        shim->timer->watch_fd(shim->node, child->process.pidfd, NULL, NULL);
    process_close(&child->process);
    drop_next(child);
    child->state = CHILD_DOWN;
    if (useless)
        child->delay_ms = child->delay_ms < DELAY_MIN_MS       ? DELAY_MIN_MS
                          : child->delay_ms * 2 > DELAY_MAX_MS ? DELAY_MAX_MS
                                                               : child->delay_ms * 2;
    else
        child->delay_ms = 0;
    shim->timer->start(child->timer, child->delay_ms, 0);
}

static void child_exited(kp_node *node, void *arg)
{
    struct child *child = arg;
    char how[64], text[128];
    enum child_state was = child->state;
    bool clean;

    if (!process_reap(&child->process, how, &clean))
        return;
    kp->log(node, KP_LOG_WARN, "function.exited", "function=%s how=\"%s\"",
            child->shim->function_name, how);
    if (clean)
        snprintf(text, sizeof text, "Runtime exited without providing a reason");
    else
        snprintf(text, sizeof text, "Runtime exited with error: %s", how);
    child_gone(child);
    if (was == CHILD_ANSWERED) /* what it was to get next is for its successor */
        return;
    if (was == CHILD_STARTING && child->init_error_len)
        finish(child, true, (kp_slice){child->init_error, child->init_error_len});
    else if (child->job)
        finish_error(child, "Runtime.ExitError", text);
}

static void child_printed(kp_node *node, void *arg)
{
    struct child *child = arg;

    if (!process_read(&child->process, log_line, child))
        child->shim->timer->watch_fd(node, child->process.output, NULL, NULL);
}

static void out_of_time(struct child *child, int64_t limit_ms)
{
    enum child_state was = child->state;
    char text[64];

    snprintf(text, sizeof text, "Task timed out after %lld.%02lld seconds",
             (long long)limit_ms / 1000, (long long)limit_ms % 1000 / 10);
    kp->log(child->shim->node, KP_LOG_WARN, "function.timed-out", "function=%s pid=%d",
            child->shim->function_name, (int)child->process.pid);
    process_kill(&child->process);
    child_gone(child);
    if (child->job && was != CHILD_ANSWERED) /* what it was to get next is for its successor */
        finish_error(child, "Sandbox.Timedout", text);
}

static void child_timer(kp_node *node, void *arg)
{
    struct child *child = arg;

    (void)node;
    if (child->state == CHILD_DOWN)
        child_start(child);
    else if (child->state == CHILD_STARTING)
        out_of_time(child, INIT_MS);
    else if (child->state == CHILD_RUNNING || child->state == CHILD_ANSWERED)
        out_of_time(child, child->shim->config->timeout_ms);
}

static bool try_start(struct child *child, int *ret_errno)
{
    struct shim *shim = child->shim;
    struct process_start start = {&shim->config->command, shim->config->directory, child->env};

    child->init_error_len = 0;
    if (!process_spawn(&child->process, &start, ret_errno))
        return false;
    child->state = CHILD_STARTING;
    shim->timer->watch_fd(shim->node, child->process.output, child_printed, child);
    shim->timer->watch_fd(shim->node, child->process.pidfd, child_exited, child);
    shim->timer->start(child->timer, INIT_MS, 0);
    return true;
}

static void child_start(struct child *child)
{
    int why;

    if (try_start(child, &why)) {
        shim_run(child->shim);
        return;
    }
    kp->log(child->shim->node, KP_LOG_ERROR, "function.not-started", "function=%s reason=\"%s\"",
            child->shim->function_name, strerror(why));
    child->state = CHILD_STARTING; /* it counts as one that was of no use */
    child_gone(child);
    if (child->job)
        finish_error(child, "Runtime.InvalidEntrypoint", strerror(why));
}

/* ---- the API */

static void on_next(struct child *child, kp_exchange *exchange)
{
    if (child->state == CHILD_RUNNING) {
        refuse(child, exchange, 403, "InvalidStateTransition", "Transition is not allowed");
        return;
    }
    drop_next(child); /* it asks anew: its connection may have been lost */
    child->state = CHILD_READY;
    child->next = exchange;
    child->shim->timer->stop(child->timer);
    if (child->job)
        give_event(child);
    else
        shim_run(child->shim);
}

/* response and error of the current event */
static void on_answer(struct child *child, kp_exchange *exchange, const kp_server_request *request,
                      bool failed)
{
    static const char too_large[] =
        "{\"errorMessage\":\"Response payload size exceeded maximum allowed payload size (6291556 "
        "bytes).\",\"errorType\":\"Function.ResponseSizeTooLarge\"}";

    /* One that never asks again must not keep what it would get next. */
    child->shim->timer->start(child->timer, child->shim->config->timeout_ms, 0);
    child->state = CHILD_ANSWERED;
    child->delay_ms = 0;
    if (request->body.len <= ANSWER_MAX) {
        finish(child, failed, request->body); /* first: the bytes end with the exchange */
        respond(child, exchange, 202, "{\"status\":\"OK\"}");
    } else {
        finish(child, true, (kp_slice){too_large, sizeof too_large - 1});
        refuse(child, exchange, 413, "RequestEntityTooLarge",
               "Exceeded maximum allowed payload size (6291556 bytes).");
    }
}

static void on_init_error(struct child *child, kp_exchange *exchange,
                          const kp_server_request *request)
{
    if (child->state != CHILD_STARTING) {
        refuse(child, exchange, 403, "InvalidStateTransition", "Transition is not allowed");
        return;
    }
    child->init_error_len = request->body.len < sizeof child->init_error ? request->body.len : 0;
    memcpy(child->init_error, request->body.ptr, child->init_error_len);
    respond(child, exchange, 202, "{\"status\":\"OK\"}");
}

/* invocation/ID/response and invocation/ID/error */
static void on_invocation(struct child *child, kp_exchange *exchange,
                          const kp_server_request *request, kp_slice path)
{
    const char *slash = memchr(path.ptr, '/', path.len);
    size_t id_len = slash ? (size_t)(slash - path.ptr) : 0;
    kp_slice verb = {slash + 1, path.len - id_len - 1};
    bool failed = verb.len == 5 && memcmp(verb.ptr, "error", 5) == 0;

    if (!slash || (!failed && !(verb.len == 8 && memcmp(verb.ptr, "response", 8) == 0)))
        refuse(child, exchange, 404, "NotFound", "No such path");
    else if (child->state != CHILD_RUNNING)
        refuse(child, exchange, 403, "InvalidStateTransition", "Transition is not allowed");
    else if (id_len != REQUEST_ID_LENGTH ||
             memcmp(path.ptr, child->job->request_id, REQUEST_ID_LENGTH) != 0)
        refuse(child, exchange, 400, "InvalidRequestID", "Invalid request ID");
    else
        on_answer(child, exchange, request, failed);
}

static bool begins(kp_slice *path, const char *with)
{
    size_t n = strlen(with);

    if (path->len < n || memcmp(path->ptr, with, n) != 0)
        return false;
    path->ptr += n;
    path->len -= n;
    return true;
}

static bool is(kp_slice text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    struct child *child = arg;
    kp_slice path = request->path;
    bool get = is(request->method, "GET"), post = is(request->method, "POST");

    (void)node;
    if (get && is(path, "/ping"))
        respond(child, exchange, 200, "pong");
    else if (!begins(&path, API))
        refuse(child, exchange, 404, "NotFound", "No such path");
    else if (get && is(path, "invocation/next"))
        on_next(child, exchange);
    else if (post && is(path, "init/error"))
        on_init_error(child, exchange, request);
    else if (post && begins(&path, "invocation/"))
        on_invocation(child, exchange, request, path);
    else if (begins(&path, "restore/"))
        refuse(child, exchange, 403, "InvalidStateTransition", "Transition is not allowed");
    else
        refuse(child, exchange, 404, "NotFound", "No such path");
}

/* ---- environment */

struct env {
    char **items;
    size_t n, cap;
};

/* Adds NAME=value; a name that is there already is replaced. */
static bool env_put(struct env *env, const char *name, const char *value)
{
    size_t name_len = strlen(name), size = name_len + strlen(value) + 2;
    char *item = malloc(size);

    if (!item)
        return false;
    snprintf(item, size, "%s=%s", name, value);
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->items[i], item, name_len + 1) != 0)
            continue;
        free(env->items[i]);
        env->items[i] = item;
        return true;
    }
    if (env->n + 2 > env->cap) {
        size_t cap = env->cap ? env->cap * 2 : 32;
        char **items = realloc(env->items, cap * sizeof *items);

        if (!items) {
            free(item);
            return false;
        }
        env->items = items;
        env->cap = cap;
    }
    env->items[env->n++] = item;
    env->items[env->n] = NULL;
    return true;
}

/* What the file may override comes first, then the file, then what is ours. Credentials of the
 * host are never passed on, nor may the child find any by itself. */
static bool env_fill(struct env *env, const struct child *child)
{
    const struct shim *shim = child->shim;
    const kp_map *own = &shim->config->env;
    const kp_list *command = &shim->config->command;
    const char *path = getenv("PATH"), *directory = shim->config->directory;
    char cwd[4096], timeout[32], group[300];
    bool ok = env_put(env, "LANG", "en_US.UTF-8") && env_put(env, "TZ", ":UTC") &&
              env_put(env, "PATH", path ? path : "/usr/local/bin:/usr/bin:/bin");

    if (!directory)
        directory = getcwd(cwd, sizeof cwd) ? cwd : "/";
    for (size_t i = 0; ok && i < own->count; i++)
        ok = env_put(env, own->items[i].name, own->items[i].value.text);
    snprintf(group, sizeof group, "/aws/lambda/%s", shim->function_name);
    snprintf(timeout, sizeof timeout, "%lld", (long long)shim->config->timeout_ms / 1000);

    const struct {
        const char *name, *value;
    } ours[] = {
        {"AWS_LAMBDA_RUNTIME_API", child->api},
        {"_HANDLER", command->items[command->count - 1]},
        {"LAMBDA_TASK_ROOT", directory},
        {"LAMBDA_RUNTIME_DIR", directory},
        {"AWS_REGION", shim->region},
        {"AWS_DEFAULT_REGION", shim->region},
        {"AWS_LAMBDA_FUNCTION_NAME", shim->function_name},
        {"AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"},
        {"AWS_LAMBDA_LOG_GROUP_NAME", group},
        {"AWS_LAMBDA_LOG_STREAM_NAME", child->api},
        {"AWS_LAMBDA_FUNCTION_TIMEOUT", timeout},
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"},
        {"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"},
        {"AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"},
        {"AWS_EC2_METADATA_DISABLED", "true"},
    };

    for (size_t i = 0; ok && i < sizeof ours / sizeof *ours; i++)
        ok = env_put(env, ours[i].name, ours[i].value);
    return ok;
}

/* ---- the rows of the backend */

static bool child_open(struct child *child)
{
    struct shim *shim = child->shim;
    kp_server_config config = {
        .size = sizeof config,
        .listen = "127.0.0.1:0",
        .max_body = BODY_MAX,
        .idle_timeout_ms = 24 * 3600 * 1000,
        .read_timeout_ms = 24 * 3600 * 1000,
        .max_connections = 64,
    };
    struct env env = {0};
    bool filled;
    int why;

    child->timer = shim->timer->create(shim->node, child_timer, child);
    child->server = shim->server->listen(shim->node, &config, on_request, child);
    if (!child->server)
        return false;
    snprintf(child->api, sizeof child->api, "127.0.0.1:%u", shim->server->port(child->server));
    filled = env_fill(&env, child);
    child->env = env.items;
    if (!filled) {
        kp->fail(shim->node, "out of memory");
        return false;
    }
    if (!try_start(child, &why)) {
        kp->fail(shim->node, "cannot run '%s': %s", shim->config->command.items[0], strerror(why));
        return false;
    }
    return true;
}

static bool process_open(struct shim *shim)
{
    shim->n_children = (uint32_t)shim->config->concurrency;
    shim->children = calloc(shim->n_children, sizeof *shim->children);
    if (!shim->children) {
        shim->n_children = 0;
        kp->fail(shim->node, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < shim->n_children; i++) {
        shim->children[i].shim = shim;
        shim->children[i].process.pidfd = shim->children[i].process.output = -1;
    }
    for (uint32_t i = 0; i < shim->n_children; i++)
        if (!child_open(&shim->children[i]))
            return false;
    return true;
}

/* The child that can take an event soonest. */
static struct child *free_child(struct shim *shim)
{
    static const int rank[] = {[CHILD_DOWN] = 0,
                               [CHILD_STARTING] = 1,
                               [CHILD_ANSWERED] = 2,
                               [CHILD_READY] = 3,
                               [CHILD_RUNNING] = 0};
    struct child *best = NULL;

    for (uint32_t i = 0; i < shim->n_children; i++) {
        struct child *child = &shim->children[i];

        if (!child->job && rank[child->state] && (!best || rank[child->state] > rank[best->state]))
            best = child;
    }
    return best;
}

static bool process_has_slot(struct shim *shim)
{
    return free_child(shim) != NULL;
}

static void process_invoke(struct shim *shim, struct job *job)
{
    struct child *child = free_child(shim);

    child->job = job;
    if (child->state == CHILD_READY)
        give_event(child);
}

static void process_close_all(struct shim *shim)
{
    for (uint32_t i = 0; i < shim->n_children; i++) {
        struct child *child = &shim->children[i];

        if (child->process.output >= 0)
            shim->timer->watch_fd(shim->node, child->process.output, NULL, NULL);
        if (child->process.pidfd >= 0)
            shim->timer->watch_fd(shim->node, child->process.pidfd, NULL, NULL);
        shim->timer->destroy(child->timer);
        process_close(&child->process);
        drop_next(child);
        shim->server->close(child->server);
        for (size_t k = 0; child->env && child->env[k]; k++)
            free(child->env[k]);
        free(child->env);
    }
    free(shim->children);
    shim->children = NULL;
    shim->n_children = 0;
}

const struct backend backend_process = {process_open, process_has_slot, process_invoke,
                                        process_close_all};
