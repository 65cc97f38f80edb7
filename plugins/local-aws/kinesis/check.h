/* check.h - a request's members: their types, then their constraints.
 *
 * An operation is a table of members. check_read() walks the JSON or CBOR once and keeps slices;
 * type errors come first (SerializationException), then all broken constraints, ten at most, in one
 * ValidationException; the words are the service's.
 *
 * Threads: one at a time per struct check.   Not here: what members mean together.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_CHECK_H
#define KPIPE_LOCAL_AWS_KINESIS_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/wire/json.h"
#include "sdk/wire/slice.h"

enum check_type {
    CHECK_STRING = 1,
    CHECK_INTEGER,
    CHECK_BOOL,
    CHECK_BLOB,
    CHECK_TIME,
    CHECK_STRINGS, /* list of strings */
    CHECK_MAP,     /* strings to strings */
    CHECK_STRUCT,
    CHECK_RECORDS, /* the entries of PutRecords */
};

enum check_pattern {
    PATTERN_NONE = 0,
    PATTERN_NAME,
    PATTERN_ARN,
    PATTERN_ID,
    PATTERN_SEQUENCE,
    PATTERN_HASH,
    PATTERN_RESOURCE,
    PATTERN_CONSUMER,
};

struct check_member {
    const char *name; /* NULL ends the table */
    enum check_type type;
    enum check_pattern pattern;
    bool required;
    int64_t min, max;                   /* of the value, else of the length; max 0: none */
    int64_t item_min, item_max;         /* lengths of list items and map values; max 0: none */
    int64_t key_max;                    /* lengths of map keys, from 1 */
    const char *choices;                /* "[A, B]"; CHECK_STRINGS: of each item */
    const struct check_member *members; /* CHECK_STRUCT, CHECK_RECORDS */
};

/* Beside enum kpw_json_type: a byte string of CBOR. */
#define CHECK_TOKEN_BYTES 64

struct check_value {
    bool is_given;         /* and not null */
    uint8_t token;         /* enum kpw_json_type of what was given instead, or CHECK_TOKEN_BYTES; 0:
                              the type is right */
    bool is_item;          /* `token` is of something inside the list or map */
    bool is_true;          /* CHECK_BOOL */
    int64_t number;        /* CHECK_INTEGER; CHECK_TIME: milliseconds */
    struct kpw_slice text; /* string, unescaped; blob: base64, CBOR: the bytes; what was given when
                              `token` */
    size_t count;          /* list, map, records: how many there were */
    size_t first;          /* list, map: first of check->items (map: key, value, key, ...) */
    const struct check_value *members; /* CHECK_STRUCT [owned by check] */
};

enum {
    CHECK_MEMBERS_MAX = 12, /* of one operation */
    CHECK_ITEMS_MAX = 512,  /* list items, map keys and values that are kept */
    CHECK_RECORDS_MAX = 501 /* one more than allowed, to see that there are too many */
};

struct check_record {
    struct check_value key, hash, data;
};

/* All reusable: zero at the start, check_fini() at the end. */
struct check {
    bool is_cbor; /* set by the caller: the body is CBOR */
    const struct check_member *members;
    struct check_value values[CHECK_MEMBERS_MAX];
    struct check_value inner[CHECK_MEMBERS_MAX]; /* of the one struct member */
    struct kpw_slice items[CHECK_ITEMS_MAX];
    size_t n_items;
    struct check_record *records; /* [owned] CHECK_RECORDS_MAX */
    size_t n_records;
    struct kpw_buf texts; /* unescaped texts */
    struct kpw_buf error; /* message */
};
void check_fini(struct check *check);

enum check_result {
    CHECK_OK = 0,
    CHECK_BROKEN,     /* not an object, or out of memory: no message */
    CHECK_WRONG_TYPE, /* check->error: SerializationException */
    CHECK_INVALID,    /* check->error: ValidationException */
};
/* Slices in the values are [borrowed from body and check]. */
enum check_result check_read(struct check *check, const struct check_member *members,
                             struct kpw_slice body);

/* The first half of check_read(): false is CHECK_BROKEN. */
bool check_parse(struct check *check, const struct check_member *members, struct kpw_slice body);

/* A member by its name; it must be in the table. */
const struct check_value *check_get(const struct check *check, const char *name);
/* The same; NULL: it is not in the table. */
const struct check_value *check_find(const struct check *check, const char *name);
/* The same inside a CHECK_STRUCT member that was given. */
const struct check_value *check_inner(const struct check *check, const char *name,
                                      const char *inner);

/* True when the text is base64; else `error` gets why not. Needed where the bytes are not decoded.
 */
bool check_blob(struct kpw_slice text, struct kpw_buf *error);

/* Bytes of a CHECK_BLOB value once it is decoded. */
size_t check_blob_len(const struct check *check, const struct check_value *v);

/* Characters as the service counts them: UTF-16 units. */
size_t check_length(struct kpw_slice text);

#endif
