/* legacy.c - the parameters from before expressions, as the same trees. */
#include "plugins/local-aws/dynamodb/legacy.h"

#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/arena.h"

#define ONE_OR_MORE "One or more parameter values were invalid: "

struct build {
    struct ddb_expression *ex;
    struct ddb_error *err;
};

static bool no_memory(struct build *b)
{
    return ddb_refuse(b->err, "InternalServerError", "out of memory");
}

static struct ddb_node *new_node(struct build *b, enum ddb_op op, size_t n_args)
{
    struct ddb_node *node = ddb_arena_get(&b->ex->arena, sizeof(*node));
    struct ddb_node **args = ddb_arena_get(&b->ex->arena, (n_args + 1) * sizeof(*args));

    if (!node || !args) {
        no_memory(b);
        return NULL;
    }
    node->op = op;
    node->args = args;
    node->n_args = n_args;
    return node;
}

static bool path_of(struct build *b, const char *name, struct ddb_path *ret)
{
    struct ddb_step *step = ddb_arena_get(&b->ex->arena, sizeof(*step));
    const char *copy = ddb_arena_text(&b->ex->arena, name, strlen(name));

    if (!step || !copy)
        return no_memory(b);
    step->name = copy;
    *ret = (struct ddb_path){step, 1};
    return true;
}

/* ---- conditions ---- */

enum takes { ANY_VALUE, SCALARS, TEXTS };

static const struct operator
{
    const char *name;
    enum ddb_op op;
    bool negated;
    size_t least, most; /* values it takes */
    enum takes takes;
}
operators[] = {
    {"EQ", DDB_OP_EQ, false, 1, 1, ANY_VALUE},
    {"NE", DDB_OP_NE, false, 1, 1, ANY_VALUE},
    {"LE", DDB_OP_LE, false, 1, 1, SCALARS},
    {"LT", DDB_OP_LT, false, 1, 1, SCALARS},
    {"GE", DDB_OP_GE, false, 1, 1, SCALARS},
    {"GT", DDB_OP_GT, false, 1, 1, SCALARS},
    {"BETWEEN", DDB_OP_BETWEEN, false, 2, 2, SCALARS},
    {"IN", DDB_OP_IN, false, 1, 100, SCALARS},
    {"BEGINS_WITH", DDB_OP_BEGINS_WITH, false, 1, 1, TEXTS},
    {"CONTAINS", DDB_OP_CONTAINS, false, 1, 1, SCALARS},
    {"NOT_CONTAINS", DDB_OP_CONTAINS, true, 1, 1, SCALARS},
    {"NULL", DDB_OP_NOT_EXISTS, false, 0, 0, ANY_VALUE},
    {"NOT_NULL", DDB_OP_EXISTS, false, 0, 0, ANY_VALUE},
};

static const struct operator* find_operator(const char *name)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (strcmp(operators[i].name, name) == 0)
            return &operators[i];
    return NULL;
}

static bool takes_type(enum takes takes, enum ddb_type type)
{
    if (takes == SCALARS)
        return type == DDB_S || type == DDB_N || type == DDB_B;
    return takes == ANY_VALUE || type == DDB_S || type == DDB_B;
}

static bool check_values(struct build *b, const struct operator* how, json_t *values)
{
    size_t n = json_array_size(values);
    int order;

    if (n < how->least || n > how->most)
        return ddb_invalid(
            b->err, ONE_OR_MORE "Invalid number of argument(s) for the %s ComparisonOperator",
            how->name);
    for (size_t i = 0; i < n; i++) {
        json_t *value = json_array_get(values, i);
        enum ddb_type type;

        if (!ddb_value_check(value, b->err))
            return false;
        type = ddb_type_of(value);
        if (!takes_type(how->takes, type))
            return ddb_invalid(
                b->err, ONE_OR_MORE "ComparisonOperator %s is not valid for %s AttributeValue type",
                how->name, ddb_type_name(type));
        if (i > 0 && type != ddb_type_of(json_array_get(values, 0)))
            return ddb_invalid(b->err, ONE_OR_MORE
                               "AttributeValues inside AttributeValueList must be of same type");
    }
    if (how->op == DDB_OP_BETWEEN &&
        ddb_order(json_array_get(values, 0), json_array_get(values, 1), &order) && order > 0)
        return ddb_invalid(b->err, "The BETWEEN condition was provided a range where the lower "
                                   "bound is greater than the upper bound");
    return true;
}

/* attr OP values, as a tree. */
static struct ddb_node *comparison(struct build *b, const char *name, const struct operator* how,
                                   json_t *values)
{
    size_t n = json_array_size(values);
    struct ddb_node *node = new_node(b, how->op, n + 1), *negation;

    if (!node)
        return NULL;
    node->args[0] = new_node(b, DDB_OP_PATH, 0);
    if (!node->args[0] || !path_of(b, name, &node->args[0]->path))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        node->args[i + 1] = new_node(b, DDB_OP_VALUE, 0);
        if (!node->args[i + 1])
            return NULL;
        node->args[i + 1]->value = json_array_get(values, i);
    }
    if (!how->negated)
        return node;
    negation = new_node(b, DDB_OP_NOT, 1);
    if (negation)
        negation->args[0] = node;
    return negation;
}

struct expected {
    json_t *value, *exists, *values;
    const char *op; /* NULL: none given */
};

static struct expected read_expected(const json_t *entry)
{
    struct expected e = {json_object_get(entry, "Value"), json_object_get(entry, "Exists"),
                         json_object_get(entry, "AttributeValueList"),
                         json_string_value(json_object_get(entry, "ComparisonOperator"))};

    if (json_is_null(e.value))
        e.value = NULL;
    if (json_is_null(e.exists))
        e.exists = NULL;
    if (json_is_null(e.values))
        e.values = NULL;
    return e;
}

/* {Value, Exists}: equal to, or absent. */
static struct ddb_node *exists_condition(struct build *b, const char *name,
                                         const struct expected *e, json_t *entry)
{
    bool absent = e->exists && !json_is_true(e->exists);
    json_t *list;

    if (e->values) {
        ddb_invalid(b->err,
                    ONE_OR_MORE "AttributeValueList can only be used with a ComparisonOperator for "
                                "Attribute: %s",
                    name);
        return NULL;
    }
    if (absent && e->value) {
        ddb_invalid(b->err,
                    ONE_OR_MORE "Value cannot be used when Exists is false for Attribute: %s",
                    name);
        return NULL;
    }
    if (absent)
        return comparison(b, name, find_operator("NULL"), NULL);
    if (!e->value) {
        ddb_invalid(b->err,
                    ONE_OR_MORE "Value must be provided when Exists is %s for Attribute: %s",
                    e->exists ? "true" : "null", name);
        return NULL;
    }
    /* The list must live as long as the request does: it is hung into it. */
    list = json_pack("[O]", e->value);
    json_object_set_new(entry, "AttributeValueList", list);
    return check_values(b, find_operator("EQ"), list)
               ? comparison(b, name, find_operator("EQ"), list)
               : NULL;
}

static bool check_pairing(struct build *b, const char *name, const struct expected *e)
{
    if (e->exists)
        return ddb_invalid(
            b->err,
            ONE_OR_MORE "Exists and ComparisonOperator cannot be used together for Attribute: %s",
            name);
    if (e->value && e->values)
        return ddb_invalid(b->err,
                           ONE_OR_MORE
                           "Value and AttributeValueList cannot be used together for Attribute: %s",
                           name);
    if (!e->value && !e->values && strcmp(e->op, "NULL") != 0 && strcmp(e->op, "NOT_NULL") != 0)
        return ddb_invalid(b->err,
                           ONE_OR_MORE "Value or AttributeValueList must be used with "
                                       "ComparisonOperator: %s for Attribute: %s",
                           e->op, name);
    return true;
}

static struct ddb_node *one_condition(struct build *b, const char *name, json_t *entry)
{
    struct expected e = read_expected(entry);
    const struct operator* how;

    if (!e.op)
        return exists_condition(b, name, &e, entry);
    how = find_operator(e.op);
    if (!how) {
        ddb_invalid(b->err,
                    "1 validation error detected: Value '%.100s' at 'expected.%.255s.member."
                    "comparisonOperator' failed to satisfy constraint: Member must satisfy enum "
                    "value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, "
                    "BEGINS_WITH, GE, CONTAINS]",
                    e.op, name);
        return NULL;
    }
    if (!check_pairing(b, name, &e))
        return NULL;
    if (e.value) {
        e.values = json_pack("[O]", e.value);
        json_object_set_new(entry, "AttributeValueList", e.values);
    }
    return check_values(b, how, e.values) ? comparison(b, name, how, e.values) : NULL;
}

bool ddb_legacy_condition(struct ddb_expression *ex, json_t *expected, bool any,
                          struct ddb_error *err)
{
    struct build b = {ex, err};
    const char *name;
    json_t *entry;
    size_t n = 0;

    memset(ex, 0, sizeof(*ex));
    ex->legacy = true;
    if (!json_is_object(expected))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    ex->condition = new_node(&b, any ? DDB_OP_OR : DDB_OP_AND, json_object_size(expected));
    if (!ex->condition)
        return false;
    json_object_foreach(expected, name, entry)
    {
        struct ddb_node *node = one_condition(&b, name, entry);

        if (!node)
            return false;
        ex->condition->args[n++] = node;
    }
    return true;
}

/* ---- updates ---- */

static bool action_of(struct build *b, json_t *entry, struct ddb_action *action)
{
    const char *verb = json_string_value(json_object_get(entry, "Action"));
    json_t *value = json_object_get(entry, "Value");

    if (json_is_null(value))
        value = NULL;
    if (!verb || strcmp(verb, "PUT") == 0)
        action->section = DDB_SET;
    else if (strcmp(verb, "ADD") == 0)
        action->section = DDB_ADD;
    else if (strcmp(verb, "DELETE") == 0)
        action->section = value ? DDB_DELETE : DDB_REMOVE;
    else
        return ddb_invalid(b->err,
                           "1 validation error detected: Value '%.100s' at 'attributeUpdates."
                           "member.action' failed to satisfy constraint: Member must satisfy enum "
                           "value set: [ADD, DELETE, PUT]",
                           verb);
    if (action->section == DDB_REMOVE)
        return true;
    if (!value)
        return ddb_invalid(b->err, ONE_OR_MORE
                           "Only DELETE action is allowed when no attribute value is specified");
    if (!ddb_value_check(value, b->err))
        return false;
    action->value = new_node(b, DDB_OP_VALUE, 0);
    if (!action->value)
        return false;
    action->value->value = value;
    return true;
}

static bool check_action_type(struct build *b, const struct ddb_action *action)
{
    enum ddb_type type = action->value ? ddb_type_of(action->value->value) : DDB_NONE;
    bool set = type == DDB_SS || type == DDB_NS || type == DDB_BS;

    if (action->section == DDB_DELETE && !set)
        return ddb_invalid(b->err,
                           ONE_OR_MORE "DELETE action with value is not supported for the type %s",
                           ddb_type_name(type));
    if (action->section == DDB_ADD && !set && type != DDB_N && type != DDB_L)
        return ddb_invalid(b->err, ONE_OR_MORE "ADD action is not supported for the type %s",
                           ddb_type_name(type));
    return true;
}

bool ddb_legacy_update(struct ddb_expression *ex, json_t *updates, struct ddb_error *err)
{
    struct build b = {ex, err};
    const char *name;
    json_t *entry;

    memset(ex, 0, sizeof(*ex));
    ex->legacy = true;
    if (!json_is_object(updates))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    ex->actions = ddb_arena_get(&ex->arena, (json_object_size(updates) + 1) * sizeof(*ex->actions));
    if (!ex->actions)
        return no_memory(&b);
    json_object_foreach(updates, name, entry)
    {
        struct ddb_action *action = &ex->actions[ex->n_actions++];

        if (!path_of(&b, name, &action->path) || !action_of(&b, entry, action) ||
            !check_action_type(&b, action))
            return false;
    }
    return true;
}

bool ddb_legacy_projection(struct ddb_expression *ex, json_t *names, struct ddb_error *err)
{
    struct build b = {ex, err};
    size_t n = json_array_size(names);

    memset(ex, 0, sizeof(*ex));
    ex->legacy = true;
    if (!json_is_array(names))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    ex->paths = ddb_arena_get(&ex->arena, (n + 1) * sizeof(*ex->paths));
    if (!ex->paths)
        return no_memory(&b);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (!name)
            return ddb_refuse(err, "SerializationException", "Unexpected field type");
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_string_value(json_array_get(names, k)), name) == 0)
                return ddb_invalid(err, ONE_OR_MORE "Duplicate value in attribute name: %s", name);
        if (!path_of(&b, name, &ex->paths[ex->n_paths++]))
            return false;
    }
    return true;
}
