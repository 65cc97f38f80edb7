/* transforms.c - transforms lua, filter and meter. */
#include <kpipe/ext/json.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/timer.h>
#include <string.h>

#include "plugins/basic/basic.h"

/* ---- lua */

struct lua_config {
    const kp_function *each;
};

struct lua_state {
    const struct lua_config *config;
    const kp_lua_ext *lua;
};

static const kp_option lua_options[] = {
    {"each", KP_T_FUNCTION, offsetof(struct lua_config, each), KP_REQUIRED, NULL,
     "called with every record: nil drops it, true or the record keeps it, text replaces it", NULL},
    {0},
};

static kp_status lua_open(kp_node *node, const void *config, void *state)
{
    *(struct lua_state *)state = (struct lua_state){config, kp->extension("lua/1")};
    return ((struct lua_state *)state)->lua ? KP_OK : kp->fail(node, "this host has no lua/1");
}

static kp_status lua_process(kp_node *node, void *state, kp_batch *b)
{
    const struct lua_state *me = state;

    b = kp->writable(b);
    if (!b)
        return kp->fail(node, "out of memory");
    for (uint32_t i = 0; i < b->count; i++) {
        kp_slice ret;

        switch (me->lua->record(node, me->config->each, b, i, &ret)) {
        case KP_LUA_SAME: break;
        case KP_LUA_NIL: kp->filter(b, i); break;
        case KP_LUA_TEXT:
            if (!kp->set(b, i, ret.ptr, ret.len))
                kp->retry(b, i, 0, "out of memory");
            break;
        default: kp->reject(b, i, "%.*s", (int)ret.len, ret.ptr); break;
        }
    }
    kp->emit(node, b);
    return KP_OK;
}

const kp_element basic_lua = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .name = "lua",
    .help = "runs a function of the pipeline file on every record",
    .options = lua_options,
    .config_size = sizeof(struct lua_config),
    .state_size = sizeof(struct lua_state),
    .open = lua_open,
    .process = lua_process,
};

/* ---- filter */

struct filter_config {
    kp_value keep;
};

struct filter_state {
    const struct filter_config *config;
    const kp_lua_ext *lua;
    const kp_json_ext *json;
};

static const kp_option filter_options[] = {
    {"keep", KP_T_VALUE, offsetof(struct filter_config, keep), KP_REQUIRED, NULL,
     "a function of the record, or k.field \"$.path\": false, nil, null and missing drop it", NULL},
    {0},
};

static kp_status filter_validate(kp_node *node, const void *config)
{
    const struct filter_config *c = config;

    if (c->keep.kind != KP_V_FIELD && c->keep.kind != KP_V_FUNCTION)
        return kp->fail(node, "keep is a function or k.field \"$.path\", a text says nothing "
                              "about a record");
    return KP_OK;
}

static kp_status filter_open(kp_node *node, const void *config, void *state)
{
    struct filter_state *me = state;

    *me = (struct filter_state){config, kp->extension("lua/1"), kp->extension("json/1")};
    if (!me->lua || !me->json)
        return kp->fail(node, "this host has no lua/1 or no json/1");
    return KP_OK;
}

/* The field as Lua sees truth: 0 and "" are true. */
static bool field_is_true(const struct filter_state *me, const kp_record *record)
{
    kp_slice raw;
    kp_json_type type =
        me->json->find((kp_slice){record->data, record->data_len}, me->config->keep.text, &raw);

    if (type == KP_JSON_BOOL)
        return raw.len == 4; /* true */
    return type != KP_JSON_MISSING && type != KP_JSON_NULL;
}

static kp_status filter_process(kp_node *node, void *state, kp_batch *b)
{
    const struct filter_state *me = state;

    for (uint32_t i = 0; i < b->count; i++) {
        kp_slice ret;
        kp_lua_result result;

        if (me->config->keep.kind == KP_V_FIELD) {
            if (!field_is_true(me, kp_at(b, i)))
                kp->filter(b, i);
            continue;
        }
        result = me->lua->record(node, me->config->keep.fn, b, i, &ret);
        if (result == KP_LUA_NIL)
            kp->filter(b, i);
        else if (result == KP_LUA_ERROR)
            kp->reject(b, i, "%.*s", (int)ret.len, ret.ptr);
    }
    kp->emit(node, b);
    return KP_OK;
}

const kp_element basic_filter = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .name = "filter",
    .help = "keeps the records a function or a field says yes to",
    .options = filter_options,
    .config_size = sizeof(struct filter_config),
    .state_size = sizeof(struct filter_state),
    .validate = filter_validate,
    .open = filter_open,
    .process = filter_process,
};

/* ---- meter */

struct meter_config {
    int64_t every_ms;
};

struct meter_state {
    const kp_timer_ext *timers;
    int64_t since_ms;
    uint64_t records, bytes; /* since since_ms */
    uint64_t all_records, all_bytes;
};

static const kp_option meter_options[] = {
    {"every", KP_T_DURATION, offsetof(struct meter_config, every_ms), "1s", "100ms..1h",
     "how often a line with records/s and MB/s is logged", NULL},
    {0},
};

static void meter_tell(kp_node *node, void *arg)
{
    struct meter_state *me = arg;
    int64_t now = kp->now_ms(), took = now - me->since_ms;

    if (took > 0 && me->records)
        kp->log(node, KP_LOG_INFO, "meter.measured",
                "records_per_s=%.0f mb_per_s=%.2f records=%llu bytes=%llu",
                (double)me->records * 1e3 / (double)took, (double)me->bytes / 1e3 / (double)took,
                (unsigned long long)me->all_records, (unsigned long long)me->all_bytes);
    me->since_ms = now;
    me->records = me->bytes = 0;
}

static kp_status meter_open(kp_node *node, const void *config, void *state)
{
    struct meter_state *me = state;
    const struct meter_config *c = config;

    me->timers = kp->extension("timer/1");
    if (!me->timers)
        return kp->fail(node, "this host has no timer/1");
    me->since_ms = kp->now_ms();
    me->timers->start(me->timers->create(node, meter_tell, me), c->every_ms, c->every_ms);
    return KP_OK;
}

static kp_status meter_process(kp_node *node, void *state, kp_batch *b)
{
    struct meter_state *me = state;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < b->count; i++)
        bytes += kp_at(b, i)->data_len;
    me->records += b->count;
    me->all_records += b->count;
    me->bytes += bytes;
    me->all_bytes += bytes;
    kp->count(node, "meter_bytes", (int64_t)bytes);
    kp->emit(node, b);
    return KP_OK;
}

static void meter_close(kp_node *node, void *state)
{
    meter_tell(node, state); /* the rest since the last line */
}

const kp_element basic_meter = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .name = "meter",
    .help = "measures what passes and logs records/s and MB/s",
    .options = meter_options,
    .config_size = sizeof(struct meter_config),
    .state_size = sizeof(struct meter_state),
    .open = meter_open,
    .process = meter_process,
    .close = meter_close,
};
