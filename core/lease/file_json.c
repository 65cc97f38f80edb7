/* file_json.c - see file_json.h. */
#include "core/lease/file_json.h"

#include <kpipe/plugin.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

#define VERSION      2
#define MAX_HASH_KEY 39 /* digits of 2^128-1 */

/* ---- flows */

struct memory_table *file_flows_table(struct file_flows *flows, const char *name)
{
    for (size_t i = 0; i < flows->n; i++)
        if (!strcmp(flows->all[i].name, name))
            return flows->all[i].table;
    mem_room(&flows->all, &flows->cap, flows->n, sizeof *flows->all);
    flows->all[flows->n] = (struct file_flow){mem_dup(name), memory_table_new(name)};
    return flows->all[flows->n++].table;
}

void file_flows_fini(struct file_flows *flows)
{
    for (size_t i = 0; i < flows->n; i++) {
        free(flows->all[i].name);
        memory_table_free(flows->all[i].table);
    }
    free(flows->all);
    *flows = (struct file_flows){0};
}

/* ---- reading */

/* Texts are [borrowed from the JSON]: a lease that is only put. False: it is there and no such
 * text. */
static bool read_text(json_t *lane, const char *name, size_t max, char **ret)
{
    json_t *value = json_object_get(lane, name);
    const char *text = json_string_value(value);

    if (!value)
        return true;
    if (!text || !*text || strlen(text) > max)
        return false;
    *ret = (char *)(uintptr_t)text;
    return true;
}

static bool read_number(json_t *lane, const char *name, uint64_t *ret)
{
    json_t *value = json_object_get(lane, name);

    if (value && !json_is_integer(value))
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_pair(json_t *lane, const char *name, char *ret[2])
{
    json_t *value = json_object_get(lane, name);

    if (!value)
        return true;
    if (!json_is_array(value) || json_array_size(value) > 2)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        ret[i] = (char *)(uintptr_t)json_string_value(json_array_get(value, i));
        if (!ret[i])
            return false;
    }
    return true;
}

static bool read_lane(json_t *value, struct lease *lease)
{
    return read_text(value, "checkpoint", KP_POSITION_MAX, &lease->checkpoint) &&
           lease->checkpoint && read_number(value, "sub", &lease->sub) &&
           read_text(value, "pending", KP_POSITION_MAX, &lease->pending) &&
           read_number(value, "pending_sub", &lease->pending_sub) &&
           read_pair(value, "parents", lease->parents) &&
           read_pair(value, "children", lease->children) &&
           read_text(value, "low", MAX_HASH_KEY, &lease->low) &&
           read_text(value, "high", MAX_HASH_KEY, &lease->high);
}

/* A file of version 1 could have a lane that had not moved. */
static bool is_unmoved(json_t *value)
{
    const char *text = json_string_value(json_object_get(value, "checkpoint"));

    return text && !*text;
}

static bool read_flow(json_t *lanes, struct memory_table *table)
{
    const char *key;
    json_t *value;

    if (!json_is_object(lanes))
        return false;
    json_object_foreach(lanes, key, value)
    {
        struct lease lease = {.key = (char *)(uintptr_t)key, .throughput = -1};

        if (is_unmoved(value))
            continue;
        if (!read_lane(value, &lease))
            return false;
        memory_table_put(table, &lease);
    }
    return true;
}

bool file_json_read(json_t *root, struct file_flows *flows)
{
    json_int_t version = json_integer_value(json_object_get(root, "kpipe"));
    json_t *all = json_object_get(root, "flows"), *lanes;
    const char *name;

    if (version < 1 || version > VERSION || !json_is_object(all))
        return false;
    json_object_foreach(all, name, lanes)
    {
        if (!read_flow(lanes, file_flows_table(flows, name)))
            return false;
    }
    return true;
}

/* ---- writing. Positions are checked to be text when they come; names of lanes need not be. */

static bool put(json_t *lane, const char *name, const char *text)
{
    return !text || !json_object_set_new(lane, name, json_string(text));
}

static bool put_pair(json_t *lane, const char *name, char *const texts[2])
{
    json_t *pair;
    bool ok = true;

    if (!texts[0] && !texts[1])
        return true;
    pair = json_array();
    for (int i = 0; i < 2; i++)
        if (texts[i])
            ok = ok && !json_array_append_new(pair, json_string(texts[i]));
    return !json_object_set_new(lane, name, pair) && ok;
}

static bool write_lane(json_t *lane, const struct lease *lease)
{
    json_int_t sub = (json_int_t)lease->sub, pending_sub = (json_int_t)lease->pending_sub;

    return put(lane, "checkpoint", lease->checkpoint) &&
           !json_object_set_new(lane, "sub", json_integer(sub)) &&
           put(lane, "pending", lease->pending) &&
           (!lease->pending ||
            !json_object_set_new(lane, "pending_sub", json_integer(pending_sub))) &&
           put_pair(lane, "parents", lease->parents) &&
           put_pair(lane, "children", lease->children) && put(lane, "low", lease->low) &&
           put(lane, "high", lease->high);
}

/* Sets it even when it is only half there: the caller gives up then. */
static bool write_flow(json_t *flows, const struct file_flow *flow)
{
    json_t *lanes = json_object();
    bool ok = !json_object_set_new(flows, flow->name, lanes);

    for (size_t i = 0; ok && i < memory_table_count(flow->table); i++) {
        const struct lease *lease = memory_table_at(flow->table, i);
        json_t *lane = json_object();

        ok = !json_object_set_new(lanes, lease->key, lane) && write_lane(lane, lease);
    }
    return ok;
}

json_t *file_json_write(const struct file_flows *flows, const char *application)
{
    json_t *all = json_object();
    json_t *root =
        json_pack("{s:i, s:s, s:o}", "kpipe", VERSION, "application", application, "flows", all);
    bool ok = root != NULL;

    for (size_t i = 0; ok && i < flows->n; i++)
        ok = write_flow(all, &flows->all[i]);
    if (ok)
        return root;
    json_decref(root);
    return NULL;
}
