/* call.c - DynamoDB's operations by name, and what they have in common. */
#include "plugins/local-aws/dynamodb/call.h"

#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/legacy.h"
#include "plugins/local-aws/dynamodb/life.h"
#include "plugins/local-aws/dynamodb/rules.h"

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
        if (!ddb_rules_check(operation, call->in, call->err))
            return false;
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

bool ddb_is(const json_t *request, const char *name, const char *word)
{
    const char *text = ddb_text(request, name);

    return text && strcmp(text, word) == 0;
}

bool ddb_find_table(struct ddb_call *call, const json_t *request, struct ddb_table *ret)
{
    const char *state;

    if (ddb_life_find(call->store, call->scope, ddb_table_name(request), call->place.now, ret)) {
        state = ddb_life_state(ret->schema.document);
        if (strcmp(state, "CREATING") != 0 && strcmp(state, "DELETING") != 0)
            return true;
        ddb_table_fini(ret);
    }
    return ddb_refuse(call->err, "ResourceNotFoundException", "Requested resource not found");
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

/* "UpdateExpression and ConditionExpression are null": what could have used the values. */
static void list_missing(const struct ddb_parameters *parameters, char *out, size_t size)
{
    const char *other = parameters->updates   ? "UpdateExpression"
                        : parameters->queries ? "KeyConditionExpression"
                                              : NULL;
    const char *condition = parameters->condition;

    if (parameters->queries)
        snprintf(out, size, "%s and %s are null", condition, other);
    else if (other)
        snprintf(out, size, "%s and %s are null", other, condition);
    else
        snprintf(out, size, "%s is null", condition ? condition : "ProjectionExpression");
}

/* Old and new parameters must not be mixed; placeholders need an expression. */
static bool check_mixture(const json_t *request, const struct ddb_parameters *parameters,
                          struct ddb_error *err)
{
    char old[200], new[200], missing[100];
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
    list_missing(parameters, missing, sizeof(missing));
    if (ddb_member(request, "ExpressionAttributeValues"))
        return ddb_invalid(err,
                           "ExpressionAttributeValues can only be specified when using "
                           "expressions: %s",
                           missing);
    return true;
}

/* ConditionalOperator joins two conditions at least. */
static bool check_operator(const json_t *request, const struct ddb_parameters *parameters,
                           struct ddb_error *err)
{
    const json_t *legacy = ddb_member(request, parameters->legacy_condition);

    if (!ddb_member(request, "ConditionalOperator"))
        return true;
    if (json_object_size(legacy) == 0)
        return ddb_invalid(err, "ConditionalOperator cannot be used without Filter or Expected");
    return json_object_size(legacy) > 1 ||
           ddb_invalid(err, "ConditionalOperator can only be used when Filter or Expected has two "
                            "or more elements");
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

static bool parse_updates(const json_t *request, struct ddb_parsed *parsed, struct ddb_error *err)
{
    json_t *legacy = ddb_member(request, "AttributeUpdates");

    return legacy ? ddb_legacy_update(&parsed->update, legacy, err)
                  : parse_text(request, DDB_UPDATE, parsed, &parsed->update, err);
}

static bool parse_keys(const json_t *request, struct ddb_parsed *parsed, struct ddb_error *err)
{
    json_t *legacy = ddb_member(request, "KeyConditions");

    return legacy ? ddb_legacy_condition(&parsed->key, legacy, false, err)
                  : parse_text(request, DDB_KEY_CONDITION, parsed, &parsed->key, err);
}

bool ddb_parse(const json_t *request, const struct ddb_parameters *parameters,
               struct ddb_parsed *parsed, struct ddb_error *err)
{
    memset(parsed, 0, sizeof(*parsed));
    ddb_names_init(&parsed->names, ddb_member(request, "ExpressionAttributeNames"),
                   ddb_member(request, "ExpressionAttributeValues"));
    return check_mixture(request, parameters, err) &&
           (!parameters->legacy_condition || check_operator(request, parameters, err)) &&
           ddb_names_check(&parsed->names, err) &&
           (!parameters->projects || parse_projection(request, parsed, err)) &&
           (!parameters->updates || parse_updates(request, parsed, err)) &&
           (!parameters->queries || parse_keys(request, parsed, err)) &&
           (!parameters->condition || parse_condition(request, parameters, parsed, err)) &&
           ddb_names_all_used(&parsed->names, err);
}

void ddb_parsed_fini(struct ddb_parsed *parsed)
{
    ddb_names_fini(&parsed->names);
    ddb_expression_fini(&parsed->condition);
    ddb_expression_fini(&parsed->update);
    ddb_expression_fini(&parsed->projection);
    ddb_expression_fini(&parsed->key);
}
