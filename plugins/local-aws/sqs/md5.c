/* md5.c - SQS's digests, sizes and allowed characters. */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/name.h"
#include "plugins/local-aws/s3/sum.h"
#include "plugins/local-aws/sqs/text.h"

static void finish(struct s3_sum *sum, char out[SQS_MD5_MAX])
{
    uint8_t raw[S3_SUM_RAW_MAX];

    s3_hex(raw, s3_sum_end(sum, raw), out);
}

void sqs_md5(const char *text, size_t len, char out[SQS_MD5_MAX])
{
    struct s3_sum sum;

    out[0] = '\0';
    if (!s3_sum_init(&sum, S3_MD5))
        return;
    s3_sum_add(&sum, text, len);
    finish(&sum, out);
}

/* Length as four bytes, then the bytes. */
static void add_counted(struct s3_sum *sum, const void *data, size_t len)
{
    uint8_t size[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                       (uint8_t)len};

    s3_sum_add(sum, size, sizeof(size));
    s3_sum_add(sum, data, len);
}

/* Bytes of a base64 text [owned by caller]; NULL: it is none. */
static uint8_t *unbase64(const json_t *text, size_t *ret_len)
{
    const char *value = json_string_value(text);
    size_t len = json_string_length(text);
    uint8_t *out = malloc(len / 4 * 3 + 4);
    int n = 0;

    if (out && len % 4 == 0 && len > 0)
        n = EVP_DecodeBlock(out, (const unsigned char *)value, (int)len);
    if (!out || len % 4 != 0 || n < 0) {
        free(out);
        return NULL;
    }
    *ret_len = (size_t)n;
    for (size_t i = 1; i <= 2 && len > 0; i++)
        *ret_len -= value[len - i] == '=';
    return out;
}

static void add_value(struct s3_sum *sum, const json_t *attribute)
{
    const json_t *text = json_object_get(attribute, "StringValue");
    const json_t *binary = json_object_get(attribute, "BinaryValue");
    uint8_t *raw;
    size_t len = 0;

    if (text && !json_is_null(text)) {
        s3_sum_add(sum, "\1", 1);
        add_counted(sum, json_string_value(text), json_string_length(text));
        return;
    }
    raw = unbase64(binary, &len);
    s3_sum_add(sum, "\2", 1);
    add_counted(sum, raw ? raw : (const uint8_t *)"", len);
    free(raw);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void sqs_md5_attributes(const json_t *attributes, char out[SQS_MD5_MAX])
{
    size_t n = 0, size = json_object_size(attributes);
    const char **names = calloc(size + 1, sizeof(*names)), *name;
    struct s3_sum sum;
    json_t *value;

    out[0] = '\0';
    if (!names || !s3_sum_init(&sum, S3_MD5)) {
        free(names);
        return;
    }
    json_object_foreach((json_t *)attributes, name, value)
    {
        names[n++] = name;
    }
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++) {
        const json_t *type;

        value = json_object_get(attributes, names[i]);
        type = json_object_get(value, "DataType");
        add_counted(&sum, names[i], strlen(names[i]));
        add_counted(&sum, json_string_value(type), json_string_length(type));
        add_value(&sum, value);
    }
    finish(&sum, out);
    free(names);
}

size_t sqs_attributes_size(const json_t *attributes)
{
    size_t sum = 0;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)attributes, name, value)
    {
        const json_t *binary = json_object_get(value, "BinaryValue");

        sum += strlen(name) + json_string_length(json_object_get(value, "DataType")) +
               json_string_length(json_object_get(value, "StringValue")) +
               json_string_length(binary) / 4 * 3;
    }
    return sum;
}

bool sqs_is_body(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return false;
        /* U+FFFE and U+FFFF are the only others that are not allowed in valid UTF-8. */
        if (c == 0xEF && i + 2 < len && (unsigned char)text[i + 1] == 0xBF &&
            (unsigned char)text[i + 2] >= 0xBE)
            return false;
    }
    return s3_is_text(text, len);
}
