/* event.c - see shim.h: the JSON that a function gets. Members stand in Lambda's order. */
#include <stdio.h>
#include <string.h>

#include "plugins/lambda-shim/shim.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"

#define LOGGED_BYTES 500
#define FIXED_BYTES  420 /* member names and small values of one record */

/* Bytes as a JSON string, at most: \u001f, \", three for what may be no UTF-8. */
static size_t text_size(const char *text, size_t len)
{
    size_t size = len;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        size += c < 0x20 ? 5 : c >= 0x80 ? 2 : c == '"' || c == '\\';
    }
    return size;
}

size_t event_size(const struct shim *shim, const struct lane *lane, const kp_record *record)
{
    size_t data;

    if (shim->config->event == EVENT_RAW)
        return record->data_len;
    data = shim->config->event == EVENT_KINESIS ? kpw_base64_encoded_len(record->data_len)
                                                : text_size(record->data, record->data_len);
    return FIXED_BYTES + data + text_size(record->key, record->key_len) +
           2 * (size_t)record->sequence_len + 6 * strlen(lane->name) + strlen(shim->stream_arn) +
           strlen(shim->role_arn);
}

/* Seconds with at most three decimals, in the shortest form. */
static void put_seconds(struct kpw_buf *out, const char *name, int64_t ms)
{
    int fraction = (int)(ms % 1000);

    kpw_json_put_key(out, name);
    kpw_json_put_int(out, ms / 1000);
    if (fraction > 0)
        kpw_buf_appendf(out,
                        fraction % 10    ? ".%03d"
                        : fraction % 100 ? ".%02d"
                                         : ".%d",
                        fraction % 10    ? fraction
                        : fraction % 100 ? fraction / 10
                                         : fraction / 100);
}

static void put_data(const struct shim *shim, const kp_record *record, struct kpw_buf *out)
{
    kpw_json_put_key(out, "data");
    if (shim->config->event == EVENT_RECORDS) {
        kpw_json_put_string(out, record->data, record->data_len);
        return;
    }
    kpw_buf_puts(out, "\"");
    kpw_base64_put(out, record->data, record->data_len);
    kpw_buf_puts(out, "\"");
}

static void put_record(const struct shim *shim, const struct lane *lane, const kp_record *record,
                       struct kpw_buf *out)
{
    const char *sequence = record->sequence ? record->sequence : "";
    char id[300];
    int id_len = snprintf(id, sizeof id, "%.200s:%.*s", lane->name,
                          (int)(record->sequence_len < 90 ? record->sequence_len : 90), sequence);

    kpw_buf_puts(out, "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\"");
    kpw_json_put_member(out, "partitionKey", record->key, record->key_len);
    kpw_json_put_member(out, "sequenceNumber", sequence, record->sequence_len);
    put_data(shim, record, out);
    put_seconds(out, "approximateArrivalTimestamp", record->arrival_ms);
    kpw_buf_puts(out, "},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\"");
    kpw_json_put_member(out, "eventID", id, (size_t)id_len);
    kpw_json_put_member_cstr(out, "eventName", "aws:kinesis:record");
    kpw_json_put_member_cstr(out, "invokeIdentityArn", shim->role_arn);
    kpw_json_put_member_cstr(out, "awsRegion", shim->region);
    kpw_json_put_member_cstr(out, "eventSourceARN", shim->stream_arn);
    kpw_buf_puts(out, "}");
}

/* The same record without Lambda's envelope, its data as text. */
static void put_plain(const struct shim *shim, const struct lane *lane, const kp_record *record,
                      struct kpw_buf *out)
{
    kpw_buf_puts(out, "{");
    put_data(shim, record, out);
    kpw_json_put_member(out, "partitionKey", record->key, record->key_len);
    kpw_json_put_member(out, "sequenceNumber", record->sequence ? record->sequence : "",
                        record->sequence_len);
    put_seconds(out, "approximateArrivalTimestamp", record->arrival_ms);
    kpw_json_put_member_cstr(out, "shardId", lane->name);
    kpw_buf_puts(out, "}");
}

bool event_build(const struct shim *shim, const struct lane *lane, const struct ref *refs,
                 uint32_t n, struct kpw_buf *out)
{
    const kp_record *first = ref_record(refs[0]);

    if (shim->config->event == EVENT_RAW) {
        out->ptr = (char *)(uintptr_t)first->data;
        out->len = first->data_len;
        return true;
    }
    kpw_buf_clear(out);
    kpw_buf_puts(out, "{\"Records\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            kpw_buf_puts(out, ",");
        if (shim->config->event == EVENT_KINESIS)
            put_record(shim, lane, ref_record(refs[i]), out);
        else
            put_plain(shim, lane, ref_record(refs[i]), out);
    }
    kpw_buf_puts(out, "]}");
    if (!out->failed)
        return true;
    kpw_buf_fini(out);
    return false;
}

void event_log(struct shim *shim, int level, const char *event, const char *what, kp_slice text)
{
    struct kpw_buf line = KPW_BUF_INIT;

    kpw_json_put_string(&line, text.ptr, text.len < LOGGED_BYTES ? text.len : LOGGED_BYTES);
    if (kpw_buf_cstr(&line))
        kp->log(shim->node, level, event, "function=%s %s=%s", shim->function_name, what, line.ptr);
    kpw_buf_fini(&line);
}

void event_error(struct kpw_buf *out, const char *type, const char *message, size_t len)
{
    kpw_buf_puts(out, "{");
    kpw_json_put_member_cstr(out, "errorType", type);
    kpw_json_put_member(out, "errorMessage", message, len);
    kpw_buf_puts(out, "}");
}
