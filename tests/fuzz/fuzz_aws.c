/* fuzz_aws.c - texts that come from outside into the AWS client: shared files, credential
 * documents, the command of a credential_process, error answers.
 *
 * The first byte chooses; the rest is the text, in a block of its exact size for the address
 * sanitizer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_answer.h"
#include "core/aws/aws_config.h"
#include "core/aws/aws_fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_profiles(const char *text, enum aws_file file)
{
    struct aws_profiles profiles = {0};
    struct error err = ERROR_INIT;

    if (aws_profiles_parse(&profiles, text, "fuzz", file, &err)) {
        const char *region = aws_profiles_get(&profiles, "default", "region");

        if (region && !*region)
            abort();
    } else if (err.kind != ERROR_CONFIG) {
        abort();
    }
    aws_profiles_fini(&profiles);
}

static void try_identity(const char *text, size_t size)
{
    struct error err = ERROR_INIT;
    struct aws_identity *identity = aws_identity_parse(kpw_slice(text, size), &err);

    if (!identity && !err.text[0])
        abort();
    if (identity && (!*identity->key_id || !*identity->secret))
        abort();
    aws_identity_unref(identity);
}

static void try_answer(const char *text, size_t size, int status)
{
    struct aws_answer answer = {0};
    const char *end = size ? memchr(text, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - text) : 0; /* the first line is a header's value */
    kp_http_header headers[] = {{{"x-amzn-errortype", 16}, {text, n}},
                                {{"x-amzn-query-error", 18}, {text, n}},
                                {{"retry-after", 11}, {text, n}}};
    kp_http_response response = {.size = sizeof response,
                                 .status = status,
                                 .body = {text, size},
                                 .headers = headers,
                                 .n_headers = n ? 3 : 0};

    aws_answer_read(&answer, &response, true);
    if (status != 200 && (!answer.is_error || !answer.code[0] || answer.retry_after_ms < 0))
        abort();
    aws_answer_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (!size)
        return 0;
    text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 6) {
    case 0: try_profiles(text, AWS_FILE_CONFIG); break;
    case 1: try_profiles(text, AWS_FILE_CREDENTIALS); break;
    case 2: try_identity(text, size - 1); break;
    case 3: aws_words_free(aws_words_split(text)); break;
    case 4: try_answer(text, size - 1, 200); break;
    default: try_answer(text, size - 1, 400); break;
    }
    (void)aws_endpoint_is_valid(text);
    (void)aws_container_host_is_allowed(text);
    free(text);
    return 0;
}
