/* fuzz_lua_record.c - any bytes as a record and as an event: what a function leaves alone comes
 * back as it was, and what it writes is JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/config/catalog.h"
#include "core/config/lua_run.h"
#include "core/config/plan.h"
#include "sdk/wire/json.h"

static const char file[] =
    "local k = require 'kpipe'\n"
    "return { kpipe = 1, name = 'x', flows = { main = { k.source.a {}, k.transform.b {\n"
    "  look = function(e) local n = 0 for name, v in pairs(e) do\n"
    "    if type(v) == 'table' then n = n + #v end end return e end,\n"
    "  change = function(e) for name, v in pairs(e) do e[name] = v end e.new = { 1 } return e "
    "end,\n"
    "  handle = function(e) return e end,\n"
    "}, k.sink.c {} } } }\n";

struct config {
    const kp_function *look, *change, *handle;
};

static const kp_option rows[] = {
    {"look", KP_T_FUNCTION, offsetof(struct config, look), KP_REQUIRED, NULL, "", NULL},
    {"change", KP_T_FUNCTION, offsetof(struct config, change), KP_REQUIRED, NULL, "", NULL},
    {"handle", KP_T_FUNCTION, offsetof(struct config, handle), KP_REQUIRED, NULL, "", NULL},
    {0},
};
static const kp_option none[] = {{0}};

static const kp_element elements[] = {
    {.size = sizeof(kp_element), .kind = KP_SOURCE, .name = "a", .options = none},
    {.size = sizeof(kp_element),
     .kind = KP_TRANSFORM,
     .name = "b",
     .options = rows,
     .config_size = sizeof(struct config)},
    {.size = sizeof(kp_element), .kind = KP_SINK, .name = "c", .options = none},
};

static const kp_element *find(void *arg, kp_kind kind, const char *name, struct error *err)
{
    (void)arg, (void)err, (void)name;
    return kind >= KP_SOURCE && kind <= KP_SINK ? &elements[kind - KP_SOURCE] : NULL;
}

static void each(void *arg, void (*fn)(void *, const kp_element *), void *fn_arg)
{
    (void)arg, (void)fn, (void)fn_arg;
}

static const struct plan *load(void)
{
    static const struct catalog catalog = {NULL, find, each, NULL};
    struct plan_options options = {.catalog = &catalog};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct plan *plan;
    char path[64];

    if (fd < 0 || write(fd, file, sizeof file - 1) != sizeof file - 1)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    plan = plan_load(path, &options, stderr);
    close(fd);
    if (!plan)
        abort();
    return plan;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct plan *plan;
    static struct lua_run *run;
    const struct config *config;
    kp_record record = {.data = (const char *)data, .data_len = (uint32_t)size};
    kp_batch b = {.size = sizeof b, .record_size = sizeof record, .count = 1, .records = &record};
    bool valid = kpw_json_valid(data, size);
    kp_lua_result result;
    kp_slice ret;

    if (!plan) {
        plan = load();
        run = lua_run_new(0);
    }
    config = plan->flows[0].nodes[1].config;
    result = lua_run_record(run, config->look, &b, 0, &ret);
    if (result != KP_LUA_ERROR && (result != KP_LUA_SAME || !valid))
        abort();
    result = lua_run_record(run, config->change, &b, 0, &ret);
    if (result == KP_LUA_TEXT && !kpw_json_valid(ret.ptr, ret.len))
        abort();
    result =
        lua_run_handler(run, config->handle, (kp_slice){record.data, size}, (kp_slice){0}, 0, &ret);
    if (result == KP_LUA_TEXT && (!valid || !kpw_json_valid(ret.ptr, ret.len)))
        abort();
    return 0;
}
