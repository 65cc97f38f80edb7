/* config_shelf.h - plans for the tests of core/config: a few elements that exist only here.
 *
 * Owned by: the test.   Threads: the test's only.
 */
#ifndef KPIPE_TESTS_CONFIG_SHELF_H
#define KPIPE_TESTS_CONFIG_SHELF_H

#include <kpipe/plugin.h>

#include "core/config/catalog.h"
#include "core/config/plan.h"

/* What the options of the source, the transform and the sink are read into. */
struct shelf_config {
    const char *text;
    int64_t number;
    double ratio;
    bool flag;
    int64_t bytes, duration_ms;
    int choice;
    const char *secret;
    kp_list list;
    kp_map map;
    const kp_function *function;
    kp_value value;
    const kp_resource *stream;
    struct {
        int64_t records, wait_ms;
    } batch;
};

/* Elements: source "numbers" (nothing required), "feed" (a stream is required), transforms "each"
 * (a function is required) and "anything" (all types of options), sinks "drain" and "collect". */
extern const struct catalog shelf_catalog;

/* Loads a file with this text; NULL with all lines in *ret_problems [static buffer]. */
struct plan *shelf_load(const char *text, const char **ret_problems);
struct plan *shelf_load_with(const char *text, const struct plan_options *options,
                             const char **ret_problems);
/* The path the last text was written to. */
const char *shelf_path(void);

/* A pipeline with the transform `stage` ("k.transform.each { ... }") in it; fails the test when it
 * has problems. */
struct plan *shelf_with_stage(const char *stage);
/* The problems of such a pipeline; fails the test when there are none. */
const char *shelf_problems(const char *stage);
const struct shelf_config *shelf_stage(const struct plan *plan);

#endif
