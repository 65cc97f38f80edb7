/* config_shelf.c - see config_shelf.h. */
#include "tests/unit/config_shelf.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "tests/kptest.h"

#define AT(member) offsetof(struct shelf_config, member)

static const kp_option no_rows[] = {{0}};

static const kp_option batch_rows[] = {
    {"records", KP_T_INT, 0, "100", "1..10000", "most records", NULL},
    {"wait", KP_T_DURATION, AT(batch.wait_ms) - AT(batch), "1s", "0ms..5m", "longest wait", NULL},
    {0},
};

static const kp_option feed_rows[] = {
    {"stream", KP_T_RESOURCE, AT(stream), KP_REQUIRED, "stream", "what is read", NULL},
    {"start", KP_T_ENUM, AT(choice), "latest", "latest|trim-horizon", "where it begins", NULL},
    {"batch", KP_T_GROUP, AT(batch), KP_OPTIONAL, NULL, "how much at once", batch_rows},
    {0},
};

static const kp_option each_rows[] = {
    {"each", KP_T_FUNCTION, AT(function), KP_REQUIRED, NULL, "called with every record", NULL},
    {0},
};

static const kp_option anything_rows[] = {
    {"text", KP_T_STRING, AT(text), KP_OPTIONAL, NULL, "", NULL},
    {"number", KP_T_INT, AT(number), "7", "1..100", "", NULL},
    {"ratio", KP_T_NUMBER, AT(ratio), "0.5", "0..1", "", NULL},
    {"flag", KP_T_BOOL, AT(flag), "true", NULL, "", NULL},
    {"size", KP_T_BYTES, AT(bytes), "5MiB", "1KiB..1GiB", "", NULL},
    {"interval", KP_T_DURATION, AT(duration_ms), "30s", "1s..15m", "", NULL},
    {"compression", KP_T_ENUM, AT(choice), "none", "none|gzip|zip", "", NULL},
    {"password", KP_T_SECRET, AT(secret), KP_OPTIONAL, NULL, "", NULL},
    {"command", KP_T_LIST, AT(list), KP_OPTIONAL, NULL, "", NULL},
    {"headers", KP_T_MAP, AT(map), KP_OPTIONAL, NULL, "", NULL},
    {"handler", KP_T_FUNCTION, AT(function), KP_OPTIONAL, NULL, "", NULL},
    {"key", KP_T_VALUE, AT(value), KP_OPTIONAL, NULL, "", NULL},
    {"stream", KP_T_RESOURCE, AT(stream), KP_OPTIONAL, "stream", "", NULL},
    {"batch", KP_T_GROUP, AT(batch), KP_OPTIONAL, NULL, "", batch_rows},
    {0},
};

static const kp_option collect_rows[] = {
    {"stream", KP_T_RESOURCE, AT(stream), KP_OPTIONAL, "stream", "what is written", NULL},
    {"key", KP_T_VALUE, AT(value), KP_OPTIONAL, NULL, "partition key", NULL},
    {0},
};

static const kp_element elements[] = {
    {.size = sizeof(kp_element),
     .kind = KP_SINK,
     .name = "collect",
     .help = "keeps records",
     .options = collect_rows,
     .config_size = sizeof(struct shelf_config)},
    {.size = sizeof(kp_element),
     .kind = KP_SINK,
     .flags = KP_OWN_RETRY | KP_NONDETERMINISTIC,
     .name = "drain",
     .help = "drops records",
     .options = no_rows,
     .config_size = sizeof(struct shelf_config)},
    {.size = sizeof(kp_element),
     .kind = KP_SOURCE,
     .flags = KP_STREAM,
     .name = "feed",
     .help = "reads a stream",
     .options = feed_rows,
     .config_size = sizeof(struct shelf_config)},
    {.size = sizeof(kp_element),
     .kind = KP_SOURCE,
     .flags = KP_BOUNDED,
     .name = "numbers",
     .help = "counts",
     .options = no_rows,
     .config_size = sizeof(struct shelf_config)},
    {.size = sizeof(kp_element),
     .kind = KP_TRANSFORM,
     .name = "anything",
     .help = "has an option of every type",
     .options = anything_rows,
     .config_size = sizeof(struct shelf_config)},
    {.size = sizeof(kp_element),
     .kind = KP_TRANSFORM,
     .name = "each",
     .help = "calls a function",
     .options = each_rows,
     .config_size = sizeof(struct shelf_config)},
};

static const kp_element *find(void *arg, kp_kind kind, const char *name, struct error *err)
{
    (void)arg;
    if (!strcmp(name, "too-new"))
        error_set(err, ERROR_CONFIG, "too-new.so speaks ABI 2.0, this kpipe 1.0");
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].kind == kind && !strcmp(elements[i].name, name))
            return &elements[i];
    return NULL;
}

static void each(void *arg, void (*fn)(void *, const kp_element *), void *fn_arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        fn(fn_arg, &elements[i]);
}

/* A rule that rows cannot say. */
static bool validate(void *arg, const kp_element *element, const char *stage, const void *config,
                     struct error *err)
{
    const struct shelf_config *c = config;

    (void)arg, (void)stage;
    if (strcmp(element->name, "anything") || c->number != 13)
        return true;
    error_set(err, ERROR_CONFIG, "13 is no good number");
    return false;
}

const struct catalog shelf_catalog = {NULL, find, each, validate};

const char *shelf_path(void)
{
    static char path[300];

    if (!*path)
        snprintf(path, sizeof path, "%s/file.lua", kptest_dir());
    return path;
}

struct plan *shelf_load_with(const char *text, const struct plan_options *options,
                             const char **ret_problems)
{
    static char problems[200000];
    FILE *file = fopen(shelf_path(), "we");
    FILE *out = fmemopen(problems, sizeof problems, "w");
    struct plan *plan;

    REQUIRE(file != NULL);
    REQUIRE(out != NULL);
    fputs(text, file);
    fclose(file);
    problems[0] = '\0';
    plan = plan_load(shelf_path(), options, out);
    fclose(out);
    *ret_problems = problems;
    return plan;
}

struct plan *shelf_load(const char *text, const char **ret_problems)
{
    struct plan_options options = {.catalog = &shelf_catalog, .local = true};

    return shelf_load_with(text, &options, ret_problems);
}

static struct plan *load_stage(const char *stage, const char **ret_problems)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct plan *plan;

    REQUIRE(out != NULL);
    fprintf(out,
            "local k = require \"kpipe\"\n"
            "return { kpipe = 1, name = \"test\", flows = { main = { k.source.numbers {}, %s,\n"
            "k.sink.collect {} } } }\n",
            stage);
    fclose(out);
    plan = shelf_load(text, ret_problems);
    free(text);
    return plan;
}

struct plan *shelf_with_stage(const char *stage)
{
    const char *problems;
    struct plan *plan = load_stage(stage, &problems);

    if (!plan)
        fprintf(stderr, "%s", problems);
    REQUIRE(plan != NULL);
    return plan;
}

const char *shelf_problems(const char *stage)
{
    const char *problems;
    struct plan *plan = load_stage(stage, &problems);

    CU_ASSERT_PTR_NULL(plan);
    plan_free(plan);
    return problems;
}

const struct shelf_config *shelf_stage(const struct plan *plan)
{
    return plan->flows[0].nodes[1].config;
}
