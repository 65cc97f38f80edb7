/* fuzz_apigw_body.c - what apigw-proxy reads: bodies of /record and /records, answers of functions.
 *
 * Texts are blocks of their exact size, for the address sanitizer; what goes out as a header is
 * checked to hold no line end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/apigw-proxy/record.c"
#include "plugins/apigw-proxy/reply.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *memory;
static kp_record records[RECORDS_MAX];

static char *take_memory(kp_batch *b, size_t bytes)
{
    (void)b;
    memory = malloc(bytes);
    return memory;
}

static kp_record *take_records(kp_batch *b, uint32_t n)
{
    b->count += n;
    return records;
}

static int64_t now(void)
{
    return 1;
}

static void check_answer(kp_exchange *exchange, int status, const kp_http_header *headers, size_t n,
                         kp_slice body, kp_slab *keep)
{
    (void)exchange, (void)body, (void)keep;
    if (status < 200 || status > 599)
        abort();
    for (size_t i = 0; i < n; i++)
        if (memchr(headers[i].name.ptr, '\n', headers[i].name.len) ||
            memchr(headers[i].name.ptr, ':', headers[i].name.len) ||
            memchr(headers[i].value.ptr, '\n', headers[i].value.len) ||
            memchr(headers[i].value.ptr, '\r', headers[i].value.len))
            abort();
}

static const kp_host host = {.alloc = take_memory, .append = take_records, .wall_ms = now};
const kp_host *kp = &host;

void proxy_respond(struct proxy *proxy, kp_exchange *exchange, int status, const char *id,
                   const char *error_type, kp_slice body)
{
    (void)proxy, (void)exchange, (void)status, (void)id, (void)error_type, (void)body;
}

void proxy_internal_error(struct proxy *proxy, kp_exchange *exchange, int status, const char *id)
{
    (void)proxy, (void)exchange, (void)status, (void)id;
}

static void check_body(struct proxy *proxy, kp_slice body, bool many)
{
    kp_batch b = {.size = sizeof b};

    if (record_parse(proxy, body, many) != PARSE_OK)
        return;
    if (proxy->n_parsed > RECORDS_MAX)
        abort();
    if (proxy->n_parsed)
        record_append(proxy, &b, many);
    free(memory);
    memory = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const kp_server_ext ext = {.size = sizeof ext, .respond = check_answer};
    static struct proxy_config config = {.stage = "prod"};
    static struct proxy proxy = {.config = &config, .ext = &ext};
    struct pending pending = {.wanted = WANTS_REPLY};
    kp_result result = {.outcome = KP_DELIVERED};
    char *text = malloc(size ? size : 1);

    memcpy(text, data, size);
    config.quoted_single_record = size % 2;
    check_body(&proxy, (kp_slice){text, size}, false);
    check_body(&proxy, (kp_slice){text, size}, true);
    result.receipt.body = (kp_slice){text, size};
    reply_send(&proxy, &pending, &result);
    free(text);
    return 0;
}
