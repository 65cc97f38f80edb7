/* fuzz_s3_form.c - browsers' uploads: the first line is the content type, the rest the body; and
 * what is said of a part goes through the policy and the reader of words in headers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/form.c"
#include "plugins/local-aws/s3/policy.c"
#include "plugins/local-aws/s3/words.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool lies_in(struct kpw_slice part, struct kpw_slice all)
{
    return part.len == 0 ||
           (part.ptr >= all.ptr && part.len <= all.len - (size_t)(part.ptr - all.ptr));
}

/* What comes back out of a header is what went in, or what stands in for it. */
static void check_words(struct kpw_slice text)
{
    struct kpw_buf once = KPW_BUF_INIT, header = KPW_BUF_INIT, again = KPW_BUF_INIT;

    s3_words_decode(text, &once);
    must(kpw_utf8_valid(once.ptr, once.len));
    s3_words_encode(kpw_buf_slice(&once), &header);
    for (size_t i = 0; i < header.len; i++)
        must((unsigned char)header.ptr[i] < 0x80);
    if (!is_ascii(kpw_buf_slice(&once)) && !has_control(kpw_buf_slice(&once))) {
        s3_words_decode(kpw_buf_slice(&header), &again);
        must(kpw_slice_eq(kpw_buf_slice(&once), kpw_buf_slice(&again)));
    }
    kpw_buf_fini(&once);
    kpw_buf_fini(&header);
    kpw_buf_fini(&again);
}

static void check_policy(struct kpw_slice policy, const struct s3_form_part *part)
{
    struct s3_field fields[] = {{part->name, part->data},
                                {kpw_slice_cstr("policy"), policy},
                                {kpw_slice_cstr("bucket"), kpw_slice_cstr("bucket")}};
    struct s3_policy_case c = {.fields = fields, .n_fields = 3, .size = policy.len};

    char *encoded = malloc(kpw_base64_encoded_len(policy.len) + 1);

    s3_policy_judge(policy, &c);
    kpw_buf_fini(&c.text);
    must(encoded != NULL);
    s3_policy_judge(kpw_slice(encoded, kpw_base64_encode(policy.ptr, policy.len, encoded)), &c);
    kpw_buf_fini(&c.text);
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* its end is watched by the sanitizer */
    struct kpw_slice all, type, body;
    struct s3_form_part part;
    struct s3_form form;
    const char *newline;
    size_t n = 0;

    must(text != NULL);
    memcpy(text, data, size);
    all = kpw_slice(text, size);
    newline = memchr(text, '\n', size);
    type = kpw_slice(text, newline ? (size_t)(newline - text) : size);
    body = newline ? kpw_slice(newline + 1, size - type.len - 1) : kpw_slice(text, 0);
    if (s3_form_init(&form, type, body)) {
        while (s3_form_next(&form, &part)) {
            must(lies_in(part.name, all) && lies_in(part.filename, all) &&
                 lies_in(part.type, all) && lies_in(part.data, all) && part.name.len > 0);
            must(n++ <= size);
            check_policy(part.data, &part);
            check_words(part.data);
        }
    }
    check_words(body);
    free(text);
    return 0;
}
