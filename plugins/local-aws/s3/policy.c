/* policy.c - the policy of a browser's upload: what its signer allows. */
#include "plugins/local-aws/s3/policy.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/time.h"

static const struct s3_field *find_field(const struct s3_policy_case *c, const char *name)
{
    for (size_t i = 0; i < c->n_fields; i++)
        if (kpw_slice_is_nocase(c->fields[i].name, name))
            return &c->fields[i];
    return NULL;
}

/* `Policy Condition failed: ["eq", "$acl", "public-read"]` */
static enum s3_policy_verdict failed(struct s3_policy_case *c, const char *how, const char *name,
                                     const char *value)
{
    kpw_buf_appendf(&c->text, "Policy Condition failed: [\"%s\", \"$%s\", \"%s\"]", how, name,
                    value);
    return S3_POLICY_REFUSES;
}

static enum s3_policy_verdict invalid(struct s3_policy_case *c, const char *text)
{
    kpw_buf_puts(&c->text, text);
    return S3_POLICY_INVALID;
}

static enum s3_policy_verdict judge_equal(struct s3_policy_case *c, const char *name,
                                          const char *value)
{
    const struct s3_field *field = find_field(c, name);

    return field && kpw_slice_is(field->value, value) ? S3_POLICY_FINE
                                                      : failed(c, "eq", name, value);
}

static enum s3_policy_verdict judge_start(struct s3_policy_case *c, const char *name,
                                          const char *value)
{
    const struct s3_field *field = find_field(c, name);

    return field && kpw_slice_starts(field->value, value) ? S3_POLICY_FINE
                                                          : failed(c, "starts-with", name, value);
}

/* A number, or a text of one. */
static bool number_of(const json_t *value, uint64_t *ret)
{
    const char *text = json_string_value(value);
    char *end;

    if (json_is_integer(value)) {
        *ret = (uint64_t)json_integer_value(value);
        return json_integer_value(value) >= 0;
    }
    if (!text || *text < '0' || *text > '9')
        return false;
    *ret = strtoull(text, &end, 10);
    return *end == '\0';
}

static enum s3_policy_verdict judge_range(struct s3_policy_case *c, const json_t *condition)
{
    if (!number_of(json_array_get(condition, 1), &c->size_min) ||
        !number_of(json_array_get(condition, 2), &c->size_max))
        return invalid(c, "Invalid content-length-range");
    if (c->size < c->size_min)
        return S3_POLICY_TOO_SMALL;
    return c->size > c->size_max ? S3_POLICY_TOO_LARGE : S3_POLICY_FINE;
}

static enum s3_policy_verdict judge_array(struct s3_policy_case *c, const json_t *condition)
{
    const char *how = json_string_value(json_array_get(condition, 0));
    const char *name = json_string_value(json_array_get(condition, 1));
    const char *value = json_string_value(json_array_get(condition, 2));

    if (json_array_size(condition) != 3 || !how)
        return invalid(c, "Invalid Condition: a condition has three members");
    if (strcasecmp(how, "content-length-range") == 0)
        return judge_range(c, condition);
    if (!name || name[0] != '$' || !value)
        return invalid(c, "Invalid Condition: a condition names a field, as in \"$key\"");
    if (strcasecmp(how, "eq") == 0)
        return judge_equal(c, name + 1, value);
    if (strcasecmp(how, "starts-with") == 0)
        return judge_start(c, name + 1, value);
    return invalid(c, "Invalid Condition: unknown operation");
}

static enum s3_policy_verdict judge_object(struct s3_policy_case *c, const json_t *condition)
{
    enum s3_policy_verdict verdict = S3_POLICY_FINE;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)condition, name, value)
    {
        if (!json_is_string(value))
            return invalid(c, "Invalid Condition: a value is a text");
        verdict = judge_equal(c, name, json_string_value(value));
        if (verdict != S3_POLICY_FINE)
            return verdict;
    }
    return verdict;
}

/* Is the field named by a condition of either form? */
static bool is_named(const json_t *conditions, struct kpw_slice field)
{
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        const char *name = json_string_value(json_array_get(condition, 1));
        json_t *value;

        if (name && name[0] == '$' && kpw_slice_is_nocase(field, name + 1))
            return true;
        json_object_foreach((json_t *)condition, name, value)
        {
            if (kpw_slice_is_nocase(field, name))
                return true;
        }
    }
    return false;
}

/* A field that no condition speaks of is refused, but for these. */
static enum s3_policy_verdict judge_fields(struct s3_policy_case *c, const json_t *conditions)
{
    static const char *const free_ones[] = {"policy", "bucket",         "x-amz-signature",
                                            "file",   "awsaccesskeyid", "signature"};

    for (size_t i = 0; i < c->n_fields; i++) {
        struct kpw_slice name = c->fields[i].name;
        bool fine = name.len >= 9 && strncasecmp(name.ptr, "x-ignore-", 9) == 0;

        for (size_t k = 0; !fine && k < sizeof(free_ones) / sizeof(free_ones[0]); k++)
            fine = kpw_slice_is_nocase(name, free_ones[k]);
        if (fine || is_named(conditions, name))
            continue;
        kpw_buf_appendf(&c->text, "Extra input fields: %.*s", (int)(name.len < 80 ? name.len : 80),
                        name.ptr);
        return S3_POLICY_REFUSES;
    }
    return S3_POLICY_FINE;
}

static enum s3_policy_verdict judge_conditions(struct s3_policy_case *c, const json_t *conditions)
{
    enum s3_policy_verdict verdict = S3_POLICY_FINE, size = S3_POLICY_FINE;

    if (!json_is_array(conditions))
        return invalid(c, "Invalid Policy: 'conditions' is missing");
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        verdict = json_is_array(condition)    ? judge_array(c, condition)
                  : json_is_object(condition) ? judge_object(c, condition)
                                              : invalid(c, "Invalid Condition");
        if (verdict == S3_POLICY_TOO_SMALL || verdict == S3_POLICY_TOO_LARGE)
            size = verdict; /* what the fields say comes first */
        else if (verdict != S3_POLICY_FINE)
            return verdict;
    }
    verdict = judge_fields(c, conditions);
    return verdict != S3_POLICY_FINE ? verdict : size;
}

static enum s3_policy_verdict judge(struct s3_policy_case *c, const json_t *policy)
{
    const char *expiration = json_string_value(json_object_get(policy, "expiration"));
    int64_t at_ms;

    if (!json_is_object(policy))
        return invalid(c, "Invalid JSON.");
    if (!expiration || !kpw_iso8601_parse(kpw_slice_cstr(expiration), &at_ms))
        return invalid(c, "Invalid 'expiration' value");
    if (at_ms <= c->now_ms) {
        kpw_buf_puts(&c->text, "Policy expired.");
        return S3_POLICY_REFUSES;
    }
    return judge_conditions(c, json_object_get(policy, "conditions"));
}

enum s3_policy_verdict s3_policy_judge(struct kpw_slice policy, struct s3_policy_case *c)
{
    char *raw = malloc(kpw_base64_decoded_max(policy.len) + 1);
    enum s3_policy_verdict verdict;
    json_t *document = NULL;
    size_t n = 0;

    if (raw && kpw_base64_decode(policy.ptr, policy.len, raw, &n))
        document = json_loadb(raw, n, JSON_REJECT_DUPLICATES, NULL);
    verdict = judge(c, document);
    json_decref(document);
    free(raw);
    return verdict;
}
