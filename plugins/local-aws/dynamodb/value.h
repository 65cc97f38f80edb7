/* value.h - DynamoDB attribute values, as the JSON they travel in: {"S":"x"}, {"N":"1"}.
 *
 * Items are jansson objects of such values. ddb_value_check() brings a value of a
 * request into canonical form once (numbers rewritten, sets sorted, base64
 * verified), so that all other functions may trust what they are given.
 *
 * Threads: any; nothing is shared.   Not here: expressions (expression.h).
 */
#ifndef KPIPE_LOCAL_AWS_DDB_VALUE_H
#define KPIPE_LOCAL_AWS_DDB_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an operation is refused with: the short type name and the text of DynamoDB. */
struct ddb_error {
    const char *type; /* "ValidationException" [static]; NULL: no error */
    char text[1024];
    json_t *item;    /* ConditionalCheckFailedException with ALL_OLD [owned], else NULL */
    json_t *reasons; /* TransactionCanceledException [owned], else NULL */
};

/* Fills `err`; always false, so that `return ddb_refuse(err, ...)` reads well. */
bool ddb_refuse(struct ddb_error *err, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool ddb_invalid(struct ddb_error *err, const char *fmt, ...) /* ValidationException */
    __attribute__((format(printf, 2, 3)));
void ddb_error_fini(struct ddb_error *err);

enum ddb_type {
    DDB_NONE = 0,
    DDB_S,
    DDB_N,
    DDB_B,
    DDB_SS,
    DDB_NS,
    DDB_BS,
    DDB_BOOL,
    DDB_NULL,
    DDB_L,
    DDB_M,
};

struct ddb_bytes {
    uint8_t *at; /* [owned] */
    size_t len;
};

const char *ddb_type_name(enum ddb_type type);  /* "SS" */
const char *ddb_type_long(enum ddb_type type);  /* "STRING_SET" */
enum ddb_type ddb_type_of(const json_t *value); /* DDB_NONE: not exactly one known member */
enum ddb_type ddb_type_named(const char *name); /* DDB_NONE: no such type */
/* The JSON behind the type: a string, array, object or bool [borrowed]. */
json_t *ddb_payload(const json_t *value);

/* Verifies a value of a request and makes it canonical in place. */
bool ddb_value_check(json_t *value, struct ddb_error *err);
/* The same for all members of an item, a Key or ExclusiveStartKey. */
bool ddb_item_check(json_t *item, struct ddb_error *err);

bool ddb_equal(const json_t *a, const json_t *b);
/* Sets *ret to the order of a and b; false when they have none (type differs, or not S, N, B). */
bool ddb_order(const json_t *a, const json_t *b, int *ret);
bool ddb_begins_with(const json_t *value, const json_t *prefix);
/* Substring, member of a set, or element of a list. */
bool ddb_contains(const json_t *value, const json_t *part);
/* What size() answers, or -1 where it has no value. */
long ddb_size_function(const json_t *value);
/* Bytes that count against the 400 KiB. */
size_t ddb_item_size(const json_t *item);

/* [new reference] a + b or a - b of two N values; NULL with err. */
json_t *ddb_sum(const json_t *a, const json_t *b, bool subtract, struct ddb_error *err);
/* [new reference] Union or difference of two sets of one type; an empty difference is NULL. */
json_t *ddb_set_union(const json_t *a, const json_t *b);
json_t *ddb_set_difference(const json_t *a, const json_t *b);
/* [new reference] {"N":"12"} */
json_t *ddb_make_number(long number);

/* Bytes of a key value that sort as DynamoDB sorts them. False: out of memory. */
bool ddb_key_bytes(const json_t *value, struct ddb_bytes *ret);

#endif
