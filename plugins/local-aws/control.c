/* control.c - /_kpipe/faults, /_kpipe/state and /_kpipe/health: for tests and for people.
 *
 * Faults and state are for this machine only, and not for a browser's pages: a request that has an
 * Origin, or whose peer is not the loopback, is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/faults.h"
#include "sdk/wire/json.h"

#define ROOT "/_kpipe/"

bool control_is(const kp_server_request *request)
{
    return kpw_slice_starts(kpw_slice(request->path.ptr, request->path.len), ROOT);
}

/* ---- answers */

static void answer(struct local *local, kp_exchange *x, int status, struct kpw_buf *body)
{
    kp_http_header type = {{"Content-Type", 12}, {"application/json", 16}};

    kpw_buf_putc(body, '\n');
    if (body->failed)
        status = 500;
    local_respond(local, x, status,
                  &(struct local_body){&type, 1, {body->ptr, body->failed ? 0 : body->len}, NULL});
    kpw_buf_fini(body);
}

static void answer_error(struct local *local, kp_exchange *x, int status, const char *text)
{
    struct kpw_buf body = KPW_BUF_INIT;

    kpw_buf_putc(&body, '{');
    kpw_json_put_member_cstr(&body, "error", text);
    kpw_buf_putc(&body, '}');
    answer(local, x, status, &body);
}

/* ---- health and state */

static void serve_health(struct local *local, kp_exchange *x)
{
    struct kpw_buf body = KPW_BUF_INIT;

    kpw_buf_puts(&body, "{\"status\":\"ok\"}");
    answer(local, x, 200, &body);
}

/* Resident bytes of the process; 0: not known. */
static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*s %lld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* "operations":{"PutRecords":{"requests":1,"errors":0}} and the sums of it */
static void put_operations(const struct flights *flights, enum local_service service,
                           struct kpw_buf *out)
{
    uint64_t requests = 0, errors = 0;

    kpw_json_put_key(out, "operations");
    kpw_buf_putc(out, '{');
    for (size_t i = 0; i < FLIGHT_COUNTERS_MAX; i++) {
        const struct flight_counter *c = &flights->counters[i];

        if (c->service != service || !c->requests)
            continue;
        kpw_json_put_key(out, c->operation);
        kpw_buf_appendf(out, "{\"requests\":%llu,\"errors\":%llu}", (unsigned long long)c->requests,
                        (unsigned long long)c->errors);
        requests += c->requests;
        errors += c->errors;
    }
    kpw_buf_putc(out, '}');
    kpw_json_put_member_int(out, "requests", (int64_t)requests);
    kpw_json_put_member_int(out, "errors", (int64_t)errors);
}

static void serve_state(struct local *local, kp_exchange *x)
{
    struct kpw_buf body = KPW_BUF_INIT;

    kpw_buf_putc(&body, '{');
    kpw_json_put_member_cstr(&body, "url", local->url);
    kpw_json_put_member_cstr(&body, "dir", local->dir);
    kpw_json_put_member_int(&body, "pid", getpid());
    kpw_json_put_member_int(&body, "uptime_ms", kp->now_ms() - local->started_ms);
    kpw_json_put_member_int(&body, "rss_bytes", resident_bytes());
    kpw_json_put_member_int(&body, "time_ms", local_now_ms(local));
    kpw_json_put_member_int(&body, "clock_ms", local->clock_ms);
    kpw_json_put_member_int(&body, "open_requests", (int64_t)local->flights->n_open);
    kpw_json_put_member_int(&body, "refused_requests", (int64_t)local->n_unserved);
    kpw_json_put_key(&body, "faults");
    faults_report(local, &body);
    kpw_json_put_key(&body, "services");
    kpw_buf_putc(&body, '{');
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++) {
        kpw_json_put_key(&body, local_rows[i]->name);
        kpw_buf_putc(&body, '{');
        put_operations(local->flights, (enum local_service)i, &body);
        if (local_rows[i]->report)
            local_rows[i]->report(local, &body);
        kpw_buf_putc(&body, '}');
    }
    kpw_buf_puts(&body, "}}");
    answer(local, x, 200, &body);
}

/* ---- faults */

static void answer_rules(struct local *local, kp_exchange *x)
{
    struct kpw_buf body = KPW_BUF_INIT;

    kpw_buf_putc(&body, '{');
    kpw_json_put_member_int(&body, "clock_ms", local->clock_ms);
    kpw_json_put_key(&body, "rules");
    faults_report(local, &body);
    kpw_buf_putc(&body, '}');
    answer(local, x, 200, &body);
}

/* {"ids":[1,2]} */
static void answer_ids(struct local *local, kp_exchange *x, const struct fault_request *request)
{
    struct kpw_buf body = KPW_BUF_INIT;

    kpw_buf_puts(&body, "{\"ids\":[");
    for (size_t i = 0; i < request->n_rules; i++)
        kpw_buf_appendf(&body, i ? ",%llu" : "%llu", (unsigned long long)request->rules[i].id);
    kpw_buf_puts(&body, "]}");
    answer(local, x, 200, &body);
}

static void add_rules(struct local *local, kp_exchange *x, const kp_server_request *request)
{
    struct fault_request read;
    char why[300] = "";

    if (!faults_read(kpw_slice(request->body.ptr, request->body.len), &read, why, sizeof why)) {
        answer_error(local, x, 400, why);
        return;
    }
    if (!faults_add(local, read.rules, read.n_rules)) {
        snprintf(why, sizeof why, "there are %d rules at most; DELETE some first", FAULT_RULES_MAX);
        answer_error(local, x, 400, why);
    } else {
        if (read.has_clock)
            local->clock_ms = read.clock_ms;
        kp->log(local->node, KP_LOG_INFO, "local.faults", "rules=%zu clock_ms=%lld",
                local->faults->n_rules, (long long)local->clock_ms);
        answer_ids(local, x, &read);
    }
    fault_request_fini(&read);
}

static void remove_rules(struct local *local, kp_exchange *x, struct kpw_slice id)
{
    uint64_t n = 0;

    if (id.len && (!kpw_json_to_uint64(id, &n) || !n || !faults_remove(local, n))) {
        answer_error(local, x, 404, "there is no rule of this number");
        return;
    }
    if (!id.len)
        faults_remove(local, 0);
    kp->log(local->node, KP_LOG_INFO, "local.faults", "rules=%zu clock_ms=%lld",
            local->faults->n_rules, (long long)local->clock_ms);
    answer_rules(local, x);
}

static void serve_faults(struct local *local, kp_exchange *x, const kp_server_request *request,
                         struct kpw_slice id)
{
    struct kpw_slice method = {request->method.ptr, request->method.len};

    if (!local->has_faults)
        answer_error(local, x, 403,
                     "faults are off: this endpoint listens for other machines; --faults or "
                     "faults = \"on\" allows them");
    else if (kpw_slice_is(method, "DELETE"))
        remove_rules(local, x, id);
    else if (id.len)
        answer_error(local, x, 405, "a rule can only be deleted");
    else if (kpw_slice_is(method, "GET"))
        answer_rules(local, x);
    else if (kpw_slice_is(method, "POST"))
        add_rules(local, x, request);
    else
        answer_error(local, x, 405, "GET, POST or DELETE");
}

/* ---- who asks, and for what */

/* "127.0.0.1:40000", "[::1]:40000", "[::ffff:127.0.0.1]:40000" */
static bool is_from_here(const kp_server_request *request)
{
    struct kpw_slice peer = {request->peer.ptr, request->peer.len};

    return kpw_slice_starts(peer, "127.") || kpw_slice_starts(peer, "[::1]") ||
           kpw_slice_starts(peer, "::1") || kpw_slice_starts(peer, "[::ffff:127.") ||
           kpw_slice_starts(peer, "::ffff:127.");
}

void control_serve(struct local *local, kp_exchange *x, const kp_server_request *request)
{
    struct kpw_slice what = {request->path.ptr + sizeof ROOT - 1,
                             request->path.len - (sizeof ROOT - 1)};
    bool is_get = kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), "GET");

    if (kpw_slice_is(what, "health") && is_get)
        serve_health(local, x);
    else if (!is_from_here(request) || local_header(request, "origin").len)
        answer_error(local, x, 403, "only for programs of this machine");
    else if (kpw_slice_is(what, "state") && is_get)
        serve_state(local, x);
    else if (kpw_slice_is(what, "faults"))
        serve_faults(local, x, request, kpw_slice(NULL, 0));
    else if (kpw_slice_starts(what, "faults/") && what.len > 7)
        serve_faults(local, x, request, kpw_slice(what.ptr + 7, what.len - 7));
    else
        answer_error(local, x, 404,
                     "there are GET /_kpipe/health, GET /_kpipe/state and /_kpipe/faults (GET, "
                     "POST, DELETE)");
}
