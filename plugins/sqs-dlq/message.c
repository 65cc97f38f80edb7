/* message.c - members in AWS's own order, then one more, "kpipe", with what AWS leaves out.
 *
 * If the message would be longer than the queue takes, the payloads are left out, then as many of
 * the records' identities as have no room; "truncated" says so. The stream still has the records.
 */
#include "plugins/sqs-dlq/message.h"

#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"
#include "sdk/wire/utf8.h"

#include <stdio.h>
#include <string.h>

#define DETAIL_MAX 2000 /* bytes of the stage's own account of the error */
#define REASON_MAX 2000
#define KEY_MAX    1024 /* bytes of a partition key that are named */
#define NUMBER_MAX 200

/* The characters of XML, which are those that SQS takes. */
bool message_is_text(const char *text, size_t len)
{
    const char *at = text, *end = len ? at + len : at;
    uint32_t c;
    size_t n;

    for (; at < end; at += n) {
        if (!(n = kpw_utf8_decode(at, end, &c)))
            return false;
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0xfffe || c == 0xffff)
            return false;
    }
    return true;
}

static void put_slice(struct kpw_buf *out, const char *name, kp_slice text, size_t most)
{
    kpw_json_put_member(out, name, text.len ? text.ptr : "", text.len < most ? text.len : most);
}

static void put_time(struct kpw_buf *out, const char *name, int64_t ms)
{
    char text[KPW_ISO8601_SIZE];

    kpw_iso8601_format(ms, text);
    kpw_json_put_member_cstr(out, name, text);
}

static void open_object(struct kpw_buf *out, const char *name)
{
    kpw_json_put_key(out, name);
    kpw_buf_putc(out, '{');
}

static void put_context(struct kpw_buf *out, const struct message_frame *frame,
                        const kp_failure *failure)
{
    kp_slice condition = failure->condition.len ? failure->condition : (kp_slice){"Rejected", 8};
    char arn[300];

    open_object(out, "requestContext");
    kpw_json_put_member_cstr(out, "requestId", frame->request_id);
    snprintf(arn, sizeof(arn), "arn:aws:lambda:%s:%s:function:%.*s", frame->region, frame->account,
             (int)(failure->stage.len < 140 ? failure->stage.len : 140), failure->stage.ptr);
    kpw_json_put_member_cstr(out, "functionArn", arn);
    put_slice(out, "condition", condition, 200);
    kpw_json_put_member_int(out, "approximateInvokeCount", failure->attempts);
    kpw_buf_putc(out, '}');
    if (!kpw_slice_is(kpw_slice(condition.ptr, condition.len), "RecordAgeExceeded"))
        kpw_buf_appendf(out,
                        ",\"responseContext\":{\"statusCode\":200,\"executedVersion\":\"$LATEST\","
                        "\"functionError\":%s}",
                        failure->detail.len ? "\"Unhandled\"" : "null");
    kpw_json_put_member_cstr(out, "version", "1.0");
    put_time(out, "timestamp", frame->now_ms);
}

/* Sequence numbers are decimals of any size: the longer one is greater. */
static int compare(const kp_record *a, const kp_record *b)
{
    if (a->sequence_len != b->sequence_len)
        return a->sequence_len < b->sequence_len ? -1 : 1;
    return a->sequence_len ? memcmp(a->sequence, b->sequence, a->sequence_len) : 0;
}

static void put_stream(struct kpw_buf *out, const struct message_frame *frame, kp_slice stream)
{
    if (stream.len || !*frame->stream) {
        put_slice(out, "streamArn", stream, 300);
        return;
    }
    kpw_json_put_key(out, "streamArn");
    kpw_buf_appendf(out, "\"arn:aws:kinesis:%s:%s:stream/%s\"", frame->region, frame->account,
                    frame->stream);
}

static void put_batch_info(struct kpw_buf *out, const struct message_frame *frame,
                           const kp_batch *b, const uint32_t *at, uint32_t n)
{
    const kp_record *first = kp_at(b, at[0]), *last = first;
    const kp_failure *failure = first->failure;
    int64_t oldest = first->arrival_ms, newest = first->arrival_ms;

    for (uint32_t i = 1; i < n; i++) {
        const kp_record *r = kp_at(b, at[i]);

        first = compare(r, first) < 0 ? r : first;
        last = compare(r, last) > 0 ? r : last;
        oldest = r->arrival_ms < oldest ? r->arrival_ms : oldest;
        newest = r->arrival_ms > newest ? r->arrival_ms : newest;
    }
    open_object(out, "KinesisBatchInfo");
    put_slice(out, "shardId", failure->lane.len ? failure->lane : b->lane_name, 200);
    put_slice(out, "startSequenceNumber", (kp_slice){first->sequence, first->sequence_len}, 200);
    put_slice(out, "endSequenceNumber", (kp_slice){last->sequence, last->sequence_len}, 200);
    put_time(out, "approximateArrivalOfFirstRecord", oldest);
    put_time(out, "approximateArrivalOfLastRecord", newest);
    kpw_json_put_member_int(out, "batchSize", n);
    put_stream(out, frame, failure->stream);
    kpw_buf_putc(out, '}');
}

static void put_record(struct kpw_buf *out, const kp_record *r, bool payload)
{
    kpw_buf_putc(out, '{');
    if (payload) {
        kpw_buf_puts(out, "\"data\":\"");
        kpw_base64_put(out, r->data, r->data_len);
        kpw_buf_putc(out, '"');
    }
    put_slice(out, "partitionKey", (kp_slice){r->key, r->key_len}, KEY_MAX);
    put_slice(out, "sequence", (kp_slice){r->sequence, r->sequence_len}, NUMBER_MAX);
    kpw_json_put_member_int(out, "subSequence", (int64_t)r->sub_sequence);
    kpw_buf_putc(out, '}');
}

/* Room for a record without its payload (a byte may become \u001f) and the end of the message. */
static size_t identity_bytes(const kp_record *r)
{
    size_t key = r->key_len < KEY_MAX ? r->key_len : KEY_MAX;
    size_t sequence = r->sequence_len < NUMBER_MAX ? r->sequence_len : NUMBER_MAX;

    return 6 * (key + sequence) + 200;
}

/* The member "kpipe" up to its list of records. */
static void put_own_head(struct kpw_buf *out, const struct message_frame *frame,
                         const kp_failure *failure, bool truncated)
{
    open_object(out, "kpipe");
    kpw_json_put_member_cstr(out, "pipeline", frame->pipeline);
    kpw_json_put_member_cstr(out, "flow", frame->flow);
    put_slice(out, "stage", failure->stage, 300);
    put_slice(out, "reason", failure->reason, REASON_MAX);
    kpw_json_put_member_int(out, "attempts", failure->attempts);
    if (failure->detail.len)
        put_slice(out, "detail", failure->detail, DETAIL_MAX);
    if (truncated)
        kpw_json_put_member_bool(out, "truncated", true);
    kpw_json_put_key(out, "records");
    kpw_buf_putc(out, '[');
}

/* Writes the whole message; with `truncated` only as many records as surely fit. */
static void write_message(struct kpw_buf *out, const struct message_frame *frame, const kp_batch *b,
                          const uint32_t *at, uint32_t n, bool payload, bool truncated)
{
    const kp_failure *failure = kp_at(b, at[0])->failure;

    kpw_buf_putc(out, '{');
    put_context(out, frame, failure);
    put_batch_info(out, frame, b, at, n);
    put_own_head(out, frame, failure, truncated);
    for (uint32_t i = 0; i < n && !out->failed; i++) {
        if (truncated && out->len + identity_bytes(kp_at(b, at[i])) > frame->max_bytes)
            break;
        if (i)
            kpw_buf_putc(out, ',');
        put_record(out, kp_at(b, at[i]), payload);
    }
    kpw_buf_puts(out, "]}}");
}

/* Bytes of the payloads as base64: enough to know that they cannot fit. */
static size_t payload_bytes(const kp_batch *b, const uint32_t *at, uint32_t n, size_t most)
{
    size_t sum = 0;

    for (uint32_t i = 0; i < n && sum <= most; i++)
        sum += kpw_base64_encoded_len(kp_at(b, at[i])->data_len);
    return sum;
}

bool message_of_failure(const struct message_frame *frame, const kp_batch *b, const uint32_t *at,
                        uint32_t n, char **ret, size_t *ret_len)
{
    struct kpw_buf out = KPW_BUF_INIT;

    if (!frame->payload || payload_bytes(b, at, n, frame->max_bytes) < frame->max_bytes)
        write_message(&out, frame, b, at, n, frame->payload, false);
    if (!out.failed && (out.len == 0 || out.len > frame->max_bytes)) {
        kpw_buf_clear(&out);
        write_message(&out, frame, b, at, n, false, true);
    }
    *ret = kpw_buf_take(&out, ret_len);
    return *ret != NULL;
}
