/* faults_read.c - the JSON of fault rules, strictly: unknown members, other types, values out of
 * range and members that do nothing for their kind of fault are each refused with one sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/faults.h"
#include "sdk/wire/json.h"

const char *const fault_names[FAULT_N_KINDS] = {
    [FAULT_NONE] = "",
    [FAULT_ERROR] = "error",
    [FAULT_THROTTLE] = "throttle",
    [FAULT_RESET_BEFORE] = "reset_before",
    [FAULT_RESET_WITHIN] = "reset_within",
    [FAULT_RESET_AFTER] = "reset_after",
    [FAULT_PARTIAL] = "partial",
    [FAULT_WRONG_SHARD] = "wrong_shard",
    [FAULT_EXPIRED_ITERATOR] = "expired_iterator",
    [FAULT_CLOCK_JUMP] = "clock_jump",
};

enum member_type { MEMBER_TEXT, MEMBER_INTEGER, MEMBER_REAL, MEMBER_KIND, MEMBER_RANGE };

#define AT(field)   offsetof(struct fault_rule, field)
#define SIZE(field) sizeof(((struct fault_rule *)0)->field)
#define ONLY(kind)  (1u << (kind))

static const struct member {
    const char *name;
    enum member_type type;
    size_t at;
    double min, max; /* of a number; of a text its longest with the NUL */
    unsigned kinds;  /* it goes with these faults only; 0: with all */
} members[] = {
    {"service", MEMBER_TEXT, AT(service), 0, SIZE(service), 0},
    {"operation", MEMBER_TEXT, AT(operation), 0, SIZE(operation), 0},
    {"fault", MEMBER_KIND, AT(kind), 0, 0, 0},
    {"probability", MEMBER_REAL, AT(probability), 0, 1, 0},
    {"after", MEMBER_INTEGER, AT(after), 0, 1e9, 0},
    {"every", MEMBER_INTEGER, AT(every), 1, 1e9, 0},
    {"count", MEMBER_INTEGER, AT(count), 1, 1e9, 0},
    {"seed", MEMBER_INTEGER, AT(seed), 0, 1e15, 0},
    {"latency_ms", MEMBER_RANGE, AT(latency_ms), 0, (double)FAULT_LATENCY_MAX_MS, 0},
    {"status", MEMBER_INTEGER, AT(status), 400, 599, ONLY(FAULT_ERROR)},
    {"code", MEMBER_TEXT, AT(code), 0, SIZE(code), ONLY(FAULT_ERROR)},
    {"message", MEMBER_TEXT, AT(message), 0, SIZE(message), ONLY(FAULT_ERROR)},
    {"share", MEMBER_REAL, AT(share), 0, 1, ONLY(FAULT_PARTIAL)},
    {"jump_ms", MEMBER_INTEGER, AT(jump_ms), -(double)FAULT_CLOCK_MAX_MS,
     (double)FAULT_CLOCK_MAX_MS, ONLY(FAULT_CLOCK_JUMP)},
};
enum { N_MEMBERS = sizeof members / sizeof *members };

/* One text being read. */
struct reader {
    struct kpw_json json;
    size_t n_rule; /* number of the rule in hand, from 1; 0: outside */
    char *why;
    size_t cap;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct reader *r, const char *fmt, ...)
{
    va_list args;
    int n = r->n_rule ? snprintf(r->why, r->cap, "rule %zu: ", r->n_rule) : 0;

    va_start(args, fmt);
    vsnprintf(r->why + n, r->cap - (size_t)n, fmt, args);
    va_end(args);
    return false;
}

static bool broken(struct reader *r)
{
    uint32_t line, column;

    kpw_json_position(&r->json, &line, &column);
    r->n_rule = 0;
    return wrong(r, "not JSON: %s at line %u, column %u",
                 r->json.error ? r->json.error : "the text ends too early", line, column);
}

/* ---- values; the token in hand is the value's first */

static bool read_text(struct reader *r, const struct member *m, char *ret)
{
    struct kpw_slice raw = r->json.value;
    char text[2 * FAULT_TEXT_MAX];
    size_t n;

    if (r->json.type != KPW_JSON_STRING)
        return wrong(r, "\"%s\" must be a string", m->name);
    if (raw.len > sizeof text)
        return wrong(r, "\"%s\" is longer than %d characters", m->name, (int)m->max - 1);
    n = kpw_json_unescape_to(raw, text);
    if (n >= (size_t)m->max)
        return wrong(r, "\"%s\" is longer than %d characters", m->name, (int)m->max - 1);
    if (!n)
        return wrong(r, "\"%s\" is empty", m->name);
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)text[i] < ' ' || text[i] == 127)
            return wrong(r, "\"%s\" has a control character in it", m->name);
    memcpy(ret, text, n);
    ret[n] = '\0';
    return true;
}

static bool read_integer(struct reader *r, const struct member *m, int64_t *ret)
{
    if (r->json.type != KPW_JSON_NUMBER || !kpw_json_to_int64(r->json.value, ret) ||
        (double)*ret < m->min || (double)*ret > m->max)
        return wrong(r, "\"%s\" must be an integer from %.0f to %.0f", m->name, m->min, m->max);
    return true;
}

static bool read_real(struct reader *r, const struct member *m, double *ret)
{
    if (r->json.type != KPW_JSON_NUMBER || !kpw_json_to_double(r->json.value, ret) ||
        *ret < m->min || *ret > m->max)
        return wrong(r, "\"%s\" must be a number from %.0f to %.0f", m->name, m->min, m->max);
    return true;
}

static bool read_kind(struct reader *r, enum fault_kind *ret)
{
    if (r->json.type == KPW_JSON_STRING)
        for (int i = FAULT_NONE + 1; i < FAULT_N_KINDS; i++)
            if (kpw_slice_is(r->json.value, fault_names[i])) {
                *ret = (enum fault_kind)i;
                return true;
            }
    return wrong(r, "\"fault\" must be \"error\", \"throttle\", \"reset_before\", "
                    "\"reset_within\", \"reset_after\", \"partial\", \"wrong_shard\", "
                    "\"expired_iterator\" or \"clock_jump\"");
}

/* 100 or [50, 200] */
static bool read_range(struct reader *r, const struct member *m, int64_t ret[2])
{
    if (r->json.type != KPW_JSON_ARRAY) {
        if (!read_integer(r, m, &ret[0]))
            return wrong(r, "\"%s\" must be milliseconds from 0 to %.0f, or two of them in a list",
                         m->name, m->max);
        ret[1] = ret[0];
        return true;
    }
    for (int i = 0; i < 2; i++) {
        kpw_json_next(&r->json);
        if (!read_integer(r, m, &ret[i]))
            return r->json.type == KPW_JSON_ERROR
                       ? broken(r)
                       : wrong(r, "\"%s\" wants two numbers from 0 to %.0f in its list", m->name,
                               m->max);
    }
    if (kpw_json_next(&r->json) != KPW_JSON_ARRAY_END)
        return wrong(r, "\"%s\" wants two numbers in its list", m->name);
    return ret[0] <= ret[1] || wrong(r, "\"%s\" must not run backwards", m->name);
}

static bool read_member(struct reader *r, const struct member *m, struct fault_rule *rule)
{
    void *at = (char *)rule + m->at;

    if (kpw_json_next(&r->json) == KPW_JSON_ERROR)
        return broken(r);
    switch (m->type) {
    case MEMBER_TEXT: return read_text(r, m, at);
    case MEMBER_INTEGER: return read_integer(r, m, at);
    case MEMBER_REAL: return read_real(r, m, at);
    case MEMBER_KIND: return read_kind(r, at);
    case MEMBER_RANGE: return read_range(r, m, at);
    }
    return false;
}

/* ---- rules */

static bool is_service(const char *pattern)
{
    if (strchr(pattern, '*'))
        return true;
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++)
        if (!strcmp(pattern, local_rows[i]->name))
            return true;
    return false;
}

/* What the members mean together. */
static bool check_rule(struct reader *r, struct fault_rule *rule, const bool seen[N_MEMBERS])
{
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (seen[i] && members[i].kinds && !(members[i].kinds & ONLY(rule->kind)))
            return wrong(r, "\"%s\" does not go with the fault \"%s\"", members[i].name,
                         fault_names[rule->kind]);
    if (rule->kind == FAULT_NONE && rule->latency_ms[1] == 0)
        return wrong(r, "it does nothing: \"fault\" or \"latency_ms\" is missing");
    if (rule->kind == FAULT_CLOCK_JUMP && rule->jump_ms == 0)
        return wrong(r, "\"clock_jump\" wants \"jump_ms\"");
    if (!is_service(rule->service))
        return wrong(r, "there is no service \"%s\" here", rule->service);
    if ((rule->kind == FAULT_WRONG_SHARD || rule->kind == FAULT_EXPIRED_ITERATOR) &&
        strcmp(rule->service, "*") != 0 && strcmp(rule->service, "kinesis") != 0)
        return wrong(r, "\"%s\" is a fault of the service \"kinesis\"", fault_names[rule->kind]);
    return true;
}

static const struct member *find_member(struct kpw_slice name)
{
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (kpw_slice_is(name, members[i].name))
            return &members[i];
    return NULL;
}

static bool unknown_member(struct reader *r, struct kpw_slice name)
{
    return wrong(r, "unknown member \"%.*s\"", (int)(name.len < 40 ? name.len : 40), name.ptr);
}

/* The object has begun and `key` is in hand, or its end. */
static bool read_rule(struct reader *r, struct fault_rule *rule)
{
    bool seen[N_MEMBERS] = {false};

    *rule = (struct fault_rule){
        .service = "*", .operation = "*", .probability = 1, .every = 1, .share = 0.5};
    for (; r->json.type == KPW_JSON_KEY; kpw_json_next(&r->json)) {
        const struct member *m = find_member(r->json.value);

        if (!m)
            return unknown_member(r, r->json.value);
        if (seen[m - members])
            return wrong(r, "\"%s\" is there twice", m->name);
        seen[m - members] = true;
        if (!read_member(r, m, rule))
            return false;
    }
    return r->json.type == KPW_JSON_OBJECT_END ? check_rule(r, rule, seen) : broken(r);
}

static bool add_rule(struct reader *r, struct fault_request *ret)
{
    struct fault_rule *rules;

    r->n_rule = ret->n_rules + 1;
    if (ret->n_rules == FAULT_RULES_MAX)
        return wrong(r, "more than %d rules", FAULT_RULES_MAX);
    rules = reallocarray(ret->rules, ret->n_rules + 1, sizeof *rules);
    if (!rules)
        return wrong(r, "out of memory");
    ret->rules = rules;
    if (!read_rule(r, &rules[ret->n_rules]))
        return false;
    ret->n_rules++;
    r->n_rule = 0;
    return true;
}

static bool read_rules(struct reader *r, struct fault_request *ret)
{
    if (kpw_json_next(&r->json) != KPW_JSON_ARRAY)
        return r->json.type == KPW_JSON_ERROR ? broken(r)
                                              : wrong(r, "\"rules\" must be a list of rules");
    while (kpw_json_next(&r->json) == KPW_JSON_OBJECT) {
        kpw_json_next(&r->json);
        if (!add_rule(r, ret))
            return false;
    }
    if (r->json.type == KPW_JSON_ARRAY_END)
        return true;
    return r->json.type == KPW_JSON_ERROR ? broken(r)
                                          : wrong(r, "\"rules\" must be a list of rules");
}

static bool read_clock(struct reader *r, struct fault_request *ret)
{
    static const struct member clock = {
        "clock_ms",      MEMBER_INTEGER, 0, -(double)FAULT_CLOCK_MAX_MS, (double)FAULT_CLOCK_MAX_MS,
        ONLY(FAULT_NONE)};

    if (kpw_json_next(&r->json) == KPW_JSON_ERROR)
        return broken(r);
    ret->has_clock = true;
    return read_integer(r, &clock, &ret->clock_ms);
}

/* {"rules":[...],"clock_ms":...}; the first key is in hand. */
static bool read_envelope(struct reader *r, struct fault_request *ret)
{
    bool has_rules = false;

    for (; r->json.type == KPW_JSON_KEY; kpw_json_next(&r->json)) {
        bool is_rules = kpw_slice_is(r->json.value, "rules");

        if (!is_rules && !kpw_slice_is(r->json.value, "clock_ms"))
            return unknown_member(r, r->json.value);
        if (is_rules ? has_rules : ret->has_clock)
            return wrong(r, "\"%s\" is there twice", is_rules ? "rules" : "clock_ms");
        if (is_rules ? !read_rules(r, ret) : !read_clock(r, ret))
            return false;
        has_rules = has_rules || is_rules;
    }
    return r->json.type == KPW_JSON_OBJECT_END || broken(r);
}

bool faults_read(struct kpw_slice text, struct fault_request *ret, char *why, size_t cap)
{
    struct reader r = {.why = why, .cap = cap};
    bool ok;

    *ret = (struct fault_request){0};
    if (text.len > FAULT_BODY_MAX)
        return wrong(&r, "the text is longer than %d bytes", FAULT_BODY_MAX);
    kpw_json_init(&r.json, text.ptr, text.len);
    if (kpw_json_next(&r.json) != KPW_JSON_OBJECT)
        return r.json.type == KPW_JSON_ERROR ? broken(&r) : wrong(&r, "a rule is a JSON object");
    kpw_json_next(&r.json);
    if (r.json.type == KPW_JSON_KEY &&
        (kpw_slice_is(r.json.value, "rules") || kpw_slice_is(r.json.value, "clock_ms")))
        ok = read_envelope(&r, ret);
    else
        ok = add_rule(&r, ret);
    if (ok && kpw_json_next(&r.json) != KPW_JSON_END)
        ok = broken(&r);
    if (!ok)
        fault_request_fini(ret);
    return ok;
}

void fault_request_fini(struct fault_request *request)
{
    free(request->rules);
    *request = (struct fault_request){0};
}
