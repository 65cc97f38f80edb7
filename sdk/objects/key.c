/* key.c - see key.h. Each thread has its own source of random names. */
#include "sdk/objects/key.h"

#include <stdio.h>
#include <string.h>

#include "sdk/objects/datetime.h"
#include "sdk/wire/random.h"

#define RANDOM_TEXT 11 /* characters of !{firehose:random-string} */

static struct kpw_random *source(void)
{
    static _Thread_local struct kpw_random random;
    static _Thread_local bool is_ready;

    if (!is_ready)
        kpw_random_init(&random);
    is_ready = true;
    return &random;
}

void kpo_uuid(char *out)
{
    char text[KPW_UUID_SIZE];

    kpw_random_uuid(source(), text);
    memcpy(out, text, KPO_UUID_LENGTH);
}

void kpo_random_text(char *out, size_t n)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    while (n--)
        *out++ = set[kpw_random_below(source(), sizeof set - 1)];
}

uint64_t kpo_random_below(uint64_t n)
{
    return kpw_random_below(source(), n);
}

/* ---- expressions */

struct expression {
    const char *name, *argument; /* of !{name:argument} [borrowed] */
    size_t name_len, argument_len;
    const char *end; /* behind the brace */
};

/* The brace that closes a timestamp pattern is the first one outside single quotes. */
static const char *closing_brace(const char *at)
{
    bool quoted = false;

    for (; *at; at++) {
        if (*at == '\'')
            quoted = !quoted;
        else if (*at == '}' && !quoted)
            return at;
    }
    return NULL;
}

static bool read_expression(const char *at, struct expression *ret)
{
    const char *colon, *brace = closing_brace(at + 2);

    if (!brace)
        return false;
    colon = memchr(at + 2, ':', (size_t)(brace - at - 2));
    if (!colon)
        return false;
    ret->name = at + 2;
    ret->name_len = (size_t)(colon - ret->name);
    ret->argument = colon + 1;
    ret->argument_len = (size_t)(brace - ret->argument);
    ret->end = brace + 1;
    return true;
}

static bool is_text(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static bool check_firehose(const struct expression *e, bool for_errors, char *err, size_t size)
{
    if (is_text(e->argument, e->argument_len, "random-string"))
        return true;
    if (!is_text(e->argument, e->argument_len, "error-output-type")) {
        snprintf(err, size, "!{firehose:%.*s} is not known", (int)e->argument_len, e->argument);
        return false;
    }
    if (!for_errors)
        snprintf(err, size, "!{firehose:error-output-type} belongs into the error prefix");
    return for_errors;
}

static bool check_expression(const struct expression *e, bool for_errors, char *err, size_t size)
{
    if (is_text(e->name, e->name_len, "timestamp"))
        return kpo_datetime_check(e->argument, e->argument_len, err, size);
    if (is_text(e->name, e->name_len, "firehose"))
        return check_firehose(e, for_errors, err, size);
    snprintf(err, size, "!{%.*s:...} is not known (timestamp, firehose)", (int)e->name_len,
             e->name);
    return false;
}

bool kpo_prefix_check(const char *prefix, bool for_errors, char *err, size_t err_size)
{
    bool any = false, has_type = false;
    struct expression e;

    if (!prefix)
        return true;
    if (strlen(prefix) > KPO_KEY_MAX) {
        snprintf(err, err_size, "longer than %d bytes", KPO_KEY_MAX);
        return false;
    }
    for (const char *at = prefix; (at = strstr(at, "!{")) != NULL; at = e.end) {
        if (!read_expression(at, &e)) {
            snprintf(err, err_size, "'%.20s' is no expression of the form !{name:value}", at);
            return false;
        }
        if (!check_expression(&e, for_errors, err, err_size))
            return false;
        any = true;
        has_type |= is_text(e.argument, e.argument_len, "error-output-type");
    }
    if (for_errors && any && !has_type) {
        snprintf(err, err_size, "an error prefix needs !{firehose:error-output-type}");
        return false;
    }
    return true;
}

/* ---- formatting */

struct out {
    char *at;
    size_t left, len;
};

static void put(struct out *out, const char *text, size_t len)
{
    if (len > out->left)
        len = out->left;
    memcpy(out->at, text, len);
    out->at += len;
    out->left -= len;
    out->len += len;
}

static void put_date(struct out *out, const char *pattern, size_t len, int64_t unix_ms)
{
    size_t n = kpo_datetime_format(pattern, len, unix_ms, out->at, out->left);

    out->at += n;
    out->left -= n;
    out->len += n;
}

static void put_expression(struct out *out, const struct expression *e, int64_t unix_ms,
                           const char *error_type)
{
    char random[RANDOM_TEXT];

    if (is_text(e->name, e->name_len, "timestamp")) {
        put_date(out, e->argument, e->argument_len, unix_ms);
    } else if (is_text(e->argument, e->argument_len, "random-string")) {
        kpo_random_text(random, sizeof random);
        put(out, random, sizeof random);
    } else if (error_type) {
        put(out, error_type, strlen(error_type));
    }
}

static void put_prefix(struct out *out, const char *prefix, int64_t unix_ms, const char *error_type)
{
    const char *at = prefix ? prefix : "", *next;
    struct expression e;
    bool any = false;

    while ((next = strstr(at, "!{")) != NULL && read_expression(next, &e)) {
        put(out, at, (size_t)(next - at));
        put_expression(out, &e, unix_ms, error_type);
        any = true;
        at = e.end;
    }
    put(out, at, strlen(at));
    if (!any)
        put_date(out, "yyyy/MM/dd/HH/", 14, unix_ms);
}

size_t kpo_prefix_format(const char *prefix, int64_t unix_ms, const char *error_type, char *out,
                         size_t cap)
{
    struct out text = {out, cap, 0};

    put_prefix(&text, prefix, unix_ms, error_type);
    return text.len;
}

size_t kpo_key_format(const struct kpo_key *key, int64_t unix_ms, char *out, size_t cap)
{
    struct out text = {out, cap, 0};
    char number[24], uuid[KPO_UUID_LENGTH];
    int n = snprintf(number, sizeof number, "-%d-", key->version);

    put_prefix(&text, key->prefix, unix_ms, NULL);
    put(&text, key->stream, strlen(key->stream));
    put(&text, number, (size_t)n);
    put_date(&text, "yyyy-MM-dd-HH-mm-ss-", 20, unix_ms);
    kpo_uuid(uuid);
    put(&text, uuid, sizeof uuid);
    put(&text, key->extension, strlen(key->extension));
    return text.len;
}
