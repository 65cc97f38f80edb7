/* request.c - parameters of STS requests, and all that is wrong with them in one text. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sts/sts.h"
#include "sdk/wire/uri.h"

enum { FAULTS_MAX = 10, DURATION_MIN = 900 };

/* ` 'VALUE' at 'name' failed to satisfy constraint: RULE`; value NULL: it was not there. */
static void add_fault(struct sts_request *r, const char *name, const char *value, const char *rule)
{
    if (r->n_faults++ >= FAULTS_MAX)
        return;
    kpw_buf_puts(&r->faults, r->faults.len ? "; Value " : "Value ");
    if (value)
        kpw_buf_appendf(&r->faults, "'%s'", value);
    else
        kpw_buf_puts(&r->faults, "null");
    kpw_buf_appendf(&r->faults, " at '%c%s' failed to satisfy constraint: %s", name[0] | 0x20,
                    name + 1, rule);
}

static void add_length_fault(struct sts_request *r, const char *name, const char *value,
                             const char *bound, size_t n)
{
    struct kpw_buf rule = KPW_BUF_INIT;

    kpw_buf_appendf(&rule, "Member must have length %s than or equal to %zu", bound, n);
    add_fault(r, name, value, kpw_buf_cstr(&rule) ? rule.ptr : "");
    kpw_buf_fini(&rule);
}

static bool fits(const struct sts_text_rule *rule, const char *text)
{
    for (; *text; text++) {
        char c = *text;
        bool word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';

        if (!word && !strchr(rule->marks, c))
            return false;
    }
    return true;
}

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

void sts_read_text(struct sts_request *r, const struct sts_text_rule *rule, struct kpw_buf *out)
{
    unsigned before = r->n_faults;
    const char *text;
    struct kpw_buf pattern = KPW_BUF_INIT;

    kpw_buf_clear(out);
    if (!kpw_form_get(r->form, rule->name, out)) {
        kpw_buf_clear(out);
        if (rule->required)
            add_fault(r, rule->name, NULL, "Member must not be null");
        return;
    }
    text = kpw_buf_cstr(out);
    if (!text)
        return;
    if (characters(text) < rule->min)
        add_length_fault(r, rule->name, text, "greater", rule->min);
    if (characters(text) > rule->max)
        add_length_fault(r, rule->name, text, "less", rule->max);
    if (rule->pattern && !fits(rule, text)) {
        kpw_buf_appendf(&pattern, "Member must satisfy regular expression pattern: %s",
                        rule->pattern);
        add_fault(r, rule->name, text, kpw_buf_cstr(&pattern) ? pattern.ptr : "");
        kpw_buf_fini(&pattern);
    }
    if (r->n_faults > before)
        kpw_buf_clear(out);
}

int64_t sts_read_duration(struct sts_request *r, int64_t fallback, int64_t max)
{
    struct kpw_buf text = KPW_BUF_INIT, rule = KPW_BUF_INIT;
    int64_t ret = fallback;
    char *end = NULL;

    if (kpw_form_get(r->form, "DurationSeconds", &text) && kpw_buf_cstr(&text)) {
        ret = strtoll(text.ptr, &end, 10);
        if (end == text.ptr || *end || ret < DURATION_MIN)
            kpw_buf_appendf(&rule, "Member must have value greater than or equal to %d",
                            DURATION_MIN);
        else if (ret > max)
            kpw_buf_appendf(&rule, "Member must have value less than or equal to %lld",
                            (long long)max);
        if (rule.len)
            add_fault(r, "DurationSeconds", text.ptr, kpw_buf_cstr(&rule) ? rule.ptr : "");
    }
    kpw_buf_fini(&text);
    kpw_buf_fini(&rule);
    return ret;
}

const char *sts_request_faults(struct sts_request *r, struct kpw_buf *out)
{
    if (!r->n_faults)
        return NULL;
    kpw_buf_appendf(out, "%u validation error%s detected: ", r->n_faults,
                    r->n_faults == 1 ? "" : "s");
    kpw_buf_put_slice(out, kpw_buf_slice(&r->faults));
    return kpw_buf_cstr(out) ? out->ptr : "";
}

void sts_request_fini(struct sts_request *r)
{
    kpw_buf_fini(&r->faults);
}
