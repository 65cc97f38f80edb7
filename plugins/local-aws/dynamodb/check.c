/* check.c - what can be wrong with a finished expression. */
#include "plugins/local-aws/dynamodb/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct check {
    char *wrong;
    size_t size;
};

/* What a place in the tree asks for. */
enum want { A_TRUTH, AN_OPERAND, A_SET_VALUE };

static bool refuse(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct check *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(c->wrong, c->size, fmt, args);
    va_end(args);
    return false;
}

const char *ddb_op_name(enum ddb_op op)
{
    static const char *const names[] = {
        [DDB_OP_PATH] = "path",
        [DDB_OP_VALUE] = "value",
        [DDB_OP_AND] = "AND",
        [DDB_OP_OR] = "OR",
        [DDB_OP_NOT] = "NOT",
        [DDB_OP_EQ] = "=",
        [DDB_OP_NE] = "<>",
        [DDB_OP_LT] = "<",
        [DDB_OP_LE] = "<=",
        [DDB_OP_GT] = ">",
        [DDB_OP_GE] = ">=",
        [DDB_OP_BETWEEN] = "BETWEEN",
        [DDB_OP_IN] = "IN",
        [DDB_OP_PLUS] = "+",
        [DDB_OP_MINUS] = "-",
        [DDB_OP_EXISTS] = "attribute_exists",
        [DDB_OP_NOT_EXISTS] = "attribute_not_exists",
        [DDB_OP_TYPE] = "attribute_type",
        [DDB_OP_BEGINS_WITH] = "begins_with",
        [DDB_OP_CONTAINS] = "contains",
        [DDB_OP_SIZE] = "size",
        [DDB_OP_IF_NOT_EXISTS] = "if_not_exists",
        [DDB_OP_LIST_APPEND] = "list_append",
    };

    return names[op];
}

const char *ddb_path_print(const struct ddb_path *path, char *buf, size_t size)
{
    size_t at = (size_t)snprintf(buf, size, "[");

    for (size_t i = 0; i < path->n && at < size; i++) {
        const struct ddb_step *step = &path->steps[i];
        const char *comma = i ? ", " : "";
        int n = step->name ? snprintf(buf + at, size - at, "%s%s", comma, step->name)
                           : snprintf(buf + at, size - at, "%s[%zu]", comma, step->index);

        at += n < 0 ? size : (size_t)n;
    }
    if (at < size)
        snprintf(buf + at, size - at, "]");
    return buf;
}

/* ---- paths ---- */

static bool same_step(const struct ddb_step *a, const struct ddb_step *b)
{
    if (!a->name || !b->name)
        return !a->name && !b->name && a->index == b->index;
    return strcmp(a->name, b->name) == 0;
}

static bool check_two_paths(struct check *c, const struct ddb_path *a, const struct ddb_path *b)
{
    size_t n = a->n < b->n ? a->n : b->n, i = 0;
    char one[300], two[300];
    const char *how = "overlap";

    while (i < n && same_step(&a->steps[i], &b->steps[i]))
        i++;
    if (i < n) {
        if (!a->steps[i].name == !b->steps[i].name)
            return true; /* two members, or two elements, of one value */
        how = "conflict";
    }
    return refuse(c,
                  "Two document paths %s with each other; must remove or rewrite one of these "
                  "paths; path one: %s, path two: %s",
                  how, ddb_path_print(a, one, sizeof(one)), ddb_path_print(b, two, sizeof(two)));
}

static bool check_paths(struct check *c, const struct ddb_expression *ex)
{
    for (size_t i = 0; i < ex->n_paths; i++)
        for (size_t j = i + 1; j < ex->n_paths; j++)
            if (!check_two_paths(c, &ex->paths[i], &ex->paths[j]))
                return false;
    for (size_t i = 0; i < ex->n_actions; i++)
        for (size_t j = i + 1; j < ex->n_actions; j++)
            if (!check_two_paths(c, &ex->actions[i].path, &ex->actions[j].path))
                return false;
    return true;
}

/* ---- operands ---- */

/* Type of an operand, as far as it is known without an item. */
static enum ddb_type known_type(const struct ddb_node *node)
{
    if (node->op == DDB_OP_VALUE)
        return ddb_type_of(node->value);
    if (node->op == DDB_OP_SIZE)
        return DDB_N;
    return DDB_NONE;
}

static bool bad_operand(struct check *c, enum ddb_op op, enum ddb_type type)
{
    return refuse(c,
                  "Incorrect operand type for operator or function; operator or function: %s, "
                  "operand type: %s",
                  ddb_op_name(op), ddb_type_name(type));
}

static bool check_type_name(struct check *c, const struct ddb_node *node)
{
    const struct ddb_node *type = node->args[1];

    if (type->op != DDB_OP_VALUE)
        return refuse(c,
                      "The second operand of attribute_type must be an expression attribute value");
    if (ddb_type_of(type->value) != DDB_S)
        return bad_operand(c, node->op, ddb_type_of(type->value));
    if (ddb_type_named(json_string_value(ddb_payload(type->value))) != DDB_NONE)
        return true;
    return refuse(c,
                  "Invalid attribute type name found; type: %.100s, valid types: "
                  "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
                  json_string_value(ddb_payload(type->value)));
}

static bool same_path(const struct ddb_node *a, const struct ddb_node *b)
{
    if (a->op != DDB_OP_PATH || b->op != DDB_OP_PATH || a->path.n != b->path.n)
        return false;
    for (size_t i = 0; i < a->path.n; i++)
        if (!same_step(&a->path.steps[i], &b->path.steps[i]))
            return false;
    return true;
}

static bool check_distinct(struct check *c, const struct ddb_node *node)
{
    char path[300];

    if (node->n_args < 2 || !same_path(node->args[0], node->args[1]))
        return true;
    return refuse(
        c,
        "The first operand must be distinct from the remaining operands for this operator "
        "or function; operator: %s, first operand: %s",
        ddb_op_name(node->op), ddb_path_print(&node->args[0]->path, path, sizeof(path)));
}

/* Every operand whose type is known must be S, N or B. */
static bool check_ordered(struct check *c, const struct ddb_node *node)
{
    for (size_t i = 0; i < node->n_args; i++) {
        enum ddb_type type = known_type(node->args[i]);

        if (type > DDB_B)
            return bad_operand(c, node->op, type);
    }
    return check_distinct(c, node);
}

static const char *print_scalar(const json_t *value, char *buf, size_t size)
{
    snprintf(buf, size, "AttributeValue: {%s:%.100s}", ddb_type_name(ddb_type_of(value)),
             json_string_value(ddb_payload(value)));
    return buf;
}

static bool check_between(struct check *c, const struct ddb_node *node)
{
    const struct ddb_node *low = node->args[1], *high = node->args[2];
    char a[140], b[140];
    int order = 0;
    bool same;

    if (!check_ordered(c, node))
        return false;
    if (low->op != DDB_OP_VALUE || high->op != DDB_OP_VALUE)
        return true;
    same = ddb_order(low->value, high->value, &order);
    if (same && order <= 0)
        return true;
    return refuse(c,
                  "The BETWEEN operator requires %s; lower bound operand: %s, upper bound operand: "
                  "%s",
                  same ? "upper bound to be greater than or equal to lower bound"
                       : "same data type for lower and upper bounds",
                  print_scalar(low->value, a, sizeof(a)), print_scalar(high->value, b, sizeof(b)));
}

static bool check_count(struct check *c, const struct ddb_node *node)
{
    bool one =
        node->op == DDB_OP_EXISTS || node->op == DDB_OP_NOT_EXISTS || node->op == DDB_OP_SIZE;

    if (node->n_args == (one ? 1u : 2u))
        return true;
    return refuse(
        c,
        "Incorrect number of operands for operator or function; operator or function: %s, "
        "number of operands: %zu",
        ddb_op_name(node->op), node->n_args);
}

/* Both operands must be of one of two types, as far as their types are known. */
static bool check_both(struct check *c, const struct ddb_node *node, enum ddb_type one,
                       enum ddb_type other)
{
    for (size_t i = 0; i < 2 && i < node->n_args; i++) {
        enum ddb_type type = known_type(node->args[i]);

        if (type != DDB_NONE && type != one && type != other)
            return bad_operand(c, node->op, type);
    }
    return true;
}

static bool check_function_operands(struct check *c, const struct ddb_node *node)
{
    enum ddb_type first = known_type(node->args[0]);

    switch (node->op) {
    case DDB_OP_EXISTS:
    case DDB_OP_NOT_EXISTS:
    case DDB_OP_IF_NOT_EXISTS:
        if (node->args[0]->op != DDB_OP_PATH)
            return refuse(c,
                          "Operator or function requires a document path; operator or function: %s",
                          ddb_op_name(node->op));
        return true;
    case DDB_OP_TYPE: return check_type_name(c, node);
    case DDB_OP_BEGINS_WITH: return check_both(c, node, DDB_S, DDB_B) && check_distinct(c, node);
    case DDB_OP_SIZE:
        if (first == DDB_N || first == DDB_BOOL || first == DDB_NULL)
            return bad_operand(c, node->op, first);
        return true;
    case DDB_OP_LIST_APPEND: return check_both(c, node, DDB_L, DDB_L);
    default: return check_distinct(c, node);
    }
}

static bool check_node(struct check *c, const struct ddb_node *node, enum want want);

static bool check_args(struct check *c, const struct ddb_node *node, enum want want)
{
    for (size_t i = 0; i < node->n_args; i++)
        if (!check_node(c, node->args[i], want))
            return false;
    return true;
}

static bool allowed_here(enum ddb_op op, enum want want)
{
    if (op == DDB_OP_SIZE)
        return want == AN_OPERAND;
    if (op == DDB_OP_IF_NOT_EXISTS || op == DDB_OP_LIST_APPEND)
        return want == A_SET_VALUE;
    return want == A_TRUTH;
}

static bool check_function(struct check *c, const struct ddb_node *node, enum want want)
{
    if (!allowed_here(node->op, want))
        return refuse(c,
                      "The function is not allowed to be used this way in an expression; "
                      "function: %s",
                      ddb_op_name(node->op));
    return check_count(c, node) &&
           check_args(c, node, want == A_SET_VALUE ? A_SET_VALUE : AN_OPERAND) &&
           check_function_operands(c, node);
}

static bool check_arithmetic(struct check *c, const struct ddb_node *node)
{
    if (!check_args(c, node, A_SET_VALUE))
        return false;
    for (size_t i = 0; i < node->n_args; i++) {
        enum ddb_type type = known_type(node->args[i]);

        if (type != DDB_NONE && type != DDB_N)
            return bad_operand(c, node->op, type);
    }
    return true;
}

static bool check_comparison(struct check *c, const struct ddb_node *node)
{
    switch (node->op) {
    case DDB_OP_EQ:
    case DDB_OP_NE: return check_distinct(c, node);
    case DDB_OP_BETWEEN: return check_between(c, node);
    case DDB_OP_IN: return true;
    default: return check_ordered(c, node);
    }
}

static bool check_node(struct check *c, const struct ddb_node *node, enum want want)
{
    switch (node->op) {
    case DDB_OP_PATH:
    case DDB_OP_VALUE: return true;
    case DDB_OP_AND:
    case DDB_OP_OR:
    case DDB_OP_NOT: return check_args(c, node, A_TRUTH);
    case DDB_OP_PLUS:
    case DDB_OP_MINUS: return check_arithmetic(c, node);
    default: break;
    }
    if (node->op >= DDB_OP_EXISTS)
        return check_function(c, node, want);
    return check_args(c, node, AN_OPERAND) && check_comparison(c, node);
}

static bool check_action(struct check *c, const struct ddb_action *action)
{
    enum ddb_type type;
    bool ok;

    if (!action->value)
        return true;
    if (action->section == DDB_SET)
        return check_node(c, action->value, A_SET_VALUE);
    type = ddb_type_of(action->value->value);
    ok = type == DDB_SS || type == DDB_NS || type == DDB_BS ||
         (action->section == DDB_ADD && type == DDB_N);
    if (ok)
        return true;
    return refuse(
        c,
        "Incorrect operand type for operator or function; operator: %s, operand type: %s, "
        "typeSet: ALLOWED_FOR_%s_OPERAND",
        action->section == DDB_ADD ? "ADD" : "DELETE", ddb_type_long(type),
        action->section == DDB_ADD ? "ADD" : "DELETE");
}

bool ddb_check(const struct ddb_expression *ex, enum ddb_expression_kind kind, char *wrong,
               size_t size)
{
    struct check c = {wrong, size};

    if (!check_paths(&c, ex))
        return false;
    for (size_t i = 0; i < ex->n_actions; i++)
        if (!check_action(&c, &ex->actions[i]))
            return false;
    return kind == DDB_UPDATE || !ex->condition || check_node(&c, ex->condition, A_TRUTH);
}
