/* fuzz_local_faults.c - the JSON of fault rules: what is taken keeps its limits, what is refused
 * says why, and a refusal leaves nothing behind.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/faults_read.c"
#include "tests/fuzz/local_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_numbers(const struct fault_rule *rule)
{
    if (rule->probability < 0 || rule->probability > 1 || rule->share < 0 || rule->share > 1 ||
        rule->every < 1 || rule->after < 0 || rule->count < 0)
        abort();
    if (rule->latency_ms[0] < 0 || rule->latency_ms[0] > rule->latency_ms[1] ||
        rule->latency_ms[1] > FAULT_LATENCY_MAX_MS || llabs(rule->jump_ms) > FAULT_CLOCK_MAX_MS)
        abort();
}

static void check_texts(const struct fault_rule *rule)
{
    if (rule->kind >= FAULT_N_KINDS || !memchr(rule->service, 0, sizeof rule->service) ||
        !memchr(rule->operation, 0, sizeof rule->operation) ||
        !memchr(rule->code, 0, sizeof rule->code) ||
        !memchr(rule->message, 0, sizeof rule->message))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* its end is watched */
    struct fault_request request;
    char why[300] = "";

    memcpy(text, data, size);
    if (faults_read(kpw_slice(text, size), &request, why, sizeof why)) {
        if (request.n_rules > FAULT_RULES_MAX)
            abort();
        for (size_t i = 0; i < request.n_rules; i++)
            check_numbers(&request.rules[i]), check_texts(&request.rules[i]);
        fault_request_fini(&request);
    } else if (!*why || request.rules || request.n_rules) {
        abort();
    }
    free(text);
    return 0;
}
