/* fuzz_enrich_splice.c - async-http-enrich: a record and an answer, divided by a NUL, become a
 * request and a record with one more member, which must be JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/async-http-enrich/answer.c"
#include "plugins/async-http-enrich/request.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void flow_answered(kp_node *node, void *arg, const kp_http_response *response)
{
    (void)node, (void)arg, (void)response;
}

static void check_kept(const struct ending *ending)
{
    if (ending->rule == RULE_KEEP && !kpw_json_valid(ending->data.ptr, ending->data.len))
        abort();
}

static char *copy(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);

    if (size)
        memcpy(text, data, size);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const kp_map_item header = {"x-id", {.kind = KP_V_FIELD, .text = "$.id"}};
    static const struct enrich_config config = {
        .url = "http://x/{id}", .into = "fare", .headers = {&header, 1}};
    static struct enrich enrich = {.config = &config};
    static struct call call;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size, rest = nul ? size - len - 1 : 0;
    char *record_text = copy(data, len), *answer = copy(nul ? nul + 1 : data, rest), why[256];
    kp_record record = {.data = record_text, .data_len = (uint32_t)len};
    kp_batch b = {.size = sizeof b, .record_size = sizeof record, .count = 1, .records = &record};
    struct held held = {.b = &b};
    kp_http_response response = {.size = sizeof response, .status = 200, .body = {answer, rest}};
    struct ending ending = {.rule = RULE_KEEP};

    call.held = &held;
    if (request_build(&enrich, &call, why, sizeof why)) {
        answer_read(&enrich, &call, &response, &ending);
        check_kept(&ending);
    }
    free(record_text);
    free(answer);
    return 0;
}
