/* listing.h - one page of a ListShards answer. [any] No kpipe call is made here. */
#ifndef KPIPE_KINESIS_LISTING_H
#define KPIPE_KINESIS_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "sdk/wire/slice.h"
#include "sdk/wire/u128.h"

#define LISTED_ID_MAX 128

struct listed_shard {
    char id[LISTED_ID_MAX + 1];
    char parents[2][LISTED_ID_MAX + 1]; /* "" for none */
    kpw_u128 low, high;                 /* hash keys, inclusive */
    bool is_open;                       /* takes records: its sequence numbers have no end yet */
};

struct listing_token {
    char *text; /* NULL: this was the last page [owned] */
    size_t len;
};

/* Calls `add` for every shard of the page; it answers false when it is out of memory. False: that,
 * or the text is no such answer. */
bool listing_parse(const char *text, size_t len, bool (*add)(void *, const struct listed_shard *),
                   void *arg, struct listing_token *ret_token);
void listing_token_fini(struct listing_token *token);

/* Writes the request of a page: the first, or with the token of the page before. */
void listing_request(struct kpw_buf *t, const char *stream, const struct listing_token *token);

#endif
