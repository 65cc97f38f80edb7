/* test_config_coordination.c - how a pipeline shares its lease table, as the plan has it.
 *
 * The texts of errors are in tests/golden/config/coordination.lua. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kptest.h"
#include "tests/unit/config_shelf.h"

#define BEGIN "local k = require 'kpipe'\n"

static struct plan *load_text(const char *text)
{
    const char *problems;
    struct plan *plan = shelf_load(text, &problems);

    if (!plan)
        fprintf(stderr, "%s", problems);
    REQUIRE(plan != NULL);
    return plan;
}

static void refuses(const char *text, const char *part)
{
    const char *problems;
    struct plan *plan = shelf_load(text, &problems);

    CU_ASSERT_PTR_NULL(plan);
    if (!strstr(problems, part))
        fprintf(stderr, "no '%s' in:\n%s", part, problems);
    YES(strstr(problems, part) != NULL);
    plan_free(plan);
}

static struct plan *load_with(const char *members)
{
    char text[1000];

    snprintf(text, sizeof text,
             BEGIN "return { kpipe = 1, name = 'test', %s,\n flows = { main = {"
                   " k.source.numbers {}, k.sink.collect {} } } }\n",
             members);
    return load_text(text);
}

static void refuses_with(const char *members, const char *part)
{
    char text[1000];

    snprintf(text, sizeof text,
             BEGIN "return { kpipe = 1, name = 'test', %s,\n flows = { main = {"
                   " k.source.numbers {}, k.sink.collect {} } } }\n",
             members);
    refuses(text, part);
}

TEST(coordination_that_is_left_out_is_that_of_kcl)
{
    struct plan *plan = load_with("checkpoint_interval = '1s'");
    const struct plan_coordination *c = &plan->coordination;

    EQ_INT(c->layout, PLAN_LAYOUT_AUTO);
    EQ_INT(c->failover_ms, 10000);
    EQ_INT(c->hand_over_ms, 30000);
    EQ_INT(c->max_leases, 0);
    EQ_INT(c->max_steals, 1);
    NO(c->by_count);
    CU_ASSERT_PTR_NULL(c->worker);
    plan_free(plan);
}

TEST(a_coordination_that_says_one_thing_has_the_other_defaults)
{
    struct plan *plan = load_with("coordination = { failover_time = '20s' }");

    EQ_INT(plan->coordination.failover_ms, 20000);
    EQ_INT(plan->coordination.hand_over_ms, 30000);
    EQ_INT(plan->coordination.max_steals, 1);
    plan_free(plan);
}

TEST(all_of_coordination_arrives)
{
    struct plan *plan = load_with(
        "coordination = { layout = 'kcl3-tables', failover_time = '1m',"
        " graceful_lease_handoff_timeout = '5s', max_leases_for_worker = 7,"
        " max_leases_to_steal_at_one_time = 3, lease_assignment_strategy = 'lease-count-based',"
        " worker_identifier = 'pod-' .. 3 }");
    const struct plan_coordination *c = &plan->coordination;

    EQ_INT(c->layout, PLAN_LAYOUT_KCL3_TABLES);
    EQ_INT(c->failover_ms, 60000);
    EQ_INT(c->hand_over_ms, 5000);
    EQ_INT(c->max_leases, 7);
    EQ_INT(c->max_steals, 3);
    YES(c->by_count);
    EQ_STR(c->worker, "pod-3");
    plan_free(plan);
}

TEST(every_layout_has_its_number)
{
    static const char *const names[] = {"auto", "kcl2", "kcl3-tables", "kcl3-single"};

    for (int i = 0; i < 4; i++) {
        char members[80];
        struct plan *plan;

        snprintf(members, sizeof members, "coordination = { layout = '%s' }", names[i]);
        plan = load_with(members);
        EQ_INT(plan->coordination.layout, i);
        plan_free(plan);
    }
}

TEST(a_worker_has_a_name_that_everybody_can_print)
{
    char members[400];

    refuses_with("coordination = { worker_identifier = '' }",
                 "file.lua:2: coordination.worker_identifier: is of 1 to 255 visible ASCII");
    refuses_with("coordination = { worker_identifier = 'a b' }", "without spaces, got \"a b\"");
    refuses_with("coordination = { worker_identifier = '\\xff' }", "visible ASCII");
    snprintf(members, sizeof members, "coordination = { worker_identifier = ('x'):rep(255) }");
    plan_free(load_with(members));
    refuses_with("coordination = { worker_identifier = ('x'):rep(256) }", "1 to 255");
}

TEST(progress_is_kept_in_a_table_a_file_or_nowhere)
{
    struct plan *plan = load_with("leases = 'none'");

    EQ_STR(plan->leases, "none");
    plan_free(plan);
    refuses_with("leases = 'file:'", "must be \"dynamodb\", \"file:PATH\" or \"none\"");
    refuses_with("leases = 'dynamo'", "did you mean \"dynamodb\"?");
}

TEST(a_flow_has_the_table_a_kcl_application_would_have)
{
    struct plan *plan =
        load_text(BEGIN "local s = k.resource.stream { name = 's', shards = 1 }\n return { kpipe = "
                        "1, name = 'test', application = 'app', flows = {"
                        " fill = { k.source.numbers {}, k.sink.collect {} },"
                        " first = { k.source.feed { stream = s }, k.sink.collect {} },"
                        " second = { k.source.feed { stream = s }, k.sink.collect {} } } }\n");
    static const char *const names[] = {"app-fill", "app", "app-second"};

    for (size_t i = 0; i < 3; i++) {
        char *name = plan_lease_table(plan, i);

        EQ_STR(name, names[i]);
        free(name);
    }
    plan_free(plan);
}

TEST(a_lease_table_has_a_name_that_dynamodb_takes)
{
#define STREAM_OF(members)                                                                        \
    BEGIN "local s = k.resource.stream { name = 's', shards = 1 }\n return { kpipe = 1, " members \
          ", flows = { main = { k.source.feed { stream = s }, k.sink.collect {} } } }\n"
    char text[1000], longest[256];

    refuses(STREAM_OF("name = 'ab'"), "name: the lease table of flow 'main' would be called 'ab'");
    refuses(STREAM_OF("name = 'test', application = 'ab'"),
            "application: the lease table of flow 'main' would be called 'ab'");
    plan_free(load_text(STREAM_OF("name = 'abc'")));
    plan_free(load_text(STREAM_OF("name = 'ab', leases = 'none'")));
    plan_free(load_text(STREAM_OF("name = 'ab', leases = 'file:x'")));
    plan_free(load_text(BEGIN "return { kpipe = 1, name = 'ab', flows = { main = {"
                              " k.source.numbers {}, k.sink.collect {} } } }\n"));
    memset(longest, 'x', 255);
    longest[255] = '\0';
    snprintf(text, sizeof text,
             BEGIN "return { kpipe = 1, name = 'test', application = '%s', flows = { main = {"
                   " k.source.numbers {}, k.sink.collect {} } } }\n",
             longest);
    refuses(text, "DynamoDB takes 3 to 255 characters");
}
