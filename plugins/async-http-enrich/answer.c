/* answer.c - see enrich.h: an answer becomes an outcome and a member of the record.
 *
 * The record is never parsed into a tree: the new member is spliced into its
 * text, in place of the old one or before the last brace. What stands behind the
 * object (a line feed) stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/async-http-enrich/enrich.h"
#include "sdk/wire/json.h"

#define MAX_RETRY_AFTER_S 3600

/* ---- rules */

static enum rule rule_named(const char *name)
{
    static const char *const names[] = {[RULE_KEEP] = "keep",
                                        [RULE_REJECT] = "reject",
                                        [RULE_RETRY] = "retry",
                                        [RULE_FILTER] = "filter"};

    for (enum rule rule = RULE_KEEP; name && rule <= RULE_FILTER; rule++)
        if (strcmp(names[rule], name) == 0)
            return rule;
    return RULE_NONE;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint8_t *slot_of(struct rules *rules, const char *status)
{
    if (strcmp(status, "default") == 0)
        return &rules->fallback;
    if (strlen(status) != 3 || status[0] < '1' || status[0] > '5')
        return NULL;
    if (strcmp(status + 1, "xx") == 0)
        return &rules->classes[status[0] - '0'];
    return is_digit(status[1]) && is_digit(status[2]) ? &rules->exact[atoi(status)] : NULL;
}

bool rules_read(struct rules *rules, const kp_map *map, const char **ret_bad)
{
    *rules = (struct rules){.fallback = RULE_NONE};
    for (size_t i = 0; i < map->count; i++) {
        const kp_map_item *item = &map->items[i];
        uint8_t *slot = slot_of(rules, item->name);
        enum rule rule = item->value.kind == KP_V_TEXT ? rule_named(item->value.text) : RULE_NONE;

        *ret_bad = item->name;
        if (!slot || rule == RULE_NONE)
            return false;
        *slot = (uint8_t)rule;
    }
    return true;
}

enum rule rules_of(const struct rules *rules, int status)
{
    if (status >= 100 && status <= 599) {
        if (rules->exact[status])
            return rules->exact[status];
        if (rules->classes[status / 100])
            return rules->classes[status / 100];
    }
    if (rules->fallback)
        return rules->fallback;
    if (status >= 200 && status <= 299)
        return RULE_KEEP;
    return status == 408 || status == 429 || status >= 500 ? RULE_RETRY : RULE_REJECT;
}

/* ---- splicing */

/* The last brace of a text that is one JSON object. */
static size_t closing_brace(struct kpw_slice doc)
{
    size_t at = doc.len;

    while (at && doc.ptr[at - 1] != '}')
        at--;
    return at - 1;
}

static bool is_empty_object(struct kpw_slice doc, size_t brace)
{
    while (brace && strchr(" \t\r\n", doc.ptr[brace - 1]))
        brace--;
    return doc.ptr[brace - 1] == '{';
}

/* Finds the raw text of a member, with its quotes if it is a string. */
static bool find_member(struct kpw_slice doc, const char *name, struct kpw_slice *ret)
{
    struct kpw_json r;

    kpw_json_init(&r, doc.ptr, doc.len);
    if (kpw_json_next(&r) != KPW_JSON_OBJECT)
        return false;
    while (kpw_json_next(&r) == KPW_JSON_KEY) {
        bool found = kpw_json_text_is(r.value, name);

        if (!kpw_json_skip(&r))
            return false;
        if (found) {
            *ret = r.value;
            return true;
        }
    }
    return false;
}

static void splice(struct kpw_buf *out, struct kpw_slice doc, const char *name,
                   struct kpw_slice value)
{
    struct kpw_slice old;
    size_t at = closing_brace(doc), end = at;
    bool replaces = find_member(doc, name, &old);

    if (replaces) {
        at = (size_t)(old.ptr - doc.ptr);
        end = at + old.len;
    }
    kpw_buf_append(out, doc.ptr, at);
    if (!replaces) {
        if (!is_empty_object(doc, at))
            kpw_buf_puts(out, ",");
        kpw_json_put_cstr(out, name);
        kpw_buf_puts(out, ":");
    }
    kpw_buf_put_slice(out, value);
    kpw_buf_append(out, doc.ptr + end, doc.len - end);
}

/* ---- answers */

/* The part of the answer that goes into the record, with quotes if it is a string. */
static bool take(const struct enrich *enrich, const kp_http_response *response,
                 struct kpw_slice *ret)
{
    const kp_value *take = &enrich->config->take;
    struct kpw_slice body = {response->body.ptr, response->body.len};
    enum kpw_json_type type;

    if (!kpw_json_valid(body.ptr, body.len))
        return false;
    type = kpw_json_find(body, take->kind == KP_V_FIELD ? take->text : "$", ret);
    if (type == KPW_JSON_STRING) {
        ret->ptr--;
        ret->len += 2;
    }
    return type != KPW_JSON_END && type != KPW_JSON_ERROR;
}

__attribute__((format(printf, 3, 4))) static void set(struct ending *ending, enum rule rule,
                                                      const char *fmt, ...)
{
    va_list args;

    ending->rule = rule;
    va_start(args, fmt);
    vsnprintf(ending->reason, sizeof ending->reason, fmt, args);
    va_end(args);
}

static void keep(struct enrich *enrich, const struct call *call, const kp_http_response *response,
                 struct ending *ret)
{
    const struct enrich_config *config = enrich->config;
    const kp_record *record = kp_at(call->held->b, call->i);
    struct kpw_slice doc = {record->data, record->data_len}, value;

    ret->rule = RULE_KEEP;
    if (!config->into)
        return;
    if (!take(enrich, response, &value)) {
        set(ret, RULE_REJECT, "the answer is no JSON or has no %s",
            config->take.kind == KP_V_FIELD ? config->take.text : "value");
        return;
    }
    kpw_buf_clear(&enrich->scratch);
    splice(&enrich->scratch, doc, config->into, value);
    if (enrich->scratch.failed) {
        kpw_buf_fini(&enrich->scratch);
        set(ret, RULE_RETRY, "out of memory");
        return;
    }
    ret->data = (kp_slice){enrich->scratch.ptr, enrich->scratch.len};
}

/* Seconds of a Retry-After header; a date there is not worth a clock. */
static int64_t retry_after_ms(const kp_http_response *response)
{
    kp_slice text = kp_http_header_get(response, "retry-after");
    int64_t seconds = 0;

    for (size_t i = 0; i < text.len && i < 6; i++) {
        if (!is_digit(text.ptr[i]))
            return 0;
        seconds = seconds * 10 + text.ptr[i] - '0';
    }
    return (seconds < MAX_RETRY_AFTER_S ? seconds : MAX_RETRY_AFTER_S) * 1000;
}

void answer_read(struct enrich *enrich, const struct call *call, const kp_http_response *response,
                 struct ending *ret)
{
    enum rule rule;

    if (!response->status || response->error) { /* none, or one that was cut off */
        set(ret, RULE_RETRY, "%s: %s", response->timed_out ? "no answer in time" : "no answer",
            response->error ? response->error : "");
        return;
    }
    rule = rules_of(&enrich->rules, response->status);
    if (rule == RULE_KEEP) {
        keep(enrich, call, response, ret);
        return;
    }
    set(ret, rule, "status %d: %.*s", response->status,
        (int)(response->body.len < 160 ? response->body.len : 160),
        response->body.len ? response->body.ptr : "");
    ret->after_ms = rule == RULE_RETRY ? retry_after_ms(response) : 0;
}
