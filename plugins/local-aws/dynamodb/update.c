/* update.c - what update expressions and AttributeUpdates do to an item.
 *
 * Works on a deep copy. Elements removed from a list are first replaced by a
 * JSON null, which no canonical value contains, and swept out at the end: so
 * indices keep their meaning while the actions run.
 */
#include "plugins/local-aws/dynamodb/update.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/eval.h"

struct update {
    const struct ddb_expression *ex;
    const json_t *before;
    json_t *after;
    bool sweep; /* a list lost elements */
    struct ddb_error *err;
};

static bool invalid_path(struct update *u)
{
    return ddb_invalid(u->err,
                       "The document path provided in the update expression is invalid for update");
}

static bool wrong_type(struct update *u)
{
    return ddb_invalid(u->err, u->ex->legacy
                                   ? "Type mismatch for attribute to update"
                                   : "An operand in the update expression has an incorrect data "
                                     "type");
}

/* ---- right-hand sides ---- */

static json_t *evaluate(struct update *u, const struct ddb_node *node);

static json_t *evaluate_path(struct update *u, const struct ddb_node *node)
{
    json_t *value = ddb_lookup(u->before, &node->path);

    if (!value)
        ddb_invalid(u->err, "The provided expression refers to an attribute that does not exist in "
                            "the item");
    return json_incref(value);
}

static json_t *append_lists(const json_t *a, const json_t *b)
{
    json_t *all = json_copy(ddb_payload(a));

    json_array_extend(all, ddb_payload(b));
    return json_pack("{s:o}", "L", all);
}

/* [new reference] The two operands of + - and list_append, combined. */
static json_t *evaluate_two(struct update *u, const struct ddb_node *node)
{
    enum ddb_type type = node->op == DDB_OP_LIST_APPEND ? DDB_L : DDB_N;
    json_t *a = evaluate(u, node->args[0]);
    json_t *b = a ? evaluate(u, node->args[1]) : NULL;
    json_t *ret = NULL;

    if (!a || !b)
        goto out;
    if (ddb_type_of(a) != type || ddb_type_of(b) != type)
        wrong_type(u);
    else if (type == DDB_L)
        ret = append_lists(a, b);
    else
        ret = ddb_sum(a, b, node->op == DDB_OP_MINUS, u->err);
out:
    json_decref(a);
    json_decref(b);
    return ret;
}

static json_t *evaluate(struct update *u, const struct ddb_node *node)
{
    json_t *value;

    switch (node->op) {
    case DDB_OP_VALUE: return json_incref((json_t *)node->value);
    case DDB_OP_PATH: return evaluate_path(u, node);
    case DDB_OP_IF_NOT_EXISTS:
        value = ddb_lookup(u->before, &node->args[0]->path);
        return value ? json_incref(value) : evaluate(u, node->args[1]);
    default: return evaluate_two(u, node);
    }
}

/* ---- places ---- */

/* The object or array that holds the last step of a path [borrowed]; NULL: there is none, or it is
 * of the wrong kind. */
static json_t *container(json_t *item, const struct ddb_path *path)
{
    struct ddb_path above = {path->steps, path->n - 1};
    bool by_name = path->steps[path->n - 1].name != NULL;
    json_t *value;

    if (path->n == 1)
        return item;
    value = ddb_lookup(item, &above);
    if (!value || ddb_type_of(value) != (by_name ? DDB_M : DDB_L))
        return NULL;
    return ddb_payload(value);
}

static const struct ddb_step *last_step(const struct ddb_path *path)
{
    return &path->steps[path->n - 1];
}

static bool is_beyond_end(const struct update *u, const struct ddb_path *path)
{
    const struct ddb_step *step = last_step(path);

    return !step->name && step->index >= json_array_size(container((json_t *)u->before, path));
}

/* [consumes value] */
static bool put(struct update *u, const struct ddb_path *path, json_t *value)
{
    const struct ddb_step *step = last_step(path);
    json_t *into = container(u->after, path);

    if (!into) {
        json_decref(value);
        return invalid_path(u);
    }
    if (step->name)
        return json_object_set_new_nocheck(into, step->name, value) == 0;
    if (is_beyond_end(u, path))
        return json_array_append_new(into, value) == 0;
    return json_array_set_new(into, step->index, value) == 0;
}

static bool take_away(struct update *u, const struct ddb_path *path)
{
    const struct ddb_step *step = last_step(path);
    json_t *from = container(u->after, path);

    if (!from)
        return invalid_path(u);
    if (step->name) {
        json_object_del(from, step->name);
    } else if (!is_beyond_end(u, path)) {
        json_array_set_new(from, step->index, json_null());
        u->sweep = true;
    }
    return true;
}

/* ---- actions ---- */

static bool is_set(enum ddb_type type)
{
    return type == DDB_SS || type == DDB_NS || type == DDB_BS;
}

static bool add(struct update *u, const struct ddb_action *action)
{
    const json_t *now = ddb_lookup(u->before, &action->path), *more = action->value->value;
    enum ddb_type type = ddb_type_of(more);
    json_t *sum;

    if (!now)
        return put(u, &action->path, json_incref((json_t *)more));
    if (ddb_type_of(now) != type || !(type == DDB_N || type == DDB_L || is_set(type)))
        return wrong_type(u);
    sum = type == DDB_N   ? ddb_sum(now, more, false, u->err)
          : type == DDB_L ? append_lists(now, more)
                          : ddb_set_union(now, more);
    return sum && put(u, &action->path, sum);
}

static bool delete_members(struct update *u, const struct ddb_action *action)
{
    const json_t *now = ddb_lookup(u->before, &action->path), *less = action->value->value;
    json_t *rest;

    if (!now)
        return container(u->after, &action->path) ? true : invalid_path(u);
    if (ddb_type_of(now) != ddb_type_of(less) || !is_set(ddb_type_of(now)))
        return wrong_type(u);
    rest = ddb_set_difference(now, less);
    return rest ? put(u, &action->path, rest) : take_away(u, &action->path);
}

static bool set(struct update *u, const struct ddb_action *action)
{
    json_t *value = evaluate(u, action->value);

    return value && put(u, &action->path, value);
}

static bool run_action(struct update *u, const struct ddb_action *action)
{
    switch (action->section) {
    case DDB_SET: return set(u, action);
    case DDB_REMOVE: return take_away(u, &action->path);
    case DDB_ADD: return add(u, action);
    case DDB_DELETE: return delete_members(u, action);
    }
    return false;
}

static int by_index(const void *a, const void *b)
{
    size_t x = last_step(&(*(const struct ddb_action *const *)a)->path)->index;
    size_t y = last_step(&(*(const struct ddb_action *const *)b)->path)->index;

    return (x > y) - (x < y);
}

/* What goes behind the end of a list comes last, in the order of the indices given. */
static bool run_actions(struct update *u)
{
    const struct ddb_expression *ex = u->ex;
    const struct ddb_action **behind =
        malloc((ex->n_actions + 1) * sizeof(const struct ddb_action *));
    size_t n = 0;
    bool ok = behind != NULL;

    for (size_t i = 0; ok && i < ex->n_actions; i++) {
        const struct ddb_action *action = &ex->actions[i];

        if (action->section == DDB_SET && is_beyond_end(u, &action->path))
            behind[n++] = action;
        else
            ok = run_action(u, action);
    }
    if (ok && n > 0)
        qsort(behind, n, sizeof(const struct ddb_action *), by_index);
    for (size_t i = 0; ok && i < n; i++)
        ok = run_action(u, behind[i]);
    free(behind);
    return ok;
}

/* Drops the nulls of all lists below. */
static void sweep(json_t *value)
{
    json_t *inner = ddb_payload(value);
    const char *name;
    json_t *member;

    if (ddb_type_of(value) == DDB_M) {
        json_object_foreach(inner, name, member)
        {
            sweep(member);
        }
    }
    if (ddb_type_of(value) != DDB_L)
        return;
    for (size_t i = json_array_size(inner); i-- > 0;) {
        if (json_is_null(json_array_get(inner, i)))
            json_array_remove(inner, i);
        else
            sweep(json_array_get(inner, i));
    }
}

json_t *ddb_update_apply(const struct ddb_expression *ex, const json_t *item, struct ddb_error *err)
{
    struct update u = {ex, item, json_deep_copy(item), false, err};
    const char *name;
    json_t *value;

    if (!run_actions(&u)) {
        json_decref(u.after);
        if (!err->type)
            ddb_refuse(err, "InternalServerError", "out of memory");
        return NULL;
    }
    if (u.sweep) {
        json_object_foreach(u.after, name, value)
        {
            sweep(value);
        }
    }
    return u.after;
}
