/* fuzz_local_request.c - what the front end of the local AWS reads of a request: which service, a
 * Kinesis body's members, sequence numbers and shard ids.
 *
 * The first line is read as headers would be (authorization; target; host; query), the rest is the
 * body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/answer.c"
#include "plugins/local-aws/dispatch.c"
#include "plugins/local-aws/kinesis/check.c"
#include "plugins/local-aws/kinesis/read.c"
#include "plugins/local-aws/kinesis/seq.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct check_member mode[] = {
    {.name = "StreamMode", .type = CHECK_STRING, .required = true, .choices = "[A, B]"},
    {.name = NULL}};
static const struct check_member table[] = {
    {.name = "Limit", .type = CHECK_INTEGER, .min = 1, .max = 10000},
    {.name = "StreamName", .type = CHECK_STRING, .pattern = PATTERN_NAME, .min = 1, .max = 128},
    {.name = "StreamARN", .type = CHECK_STRING, .pattern = PATTERN_ARN, .min = 1, .max = 2048},
    {.name = "StreamId", .type = CHECK_STRING, .pattern = PATTERN_ID, .min = 1, .max = 24},
    {.name = "Number", .type = CHECK_STRING, .pattern = PATTERN_SEQUENCE},
    {.name = "Data", .type = CHECK_BLOB, .max = 100},
    {.name = "Timestamp", .type = CHECK_TIME},
    {.name = "Tags", .type = CHECK_MAP, .min = 1, .max = 3, .key_max = 5, .item_max = 4},
    {.name = "TagKeys", .type = CHECK_STRINGS, .min = 1, .max = 5, .item_min = 1, .item_max = 9},
    {.name = "Mode", .type = CHECK_STRUCT, .members = mode},
    {.name = "Records", .type = CHECK_RECORDS, .min = 1, .max = 500},
    {.name = NULL}};

static void read_body(struct kpw_slice body)
{
    static struct check check; /* used again, as the service does */
    struct kinesis_seq seq, again;
    uint32_t shard;
    const struct check_value *number;

    if (check_read(&check, table, body) != CHECK_OK)
        return;
    for (size_t i = 0; i < check.n_records; i++)
        (void)check_blob(check.records[i].data.text, &check.error);
    number = check_get(&check, "Number");
    if (kinesis_seq_parse(number->text, &seq) == KINESIS_SEQ_OK) {
        char text[KINESIS_SEQ_SIZE];

        kinesis_seq_format(&seq, text);
        if (kinesis_seq_parse(kpw_slice_cstr(text), &again) != KINESIS_SEQ_OK ||
            memcmp(&seq, &again, sizeof seq) != 0)
            abort();
    }
    (void)kinesis_shard_parse(check_get(&check, "StreamName")->text, &shard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"authorization", "x-amz-target", "host", "content-type"};
    char *text = malloc(size ? size : 1);
    kp_http_header headers[4];
    kp_server_request request = {.size = sizeof request, .headers = headers};
    struct local_target target;
    char *line, *at;

    memcpy(text, data, size);
    line = size ? memchr(text, '\n', size) : NULL;
    at = text;
    for (size_t i = 0; line && i < 5; i++) {
        char *end = memchr(at, ';', (size_t)(line - at));
        kp_slice part = {at, (size_t)((end ? end : line) - at)};

        if (i == 4)
            request.query = part;
        else
            headers[request.n_headers++] = (kp_http_header){{names[i], strlen(names[i])}, part};
        at = end ? end + 1 : line;
    }
    at = line ? line + 1 : text;
    request.body = (kp_slice){at, size - (size_t)(at - text)};
    local_dispatch(&request, &target);
    if (strlen(target.operation) >= LOCAL_OPERATION_MAX)
        abort();
    read_body(kpw_slice(request.body.ptr, request.body.len));
    free(text);
    return 0;
}
