/* listing.c - shard ids, parents, hash keys and whether it is closed; everything else is skipped.
 */
#include "plugins/kinesis/listing.h"

#include "sdk/wire/json.h"

#include <stdlib.h>
#include <string.h>

/* An id: no escapes, not too long, made of what the service allows. */
static bool read_id(struct kpw_json *j, char *out)
{
    struct kpw_slice id;

    if (kpw_json_next(j) == KPW_JSON_NULL)
        return true;
    id = j->value;
    if (j->type != KPW_JSON_STRING || id.len > LISTED_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!memchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", id.ptr[i],
                    65))
            return false;
    if (id.len)
        memcpy(out, id.ptr, id.len);
    out[id.len] = 0;
    return true;
}

static bool read_range(struct kpw_json *j, struct listed_shard *shard)
{
    if (kpw_json_next(j) != KPW_JSON_OBJECT)
        return false;
    while (kpw_json_next(j) == KPW_JSON_KEY) {
        kpw_u128 *at = kpw_slice_is(j->value, "StartingHashKey") ? &shard->low
                       : kpw_slice_is(j->value, "EndingHashKey") ? &shard->high
                                                                 : NULL;

        if (!at ? !kpw_json_skip(j)
                : kpw_json_next(j) != KPW_JSON_STRING || !kpw_u128_parse(j->value, at))
            return false;
    }
    return j->type == KPW_JSON_OBJECT_END && shard->low <= shard->high;
}

static bool read_sequence_numbers(struct kpw_json *j, struct listed_shard *shard)
{
    if (kpw_json_next(j) != KPW_JSON_OBJECT)
        return false;
    while (kpw_json_next(j) == KPW_JSON_KEY) {
        if (!kpw_slice_is(j->value, "EndingSequenceNumber")) {
            if (!kpw_json_skip(j))
                return false;
        } else if (kpw_json_next(j) != KPW_JSON_NULL) {
            if (j->type != KPW_JSON_STRING)
                return false;
            shard->is_open = false;
        }
    }
    return j->type == KPW_JSON_OBJECT_END;
}

static bool read_shard_member(struct kpw_json *j, struct listed_shard *shard)
{
    if (kpw_slice_is(j->value, "ShardId"))
        return read_id(j, shard->id);
    if (kpw_slice_is(j->value, "ParentShardId"))
        return read_id(j, shard->parents[0]);
    if (kpw_slice_is(j->value, "AdjacentParentShardId"))
        return read_id(j, shard->parents[1]);
    if (kpw_slice_is(j->value, "HashKeyRange"))
        return read_range(j, shard);
    if (kpw_slice_is(j->value, "SequenceNumberRange"))
        return read_sequence_numbers(j, shard);
    return kpw_json_skip(j);
}

static bool read_shards(struct kpw_json *j, bool (*add)(void *, const struct listed_shard *),
                        void *arg)
{
    if (kpw_json_next(j) != KPW_JSON_ARRAY)
        return false;
    while (kpw_json_next(j) == KPW_JSON_OBJECT) {
        struct listed_shard shard = {.high = KPW_U128_MAX, .is_open = true};

        while (kpw_json_next(j) == KPW_JSON_KEY)
            if (!read_shard_member(j, &shard))
                return false;
        if (j->type != KPW_JSON_OBJECT_END || !shard.id[0] || !add(arg, &shard))
            return false;
    }
    return j->type == KPW_JSON_ARRAY_END;
}

static bool read_token(struct kpw_json *j, struct listing_token *token)
{
    listing_token_fini(token);
    if (kpw_json_next(j) == KPW_JSON_NULL)
        return true;
    if (j->type != KPW_JSON_STRING)
        return false;
    token->text = malloc(j->value.len + 1);
    if (token->text)
        token->len = kpw_json_unescape_to(j->value, token->text);
    return token->text != NULL;
}

static bool read_page(struct kpw_json *j, bool (*add)(void *, const struct listed_shard *),
                      void *arg, struct listing_token *token)
{
    bool ok = true, has_shards = false;

    if (kpw_json_next(j) != KPW_JSON_OBJECT)
        return false;
    while (ok && kpw_json_next(j) == KPW_JSON_KEY) {
        if (kpw_slice_is(j->value, "Shards")) {
            has_shards = true;
            ok = read_shards(j, add, arg);
        } else if (kpw_slice_is(j->value, "NextToken")) {
            ok = read_token(j, token);
        } else {
            ok = kpw_json_skip(j);
        }
    }
    return ok && has_shards && j->type == KPW_JSON_OBJECT_END && kpw_json_next(j) == KPW_JSON_END;
}

bool listing_parse(const char *text, size_t len, bool (*add)(void *, const struct listed_shard *),
                   void *arg, struct listing_token *ret_token)
{
    struct kpw_json j;

    *ret_token = (struct listing_token){0};
    kpw_json_init(&j, text, len);
    if (read_page(&j, add, arg, ret_token))
        return true;
    listing_token_fini(ret_token);
    return false;
}

void listing_token_fini(struct listing_token *token)
{
    free(token->text);
    *token = (struct listing_token){0};
}

void listing_request(struct kpw_buf *t, const char *stream, const struct listing_token *token)
{
    kpw_buf_clear(t);
    kpw_buf_puts(t, token ? "{\"NextToken\":" : "{\"StreamName\":");
    if (token)
        kpw_json_put_string(t, token->text, token->len);
    else
        kpw_json_put_string(t, stream, strlen(stream));
    kpw_buf_puts(t, "}");
}
