/* outcome.c - SendMessageBatch and GetQueueUrl answers of the JSON protocol. */
#include "plugins/sqs-dlq/outcome.h"

#include "sdk/wire/json.h"

#include <stdlib.h>
#include <string.h>

/* Ids are the numbers the sink gave. */
static bool read_id(struct kpw_slice text, uint32_t *ret)
{
    uint64_t id;

    if (!kpw_json_to_uint64(text, &id) || id > UINT32_MAX)
        return false;
    *ret = (uint32_t)id;
    return true;
}

static kp_slice slice_of(struct kpw_slice text)
{
    return (kp_slice){text.ptr, text.len};
}

static bool read_entry_member(struct kpw_json *j, struct outcome *o, bool *has_id)
{
    struct kpw_slice name = j->value, value;
    enum kpw_json_type type = kpw_json_value(j, &value);

    if (type == KPW_JSON_ERROR)
        return false;
    if (kpw_slice_is(name, "SenderFault"))
        o->is_own_fault = type == KPW_JSON_TRUE;
    if (type != KPW_JSON_STRING)
        return true;
    if (kpw_slice_is(name, "Id"))
        *has_id = read_id(value, &o->id);
    else if (kpw_slice_is(name, "MessageId"))
        o->message_id = slice_of(value);
    else if (kpw_slice_is(name, "MD5OfMessageBody"))
        o->md5 = slice_of(value);
    else if (kpw_slice_is(name, "Code"))
        o->code = slice_of(value);
    else if (kpw_slice_is(name, "Message"))
        o->message = slice_of(value);
    return true;
}

static bool read_entries(struct kpw_json *j, bool is_sent,
                         void (*each)(void *, const struct outcome *), void *arg)
{
    if (kpw_json_next(j) == KPW_JSON_NULL)
        return true;
    if (j->type != KPW_JSON_ARRAY)
        return false;
    while (kpw_json_next(j) == KPW_JSON_OBJECT) {
        struct outcome o = {.is_sent = is_sent};
        bool has_id = false;

        while (kpw_json_next(j) == KPW_JSON_KEY)
            if (!read_entry_member(j, &o, &has_id))
                return false;
        if (j->type != KPW_JSON_OBJECT_END || !has_id)
            return false;
        each(arg, &o);
    }
    return j->type == KPW_JSON_ARRAY_END;
}

bool outcome_parse(kp_slice body, void (*each)(void *, const struct outcome *), void *arg)
{
    struct kpw_json j;
    bool ok = true;

    kpw_json_init(&j, body.ptr, body.len);
    if (kpw_json_next(&j) != KPW_JSON_OBJECT)
        return false;
    while (ok && kpw_json_next(&j) == KPW_JSON_KEY) {
        if (kpw_slice_is(j.value, "Successful"))
            ok = read_entries(&j, true, each, arg);
        else if (kpw_slice_is(j.value, "Failed"))
            ok = read_entries(&j, false, each, arg);
        else
            ok = kpw_json_skip(&j);
    }
    return ok && j.type == KPW_JSON_OBJECT_END;
}

char *outcome_queue_url(kp_slice body)
{
    struct kpw_slice value;
    char *url;

    if (kpw_json_find(kpw_slice(body.ptr, body.len), "$.QueueUrl", &value) != KPW_JSON_STRING ||
        value.len == 0)
        return NULL;
    url = malloc(value.len + 1);
    if (url)
        url[kpw_json_unescape_to(value, url)] = 0;
    return url;
}

bool outcome_is_missing(const char *error)
{
    return strcmp(error, "QueueDoesNotExist") == 0 ||
           strcmp(error, "AWS.SimpleQueueService.NonExistentQueue") == 0;
}
