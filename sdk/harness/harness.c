/* harness.c - see harness.h: opening and closing an element, and what must hold at its end.
 *
 * The options go the user's way: a small pipeline file is written, in which the
 * element stands between two built-in ones, and plan_load() reads it.
 */
#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/catalog.h"
#include "core/config/lua_run.h"
#include "core/config/plan.h"
#include "sdk/harness/internal.h"

#define START_MS  1700000000000 /* where every harness's clock begins */
#define END_STEPS 200           /* events fired at the end before giving up */

typedef const kp_plugin *entry_fn(const kp_host *);
extern entry_fn kpipe_plugin __attribute__((weak)); /* the plugin linked into the program */
static entry_fn *used_entry;
static uint32_t used_worker;
void (*harness_complaint)(const char *text);

void harness_use(entry_fn *entry)
{
    used_entry = entry;
}

void harness_use_worker(uint32_t worker)
{
    used_worker = worker;
}

/* ---- telling the test */

void harness_complain(const char *fmt, ...)
{
    char text[1000];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (harness_complaint)
        harness_complaint(text);
    else
        CU_assertImplementation(CU_FALSE, 0, text, "harness", "", CU_FALSE);
}

void harness_die(const char *fmt, ...)
{
    char text[2000];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    CU_assertImplementation(CU_FALSE, 0, text, "harness", "", CU_TRUE);
    bug("%s", text); /* only reached outside of a test */
}

/* ---- the element under test */

static const kp_plugin *load_so(const char *dir, const char *name)
{
    char *path = mem_fmt("%s/%s.so", dir, name);
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* kept for ever, as in the host */
    entry_fn *entry = so ? (entry_fn *)dlsym(so, "kpipe_plugin") : NULL;

    if (!entry)
        harness_die("cannot load %s: %s", path, dlerror());
    free(path);
    return entry(&harness_host);
}

static const kp_plugin *find_plugin(void)
{
    const char *dir = getenv("KPIPE_HARNESS_SO");
    entry_fn *entry = used_entry ? used_entry : kpipe_plugin;

    if (!entry)
        harness_die("no plugin is linked into this test program");
    return dir && !used_entry ? load_so(dir, entry(&harness_host)->name) : entry(&harness_host);
}

static const kp_element *find_element(const char *name, kp_kind kind)
{
    const kp_plugin *plugin = find_plugin();

    for (size_t i = 0; plugin->elements[i]; i++)
        if (plugin->elements[i]->kind == kind && !strcmp(plugin->elements[i]->name, name))
            return plugin->elements[i];
    harness_die("plugin %s has no element %s of this kind", plugin->name, name);
}

/* ---- the catalog: the element and two that complete the flow */

static const kp_option no_options[] = {{0}};
static const kp_element dummy_source = {.size = sizeof(kp_element),
                                        .kind = KP_SOURCE,
                                        .flags = KP_BOUNDED,
                                        .name = "harness-source",
                                        .help = "gives what the test feeds",
                                        .options = no_options};
static const kp_element dummy_sink = {.size = sizeof(kp_element),
                                      .kind = KP_SINK,
                                      .name = "harness-sink",
                                      .help = "takes what the element emits",
                                      .options = no_options};

struct shelf {
    struct harness *h;
    kp_element element; /* services and provisioners stand in the file as a sink */
};

static const kp_element *shelf_find(void *arg, kp_kind kind, const char *name, struct error *err)
{
    const struct shelf *shelf = arg;
    const kp_element *all[] = {&shelf->element, &dummy_source, &dummy_sink};

    (void)err;
    for (size_t i = 0; i < 3; i++)
        if (all[i]->kind == kind && !strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}

static void shelf_each(void *arg, void (*fn)(void *, const kp_element *), void *fn_arg)
{
    const struct shelf *shelf = arg;

    fn(fn_arg, &dummy_sink);
    fn(fn_arg, &dummy_source);
    fn(fn_arg, &shelf->element);
}

static bool shelf_validate(void *arg, const kp_element *element, const char *stage,
                           const void *config, struct error *err)
{
    struct harness *h = ((struct shelf *)arg)->h;

    (void)stage;
    if (!element->validate || element->validate(&h->node, config) == KP_OK)
        return true;
    error_set(err, ERROR_CONFIG, "%s", h->failed ? h->failed : "validate() gave no reason");
    return false;
}

static bool write_file(const char *path, const struct shelf *shelf, const char *options)
{
    kp_kind kind = shelf->element.kind;
    const char *table = options ? options : "{}";
    FILE *f = fopen(path, "we");
    bool ok = f;

    if (!f)
        return false;
    fputs("local k = require \"kpipe\"\nreturn { kpipe = 1, name = \"harness\", flows = { main = {",
          f);
    if (kind == KP_SOURCE)
        fprintf(f, "k.source[\"%s\"] %s,", shelf->element.name, table);
    else
        fputs("k.source[\"harness-source\"] {},", f);
    if (kind == KP_TRANSFORM)
        fprintf(f, "k.transform[\"%s\"] %s,", shelf->element.name, table);
    if (kind == KP_SINK)
        fprintf(f, "k.sink[\"%s\"] %s", shelf->element.name, table);
    else
        fputs("k.sink[\"harness-sink\"] {}", f);
    fputs("}}}\n", f);
    ok = !ferror(f);
    return fclose(f) == 0 && ok;
}

/* Reads the options; *ret_problems [owned by caller] says what is wrong with them. */
static bool load_plan(struct harness *h, const char *options, char **ret_problems)
{
    struct shelf shelf = {h, *h->element};
    struct catalog catalog = {&shelf, shelf_find, shelf_each, shelf_validate};
    struct plan_options plan_options = {.catalog = &catalog, .local = true};
    char *path = mem_fmt("%s/harness.lua", h->dir);
    size_t len;
    FILE *problems = open_memstream(ret_problems, &len);

    if (shelf.element.kind > KP_SINK)
        shelf.element.kind = KP_SINK;
    if (!problems || !write_file(path, &shelf, options))
        harness_die("cannot write %s", path);
    h->plan = plan_load(path, &plan_options, problems);
    fclose(problems);
    for (size_t i = 0; h->plan && i < h->plan->flows[0].n_nodes; i++)
        if (h->plan->flows[0].nodes[i].element == &shelf.element)
            h->config = h->plan->flows[0].nodes[i].config;
    for (size_t i = 0; h->plan && i < h->plan->flows[0].n_nodes; i++)
        if (h->plan->flows[0].nodes[i].element == &shelf.element)
            h->plan->flows[0].nodes[i].element = h->element; /* shelf ends here */
    free(path);
    return h->plan;
}

/* ---- life */

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void fill_info(struct harness *h)
{
    h->info = (kp_info){.size = sizeof h->info,
                        .worker = used_worker,
                        .n_workers = used_worker + 1,
                        .pipeline = "harness",
                        .flow = "main",
                        .stage = h->element->name,
                        .application = "harness",
                        .local = true,
                        .local_dir = h->local_dir};
    if (h->plan) {
        h->info.resources = (const kp_resource *const *)h->plan->resources;
        h->info.n_resources = h->plan->n_resources;
    }
}

static struct harness *new_harness(const char *element, kp_kind kind)
{
    const char *tmp = getenv("TMPDIR");
    char *template = mem_fmt("%s/kpharness-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    struct harness *h = mem_new(sizeof *h);

    h->node.harness = h;
    harness_current = h;
    h->element = find_element(element, kind);
    if (!mkdtemp(template))
        harness_die("cannot make a directory in $TMPDIR or /tmp");
    h->dir = template;
    h->local_dir = mem_fmt("%s/local", h->dir);
    mkdir(h->local_dir, 0700);
    h->budget.name = "harness";
    h->own_lane.harness = h;
    h->own_lane.name = mem_dup("");
    harness_feed_init(h);
    clock_fake(START_MS);
    fill_info(h);
    return h;
}

static bool open_element(struct harness *h)
{
    h->state = mem_new(h->element->state_size + 1);
    h->lua = lua_run_new(0);
    if (uv_loop_init(&h->loop))
        harness_die("no event loop");
    h->opened = true;
    fill_info(h);
    return !h->element->open || h->element->open(&h->node, h->config, h->state) == KP_OK;
}

static void close_loop(struct harness *h)
{
    int64_t end = harness_real_ms() + 5000;

    while (uv_run(&h->loop, UV_RUN_NOWAIT) && harness_real_ms() < end)
        ;
    if (uv_loop_close(&h->loop))
        harness_complain("handles were left open on the loop");
}

/* Frees everything; nothing is checked that cannot be known after a failed opening. */
static void destroy(struct harness *h)
{
    if (h->opened) {
        harness_time_fini(h);
        harness_script_fini(h);
        harness_serve_fini(h);
        close_loop(h);
    }
    harness_lanes_fini(h);
    harness_out_fini(h);
    harness_feed_fini(h);
    if (h->lua)
        lua_run_free(h->lua);
    plan_free(h->plan);
    nftw(h->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    clock_real();
    if (harness_current == h)
        harness_current = NULL;
    free(h->state);
    free(h->own_lane.name);
    harness_grants_fini(h);
    free(h->failed);
    free(h->log);
    free(h->url);
    free(h->local_dir);
    free(h->dir);
    free(h);
}

struct harness *harness_new(const char *element, kp_kind kind, const char *options)
{
    struct harness *h = new_harness(element, kind);
    char *problems = NULL;

    if (!load_plan(h, options, &problems))
        harness_die("%s", problems);
    free(problems);
    if (!open_element(h))
        harness_die("open() failed: %s", h->failed ? h->failed : "kp->fail() was not called");
    harness_pump(h);
    return h;
}

const char *harness_config_error(const char *element, kp_kind kind, const char *options)
{
    static char text[2000];
    struct harness *h = new_harness(element, kind);
    char *problems = NULL;

    text[0] = '\0';
    if (!load_plan(h, options, &problems)) {
        snprintf(text, sizeof text, "%s", problems);
    } else if (open_element(h)) {
        harness_complain("these options of %s should have been refused: %s", element, options);
        h->closing = true;
        if (h->element->close)
            h->element->close(&h->node, h->state);
    } else {
        snprintf(text, sizeof text, "%s", h->failed ? h->failed : "");
        if (h->element->close)
            h->element->close(&h->node, h->state);
    }
    free(problems);
    destroy(h);
    return text;
}

/* ---- the end */

static void drain(struct harness *h)
{
    harness_pump(h);
    harness_out_settle_rest(h);
    if (h->element->flush && !h->failed)
        harness_flush(h);
    for (int i = 0; i < END_STEPS && harness_open_records(h) && !h->failed; i++) {
        harness_out_settle_rest(h);
        if (!harness_next_timer(h))
            break;
    }
    harness_out_settle_rest(h);
    harness_pump(h);
}

static void check_end(struct harness *h)
{
    size_t open = harness_open_records(h);
    int64_t used = h->budget.used;

    if (open)
        harness_complain("%zu of %zu fed records were never settled", open, h->n_fed);
    if (used)
        harness_complain("%lld bytes of batches or slabs leaked", (long long)used);
    if (h->reserved)
        harness_complain("%zu bytes stayed reserved", h->reserved);
    if (h->failed && !h->failed_seen)
        harness_complain("the element failed: %s", h->failed);
}

void harness_free(struct harness *h)
{
    if (!h)
        return;
    harness_current = h;
    h->hold = false;
    h->fail_alloc = 0;
    h->hold_prepares = false;
    if (h->element->process)
        drain(h);
    if (h->started && !h->stopped)
        harness_stop(h);
    harness_out_settle_rest(h);
    harness_pump(h);
    h->closing = true;
    if (h->element->close)
        h->element->close(&h->node, h->state);
    harness_time_fini(h);
    check_end(h);
    destroy(h);
}

/* ---- driving sources and services */

void harness_start(struct harness *h)
{
    h->started = true;
    if (!h->element->start)
        harness_die("%s has no start()", h->element->name);
    if (h->element->start(&h->node, h->state) != KP_OK && !h->failed)
        harness_complain("start() returned KP_FATAL without kp->fail()");
    harness_pump(h);
}

void harness_stop(struct harness *h)
{
    if (h->element->stop)
        h->element->stop(&h->node, h->state);
    h->stopped = true;
    harness_pump(h);
}

void harness_catch_up(struct harness *h)
{
    h->asks_on = true;
    h->caught_up = false;
    if (h->element->catch_up)
        h->element->catch_up(&h->node, h->state);
    harness_pump(h);
}

bool harness_has_ended(const struct harness *h)
{
    return h->ended;
}

bool harness_has_caught_up(const struct harness *h)
{
    return h->caught_up && !harness_waits_for_grant(h);
}

const char *harness_url(const struct harness *h)
{
    return h->url;
}

const char *harness_failed(const struct harness *h)
{
    ((struct harness *)(uintptr_t)h)->failed_seen = true;
    return h->failed;
}

const char *harness_dir(const struct harness *h)
{
    return h->dir;
}

void harness_fail_alloc(struct harness *h, int nth)
{
    h->fail_alloc = nth;
}
