/* call.c - DynamoDB's operations by name, and what they have in common. */
#include "plugins/local-aws/dynamodb/call.h"

#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/legacy.h"

static const struct {
    const char *name;
    bool (*run)(struct ddb_call *);
} operations[] = {
    {"GetItem", ddb_get_item},
    {"PutItem", ddb_put_item},
    {"UpdateItem", ddb_update_item},
    {"DeleteItem", ddb_delete_item},
    {"Query", ddb_query},
    {"Scan", ddb_scan},
    {"BatchGetItem", ddb_batch_get},
    {"BatchWriteItem", ddb_batch_write},
    {"TransactWriteItems", ddb_transact_write},
    {"TransactGetItems", ddb_transact_get},
    {"CreateTable", ddb_create_table},
    {"DescribeTable", ddb_describe_table},
    {"UpdateTable", ddb_update_table},
    {"DeleteTable", ddb_delete_table},
    {"ListTables", ddb_list_tables},
    {"DescribeTimeToLive", ddb_describe_ttl},
    {"UpdateTimeToLive", ddb_update_ttl},
    {"DescribeContinuousBackups", ddb_describe_backups},
    {"UpdateContinuousBackups", ddb_update_backups},
    {"TagResource", ddb_tag_resource},
    {"UntagResource", ddb_untag_resource},
    {"ListTagsOfResource", ddb_list_tags},
    {"DescribeLimits", ddb_describe_limits},
    {"DescribeEndpoints", ddb_describe_endpoints},
};

bool dynamodb_run(struct ddb_call *call, const char *operation)
{
    bool ok;

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(operations[i].name, operation) != 0)
            continue;
        if (!ddb_store_begin(call->store))
            return ddb_trouble(call->err);
        ok = operations[i].run(call);
        if (!ddb_store_end(call->store, ok) && ok)
            ok = ddb_trouble(call->err);
        return ok;
    }
    return ddb_refuse(call->err, "UnknownOperationException", "%s", "");
}

json_t *ddb_member(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

const char *ddb_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool ddb_trouble(struct ddb_error *err)
{
    return ddb_refuse(err, "InternalServerError",
                      "The request processing has failed because of an "
                      "unknown error, exception or failure.");
}

bool ddb_find_table(struct ddb_call *call, const json_t *request, struct ddb_table *ret)
{
    const char *name = ddb_table_name(request, call->err);

    if (!name)
        return false;
    return ddb_store_table(call->store, call->scope, name, ret) ||
           ddb_refuse(call->err, "ResourceNotFoundException", "Requested resource not found");
}

/* Does the list "A|B|C" hold the word? */
static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return true;
    return false;
}

bool ddb_choice(const json_t *request, const char *name, const char *words, const char **ret,
                struct ddb_error *err)
{
    const char *word = ddb_text(request, name);
    char list[200];
    size_t n = 0;

    *ret = word;
    if (!word || has_word(words, word))
        return true;
    for (const char *p = words; *p && n + 3 < sizeof(list); p++) {
        list[n++] = *p == '|' ? ',' : *p;
        if (*p == '|')
            list[n++] = ' ';
    }
    list[n] = '\0';
    return ddb_invalid(err,
                       "1 validation error detected: Value '%.100s' at '%c%s' failed to satisfy "
                       "constraint: Member must satisfy enum value set: [%s]",
                       word, name[0] | 0x20, name + 1, list);
}

void ddb_consumed(struct ddb_call *call, const char *table, double units)
{
    const char *how = ddb_text(call->in, "ReturnConsumedCapacity");
    json_t *consumed;

    if (!how || (strcmp(how, "TOTAL") != 0 && strcmp(how, "INDEXES") != 0))
        return;
    consumed = json_pack("{s:s,s:f}", "TableName", table, "CapacityUnits", units);
    if (strcmp(how, "INDEXES") == 0)
        json_object_set_new(consumed, "Table", json_pack("{s:f}", "CapacityUnits", units));
    json_object_set_new(call->out, "ConsumedCapacity", consumed);
}

/* ---- expressions of a request ---- */

static const char *const legacy_names[] = {
    "Expected",    "AttributeUpdates", "AttributesToGet",    "KeyConditions",
    "QueryFilter", "ScanFilter",       "ConditionalOperator"};
static const char *const expression_names[] = {"ConditionExpression", "FilterExpression",
                                               "UpdateExpression", "ProjectionExpression",
                                               "KeyConditionExpression"};

static size_t list_present(const json_t *request, const char *const *names, size_t n, char *out,
                           size_t size)
{
    size_t found = 0, at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (!ddb_member(request, names[i]))
            continue;
        at += (size_t)snprintf(out + at, size - at, "%s%s", found ? ", " : "", names[i]);
        found++;
    }
    return found;
}

/* Old and new parameters must not be mixed; placeholders need an expression. */
static bool check_mixture(const json_t *request, struct ddb_error *err)
{
    char old[200], new[200];
    size_t n_old = list_present(request, legacy_names,
                                sizeof(legacy_names) / sizeof(legacy_names[0]), old, sizeof(old));
    size_t n_new =
        list_present(request, expression_names,
                     sizeof(expression_names) / sizeof(expression_names[0]), new, sizeof(new));

    if (n_old > 0 && n_new > 0)
        return ddb_invalid(err,
                           "Can not use both expression and non-expression parameters in the same "
                           "request: Non-expression parameters: {%s} Expression parameters: {%s}",
                           old, new);
    if (n_new > 0)
        return true;
    if (ddb_member(request, "ExpressionAttributeNames"))
        return ddb_invalid(err, "ExpressionAttributeNames can only be specified when using "
                                "expressions");
    if (ddb_member(request, "ExpressionAttributeValues"))
        return ddb_invalid(err, "ExpressionAttributeValues can only be specified when using "
                                "expressions: ConditionExpression is null");
    return true;
}

/* The member of that kind, when it is there. */
static bool parse_text(const json_t *request, enum ddb_expression_kind kind,
                       struct ddb_parsed *parsed, struct ddb_expression *ret, struct ddb_error *err)
{
    static const char *const names[] = {[DDB_CONDITION] = "ConditionExpression",
                                        [DDB_FILTER] = "FilterExpression",
                                        [DDB_KEY_CONDITION] = "KeyConditionExpression",
                                        [DDB_UPDATE] = "UpdateExpression",
                                        [DDB_PROJECTION] = "ProjectionExpression"};
    json_t *value = ddb_member(request, names[kind]);

    if (!value)
        return true;
    if (!json_is_string(value))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    return ddb_expression_parse(ret, kind, json_string_value(value), &parsed->names, err);
}

static bool parse_condition(const json_t *request, const struct ddb_parameters *parameters,
                            struct ddb_parsed *parsed, struct ddb_error *err)
{
    json_t *legacy = ddb_member(request, parameters->legacy_condition);
    const char *joined = ddb_text(request, "ConditionalOperator");
    enum ddb_expression_kind kind =
        strcmp(parameters->condition, "FilterExpression") == 0 ? DDB_FILTER : DDB_CONDITION;

    if (legacy)
        return ddb_legacy_condition(&parsed->condition, legacy, joined && strcmp(joined, "OR") == 0,
                                    err);
    return parse_text(request, kind, parsed, &parsed->condition, err);
}

static bool parse_projection(const json_t *request, struct ddb_parsed *parsed,
                             struct ddb_error *err)
{
    json_t *legacy = ddb_member(request, "AttributesToGet");

    parsed->has_projection = legacy || ddb_member(request, "ProjectionExpression");
    if (legacy)
        return ddb_legacy_projection(&parsed->projection, legacy, err);
    return parse_text(request, DDB_PROJECTION, parsed, &parsed->projection, err);
}

bool ddb_parse(const json_t *request, const struct ddb_parameters *parameters,
               struct ddb_parsed *parsed, struct ddb_error *err)
{
    json_t *updates = parameters->updates ? ddb_member(request, "AttributeUpdates") : NULL;
    json_t *keys = parameters->queries ? ddb_member(request, "KeyConditions") : NULL;

    memset(parsed, 0, sizeof(*parsed));
    ddb_names_init(&parsed->names, ddb_member(request, "ExpressionAttributeNames"),
                   ddb_member(request, "ExpressionAttributeValues"));
    if (!check_mixture(request, err) || !ddb_names_check(&parsed->names, err))
        return false;
    if (parameters->projects && !parse_projection(request, parsed, err))
        return false;
    if (updates
            ? !ddb_legacy_update(&parsed->update, updates, err)
            : parameters->updates && !parse_text(request, DDB_UPDATE, parsed, &parsed->update, err))
        return false;
    if (keys ? !ddb_legacy_condition(&parsed->key, keys, false, err)
             : parameters->queries &&
                   !parse_text(request, DDB_KEY_CONDITION, parsed, &parsed->key, err))
        return false;
    if (parameters->condition && !parse_condition(request, parameters, parsed, err))
        return false;
    return ddb_names_all_used(&parsed->names, err);
}

void ddb_parsed_fini(struct ddb_parsed *parsed)
{
    ddb_names_fini(&parsed->names);
    ddb_expression_fini(&parsed->condition);
    ddb_expression_fini(&parsed->update);
    ddb_expression_fini(&parsed->projection);
    ddb_expression_fini(&parsed->key);
}
