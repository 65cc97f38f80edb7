/* test_lease_memory.c - the lease table in memory: what each operation asks for and leaves behind;
 * and its handles: time, what is lost on the way, what comes late. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/lease/memory.h"
#include "tests/kptest.h"

#define T(text) ((char *)(uintptr_t)(text))

static struct memory_table *table;
static struct lease known; /* what the caller knows of the row */

static void open_table(void)
{
    clock_fake(1700000000000);
    table = memory_table_new("app");
}

static void close_table(void)
{
    memory_table_free(table);
    lease_fini(&known);
    clock_real();
}

/* ---- operations */

static enum lease_status run(const struct lease_call *call)
{
    struct memory_answer answer;
    enum lease_status status;

    memory_table_do(table, call, &answer);
    status = answer.status;
    YES(status == LEASE_REFUSED ? !answer.has_changed : true);
    memory_answer_fini(&answer);
    return status;
}

static void put(const char *owner, const char *checkpoint_owner, uint64_t counter)
{
    struct lease lease = {.key = T("s"),
                          .owner = T(owner),
                          .checkpoint_owner = T(checkpoint_owner),
                          .counter = counter,
                          .switches = 3,
                          .checkpoint = T("100"),
                          .sub = 2,
                          .pending = T("150"),
                          .pending_sub = 4,
                          .parents = {T("p")},
                          .throughput = -1};

    memory_table_put(table, &lease);
}

static struct lease_call call_of(enum lease_op op)
{
    struct lease_call call = {.op = op, .was = {.key = T("s")}, .to = {.throughput = -1}};
    const struct lease *row = memory_table_find(table, "s");

    if (row) {
        lease_fini(&known);
        lease_copy(&known, row);
        call.was = known;
    }
    return call;
}

static const struct lease *row(void)
{
    const struct lease *found = memory_table_find(table, "s");

    REQUIRE(found != NULL);
    return found;
}

static bool same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* Owner, checkpoint owner, counter and switches of the row. */
static void expect(const char *owner, const char *checkpoint_owner, uint64_t counter,
                   uint64_t switches)
{
    YES(same(row()->owner, owner));
    YES(same(row()->checkpoint_owner, checkpoint_owner));
    EQ_INT(row()->counter, counter);
    EQ_INT(row()->switches, switches);
}

TEST(a_row_is_created_only_where_there_is_none)
{
    struct lease_call call;

    open_table();
    call = call_of(LEASE_CREATE);
    call.to = (struct lease){.owner = T("w"),
                             .counter = 9,
                             .switches = 9,
                             .checkpoint = T("TRIM_HORIZON"),
                             .parents = {T("p-1"), T("p-2")},
                             .low = T("0"),
                             .high = T("9")};
    EQ_INT(run(&call), LEASE_DONE);
    expect(NULL, NULL, 0, 0);
    EQ_STR(row()->checkpoint, "TRIM_HORIZON");
    EQ_STR(row()->parents[1], "p-2");
    EQ_STR(row()->high, "9");
    YES(row()->throughput < 0);
    call.to.checkpoint = T("LATEST");
    EQ_INT(run(&call), LEASE_REFUSED);
    EQ_STR(row()->checkpoint, "TRIM_HORIZON");
    EQ_INT(memory_table_count(table), 1);
    close_table();
}

TEST(a_renewal_counts_up_and_needs_the_counter_it_knows)
{
    struct lease_call call;

    open_table();
    put("w", NULL, 7);
    call = call_of(LEASE_RENEW);
    call.to.throughput = 2.5;
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 8, 3);
    CU_ASSERT_DOUBLE_EQUAL(row()->throughput, 2.5, 0.001);
    EQ_INT(run(&call), LEASE_REFUSED); /* the counter has moved on */
    expect("w", NULL, 8, 3);
    close_table();
}

TEST(a_renewal_notices_a_hand_over_if_it_is_asked_to)
{
    struct lease_call call;

    open_table();
    put("v", "w", 7);
    call = call_of(LEASE_RENEW);
    call.checks_hand_off = true;
    EQ_INT(run(&call), LEASE_REFUSED);
    call.checks_hand_off = false;
    EQ_INT(run(&call), LEASE_DONE);
    expect("v", "w", 8, 3);
    close_table();
}

TEST(taking_a_lease_counts_the_change_of_its_owner)
{
    struct lease_call call;

    open_table();
    put("v", "u", 7);
    call = call_of(LEASE_TAKE);
    call.to.owner = T("w");
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 8, 4);
    EQ_INT(run(&call), LEASE_REFUSED);
    call = call_of(LEASE_TAKE);
    call.to.owner = T("w");
    EQ_INT(run(&call), LEASE_DONE); /* our own, after a restart */
    expect("w", NULL, 9, 4);
    put(NULL, NULL, 7);
    call = call_of(LEASE_TAKE);
    call.to.owner = T("w");
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 8, 3); /* nobody's */
    close_table();
}

TEST(a_leader_assigns_what_stands_as_it_has_seen_it)
{
    struct lease_call call;

    open_table();
    put("v", "u", 7);
    call = call_of(LEASE_ASSIGN);
    call.to.owner = T("v");
    put("v", "u", 12); /* renewed meanwhile: that does not matter */
    EQ_INT(run(&call), LEASE_DONE);
    expect("v", NULL, 13, 3); /* it was v's already */
    call = call_of(LEASE_ASSIGN);
    call.to.owner = T("v");
    call.to.owner = T("w");
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 14, 4);
    call.was.owner = T("x");
    EQ_INT(run(&call), LEASE_REFUSED);
    call.was.owner = T("w");
    call.was.checkpoint_owner = T("u");
    EQ_INT(run(&call), LEASE_REFUSED);
    call.was.key = T("other");
    EQ_INT(run(&call), LEASE_REFUSED);
    EQ_INT(memory_table_count(table), 1);
    close_table();
}

TEST(a_hand_over_begins_without_the_counter)
{
    struct lease_call call;

    open_table();
    put("v", NULL, 7);
    call = call_of(LEASE_HAND_OFF);
    call.to.owner = T("w");
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", "v", 7, 3);
    EQ_INT(run(&call), LEASE_REFUSED);
    close_table();
}

TEST(an_ask_that_is_taken_back_leaves_no_trace)
{
    struct lease_call call;

    open_table();
    put("w", "v", 7);
    call = call_of(LEASE_TAKE_BACK);
    call.was.owner = T("w");
    call.was.checkpoint_owner = T("v");
    EQ_INT(run(&call), LEASE_DONE);
    expect("v", NULL, 7, 3);
    EQ_INT(run(&call), LEASE_REFUSED);
    close_table();
}

TEST(a_checkpoint_is_a_renewal_too_and_keeps_what_it_does_not_name)
{
    struct lease_call call;

    open_table();
    put("w", NULL, 7);
    call = call_of(LEASE_CHECKPOINT);
    call.to.checkpoint = T("200");
    call.to.sub = 5;
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 8, 0);
    EQ_STR(row()->checkpoint, "200");
    EQ_INT(row()->sub, 5);
    YES(row()->pending == NULL);
    EQ_INT(row()->pending_sub, 0);
    EQ_STR(row()->parents[0], "p");
    EQ_INT(run(&call), LEASE_REFUSED);
    call = call_of(LEASE_CHECKPOINT);
    call.to.checkpoint = T("SHARD_END");
    call.to.children[0] = T("c");
    call.to.pending = T("300");
    call.to.low = T("1"), call.to.high = T("2");
    call.gives_up = true;
    EQ_INT(run(&call), LEASE_DONE);
    expect(NULL, NULL, 9, 0);
    YES(lease_has_ended(row()));
    EQ_STR(row()->children[0], "c");
    EQ_STR(row()->pending, "300");
    EQ_STR(row()->low, "1");
    close_table();
}

TEST(evicting_undoes_the_owner_or_the_hand_over)
{
    struct lease_call call;

    open_table();
    put("w", NULL, 7);
    call = call_of(LEASE_EVICT);
    EQ_INT(run(&call), LEASE_DONE);
    expect(NULL, NULL, 8, 3);
    put("w", "v", 7);
    EQ_INT(run(&call), LEASE_REFUSED);
    call = call_of(LEASE_EVICT);
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 8, 3);
    close_table();
}

TEST(a_prepared_checkpoint_leaves_the_checkpoint)
{
    struct lease_call call;

    open_table();
    put("w", NULL, 7);
    call = call_of(LEASE_PREPARE);
    call.to.pending = T("170");
    call.to.pending_sub = 1;
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 8, 3);
    EQ_STR(row()->checkpoint, "100");
    EQ_STR(row()->pending, "170");
    EQ_INT(row()->pending_sub, 1);
    EQ_INT(run(&call), LEASE_REFUSED);
    close_table();
}

TEST(what_is_known_of_a_shard_is_written_without_the_counter)
{
    struct lease_call call;

    open_table();
    put("w", NULL, 7);
    call = call_of(LEASE_META);
    call.to.children[0] = T("c-1"), call.to.children[1] = T("c-2");
    EQ_INT(run(&call), LEASE_DONE);
    expect("w", NULL, 7, 3);
    EQ_STR(row()->children[1], "c-2");
    EQ_STR(row()->parents[0], "p");
    call.was.key = T("other");
    EQ_INT(run(&call), LEASE_REFUSED);
    close_table();
}

TEST(a_row_is_deleted_if_it_still_stands_where_it_was)
{
    struct lease_call call;

    open_table();
    put("w", NULL, 7);
    call = call_of(LEASE_DELETE);
    call.was.checkpoint = T("99");
    EQ_INT(run(&call), LEASE_REFUSED);
    call.was.checkpoint = T("100");
    call.was.key = T("s");
    EQ_INT(run(&call), LEASE_DONE);
    EQ_INT(memory_table_count(table), 0);
    EQ_INT(run(&call), LEASE_DONE); /* gone before */
    close_table();
}

TEST(the_lock_is_taken_beaten_and_released_by_version)
{
    struct lease_lock was = {.owner = T("a"), .version = T("1")};
    struct lease_call call = {.op = LEASE_LOCK_TAKE, .layout = LEASE_LAYOUT_KCL3_SINGLE};

    open_table();
    call.lock = (struct lease_lock){T("a"), T("1"), 120000, false};
    EQ_INT(run(&call), LEASE_DONE);
    EQ_INT(run(&call), LEASE_REFUSED); /* there is one */
    call.op = LEASE_LOCK_BEAT;
    call.lock_was = &was;
    call.lock.version = T("2");
    EQ_INT(run(&call), LEASE_DONE);
    EQ_INT(run(&call), LEASE_REFUSED);
    EQ_STR(memory_table_lock(table)->version, "2");
    call.op = LEASE_LOCK_TAKE; /* another has seen version 2 for too long */
    call.lock = (struct lease_lock){T("b"), T("3"), 120000, false};
    EQ_INT(run(&call), LEASE_REFUSED);
    was.version = T("2");
    EQ_INT(run(&call), LEASE_DONE);
    call.op = LEASE_LOCK_RELEASE;
    EQ_INT(run(&call), LEASE_REFUSED); /* it is a's no more */
    was = (struct lease_lock){T("b"), T("3"), 0, false};
    EQ_INT(run(&call), LEASE_DONE);
    YES(memory_table_lock(table)->is_released);
    call.op = LEASE_LOCK_TAKE;
    call.lock = (struct lease_lock){T("c"), T("4"), 120000, false};
    was.is_released = true;
    EQ_INT(run(&call), LEASE_DONE);
    EQ_STR(memory_table_lock(table)->owner, "c");
    NO(memory_table_lock(table)->is_released);
    EQ_INT(run(&call), LEASE_REFUSED); /* not released any more */
    close_table();
}

TEST(metrics_are_put_and_dropped_when_they_are_old)
{
    struct lease_call call = {.op = LEASE_METRICS, .layout = LEASE_LAYOUT_KCL3_TABLES};
    struct memory_answer answer;

    open_table();
    call.worker = (struct lease_worker){T("w"), 100, 50, 90, false};
    EQ_INT(run(&call), LEASE_DONE);
    call.worker.updated_s = 130;
    EQ_INT(run(&call), LEASE_DONE);
    EQ_INT(memory_table_worker(table, "w")->updated_s, 130);
    memory_table_set_version(table, LEASE_LAYOUT_KCL3_TABLES, "CLIENT_VERSION_3X", NULL);
    call.op = LEASE_SCAN;
    memory_table_do(table, &call, &answer);
    EQ_INT(answer.scan.n_workers, 1);
    YES(answer.scan.has_kcl3_tables);
    NO(answer.scan.has_kcl3_items);
    EQ_STR(answer.scan.client_version, "CLIENT_VERSION_3X");
    YES(answer.scan.lock.owner == NULL);
    memory_answer_fini(&answer);
    call.op = LEASE_METRICS_DROP;
    call.worker.updated_s = 100;
    EQ_INT(run(&call), LEASE_REFUSED);
    call.worker.updated_s = 130;
    EQ_INT(run(&call), LEASE_DONE);
    YES(memory_table_worker(table, "w") == NULL);
    close_table();
}

/* ---- handles */

struct heard {
    int n;
    enum lease_status status;
    uint64_t counter;
    size_t n_leases;
    bool is_final;
    int64_t sent_ms;
    char error[40];
    struct lease_io *frees;
};

static void hear(void *arg, const struct lease_reply *reply)
{
    struct heard *heard = arg;

    heard->n++;
    heard->status = reply->status;
    heard->counter = reply->row ? reply->row->counter : 0;
    heard->n_leases = reply->scan ? reply->scan->n_leases : 0;
    heard->is_final = reply->is_final;
    heard->sent_ms = reply->sent_ms;
    snprintf(heard->error, sizeof heard->error, "%s", reply->error ? reply->error : "");
    if (heard->frees)
        heard->frees->free(heard->frees);
}

static struct memory_fate next_fate;

static void choose(void *arg, const struct lease_call *call, struct memory_fate *fate)
{
    (void)arg, (void)call;
    *fate = next_fate;
}

static void renew(struct lease_io *io, struct heard *heard)
{
    struct lease_call call = call_of(LEASE_RENEW);

    *heard = (struct heard){.frees = heard->frees};
    io->call(io, &call, hear, heard);
    EQ_INT(heard->n, 0);
}

TEST(two_workers_share_a_table_and_one_is_refused)
{
    struct lease_io *a, *b;
    struct heard of_a = {0}, of_b = {0};

    open_table();
    put("w", NULL, 7);
    a = memory_io_new(table, NULL, false);
    b = memory_io_new(table, NULL, false);
    renew(a, &of_a);
    renew(b, &of_b);
    YES(memory_io_deliver(b)); /* a's request came first all the same */
    NO(memory_io_deliver(b));
    YES(memory_io_deliver(a));
    EQ_INT(of_a.status, LEASE_DONE);
    EQ_INT(of_a.sent_ms, 1700000000000);
    EQ_INT(of_b.status, LEASE_REFUSED);
    EQ_INT(of_b.counter, 8);
    a->free(a);
    b->free(b);
    close_table();
}

TEST(requests_and_replies_take_their_time)
{
    struct lease_io *io;
    struct heard heard = {0};

    open_table();
    put("w", NULL, 7);
    io = memory_io_new(table, NULL, false);
    memory_io_hook(io, choose, NULL);
    memory_io_skew(io, 1000, 60);
    EQ_INT(memory_io_due_ms(io), INT64_MAX);
    next_fate = (struct memory_fate){.request_ms = 10, .reply_ms = 20};
    renew(io, &heard);
    EQ_INT(memory_io_due_ms(io), io->now_ms(io) + 10);
    EQ_INT(io->now_ms(io), 1700000001000);
    EQ_INT(io->wall_s(io), 1700000060);
    NO(memory_io_deliver(io));
    EQ_INT(row()->counter, 7);
    clock_fake_move(10);
    NO(memory_io_deliver(io));
    EQ_INT(row()->counter, 8);
    EQ_INT(memory_io_due_ms(io), io->now_ms(io) + 20);
    clock_fake_move(20);
    YES(memory_io_deliver(io));
    EQ_INT(heard.status, LEASE_DONE);
    EQ_INT(heard.sent_ms, 1700000001000);
    io->free(io);
    close_table();
}

TEST(a_lost_request_and_a_lost_reply_look_the_same_to_the_worker)
{
    struct lease_io *io;
    struct heard heard = {0};

    open_table();
    put("w", NULL, 7);
    io = memory_io_new(table, NULL, false);
    memory_io_hook(io, choose, NULL);
    next_fate = (struct memory_fate){.is_request_lost = true};
    renew(io, &heard);
    YES(memory_io_deliver(io));
    EQ_INT(heard.status, LEASE_FAILED);
    EQ_STR(heard.error, "Timeout");
    EQ_INT(row()->counter, 7);
    next_fate = (struct memory_fate){
        .is_reply_lost = true, .error = "AccessDeniedException", .is_final = true};
    renew(io, &heard);
    YES(memory_io_deliver(io));
    EQ_INT(heard.status, LEASE_FAILED);
    EQ_STR(heard.error, "AccessDeniedException");
    YES(heard.is_final);
    EQ_INT(row()->counter, 8);
    io->free(io);
    close_table();
}

TEST(what_is_held_arrives_when_it_is_released)
{
    struct lease_io *io;
    struct heard held = {0}, later = {0};

    open_table();
    put("w", NULL, 7);
    io = memory_io_new(table, NULL, false);
    memory_io_hook(io, choose, NULL);
    next_fate = (struct memory_fate){.request_ms = MEMORY_HELD, .reply_ms = MEMORY_HELD};
    renew(io, &held);
    next_fate = (struct memory_fate){0};
    renew(io, &later);
    YES(memory_io_deliver(io));
    EQ_INT(later.status, LEASE_DONE);
    clock_fake_move(1000000);
    NO(memory_io_deliver(io));
    EQ_INT(memory_io_due_ms(io), INT64_MAX);
    memory_io_release(io);
    NO(memory_io_deliver(io)); /* the request */
    memory_io_release(io);
    YES(memory_io_deliver(io));
    EQ_INT(held.status, LEASE_REFUSED); /* the later one had overtaken it */
    EQ_INT(held.counter, 8);
    io->free(io);
    close_table();
}

TEST(a_request_of_a_worker_that_is_gone_still_arrives)
{
    struct lease_io *io;
    struct heard heard = {0};

    open_table();
    put("w", NULL, 7);
    io = memory_io_new(table, NULL, false);
    memory_io_hook(io, choose, NULL);
    next_fate = (struct memory_fate){.request_ms = 10};
    renew(io, &heard);
    renew(io, &heard);
    io->free(io);
    clock_fake_move(10);
    memory_table_run(table);
    EQ_INT(row()->counter, 8);
    EQ_INT(heard.n, 0);
    close_table();
}

TEST(a_reply_may_free_its_handle)
{
    struct lease_io *io;
    struct heard heard = {0};

    open_table();
    put("w", NULL, 7);
    io = memory_io_new(table, NULL, false);
    heard.frees = io;
    renew(io, &heard);
    YES(memory_io_deliver(io));
    EQ_INT(heard.n, 1);
    close_table();
}

/* ---- with a loop */

TEST(a_loop_delivers_by_itself)
{
    struct lease_call call = {.op = LEASE_SCAN};
    struct lease_io *io;
    struct heard first = {0}, second = {0};
    uv_loop_t loop;

    open_table();
    put("w", NULL, 7);
    REQUIRE(!uv_loop_init(&loop));
    io = memory_io_new(table, &loop, true);
    YES(io->is_private);
    EQ_STR(io->table, "app");
    io->call(io, &call, hear, &first);
    second.frees = io;
    io->call(io, &call, hear, &second);
    EQ_INT(first.n, 0);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends when nothing is left to do */
    EQ_INT(first.n_leases, 1);
    EQ_INT(second.n, 1);
    EQ_INT(uv_loop_close(&loop), 0);
    close_table();
}

struct chain {
    struct lease_io *io;
    int left;
};

static void go_on(void *arg, const struct lease_reply *reply)
{
    struct chain *chain = arg;
    struct lease_call call = {.op = LEASE_GET, .was = {.key = T("s")}};

    EQ_INT(reply->status, LEASE_DONE);
    EQ_INT(reply->row->counter, 7);
    if (chain->left--)
        chain->io->call(chain->io, &call, go_on, chain);
}

TEST(a_reply_that_calls_again_does_not_hold_up_the_loop)
{
    struct lease_call call = {.op = LEASE_GET, .was = {.key = T("s")}};
    struct chain chain = {.left = 3};
    uv_loop_t loop;

    open_table();
    put("w", NULL, 7);
    REQUIRE(!uv_loop_init(&loop));
    chain.io = memory_io_new(table, &loop, false);
    chain.io->call(chain.io, &call, go_on, &chain);
    uv_run(&loop, UV_RUN_NOWAIT);
    EQ_INT(chain.left, 2); /* one in each turn */
    uv_run(&loop, UV_RUN_DEFAULT);
    EQ_INT(chain.left, -1);
    chain.io->free(chain.io);
    uv_run(&loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&loop), 0);
    close_table();
}
