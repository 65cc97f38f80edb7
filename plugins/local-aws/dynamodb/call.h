/* call.h - one DynamoDB operation under way: what its files share.
 *
 * Threads: the service's worker.   Not here: HTTP (dynamodb.c).
 */
#ifndef KPIPE_LOCAL_AWS_DYNAMODB_CALL_H
#define KPIPE_LOCAL_AWS_DYNAMODB_CALL_H

#include "plugins/local-aws/dynamodb/expression.h"
#include "plugins/local-aws/dynamodb/store.h"

struct ddb_call {
    struct ddb_store *store;
    const char *scope; /* region and account */
    struct ddb_place place;
    json_t *in;  /* the request [borrowed]; its values are made canonical in place */
    json_t *out; /* the answer [owned by caller]; an empty object at first */
    struct ddb_error *err;
    const char *endpoint; /* "127.0.0.1:4566" */
    bool is_silent;       /* the answer has no body at all */
    /* Shall this entry of a batch stay undone? NULL: never. */
    bool (*skips_entry)(void *arg);
    void *arg;
};

/* Runs an operation by its name ("GetItem"). False: call->err says why. */
bool dynamodb_run(struct ddb_call *call, const char *operation);

/* ---- shared by the operations ---- */

/* The member, or NULL when it is absent or null. */
json_t *ddb_member(const json_t *object, const char *name);
const char *ddb_text(const json_t *object, const char *name);
/* Out of disk or memory. Always false. */
bool ddb_trouble(struct ddb_error *err);
/* Finds the table of a data operation. */
bool ddb_find_table(struct ddb_call *call, const json_t *request, struct ddb_table *ret);
/* Is the member that word? */
bool ddb_is(const json_t *request, const char *name, const char *word);

/* ---- capacity (capacity.c) ---- */

/* What one request used of one table. */
struct ddb_use {
    const struct ddb_schema *schema; /* NULL: nothing was used [borrowed] */
    double reads, writes;            /* of the table */
    double indexes[DDB_INDEXES_MAX]; /* of its indexes, in their order */
    bool is_transaction;             /* costs twice */
};

/* Counts a read of so many bytes, of the index when it is not NULL. */
void ddb_use_read(struct ddb_use *use, const struct ddb_index *index, size_t bytes,
                  bool is_consistent);
/* [new reference] ConsumedCapacity as the request asks for it; NULL: it does not. */
json_t *ddb_use_json(const json_t *request, const struct ddb_use *use);

/* The expressions of one request, parsed. */
struct ddb_parsed {
    struct ddb_names names;
    struct ddb_expression condition; /* ConditionExpression, FilterExpression, or legacy */
    struct ddb_expression update;
    struct ddb_expression projection;
    struct ddb_expression key; /* KeyConditionExpression or KeyConditions */
    bool has_projection;
};

/* Which parameters an operation has; NULL: not this one. */
struct ddb_parameters {
    const char *condition, *legacy_condition; /* "ConditionExpression", "Expected" */
    bool updates, projects, queries;
};

bool ddb_parse(const json_t *request, const struct ddb_parameters *parameters,
               struct ddb_parsed *ret, struct ddb_error *err);
void ddb_parsed_fini(struct ddb_parsed *parsed);

/* ---- batches (batch.c) ---- */

/* Remembers a table and key in `seen`; false when it was there before. */
bool ddb_first_time(json_t *seen, const struct ddb_table *table, const json_t *item);
/* Shall the entry in hand be answered as unprocessed? Asked once per entry, in order. */
bool ddb_skips(const struct ddb_call *call);

/* ---- writes: one item, in steps, so that a transaction can do many ---- */

enum ddb_write_kind { DDB_WRITE_PUT = 1, DDB_WRITE_UPDATE, DDB_WRITE_DELETE, DDB_WRITE_CHECK };

struct ddb_write {
    enum ddb_write_kind kind;
    const json_t *request;
    struct ddb_table table;
    struct ddb_parsed parsed;
    const json_t *key; /* the Key, or the Item of a put [borrowed from request] */
    json_t *old;       /* the item as it was [owned], or NULL */
    json_t *item;      /* as it will be [owned]; NULL: gone */
};

/* Verifies the request; touches no item. ddb_write_fini() in any case. */
bool ddb_write_prepare(struct ddb_call *call, struct ddb_write *write, enum ddb_write_kind kind,
                       json_t *request, struct ddb_error *err);
/* Reads the item, evaluates the condition, computes what will be. */
bool ddb_write_decide(struct ddb_call *call, struct ddb_write *write, struct ddb_error *err);
bool ddb_write_apply(struct ddb_call *call, struct ddb_write *write, struct ddb_error *err);
void ddb_write_fini(struct ddb_write *write);
/* Counts what the write costs, indexes included. */
void ddb_use_write(struct ddb_use *use, const struct ddb_write *write);
/* [new reference] ItemCollectionMetrics of a table with local indexes, if asked for; or NULL. */
json_t *ddb_write_metrics(const struct ddb_call *call, const struct ddb_write *write);
/* Something is wrong that a transaction reports as a reason and not as an error of its own. */
bool ddb_write_fits(const struct ddb_write *write, struct ddb_error *err);

/* ---- operations ---- */

bool ddb_get_item(struct ddb_call *call);
bool ddb_put_item(struct ddb_call *call);
bool ddb_update_item(struct ddb_call *call);
bool ddb_delete_item(struct ddb_call *call);
bool ddb_query(struct ddb_call *call);
bool ddb_scan(struct ddb_call *call);
bool ddb_batch_get(struct ddb_call *call);
bool ddb_batch_write(struct ddb_call *call);
bool ddb_transact_write(struct ddb_call *call);
bool ddb_transact_get(struct ddb_call *call);
bool ddb_create_table(struct ddb_call *call);
bool ddb_describe_table(struct ddb_call *call);
bool ddb_update_table(struct ddb_call *call);
bool ddb_delete_table(struct ddb_call *call);
bool ddb_list_tables(struct ddb_call *call);
bool ddb_describe_ttl(struct ddb_call *call);
bool ddb_update_ttl(struct ddb_call *call);
bool ddb_describe_backups(struct ddb_call *call);
bool ddb_update_backups(struct ddb_call *call);
bool ddb_tag_resource(struct ddb_call *call);
bool ddb_untag_resource(struct ddb_call *call);
bool ddb_list_tags(struct ddb_call *call);
bool ddb_describe_limits(struct ddb_call *call);
bool ddb_describe_endpoints(struct ddb_call *call);

#endif
