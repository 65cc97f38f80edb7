/* host.c - the harness as a kp_host: the table and its small rows.
 *
 * Rows that make memory count down to the allocation that shall fail; the rest
 * are core/run/batch.h as they are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/slab.h"
#include "core/config/lua_run.h"
#include "core/run/extensions.h"
#include "sdk/harness/internal.h"

struct harness *harness_current;

bool harness_alloc_fails(struct harness *h)
{
    return h && h->fail_alloc > 0 && --h->fail_alloc == 0;
}

/* ---- services */

static void log_row(kp_node *node, int level, const char *event, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    struct harness *h = node ? harness_of(node) : harness_current;
    char text[1000], *line;
    va_list args;
    size_t len;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!h)
        return;
    line = mem_fmt("%s %s %s\n", names[level & 3], event, text);
    len = strlen(line);
    h->log = mem_grow(h->log, h->log_len + len + 1);
    memcpy(h->log + h->log_len, line, len + 1);
    h->log_len += len;
    if (getenv("KPIPE_HARNESS_LOG"))
        fputs(line, stderr);
    free(line);
}

const char *harness_log(const struct harness *h)
{
    return h->log ? h->log : "";
}

static kp_status fail_row(kp_node *node, const char *fmt, ...)
{
    struct harness *h = harness_of(node);
    char text[1000];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!h->failed) /* the first reason counts */
        h->failed = mem_dup(text);
    return KP_FATAL;
}

static const kp_info *info_row(kp_node *node)
{
    return &harness_of(node)->info;
}

static void count_row(kp_node *node, const char *name, int64_t by)
{
    harness_counter_add(&harness_of(node)->counters, name, by);
}

int64_t harness_counter(const struct harness *h, const char *name)
{
    const int64_t *value = harness_counter_find(&h->counters, name);

    return value ? *value : 0;
}

static void ended_row(kp_node *node)
{
    struct harness *h = harness_of(node);

    if (h->ended)
        harness_complain("ended() was called twice");
    h->ended = true;
}

static void caught_up_row(kp_node *node)
{
    harness_of(node)->caught_up = true;
}

static void ready_row(kp_node *node, const char *url)
{
    struct harness *h = harness_of(node);

    free(h->url);
    h->url = mem_dup(url ? url : "");
}

/* ---- extensions */

static kp_lua_result lua_record_row(kp_node *node, const kp_function *fn, const kp_batch *b,
                                    uint32_t i, kp_slice *ret)
{
    return lua_run_record(harness_of(node)->lua, fn, b, i, ret);
}

static kp_lua_result lua_handler_row(kp_node *node, const kp_function *fn, kp_slice event,
                                     kp_slice context, int64_t time_ms, kp_slice *ret)
{
    return lua_run_handler(harness_of(node)->lua, fn, event, context, time_ms, ret);
}

static kp_lua_result lua_value_row(kp_node *node, const kp_value *value, const kp_batch *b,
                                   uint32_t i, kp_slice *ret)
{
    return lua_run_value(harness_of(node)->lua, value, b, i, ret);
}

static const kp_lua_ext lua_ext = {sizeof lua_ext, lua_record_row, lua_handler_row, lua_value_row};

static const void *extension_row(const char *name)
{
    static const struct {
        const char *name;
        const void *table;
    } extensions[] = {
        {"http/1", &harness_http_ext},
        {"aws/1", &harness_aws_ext},
        {"timer/1", &harness_timer_ext},
        {"server/1", &harness_server_ext},
        {"lua/1", &lua_ext},
        {"json/1", &json_extension},
    };

    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if (!strcmp(name, extensions[i].name))
            return extensions[i].table;
    return NULL;
}

/* ---- memory */

static kp_slab *slab_new_row(kp_node *node, size_t capacity)
{
    struct harness *h = harness_of(node);
    size_t drawn = capacity < h->reserved ? capacity : h->reserved;

    if (harness_alloc_fails(h))
        return NULL;
    h->reserved -= drawn;
    budget_force(&h->budget, capacity);
    return slab_new(&h->budget, capacity);
}

static char *slab_data_row(kp_slab *slab)
{
    return slab->data;
}

static kp_batch *batch_new_row(kp_node *node, uint32_t expected)
{
    struct harness *h = harness_of(node);

    return batch_new(&h->budget, &h->own_lane, expected);
}

static kp_record *append_row(kp_batch *b, uint32_t n)
{
    return harness_alloc_fails(harness_current) ? NULL : batch_append(b, n);
}

static char *alloc_row(kp_batch *b, size_t bytes)
{
    return harness_alloc_fails(harness_current) ? NULL : batch_alloc(b, bytes);
}

static bool set_row(kp_batch *b, uint32_t i, const char *data, size_t len)
{
    return !harness_alloc_fails(harness_current) && batch_set(b, i, data, len);
}

static bool set_key_row(kp_batch *b, uint32_t i, const char *key, size_t len)
{
    return !harness_alloc_fails(harness_current) && batch_set_key(b, i, key, len);
}

static kp_record *move_row(kp_batch *out, kp_batch *src, uint32_t i)
{
    return harness_alloc_fails(harness_current) ? NULL : batch_move(out, src, i);
}

static kp_record *derive_row(kp_batch *out, kp_batch *src, uint32_t i)
{
    return harness_alloc_fails(harness_current) ? NULL : batch_derive(out, src, i);
}

static kp_group *group_new_row(kp_node *node)
{
    (void)node;
    return group_new();
}

const kp_host harness_host = {
    .size = sizeof(kp_host),
    .abi_major = KP_ABI_MAJOR,
    .abi_minor = KP_ABI_MINOR,
    .log = log_row,
    .now_ms = clock_mono_ms,
    .wall_ms = clock_wall_ms,
    .extension = extension_row,
    .info = info_row,
    .fail = fail_row,
    .lane_open = harness_lane_open,
    .lane_close = harness_lane_close,
    .lane_ready = harness_lane_ready,
    .reserve = harness_reserve,
    .unreserve = harness_unreserve,
    .submit = harness_submit,
    .ended = ended_row,
    .caught_up = caught_up_row,
    .slab_new = slab_new_row,
    .slab_data = slab_data_row,
    .slab_ref = slab_ref,
    .slab_unref = slab_unref,
    .batch_new = batch_new_row,
    .append = append_row,
    .keep = batch_keep,
    .alloc = alloc_row,
    .ref = batch_ref,
    .release = harness_release,
    .writable = batch_writable,
    .set = set_row,
    .point = batch_point,
    .set_key = set_key_row,
    .set_type = batch_set_type,
    .move = move_row,
    .derive = derive_row,
    .group_new = group_new_row,
    .group_take = group_take,
    .group_count = group_count,
    .append_group = batch_append_group,
    .group_free = group_free,
    .deliver = batch_deliver,
    .deliver_all = batch_deliver_all,
    .filter = batch_filter,
    .reject = batch_reject,
    .reject_with = batch_reject_with,
    .retry = batch_retry,
    .emit = harness_emit,
    .done = harness_done,
    .work = harness_work,
    .ready = ready_row,
    .count = count_row,
    .lane_about = harness_lane_about,
    .lane_offer = harness_lane_offer,
    .lanes_offered = harness_lanes_offered,
    .lane_count = harness_lane_count,
    .lane_gauge = harness_lane_gauge,
    .lane_prepare = harness_lane_prepare,
    .lane_pending = harness_lane_pending,
};
