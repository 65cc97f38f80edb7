/* encryption.c - StartStreamEncryption, StopStreamEncryption: what is put is marked, not encrypted.
 *
 * There are no keys here. A KeyId that could be one is taken; anything else is a key not found.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"

enum { CHANGES_MAX = 25 }; /* of each kind, in a rolling day */

static bool all_of(struct kpw_slice text, const char *others)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && (!text.ptr[i] || !strchr(others, text.ptr[i])))
            return false;
    return text.len > 0;
}

/* "alias/NAME", "ID" with at least one digit group, as 1234abcd-12ab-34cd-56ef-1234567890ab */
static bool is_local_key(struct kpw_slice text)
{
    if (kpw_slice_starts(text, "alias/"))
        return all_of(kpw_slice(text.ptr + 6, text.len - 6), "/_-");
    if (kpw_slice_starts(text, "mrk-"))
        return all_of(text, "-");
    return text.len == 36 && all_of(text, "-") && text.ptr[8] == '-' && text.ptr[13] == '-' &&
           text.ptr[18] == '-' && text.ptr[23] == '-';
}

/* The same behind "arn:aws:kms:REGION:ACCOUNT:" with "key/" for an id. */
static bool is_key(struct kpw_slice text)
{
    const char *at, *end = text.ptr + text.len;

    if (!kpw_slice_starts(text, "arn:aws"))
        return is_local_key(text);
    at = memmem(text.ptr, text.len, ":kms:", 5);
    for (int i = 0; at && i < 4; i++)
        at = memchr(at + (i > 0), ':', (size_t)(end - at - (i > 0)));
    if (!at)
        return false;
    text = kpw_slice(at + 1, (size_t)(end - at - 1));
    if (kpw_slice_starts(text, "key/"))
        text = kpw_slice(text.ptr + 4, text.len - 4);
    return is_local_key(text);
}

/* EncryptionType and KeyId; false: answered. */
static bool check_key(struct kinesis_call *call)
{
    struct kpw_slice type = check_get(call->check, "EncryptionType")->text;
    struct kpw_slice key = check_get(call->check, "KeyId")->text;

    if (!kpw_slice_is(type, "KMS"))
        return kinesis_fail(call, "InvalidArgumentException",
                            "EncryptionType must be KMS, and is %.*s.", (int)type.len, type.ptr);
    return is_key(key) || kinesis_fail(call, "KMSNotFoundException", "Invalid keyId '%.*s'",
                                       (int)key.len, key.ptr);
}

/* [consumes key_id] */
static void change(struct kinesis_call *call, struct kinesis_stream *stream, char *key_id,
                   enum kinesis_change what)
{
    char *before = stream->life.key_id;

    stream->life.key_id = key_id;
    kinesis_updating(call, stream);
    if (!kinesis_life_write(call->k, stream)) {
        stream->life.key_id = before;
        free(key_id);
        kinesis_trouble(call, "state.db cannot be written");
        return;
    }
    free(before);
    kinesis_note_change(call, stream, what);
    kinesis_answer_empty(call);
}

void kinesis_start_encryption(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_active(call);
    struct kpw_slice key = check_get(call->check, "KeyId")->text;
    char *copy;

    if (!stream || !check_key(call) ||
        !kinesis_may_change(call, stream, KINESIS_ENCRYPTED, CHANGES_MAX))
        return;
    copy = malloc(key.len + 1); /* not strndup(): no NUL is behind the body */
    if (!copy) {
        kinesis_trouble(call, "out of memory");
        return;
    }
    memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    change(call, stream, copy, KINESIS_ENCRYPTED);
}

void kinesis_stop_encryption(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find_active(call);

    if (stream && check_key(call) &&
        kinesis_may_change(call, stream, KINESIS_DECRYPTED, CHANGES_MAX))
        change(call, stream, NULL, KINESIS_DECRYPTED);
}
