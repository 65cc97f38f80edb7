/* eval.c - conditions and projections on an item. */
#include "plugins/local-aws/dynamodb/eval.h"

#include <stdlib.h>
#include <string.h>

/* The child of a value one step further down; NULL: there is none. */
static json_t *child_of(const json_t *value, const struct ddb_step *step)
{
    enum ddb_type type = ddb_type_of(value);

    if (step->name)
        return type == DDB_M ? json_object_get(ddb_payload(value), step->name) : NULL;
    return type == DDB_L ? json_array_get(ddb_payload(value), step->index) : NULL;
}

json_t *ddb_lookup(const json_t *item, const struct ddb_path *path)
{
    json_t *value = json_object_get(item, path->steps[0].name);

    for (size_t i = 1; value && i < path->n; i++)
        value = child_of(value, &path->steps[i]);
    return value;
}

/* ---- conditions ---- */

/* [new reference] The value of an operand, or NULL when it has none. */
static json_t *operand(const struct ddb_node *node, const json_t *item)
{
    json_t *inner, *ret;
    long size;

    if (node->op == DDB_OP_VALUE)
        return json_incref((json_t *)node->value);
    if (node->op == DDB_OP_PATH)
        return json_incref(ddb_lookup(item, &node->path));
    inner = operand(node->args[0], item); /* size() is the only function here */
    size = inner ? ddb_size_function(inner) : -1;
    ret = size >= 0 ? ddb_make_number(size) : NULL;
    json_decref(inner);
    return ret;
}

static bool compare(enum ddb_op op, const json_t *a, const json_t *b)
{
    int order;

    if (op == DDB_OP_EQ)
        return ddb_equal(a, b);
    if (op == DDB_OP_NE)
        return !ddb_equal(a, b);
    if (!a || !b || !ddb_order(a, b, &order))
        return false;
    switch (op) {
    case DDB_OP_LT: return order < 0;
    case DDB_OP_LE: return order <= 0;
    case DDB_OP_GT: return order > 0;
    default: return order >= 0;
    }
}

static bool has_type(const json_t *value, const json_t *name)
{
    return ddb_type_of(value) == ddb_type_named(json_string_value(ddb_payload(name)));
}

static bool compare_two(const struct ddb_node *node, const json_t *item)
{
    json_t *a = operand(node->args[0], item), *b = operand(node->args[1], item);
    bool ret;

    if (node->op == DDB_OP_TYPE)
        ret = a && has_type(a, b);
    else if (node->op == DDB_OP_BEGINS_WITH)
        ret = a && b && ddb_begins_with(a, b);
    else if (node->op == DDB_OP_CONTAINS)
        ret = a && b && ddb_contains(a, b);
    else
        ret = compare(node->op, a, b);
    json_decref(a);
    json_decref(b);
    return ret;
}

static bool is_between(const struct ddb_node *node, const json_t *item)
{
    json_t *value = operand(node->args[0], item);
    json_t *low = operand(node->args[1], item), *high = operand(node->args[2], item);
    bool ret = compare(DDB_OP_GE, value, low) && compare(DDB_OP_LE, value, high);

    json_decref(value);
    json_decref(low);
    json_decref(high);
    return ret;
}

static bool is_in(const struct ddb_node *node, const json_t *item)
{
    json_t *value = operand(node->args[0], item);
    bool ret = false;

    for (size_t i = 1; value && !ret && i < node->n_args; i++) {
        json_t *one = operand(node->args[i], item);

        ret = ddb_equal(value, one);
        json_decref(one);
    }
    json_decref(value);
    return ret;
}

/* All of them, or any of them. */
static bool holds_many(const struct ddb_node *node, const json_t *item)
{
    bool any = node->op == DDB_OP_OR;

    for (size_t i = 0; i < node->n_args; i++)
        if (ddb_holds(node->args[i], item) == any)
            return any;
    return !any;
}

bool ddb_holds(const struct ddb_node *node, const json_t *item)
{
    if (!node)
        return true;
    switch (node->op) {
    case DDB_OP_AND:
    case DDB_OP_OR: return holds_many(node, item);
    case DDB_OP_NOT: return !ddb_holds(node->args[0], item);
    case DDB_OP_EXISTS: return ddb_lookup(item, &node->args[0]->path) != NULL;
    case DDB_OP_NOT_EXISTS: return ddb_lookup(item, &node->args[0]->path) == NULL;
    case DDB_OP_BETWEEN: return is_between(node, item);
    case DDB_OP_IN: return is_in(node, item);
    default: return compare_two(node, item);
    }
}

/* ---- projections ---- */

struct selection {
    const struct ddb_path **paths;
    size_t n;
    size_t depth; /* steps that lead to the value in hand */
};

static json_t *project_value(json_t *value, const struct selection *sel);

/* The paths of sel that go on with `step`, one level deeper. `paths` has room for all. */
static struct selection narrow(const struct selection *sel, const struct ddb_step *step,
                               const struct ddb_path **paths)
{
    struct selection ret = {paths, 0, sel->depth + 1};

    for (size_t i = 0; i < sel->n; i++) {
        const struct ddb_step *s = &sel->paths[i]->steps[sel->depth];
        bool same = step->name ? s->name && strcmp(s->name, step->name) == 0
                               : !s->name && s->index == step->index;

        if (same)
            paths[ret.n++] = sel->paths[i];
    }
    return ret;
}

static json_t *project_members(const json_t *object, const struct selection *sel)
{
    const struct ddb_path **room = malloc((sel->n + 1) * sizeof(*room));
    json_t *out = json_object();

    for (size_t i = 0; room && i < sel->n; i++) {
        const struct ddb_step *step = &sel->paths[i]->steps[sel->depth];
        json_t *value = step->name ? json_object_get(object, step->name) : NULL;
        struct selection deeper;

        if (!value || json_object_get(out, step->name))
            continue;
        deeper = narrow(sel, step, room);
        value = project_value(value, &deeper);
        if (value)
            json_object_set_new_nocheck(out, step->name, value);
    }
    free(room);
    return out;
}

/* The selected elements, close together, in the order of the list. */
static json_t *project_elements(const json_t *list, const struct selection *sel)
{
    const struct ddb_path **room = malloc((sel->n + 1) * sizeof(*room));
    json_t *out = json_array();
    struct ddb_step step = {NULL, 0};
    bool found = room != NULL;

    while (found) {
        size_t from = step.index;

        found = false;
        for (size_t i = 0; i < sel->n; i++) {
            const struct ddb_step *s = &sel->paths[i]->steps[sel->depth];

            if (!s->name && s->index >= from && s->index < json_array_size(list) &&
                (!found || s->index < step.index)) {
                step.index = s->index;
                found = true;
            }
        }
        if (found) {
            struct selection deeper = narrow(sel, &step, room);
            json_t *value = project_value(json_array_get(list, step.index), &deeper);

            if (value)
                json_array_append_new(out, value);
            step.index++;
        }
    }
    free(room);
    return out;
}

/* [new reference] NULL: none of the paths leads anywhere. */
static json_t *project_value(json_t *value, const struct selection *sel)
{
    enum ddb_type type = ddb_type_of(value);
    json_t *inner;

    for (size_t i = 0; i < sel->n; i++)
        if (sel->paths[i]->n == sel->depth)
            return json_incref(value);
    if (type != DDB_M && type != DDB_L)
        return NULL;
    inner = type == DDB_M ? project_members(ddb_payload(value), sel)
                          : project_elements(ddb_payload(value), sel);
    if (json_object_size(inner) > 0 || json_array_size(inner) > 0)
        return json_pack("{s:o}", ddb_type_name(type), inner);
    json_decref(inner);
    return NULL;
}

json_t *ddb_project(const json_t *item, const struct ddb_path *paths, size_t n_paths)
{
    const struct ddb_path **all = malloc((n_paths + 1) * sizeof(*all));
    struct selection sel = {all, n_paths, 0};
    json_t *out;

    if (!all)
        return NULL;
    for (size_t i = 0; i < n_paths; i++)
        all[i] = &paths[i];
    out = project_members(item, &sel);
    free(all);
    return out;
}
