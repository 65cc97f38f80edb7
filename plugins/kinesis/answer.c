/* answer.c - one pass over the text; the members may come in any order, unknown ones are skipped.
 */
#include "plugins/kinesis/answer.h"

#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds with a fraction as milliseconds. */
static bool read_seconds(struct kpw_slice text, int64_t *ret_ms)
{
    double seconds;
    int64_t ms = 0;
    size_t i = 0;

    for (; i < text.len && i < 12 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        ms = ms * 10 + (text.ptr[i] - '0');
    ms *= 1000;
    if (i < text.len && text.ptr[i] == '.')
        for (int scale = 100; ++i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';
             scale /= 10)
            ms += (text.ptr[i] - '0') * scale;
    if (i == text.len) {
        *ret_ms = ms;
        return true;
    }
    if (!kpw_json_to_double(text, &seconds) || seconds < 0 || seconds > 1e12) /* "1.7E9" */
        return false;
    *ret_ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

/* The string that comes next; its escapes are resolved where it stands. */
static bool read_text(struct kpw_json *j, const char **ret, uint32_t *ret_len)
{
    size_t len;

    if (kpw_json_next(j) != KPW_JSON_STRING || j->value.len > UINT32_MAX)
        return false;
    len = j->value.len;
    if (j->has_escape)
        len = kpw_json_unescape_to(j->value, (char *)(uintptr_t)j->value.ptr);
    *ret = j->value.ptr;
    *ret_len = (uint32_t)len;
    return true;
}

static bool read_data(struct kpw_json *j, struct kinesis_entry *e)
{
    size_t bytes;

    if (!read_text(j, &e->data, &e->data_len) || /* "\/" is a legal way to write a slash */
        !kpw_base64_decode(e->data, e->data_len, (char *)(uintptr_t)e->data, &bytes))
        return false;
    e->data_len = (uint32_t)bytes;
    return true;
}

/* Room for one more entry, or NULL. */
static struct kinesis_entry *next_entry(struct kinesis_answer *answer)
{
    if (answer->count == answer->room) {
        size_t room = answer->room ? answer->room * 2 : 256;
        struct kinesis_entry *entries = reallocarray(answer->entries, room, sizeof(*entries));

        if (!entries)
            return NULL;
        answer->entries = entries;
        answer->room = room;
    }
    return &answer->entries[answer->count];
}

bool kinesis_answer_add(struct kinesis_answer *answer, const struct kinesis_entry *entry)
{
    struct kinesis_entry *e = next_entry(answer);

    if (!e)
        return false;
    *e = *entry;
    answer->count++;
    return true;
}

static bool read_record_member(struct kpw_json *j, struct kinesis_entry *e)
{
    struct kpw_slice name = j->value;

    if (kpw_slice_is(name, "Data"))
        return read_data(j, e);
    if (kpw_slice_is(name, "PartitionKey"))
        return read_text(j, &e->key, &e->key_len);
    if (kpw_slice_is(name, "SequenceNumber"))
        return read_text(j, &e->sequence, &e->sequence_len) &&
               e->sequence_len <= KINESIS_SEQUENCE_MAX;
    if (kpw_slice_is(name, "ApproximateArrivalTimestamp"))
        return kpw_json_next(j) == KPW_JSON_NUMBER && read_seconds(j->value, &e->arrival_ms);
    return kpw_json_skip(j);
}

static bool read_records(struct kinesis_answer *answer, struct kpw_json *j)
{
    if (kpw_json_next(j) != KPW_JSON_ARRAY)
        return false;
    while (kpw_json_next(j) == KPW_JSON_OBJECT) {
        struct kinesis_entry e = {0};

        while (kpw_json_next(j) == KPW_JSON_KEY)
            if (!read_record_member(j, &e))
                return false;
        if (j->type != KPW_JSON_OBJECT_END || !e.data || !e.sequence_len ||
            !kinesis_answer_add(answer, &e))
            return false;
    }
    return j->type == KPW_JSON_ARRAY_END;
}

static bool read_iterator(struct kinesis_answer *answer, struct kpw_json *j)
{
    uint32_t len;

    if (kpw_json_next(j) == KPW_JSON_NULL)
        return true;
    if (j->type != KPW_JSON_STRING)
        return false;
    len = (uint32_t)j->value.len;
    if (j->has_escape)
        len = (uint32_t)kpw_json_unescape_to(j->value, (char *)(uintptr_t)j->value.ptr);
    answer->next = j->value.ptr;
    answer->next_len = len;
    return true;
}

static bool read_children(struct kinesis_answer *answer, struct kpw_json *j)
{
    if (kpw_json_next(j) == KPW_JSON_NULL)
        return true;
    if (j->type != KPW_JSON_ARRAY)
        return false;
    while (kpw_json_next(j) == KPW_JSON_OBJECT && kpw_json_skip(j))
        answer->has_children = true;
    return j->type == KPW_JSON_ARRAY_END;
}

static bool read_member(struct kinesis_answer *answer, struct kpw_json *j, bool *has_records)
{
    struct kpw_slice name = j->value;

    if (kpw_slice_is(name, "Records")) {
        if (*has_records)
            return false;
        *has_records = true;
        return read_records(answer, j);
    }
    if (kpw_slice_is(name, "NextShardIterator") || kpw_slice_is(name, "ContinuationSequenceNumber"))
        return read_iterator(answer, j);
    if (kpw_slice_is(name, "ChildShards"))
        return read_children(answer, j);
    if (kpw_slice_is(name, "MillisBehindLatest"))
        return kpw_json_next(j) == KPW_JSON_NUMBER &&
               kpw_json_to_int64(j->value, &answer->behind_ms) && answer->behind_ms >= 0;
    return kpw_json_skip(j);
}

static bool refuse(struct kinesis_answer *answer, const struct kpw_json *j)
{
    answer->why = j->error ? j->error : KINESIS_ANSWER_LACKS;
    return false;
}

/* The service leaves it out of some answers. */
static bool say_behind(struct kinesis_answer *answer)
{
    if (answer->behind_ms < 0)
        answer->behind_ms = answer->count ? 1 : 0;
    return true;
}

bool kinesis_answer_parse(struct kinesis_answer *answer, char *text, size_t len)
{
    struct kpw_json j;
    bool has_records = false;

    answer->count = 0;
    answer->next = NULL;
    answer->next_len = 0;
    answer->has_children = false;
    answer->behind_ms = -1;
    answer->why = NULL;
    if (len && (uint8_t)text[0] >= 0x80) /* no JSON begins so */
        return kinesis_answer_parse_cbor(answer, text, len) && say_behind(answer);
    kpw_json_init(&j, text, len);
    if (kpw_json_next(&j) != KPW_JSON_OBJECT)
        return refuse(answer, &j);
    while (kpw_json_next(&j) == KPW_JSON_KEY)
        if (!read_member(answer, &j, &has_records))
            return refuse(answer, &j);
    if (j.type != KPW_JSON_OBJECT_END || kpw_json_next(&j) != KPW_JSON_END || !has_records)
        return refuse(answer, &j);
    return say_behind(answer);
}

void kinesis_answer_fini(struct kinesis_answer *answer)
{
    free(answer->entries);
    *answer = (struct kinesis_answer){0};
}

bool kinesis_iterator_parse(const char *text, size_t len, char *out, size_t cap)
{
    struct kpw_slice value;
    size_t n;

    if (!kpw_json_valid(text, len) ||
        kpw_json_find(kpw_slice(text, len), "$.ShardIterator", &value) != KPW_JSON_STRING ||
        value.len == 0 || value.len >= cap)
        return false;
    n = kpw_json_unescape_to(value, out);
    out[n] = 0;
    return true;
}
