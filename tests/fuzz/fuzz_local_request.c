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
#include "tests/fuzz/kinesis_members.h"
#include "tests/fuzz/local_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* answer.c's way out, which nothing here takes. */
void local_respond(struct local *local, kp_exchange *x, int status, const struct local_body *body)
{
    (void)local, (void)x, (void)status, (void)body;
    abort();
}

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
