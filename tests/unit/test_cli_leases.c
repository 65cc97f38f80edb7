/* test_cli_leases.c - what `kpipe leases` prints of a table, whatever stands in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/lease_list.h"
#include "tests/kptest.h"

#define NUMBER "49658310987654321098765432109876543210987654321000018274"

/* A text that could be written to: fields of a scan are owned by it. */
#define T(text) ((char[]){text})

static struct lease rows[] = {
    {.key = T("shardId-000000000002"),
     .checkpoint = T(LEASE_TRIM_HORIZON),
     .parents = {T("shardId-000000000000"), T("shardId-000000000001")},
     .throughput = -1},
    {.key = T("shardId-000000000000"),
     .owner = T("new:2:b"),
     .checkpoint_owner = T("old:1:a"),
     .checkpoint = T(NUMBER),
     .sub = 3,
     .pending = T(NUMBER),
     .pending_sub = 9,
     .counter = 1021,
     .switches = 2,
     .low = T("0"),
     .high = T("7"),
     .throughput = 12.5},
    {.key = T("shardId-000000000001"),
     .owner = T("old:1:a"),
     .checkpoint = T(LEASE_SHARD_END),
     .children = {T("shardId-000000000002")},
     .throughput = -1},
};

static struct lease_worker workers[] = {
    {.id = T("old:1:a"), .updated_s = 997, .cpu = 12.4, .cpu_limit = 100},
    {.id = T("dead:3:c"), .updated_s = 900, .cpu = -1},
    {.id = T("odd:4:d"), .updated_s = 999, .cpu = -1, .has_failed = true},
};

static char leader[] = "old:1:a", version[] = "v", client_version[] = "CLIENT_VERSION_3X";

static struct lease_scan whole(void)
{
    return (struct lease_scan){.leases = rows,
                               .n_leases = 3,
                               .workers = workers,
                               .n_workers = 3,
                               .lock = {.owner = leader, .version = version, .duration_ms = 120000},
                               .client_version = client_version,
                               .has_kcl3_items = true};
}

static struct lease_view view_of(const struct lease_scan *scan)
{
    return (struct lease_view){
        .flow = "main", .table = "orders", .is_stream = true, .scan = scan, .wall_s = 1000};
}

static char *text_of(const struct lease_view *view)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    REQUIRE(out != NULL);
    lease_list_text(view, out);
    fclose(out);
    return text;
}

static void prints(const struct lease_view *view, const char *wanted)
{
    char *text = text_of(view);

    if (strcmp(text, wanted) != 0)
        fputs(text, stderr);
    EQ_STR(text, wanted);
    free(text);
}

TEST(a_table_is_listed_in_the_order_of_its_shards)
{
    struct lease_scan scan = whole();
    struct lease_view view = view_of(&scan);

    prints(&view, "flow main, table orders\n"
                  "SHARD                 OWNER    HANDING TO  CHECKPOINT                 PENDING   "
                  "                 SWITCHES  COUNTER  PARENTS\n"
                  "shardId-000000000000  old:1:a  new:2:b     496583...54321000018274+3  "
                  "496583...54321000018274+9         2     1021  -\n"
                  "shardId-000000000001  old:1:a  -           SHARD_END                  -         "
                  "                        0        0  -\n"
                  "shardId-000000000002  -        -           TRIM_HORIZON               -         "
                  "                        0        0  shardId-000000000000,shardId-000000000001\n"
                  "\n"
                  "leases  3: 1 owned, 1 free, 1 ended\n"
                  "layout  kcl3-single: metrics and state beside the leases, as KCL 3.5 has it\n"
                  "state   CLIENT_VERSION_3X\n"
                  "leader  old:1:a\n"
                  "\n"
                  "WORKER    LEASES  CPU  REPORTED\n"
                  "dead:3:c       0    -  100 s ago, gone\n"
                  "odd:4:d        0    -  unusable metrics\n"
                  "old:1:a        1  12%  3 s ago\n");
}

TEST(wide_is_not_shortened)
{
    struct lease_scan scan = whole();
    struct lease_view view = view_of(&scan);
    char *text;

    view.is_wide = true;
    text = text_of(&view);
    YES(strstr(text, "  " NUMBER "+3  " NUMBER "+9  ") != NULL);
    free(text);
}

TEST(a_table_that_is_not_there_is_said_not_to_be)
{
    struct lease_view view = view_of(NULL);
    struct lease_scan empty = {0};

    prints(&view, "flow main, table orders\n"
                  "The table does not exist: nothing has been read yet, or it was removed.\n");
    view.is_file = true;
    view.table = "p/leases.json";
    prints(&view, "flow main, file p/leases.json\n"
                  "The file does not exist: nothing has been read yet, or it was removed.\n");
    view.scan = &empty;
    prints(&view, "flow main, file p/leases.json\n"
                  "There are no leases in it.\n"
                  "\n"
                  "leases  0: 0 open, 0 ended\n");
}

TEST(a_file_has_no_owners)
{
    struct lease row = {.key = T("a"), .checkpoint = T("17"), .pending = T("20"), .throughput = -1};
    struct lease_scan scan = {.leases = &row, .n_leases = 1};
    struct lease_view view = view_of(&scan);

    view.is_file = true;
    view.is_stream = false;
    prints(&view, "flow main, file orders\n"
                  "LANE  CHECKPOINT  PENDING  PARENTS\n"
                  "a     17          20       -\n"
                  "\n"
                  "leases  1: 1 open, 0 ended\n");
}

TEST(a_layout_that_is_not_the_pipelines_is_told)
{
    struct lease_scan scan = {.has_kcl3_tables = true, .n_strange = 1};
    struct lease_view view = view_of(&scan);

    view.layout = PLAN_LAYOUT_KCL2;
    prints(&view,
           "flow main, table orders\n"
           "There are no leases in it.\n"
           "\n"
           "leases  0: 0 owned, 0 free, 0 ended\n"
           "layout  kcl3-tables: metrics and state in tables of their own, as KCL 3.0 to 3.4 "
           "have it\n"
           "        the pipeline says coordination.layout = \"kcl2\"\n"
           "other   1 item of no known kind; KCL before 3.5 stops at them\n");
}

TEST(old_tables_count_until_their_move_is_complete)
{
    struct lease_scan scan = {
        .has_kcl3_tables = true, .has_kcl3_items = true, .table_migration = T("PENDING")};
    struct lease_view view = view_of(&scan);
    char *text = text_of(&view);

    YES(strstr(text, "layout  kcl3-tables: ") != NULL);
    YES(strstr(text, "state   PENDING\n") != NULL);
    free(text);
    scan.table_migration = T("COMPLETE");
    text = text_of(&view);
    YES(strstr(text, "layout  kcl3-single: ") != NULL);
    free(text);
}

TEST(who_was_alive_is_said_of_leases_that_have_an_owner)
{
    struct lease_scan scan = whole();
    struct lease_view view = view_of(&scan);
    const bool is_live[] = {false, true, false};
    char *text;

    view.is_live = is_live;
    text = text_of(&view);
    YES(strstr(text, "SHARD                 OWNER    LIVE  HANDING TO") != NULL);
    YES(strstr(text, "shardId-000000000000  old:1:a  yes   new:2:b") != NULL);
    YES(strstr(text, "shardId-000000000001  old:1:a  -     -") != NULL); /* has ended */
    YES(strstr(text, "shardId-000000000002  -        -     -") != NULL);
    free(text);
}

TEST(what_others_wrote_cannot_steer_the_terminal)
{
    struct lease row = {
        .key = T("a\033[2Jb"), .owner = T("x\ny"), .checkpoint = T("1"), .throughput = -1};
    struct lease_scan scan = {.leases = &row, .n_leases = 1};
    struct lease_view view = view_of(&scan);
    char *text = text_of(&view);

    CU_ASSERT_PTR_NULL(strchr(text, '\033'));
    YES(strstr(text, "a?[2Jb  x?y") != NULL);
    free(text);
}

/* ---- JSON */

static const char *string_at(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

TEST(json_has_every_member_in_full)
{
    struct lease_scan scan = whole();
    struct lease_view view = view_of(&scan);
    json_t *root = lease_list_json(&view);
    json_t *lease = json_array_get(json_object_get(root, "leases"), 0);
    json_t *worker = json_array_get(json_object_get(root, "workers"), 2);

    EQ_STR(string_at(root, "table"), "orders");
    EQ_STR(string_at(root, "layout"), "kcl3-single");
    YES(json_is_null(json_object_get(root, "table_migration")));
    EQ_STR(string_at(json_object_get(root, "leader"), "worker"), "old:1:a");
    EQ_STR(string_at(lease, "key"), "shardId-000000000000");
    EQ_STR(string_at(lease, "owner"), "old:1:a");
    EQ_STR(string_at(lease, "handing_to"), "new:2:b");
    EQ_STR(string_at(json_object_get(lease, "checkpoint"), "sequence"), NUMBER);
    EQ_INT(json_integer_value(json_object_get(json_object_get(lease, "checkpoint"), "sub")), 3);
    EQ_INT(json_integer_value(json_object_get(json_object_get(lease, "pending"), "sub")), 9);
    EQ_INT(json_integer_value(json_object_get(lease, "counter")), 1021);
    EQ_STR(string_at(lease, "ending_hash_key"), "7");
    CU_ASSERT_EQUAL(json_real_value(json_object_get(lease, "throughput_kbps")), 12.5);
    CU_ASSERT_PTR_NULL(json_object_get(lease, "is_live"));
    EQ_INT(json_array_size(json_object_get(root, "workers")), 3);
    EQ_STR(string_at(worker, "id"), "old:1:a");
    YES(json_is_true(json_object_get(worker, "is_active")));
    json_decref(root);
}

TEST(json_of_what_is_not_there_is_an_answer_too)
{
    struct lease_view view = view_of(NULL);
    struct lease bad = {.key = T("\xff"), .checkpoint = T("1"), .throughput = -1};
    struct lease_scan scan = {.leases = &bad, .n_leases = 1};
    json_t *root = lease_list_json(&view);

    YES(json_is_false(json_object_get(root, "exists")));
    EQ_INT(json_array_size(json_object_get(root, "leases")), 0);
    json_decref(root);
    view.scan = &scan; /* text that JSON cannot have */
    root = lease_list_json(&view);
    EQ_INT(json_array_size(json_object_get(root, "leases")), 1);
    json_decref(root);
}
