/* faults.c - rules that spoil requests: which hits, and what it does.
 *
 * A request walks the rules in their order. A rule that matches and hits adds its latency; the
 * first that also has a fault ends the walk. Chance comes from each rule's own generator, so the
 * same seed and the same requests give the same faults whatever other rules there are.
 */
#include "plugins/local-aws/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/json.h"

/* A request that waits for its latency; its slices live until it is answered. */
struct delayed {
    struct delayed *next, **at; /* *at is this one */
    struct local *local;
    kp_exchange *x;
    kp_timer *timer;           /* [owned] */
    kp_http_header *headers;   /* [owned] */
    kp_server_request request; /* headers are the copy */
    struct local_target target;
    enum fault_kind kind;
    struct local_refusal refusal; /* of that kind; its texts are the next two */
    char code[FAULT_TEXT_MAX], message[FAULT_TEXT_MAX];
};

bool faults_open(struct local *local)
{
    struct faults *faults = calloc(1, sizeof *faults);

    local->faults = faults;
    if (!faults)
        return false;
    faults->next_id = 1;
    return true;
}

static void delayed_free(struct delayed *d)
{
    *d->at = d->next;
    if (d->next)
        d->next->at = d->at;
    if (d->timer)
        d->local->timer_ext->destroy(d->timer);
    free(d->headers);
    free(d);
}

void faults_close(struct local *local)
{
    if (!local->faults)
        return;
    while (local->faults->delayed) {
        local->server_ext->abort(local->faults->delayed->x); /* lets go of its connection */
        delayed_free(local->faults->delayed);
    }
    free(local->faults->rules);
    free(local->faults);
    local->faults = NULL;
}

/* ---- the list of rules */

bool faults_add(struct local *local, struct fault_rule *rules, size_t n)
{
    struct faults *faults = local->faults;
    struct fault_rule *grown;

    if (faults->n_rules + n > FAULT_RULES_MAX)
        return false;
    grown = reallocarray(faults->rules, faults->n_rules + n + 1, sizeof *grown);
    if (!grown)
        return false;
    faults->rules = grown;
    for (size_t i = 0; i < n; i++) {
        rules[i].id = faults->next_id++;
        kpw_random_init_from(&rules[i].random, rules[i].seed ? rules[i].seed : rules[i].id);
        grown[faults->n_rules++] = rules[i];
    }
    return true;
}

bool faults_remove(struct local *local, uint64_t id)
{
    struct faults *faults = local->faults;

    if (!id) {
        faults->n_rules = 0;
        local->clock_ms = 0;
        return true;
    }
    for (size_t i = 0; i < faults->n_rules; i++) {
        if (faults->rules[i].id != id)
            continue;
        faults->n_rules--;
        memmove(&faults->rules[i], &faults->rules[i + 1],
                (faults->n_rules - i) * sizeof *faults->rules);
        return true;
    }
    return false;
}

static void put_what(const struct fault_rule *rule, struct kpw_buf *out)
{
    if (rule->kind != FAULT_NONE)
        kpw_json_put_member_cstr(out, "fault", fault_names[rule->kind]);
    if (rule->latency_ms[1]) {
        kpw_json_put_key(out, "latency_ms");
        kpw_buf_appendf(out, "[%lld,%lld]", (long long)rule->latency_ms[0],
                        (long long)rule->latency_ms[1]);
    }
    if (rule->status)
        kpw_json_put_member_int(out, "status", rule->status);
    if (rule->code[0])
        kpw_json_put_member_cstr(out, "code", rule->code);
    if (rule->message[0])
        kpw_json_put_member_cstr(out, "message", rule->message);
    if (rule->kind == FAULT_PARTIAL) {
        kpw_json_put_key(out, "share");
        kpw_json_put_double(out, rule->share);
    }
    if (rule->kind == FAULT_CLOCK_JUMP)
        kpw_json_put_member_int(out, "jump_ms", rule->jump_ms);
}

void faults_report(const struct local *local, struct kpw_buf *out)
{
    const struct faults *faults = local->faults;

    kpw_buf_putc(out, '[');
    for (size_t i = 0; i < faults->n_rules; i++) {
        const struct fault_rule *rule = &faults->rules[i];

        kpw_buf_puts(out, i ? ",{" : "{");
        kpw_json_put_member_int(out, "id", (int64_t)rule->id);
        kpw_json_put_member_cstr(out, "service", rule->service);
        kpw_json_put_member_cstr(out, "operation", rule->operation);
        kpw_json_put_key(out, "probability");
        kpw_json_put_double(out, rule->probability);
        kpw_json_put_member_int(out, "after", rule->after);
        kpw_json_put_member_int(out, "every", rule->every);
        if (rule->count)
            kpw_json_put_member_int(out, "count", rule->count);
        put_what(rule, out);
        kpw_json_put_member_int(out, "matches", rule->matches);
        kpw_json_put_member_int(out, "hits", rule->hits);
        kpw_buf_putc(out, '}');
    }
    kpw_buf_putc(out, ']');
}

/* ---- does it hit? */

/* '*' stands for any characters; linear, for a name is short and a pattern is bounded. */
static bool fits(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

/* Some faults have a meaning for some operations only. */
static bool makes_sense(const struct fault_rule *rule, const struct local_target *target)
{
    static const char *const batches[] = {
        "PutRecords",     "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch",
        "BatchWriteItem", "BatchGetItem",     "DeleteObjects",      NULL};
    static const char *const puts[] = {"PutRecord", "PutRecords", NULL};
    static const char *const gets[] = {"GetRecords", NULL};

    switch (rule->kind) {
    case FAULT_PARTIAL: return is_one_of(target->operation, batches);
    case FAULT_WRONG_SHARD:
        return target->service == LOCAL_KINESIS && is_one_of(target->operation, puts);
    case FAULT_EXPIRED_ITERATOR:
        return target->service == LOCAL_KINESIS && is_one_of(target->operation, gets);
    default: return true;
    }
}

static bool hits(struct fault_rule *rule, const struct local_target *target)
{
    if (!fits(rule->service, local_rows[target->service]->name) ||
        !fits(rule->operation, target->operation) || !makes_sense(rule, target))
        return false;
    if (rule->count && rule->hits == rule->count)
        return false;
    if (rule->matches++ < rule->after || (rule->matches - rule->after - 1) % rule->every != 0)
        return false;
    if (rule->probability < 1 && kpw_random_unit(&rule->random) >= rule->probability)
        return false;
    rule->hits++;
    return true;
}

static int64_t latency_of(struct fault_rule *rule)
{
    uint64_t width = (uint64_t)(rule->latency_ms[1] - rule->latency_ms[0]);

    return rule->latency_ms[0] + (width ? (int64_t)kpw_random_below(&rule->random, width + 1) : 0);
}

/* ---- what it does */

static const struct local_throttle *throttle_of(const struct local_target *target)
{
    static const struct local_throttle usual = {NULL, 400, "ThrottlingException", "Throttling",
                                                "Rate exceeded"};
    const struct local_throttle *t = local_rows[target->service]->throttles;

    if (!t)
        return &usual;
    while (t->operations && !local_has_word(t->operations, target->operation))
        t++;
    return t;
}

static void make_error(const struct fault_rule *rule, const struct local_target *target,
                       struct local_refusal *ret)
{
    bool is_s3 = target->form == LOCAL_FORM_S3;

    ret->status = rule->status ? (int)rule->status : 500;
    ret->code = is_s3 ? "InternalError" : "InternalFailure";
    ret->message = is_s3 ? "We encountered an internal error. Please try again."
                         : "The request processing has failed because of an unknown error, "
                           "exception or failure.";
    if (rule->code[0])
        ret->code = rule->code;
    if (rule->message[0])
        ret->message = rule->message;
}

/* The error of a fault; its texts are [borrowed from the rule]. */
static void make_refusal(const struct fault_rule *rule, const struct local_target *target,
                         struct local_refusal *ret)
{
    const struct local_throttle *t;

    *ret = (struct local_refusal){.prefix = local_rows[target->service]->prefix};
    if (rule->kind == FAULT_THROTTLE) {
        t = throttle_of(target);
        ret->status = t->status;
        ret->code = target->form == LOCAL_FORM_QUERY && t->query_code ? t->query_code : t->code;
        ret->message = t->message;
    } else if (rule->kind == FAULT_EXPIRED_ITERATOR) {
        ret->status = 400;
        ret->code = "ExpiredIteratorException";
        ret->message = "Iterator expired: a fault rule says so.";
    } else {
        make_error(rule, target, ret);
    }
}

static void mark(struct local *local, kp_exchange *x, const struct fault_rule *rule)
{
    struct flight *flight = flight_of(local, x);

    if (!flight)
        return;
    flight->rule = rule->id;
    flight->fails_entries = rule->kind == FAULT_PARTIAL;
    flight->is_wrong_shard = rule->kind == FAULT_WRONG_SHARD;
    if (rule->kind == FAULT_RESET_WITHIN)
        flight->end = FLIGHT_CUT;
    else if (rule->kind == FAULT_RESET_AFTER)
        flight->end = FLIGHT_RESET;
}

static bool is_refused(enum fault_kind kind)
{
    return kind == FAULT_ERROR || kind == FAULT_THROTTLE || kind == FAULT_EXPIRED_ITERATOR;
}

/* After the latency. True: serve it. */
static bool act(struct local *local, kp_exchange *x, const struct local_target *target,
                enum fault_kind kind, const struct local_refusal *refusal)
{
    if (kind == FAULT_RESET_BEFORE) {
        local_drop(local, x);
        local->server_ext->abort(x);
        return false;
    }
    if (is_refused(kind)) {
        local_refuse(local, x, target, refusal);
        return false;
    }
    return true;
}

static void wake(kp_node *node, void *arg)
{
    struct delayed *d = arg;

    (void)node;
    if (act(d->local, d->x, &d->target, d->kind, &d->refusal))
        local_serve_now(d->local, d->x, &d->request, &d->target);
    delayed_free(d);
}

static bool delay(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target, int64_t ms)
{
    struct delayed *d = calloc(1, sizeof *d);

    if (!d)
        return false;
    d->local = local;
    d->x = x;
    d->request = *request;
    d->target = *target;
    d->at = &local->faults->delayed;
    d->next = local->faults->delayed;
    if (d->next)
        d->next->at = &d->next;
    local->faults->delayed = d;
    d->headers = reallocarray(NULL, request->n_headers + 1, sizeof *d->headers);
    d->timer = local->timer_ext->create(local->node, wake, d);
    if (!d->headers || !d->timer) {
        delayed_free(d);
        return false;
    }
    memcpy(d->headers, request->headers, request->n_headers * sizeof *d->headers);
    d->request.headers = d->headers;
    local->timer_ext->start(d->timer, ms, 0);
    return true;
}

/* The error of a rule that may be gone when the wait is over. */
static void keep_refusal(struct delayed *d, enum fault_kind kind,
                         const struct local_refusal *refusal)
{
    d->kind = kind;
    if (!is_refused(kind))
        return;
    d->refusal = *refusal;
    snprintf(d->code, sizeof d->code, "%s", refusal->code);
    snprintf(d->message, sizeof d->message, "%s", refusal->message);
    d->refusal.code = d->code;
    d->refusal.message = d->message;
}

bool faults_begin(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    struct faults *faults = local->faults;
    struct local_refusal refusal = {0};
    enum fault_kind kind = FAULT_NONE;
    int64_t latency_ms = 0;

    for (size_t i = 0; i < faults->n_rules && kind == FAULT_NONE; i++) {
        struct fault_rule *rule = &faults->rules[i];

        if (!hits(rule, target))
            continue;
        kp->log(local->node, KP_LOG_DEBUG, "fault.hit", "rule=%llu service=%s operation=%s",
                (unsigned long long)rule->id, local_rows[target->service]->name, target->operation);
        latency_ms += latency_of(rule);
        kind = rule->kind;
        if (kind == FAULT_CLOCK_JUMP)
            local->clock_ms += rule->jump_ms;
        else if (kind != FAULT_NONE)
            mark(local, x, rule);
        if (is_refused(kind))
            make_refusal(rule, target, &refusal);
    }
    if (latency_ms && delay(local, x, request, target, latency_ms)) {
        keep_refusal(faults->delayed, kind, &refusal);
        return false;
    }
    return act(local, x, target, kind, &refusal);
}

/* ---- what services ask */

bool local_fault_entry(struct local *local, const kp_exchange *x)
{
    const struct flight *flight = local->faults->n_rules ? flight_of(local, x) : NULL;

    if (!flight || !flight->fails_entries)
        return false;
    for (size_t i = 0; i < local->faults->n_rules; i++) {
        struct fault_rule *rule = &local->faults->rules[i];

        if (rule->id == flight->rule)
            return kpw_random_unit(&rule->random) < rule->share;
    }
    return false;
}

bool local_fault_wrong_shard(struct local *local, const kp_exchange *x)
{
    const struct flight *flight = local->faults->n_rules ? flight_of(local, x) : NULL;

    return flight && flight->is_wrong_shard;
}
