/* fuzz_config_file.c - any text as a pipeline file: it is loaded or refused with problems, never
 * both, and what is loaded can be shown and drawn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/config/catalog.h"
#include "core/config/plan.h"

struct config {
    int64_t number, bytes, duration_ms;
    int choice;
    kp_list list;
    kp_map map;
    const kp_function *function;
    kp_value value;
    const kp_resource *stream;
};

static const kp_option rows[] = {
    {"number", KP_T_INT, offsetof(struct config, number), "7", "1..100", "", NULL},
    {"size", KP_T_BYTES, offsetof(struct config, bytes), "5MiB", "1KiB..1GiB", "", NULL},
    {"wait", KP_T_DURATION, offsetof(struct config, duration_ms), "30s", "1s..15m", "", NULL},
    {"mode", KP_T_ENUM, offsetof(struct config, choice), "none", "none|gzip", "", NULL},
    {"list", KP_T_LIST, offsetof(struct config, list), KP_OPTIONAL, NULL, "", NULL},
    {"map", KP_T_MAP, offsetof(struct config, map), KP_OPTIONAL, NULL, "", NULL},
    {"each", KP_T_FUNCTION, offsetof(struct config, function), KP_OPTIONAL, NULL, "", NULL},
    {"key", KP_T_VALUE, offsetof(struct config, value), KP_OPTIONAL, NULL, "", NULL},
    {"stream", KP_T_RESOURCE, offsetof(struct config, stream), KP_OPTIONAL, "stream", "", NULL},
    {0},
};

static const kp_element elements[] = {
    {.size = sizeof(kp_element),
     .kind = KP_SOURCE,
     .name = "a",
     .options = rows,
     .config_size = sizeof(struct config)},
    {.size = sizeof(kp_element),
     .kind = KP_TRANSFORM,
     .name = "b",
     .options = rows,
     .config_size = sizeof(struct config)},
    {.size = sizeof(kp_element),
     .kind = KP_SINK,
     .name = "c",
     .options = rows,
     .config_size = sizeof(struct config)},
};

static const kp_element *find(void *arg, kp_kind kind, const char *name, struct error *err)
{
    (void)arg, (void)err;
    for (size_t i = 0; i < 3; i++)
        if (elements[i].kind == kind && !strcmp(elements[i].name, name))
            return &elements[i];
    return NULL;
}

static void each(void *arg, void (*fn)(void *, const kp_element *), void *fn_arg)
{
    (void)arg;
    for (size_t i = 0; i < 3; i++)
        fn(fn_arg, &elements[i]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct catalog catalog = {NULL, find, each, NULL};
    static const struct plan_set sets[] = {{"Number", "5"}};
    struct plan_options options = {
        .catalog = &catalog, .sets = sets, .n_sets = 1, .load_ms = 50, .load_bytes = 4 << 20};
    char path[64], *problems = NULL;
    size_t len;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FILE *out = open_memstream(&problems, &len);
    struct plan *plan;

    if (fd < 0 || !out || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    plan = plan_load(path, &options, out);
    fflush(out);
    if (!plan == !len)
        abort();
    if (plan) {
        plan_show(plan, false, out);
        plan_show(plan, true, out);
        plan_graph(plan, GRAPH_TEXT, out);
        plan_graph(plan, GRAPH_DOT, out);
    }
    plan_free(plan);
    fclose(out);
    free(problems);
    close(fd);
    return 0;
}
