/* source_list.c - source list: the records are written in the pipeline file itself. */
#include <kpipe/ext/lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/basic/basic.h"

struct list_config {
    kp_list records;
    kp_value key;
    const char *lane;
    int64_t batch;
};

struct list_state {
    const struct list_config *config;
    const kp_lua_ext *lua;
    kp_lane *lane;
    size_t at;
    bool stopped;
};

static const kp_option list_options[] = {
    {"records", KP_T_LIST, offsetof(struct list_config, records), KP_REQUIRED, NULL,
     "the payloads, in order", NULL},
    {"key", KP_T_VALUE, offsetof(struct list_config, key), KP_OPTIONAL, NULL,
     "partition key: text, k.field or a function", NULL},
    {"lane", KP_T_STRING, offsetof(struct list_config, lane), "list", NULL, "name of the lane",
     NULL},
    {"batch", KP_T_INT, offsetof(struct list_config, batch), "500", "1..10000",
     "records of one batch", NULL},
    {0},
};

static void set_key(kp_node *node, const struct list_state *me, kp_batch *b, uint32_t i)
{
    kp_slice ret;
    kp_lua_result result;

    if (me->config->key.kind == KP_V_NONE)
        return;
    result = me->lua->value(node, &me->config->key, b, i, &ret);
    if (result == KP_LUA_ERROR)
        kp->log(node, KP_LOG_WARN, "key.failed", "reason=\"%.*s\"", (int)ret.len, ret.ptr);
    else if (result == KP_LUA_TEXT)
        kp->set_key(b, i, ret.ptr, ret.len);
}

static kp_batch *make_batch(kp_node *node, const struct list_state *me, uint32_t n)
{
    kp_batch *b = kp->batch_new(node, n);
    kp_record *record = b ? kp->append(b, n) : NULL;
    char *digits = record ? kp->alloc(b, (size_t)n * 24) : NULL;

    if (!digits) {
        if (b)
            kp->release(node, b);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++, record++, digits += 24) {
        const char *text = me->config->records.items[me->at + i];

        record->data = text; /* lives as long as the node */
        record->data_len = (uint32_t)strlen(text);
        record->sequence = digits;
        record->sequence_len = (uint32_t)snprintf(digits, 24, "%zu", me->at + i + 1);
        record->arrival_ms = kp->wall_ms();
    }
    for (uint32_t i = 0; i < n; i++)
        set_key(node, me, b, i);
    return b;
}

static void send(kp_node *node, struct list_state *me)
{
    const struct list_config *c = me->config;

    while (me->lane && !me->stopped && me->at < c->records.count && kp->lane_ready(me->lane)) {
        size_t left = c->records.count - me->at;
        uint32_t n = left < (size_t)c->batch ? (uint32_t)left : (uint32_t)c->batch;
        kp_batch *b = make_batch(node, me, n);
        char text[24];
        int len;

        if (!b) {
            kp->fail(node, "out of memory");
            return;
        }
        me->at += n;
        len = snprintf(text, sizeof text, "%zu", me->at);
        kp->submit(me->lane, b, &(kp_position){{text, (size_t)len}, 0}, NULL);
    }
    if (me->lane && me->at >= c->records.count) {
        kp->lane_close(me->lane);
        me->lane = NULL;
        kp->ended(node);
    }
}

static kp_status list_open(kp_node *node, const void *config, void *state)
{
    struct list_state *me = state;

    me->config = config;
    me->lua = kp->extension("lua/1");
    return me->lua ? KP_OK : kp->fail(node, "this host has no lua/1");
}

static kp_status list_start(kp_node *node, void *state)
{
    struct list_state *me = state;
    kp_position start;
    char digits[24];

    me->lane = kp->lane_open(node, me->config->lane, NULL, &start);
    snprintf(digits, sizeof digits, "%.*s", (int)(start.text.len < 23 ? start.text.len : 23),
             start.text.len ? start.text.ptr : "");
    me->at = strtoull(digits, NULL, 10);
    send(node, me);
    return KP_OK;
}

static void list_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)lane, (void)lane_state;
    send(node, state);
}

static void list_stop(kp_node *node, void *state)
{
    (void)node;
    ((struct list_state *)state)->stopped = true;
}

const kp_element basic_list = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_BOUNDED | KP_SINGLETON,
    .name = "list",
    .help = "gives the records that are written in the pipeline file, for tests",
    .options = list_options,
    .config_size = sizeof(struct list_config),
    .state_size = sizeof(struct list_state),
    .open = list_open,
    .start = list_start,
    .wake = list_wake,
    .stop = list_stop,
};
