/* fuzz_lambda_verdict.c - what lambda-shim reads in a function's answer about its records. */
#include <stdlib.h>
#include <string.h>

#include "plugins/lambda-shim/verdict.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kp_record records[3] = {{.sequence = "1", .sequence_len = 1},
                            {.sequence = "22", .sequence_len = 2},
                            {.sequence = NULL, .sequence_len = 0}};
    kp_batch b = {.size = sizeof b, .record_size = sizeof *records, .count = 3, .records = records};
    struct held held = {.b = &b};
    struct ref refs[3] = {{&held, 0}, {&held, 1}, {&held, 2}};
    char *text = malloc(size ? size : 1);
    uint32_t done = 99;
    enum verdict verdict;

    memcpy(text, data, size);
    verdict = verdict_of((kp_slice){text, size}, refs, 3, &done);
    if (verdict == VERDICT_PART && done >= 3)
        abort();
    free(text);
    return 0;
}
