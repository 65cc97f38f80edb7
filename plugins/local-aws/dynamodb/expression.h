/* expression.h - DynamoDB's expressions: text to a checked tree, and nothing else.
 *
 * One parse gives a condition (ConditionExpression, FilterExpression,
 * KeyConditionExpression), a list of update actions or a list of paths. Names and
 * values are resolved while parsing; errors come in DynamoDB's order (syntax,
 * reserved words, functions, sections, names, values, paths, operands) and words.
 * The legacy parameters (legacy.h) build the same trees.
 *
 * Owned by: the caller; all nodes live in the expression's arena.
 * Threads: any; nothing is shared.   Not here: evaluating (eval.h, update.h).
 */
#ifndef KPIPE_LOCAL_AWS_DDB_EXPRESSION_H
#define KPIPE_LOCAL_AWS_DDB_EXPRESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "plugins/local-aws/dynamodb/value.h"

enum ddb_op {
    DDB_OP_PATH = 1, /* path */
    DDB_OP_VALUE,    /* value */
    DDB_OP_AND,
    DDB_OP_OR,
    DDB_OP_NOT,
    DDB_OP_EQ,
    DDB_OP_NE,
    DDB_OP_LT,
    DDB_OP_LE,
    DDB_OP_GT,
    DDB_OP_GE,
    DDB_OP_BETWEEN,
    DDB_OP_IN,
    DDB_OP_PLUS,
    DDB_OP_MINUS,
    DDB_OP_EXISTS,
    DDB_OP_NOT_EXISTS,
    DDB_OP_TYPE,
    DDB_OP_BEGINS_WITH,
    DDB_OP_CONTAINS,
    DDB_OP_SIZE,
    DDB_OP_IF_NOT_EXISTS,
    DDB_OP_LIST_APPEND,
};

struct ddb_step {
    const char *name; /* NULL: `index` of a list */
    size_t index;
};

struct ddb_path {
    const struct ddb_step *steps;
    size_t n;
};

struct ddb_node {
    enum ddb_op op;
    struct ddb_path path;   /* DDB_OP_PATH */
    const json_t *value;    /* DDB_OP_VALUE [borrowed from the request] */
    struct ddb_node **args; /* in order of the text */
    size_t n_args;
};

enum ddb_section { DDB_SET = 1, DDB_REMOVE, DDB_ADD, DDB_DELETE };

struct ddb_action {
    enum ddb_section section;
    struct ddb_path path;
    struct ddb_node *value; /* NULL: DDB_REMOVE */
};

struct ddb_arena; /* arena.h */

enum ddb_expression_kind {
    DDB_CONDITION = 1, /* "ConditionExpression" */
    DDB_FILTER,        /* "FilterExpression" */
    DDB_KEY_CONDITION, /* "KeyConditionExpression" */
    DDB_UPDATE,        /* "UpdateExpression" */
    DDB_PROJECTION,    /* "ProjectionExpression" */
};

/* What #names and :values mean, and which of them were used so far. */
struct ddb_names {
    json_t *names;  /* ExpressionAttributeNames [borrowed], may be NULL */
    json_t *values; /* ExpressionAttributeValues [borrowed], may be NULL */
    json_t *used;   /* object with a member per used placeholder [owned] */
};

void ddb_names_init(struct ddb_names *names, json_t *attribute_names, json_t *attribute_values);
void ddb_names_fini(struct ddb_names *names);
/* Refuses empty maps, bad keys and bad values; makes the values canonical. Before parsing. */
bool ddb_names_check(const struct ddb_names *names, struct ddb_error *err);
/* Refuses placeholders no expression used. After all were parsed. */
bool ddb_names_all_used(const struct ddb_names *names, struct ddb_error *err);

struct ddb_expression {
    struct ddb_arena *arena;    /* [owned] */
    struct ddb_node *condition; /* of the three condition kinds; NULL: none, always true */
    struct ddb_action *actions; /* DDB_UPDATE */
    size_t n_actions;
    struct ddb_path *paths; /* DDB_PROJECTION */
    size_t n_paths;
    bool legacy; /* made from AttributeUpdates: other texts, ADD also appends to lists */
};

/* Parses and checks. False: `err` is filled. ddb_expression_fini() in both cases. */
bool ddb_expression_parse(struct ddb_expression *ex, enum ddb_expression_kind kind,
                          const char *text, struct ddb_names *names, struct ddb_error *err);
void ddb_expression_fini(struct ddb_expression *ex);

/* "[a, b, [2]]" into buf, as DynamoDB prints paths. */
const char *ddb_path_print(const struct ddb_path *path, char *buf, size_t size);
const char *ddb_op_name(enum ddb_op op); /* "<=", "begins_with" */

bool ddb_is_reserved(const char *word); /* any case */

#endif
