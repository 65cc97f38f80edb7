/* test_lease_file.c - the lease file: what is written, read back, refused and kept for later; and
 * that nothing is answered which the file does not hold. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/lease/file.h"
#include "tests/kptest.h"

#define T(text) ((char *)(uintptr_t)(text))

static char path[200];
static uv_loop_t loop;
static struct lease_file *file;

static bool opens(struct error *err)
{
    *err = (struct error)ERROR_INIT;
    file = lease_file_new(path, "app", &loop, err);
    return file != NULL;
}

static void open_file(void)
{
    struct error err;

    REQUIRE(opens(&err));
}

static void begin(void)
{
    REQUIRE(!uv_loop_init(&loop));
    snprintf(path, sizeof path, "%s/leases", kptest_dir());
}

static void close_file(void)
{
    lease_file_free(file);
    file = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void end(void)
{
    close_file();
    EQ_INT(uv_loop_close(&loop), 0);
}

static void put(const char *text)
{
    FILE *out = fopen(path, "we");

    REQUIRE(out != NULL);
    fputs(text, out);
    fclose(out);
}

/* The text of the file; "" when there is none. [static buffer] */
static const char *text(void)
{
    static char all[5000];
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(all, 1, sizeof all - 1, in) : 0;

    all[n] = '\0';
    if (in)
        fclose(in);
    return all;
}

struct heard {
    bool is_there, has_row;
    enum lease_status status;
    struct lease row; /* [owned] */
    size_t n_leases;
    char error[300];
    bool was_written; /* the file held what this was to wait for */
};

static const char *awaited; /* a text that the file must have by then, or NULL */

static void hear(void *arg, const struct lease_reply *reply)
{
    struct heard *heard = arg;

    heard->is_there = true;
    heard->status = reply->status;
    heard->has_row = reply->row != NULL;
    if (reply->row)
        lease_copy(&heard->row, reply->row);
    heard->n_leases = reply->scan ? reply->scan->n_leases : 0;
    snprintf(heard->error, sizeof heard->error, "%s", reply->message ? reply->message : "");
    heard->was_written = awaited && strstr(text(), awaited) != NULL;
}

static void call_and_wait(struct lease_io *io, const struct lease_call *call, struct heard *heard)
{
    *heard = (struct heard){0};
    io->call(io, call, hear, heard);
    NO(heard->is_there);
    while (!heard->is_there)
        uv_run(&loop, UV_RUN_ONCE);
}

static enum lease_status checkpoint(struct lease_io *io, const char *lane, const char *at,
                                    uint64_t sub)
{
    struct lease_call call = {.op = LEASE_GET, .was = {.key = T(lane)}};
    struct heard heard;

    call_and_wait(io, &call, &heard);
    if (heard.has_row) {
        call.was.counter = heard.row.counter;
        lease_fini(&heard.row);
        call.op = LEASE_CHECKPOINT;
    } else {
        call.op = LEASE_CREATE;
    }
    call.to = (struct lease){.checkpoint = T(at), .sub = sub, .throughput = -1};
    call_and_wait(io, &call, &heard);
    return heard.status;
}

static bool stands_at(struct lease_io *io, const char *lane, const char *at, uint64_t sub)
{
    struct lease_call call = {.op = LEASE_GET, .was = {.key = T(lane)}};
    struct heard heard;
    bool ok;

    call_and_wait(io, &call, &heard);
    ok = heard.has_row ? !strcmp(heard.row.checkpoint, at) && heard.row.sub == sub : !*at;
    lease_fini(&heard.row);
    return ok;
}

TEST(positions_come_back_after_a_restart)
{
    struct lease_io *in, *out;

    begin();
    open_file();
    in = lease_file_io(file, "in");
    out = lease_file_io(file, "out");
    YES(in->is_private);
    EQ_INT(checkpoint(in, "shard-0", "TRIM_HORIZON", 0), LEASE_DONE);
    EQ_INT(checkpoint(in, "shard-0", "4959", 3), LEASE_DONE);
    EQ_INT(checkpoint(in, "shard \"1\"", "7", 0), LEASE_DONE);
    EQ_INT(checkpoint(out, "shard-0", "12", 0), LEASE_DONE);
    in->free(in);
    out->free(out);
    close_file();
    open_file();
    in = lease_file_io(file, "in");
    out = lease_file_io(file, "out");
    YES(stands_at(in, "shard-0", "4959", 3));
    YES(stands_at(in, "shard \"1\"", "7", 0));
    YES(stands_at(out, "shard-0", "12", 0));
    YES(stands_at(out, "new", "", 0));
    in->free(in);
    out->free(out);
    end();
}

TEST(a_write_is_answered_when_the_file_holds_it)
{
    struct lease_call call = {.op = LEASE_CREATE, .was = {.key = T("s")}};
    struct lease_io *io;
    struct heard heard;

    begin();
    open_file();
    io = lease_file_io(file, "in");
    call.to = (struct lease){.checkpoint = T("TRIM_HORIZON"),
                             .parents = {T("p-1"), T("p-2")},
                             .low = T("0"),
                             .high = T("99")};
    awaited = "\"checkpoint\": \"TRIM_HORIZON\"";
    call_and_wait(io, &call, &heard);
    YES(heard.was_written);
    call.op = LEASE_PREPARE;
    call.to = (struct lease){.pending = T("55"), .pending_sub = 2};
    awaited = "\"pending\": \"55\"";
    call_and_wait(io, &call, &heard);
    YES(heard.was_written);
    call.op = LEASE_META;
    call.to = (struct lease){.children = {T("c")}};
    awaited = "\"children\"";
    call_and_wait(io, &call, &heard);
    YES(heard.was_written);
    awaited = NULL;
    io->free(io);
    close_file();
    open_file();
    io = lease_file_io(file, "in");
    call.op = LEASE_GET;
    call_and_wait(io, &call, &heard);
    EQ_STR(heard.row.parents[1], "p-2");
    EQ_STR(heard.row.children[0], "c");
    EQ_STR(heard.row.low, "0");
    EQ_STR(heard.row.high, "99");
    EQ_STR(heard.row.pending, "55");
    EQ_INT(heard.row.pending_sub, 2);
    YES(heard.row.owner == NULL);
    lease_fini(&heard.row);
    io->free(io);
    end();
}

TEST(the_file_is_written_as_it_always_was)
{
    struct lease_io *io;

    begin();
    open_file();
    io = lease_file_io(file, "in");
    EQ_INT(checkpoint(io, "s", "5", 1), LEASE_DONE);
    EQ_STR(text(), "{\n \"kpipe\": 2,\n \"application\": \"app\",\n \"flows\": {\n  \"in\": {\n"
                   "   \"s\": {\n    \"checkpoint\": \"5\",\n    \"sub\": 1\n   }\n  }\n }\n}");
    io->free(io);
    end();
}

TEST(owners_are_not_written)
{
    struct lease_call call = {
        .op = LEASE_TAKE, .was = {.key = T("s")}, .to = {.owner = T("me"), .throughput = -1}};
    struct lease_io *io;
    struct heard heard;

    begin();
    open_file();
    io = lease_file_io(file, "in");
    EQ_INT(checkpoint(io, "s", "5", 0), LEASE_DONE);
    REQUIRE(!unlink(path));
    call_and_wait(io, &call, &heard);
    EQ_INT(heard.status, LEASE_DONE);
    call.op = LEASE_RENEW;
    call.was.counter = 1;
    call_and_wait(io, &call, &heard);
    EQ_INT(heard.status, LEASE_DONE);
    EQ_STR(text(), "");
    io->free(io);
    end();
}

TEST(a_file_of_version_1_is_read)
{
    struct lease_io *io;
    struct heard heard;
    struct lease_call scan = {.op = LEASE_SCAN};

    begin();
    put("{\"kpipe\":1,\"application\":\"app\",\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"4959\","
        "\"sub\":3},\"e\":{\"checkpoint\":\"SHARD_END\",\"sub\":0},"
        "\"unmoved\":{\"checkpoint\":\"\",\"sub\":0}}}}");
    open_file();
    io = lease_file_io(file, "in");
    YES(stands_at(io, "s", "4959", 3));
    YES(stands_at(io, "e", "SHARD_END", 0));
    call_and_wait(io, &scan, &heard);
    EQ_INT(heard.n_leases, 2);
    io->free(io);
    end();
}

TEST(a_flow_that_nobody_asks_for_stays)
{
    struct lease_io *io;

    begin();
    put("{\"kpipe\":2,\"flows\":{\"old\":{\"s\":{\"checkpoint\":\"1\",\"parents\":[\"p\"]}}}}");
    open_file();
    io = lease_file_io(file, "new");
    EQ_INT(checkpoint(io, "s", "2", 0), LEASE_DONE);
    io->free(io);
    close_file();
    open_file();
    io = lease_file_io(file, "old");
    YES(stands_at(io, "s", "1", 0));
    io->free(io);
    end();
}

TEST(a_file_that_is_no_lease_file_is_refused_and_left_alone)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"kpipe\":3,\"flows\":{}}",
        "{\"kpipe\":0,\"flows\":{}}",
        "{\"kpipe\":1,\"flows\":[]}",
        "{\"kpipe\":1,\"flows\":{\"in\":[]}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{},\"in\":{}}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{}}}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{\"checkpoint\":7}}}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"7\",\"sub\":\"x\"}}}}",
        "{\"kpipe\":2,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"7\",\"parents\":\"p\"}}}}",
        "{\"kpipe\":2,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"7\",\"children\":[1]}}}}",
        "{\"kpipe\":2,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"7\",\"pending\":\"\"}}}}",
    };

    begin();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err;

        put(texts[i]);
        NO(opens(&err));
        EQ_INT(err.kind, ERROR_CORRUPT);
        YES(strstr(err.text, path) != NULL);
        EQ_STR(text(), texts[i]);
    }
    end();
}

TEST(a_file_of_another_application_is_refused_and_left_alone)
{
    static const char *const other = "{\"kpipe\":2,\"application\":\"other\",\"flows\":{}}";
    struct error err;

    begin();
    put(other);
    NO(opens(&err));
    EQ_INT(err.kind, ERROR_CONFIG);
    YES(strstr(err.text, path) && strstr(err.text, "'other'") && strstr(err.text, "'app'"));
    EQ_STR(text(), other);
    end();
}

TEST(a_file_that_is_in_use_can_be_looked_at_and_is_not_written)
{
    struct error err = ERROR_INIT;
    struct lease_file *looker;
    struct lease_io *io, *view;
    struct heard heard;

    begin();
    open_file();
    io = lease_file_io(file, "in");
    EQ_INT(checkpoint(io, "s", "5", 1), LEASE_DONE);
    looker = lease_file_look(path, "app", &loop, &err);
    REQUIRE(looker != NULL);
    view = lease_file_io(looker, "in");
    YES(stands_at(view, "s", "5", 1));
    REQUIRE(!unlink(path));
    call_and_wait(
        view,
        &(struct lease_call){.op = LEASE_DELETE, .was = {.key = T("s"), .checkpoint = T("5")}},
        &heard);
    EQ_INT(heard.status, LEASE_FAILED);
    view->free(view);
    lease_file_free(looker);
    EQ_STR(text(), "");
    io->free(io);
    end();
}

TEST(to_look_at_a_file_makes_no_lock)
{
    struct error err = ERROR_INIT;
    char lock[220];

    begin();
    snprintf(lock, sizeof lock, "%s.lock", path);
    put("{\"kpipe\":2,\"flows\":{}}");
    file = lease_file_look(path, "app", &loop, &err);
    REQUIRE(file != NULL);
    YES(access(lock, F_OK) != 0);
    end();
}

TEST(a_position_that_is_too_long_is_refused)
{
    struct error err;
    char all[400], digits[193];

    memset(digits, '7', sizeof digits - 1);
    digits[sizeof digits - 1] = '\0';
    begin();
    snprintf(all, sizeof all,
             "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"%s\",\"sub\":0}}}}", digits);
    put(all);
    NO(opens(&err));
    end();
}

TEST(a_second_process_does_not_get_the_file)
{
    struct error err;
    int status;
    pid_t pid;

    begin();
    open_file();
    pid = fork();
    REQUIRE(pid >= 0);
    if (!pid)
        _exit(opens(&err) ? 1 : strstr(err.text, "another process") != NULL ? 0 : 2);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EQ_INT(status, 0);
    close_file();
    open_file(); /* the lock went with its owner */
    end();
}

/* A file system that takes nothing more: every write stops at the size limit of the process. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    REQUIRE(!getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    REQUIRE(!setrlimit(RLIMIT_FSIZE, &limit));
}

TEST(a_full_disk_fails_what_is_under_way_and_keeps_the_old_file)
{
    struct lease_call call = {.op = LEASE_CHECKPOINT,
                              .was = {.key = T("s")},
                              .to = {.checkpoint = T("2"), .throughput = -1}};
    struct lease_io *io;
    struct heard heard;
    struct rlimit before;
    void (*handler)(int);

    begin();
    open_file();
    io = lease_file_io(file, "in");
    EQ_INT(checkpoint(io, "s", "1", 0), LEASE_DONE);
    handler = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit_files(10);
    call_and_wait(io, &call, &heard);
    EQ_INT(heard.status, LEASE_FAILED);
    YES(strstr(heard.error, "cannot write the lease file") != NULL);
    YES(strstr(text(), "\"checkpoint\": \"1\"") != NULL);
    call_and_wait(io, &call, &heard); /* not even a refusal tells of what is not written */
    EQ_INT(heard.status, LEASE_FAILED);
    limit_files(before.rlim_cur);
    signal(SIGXFSZ, handler);
    awaited = "\"checkpoint\": \"2\"";
    call_and_wait(io, &call, &heard); /* there is room again */
    EQ_INT(heard.status, LEASE_REFUSED);
    EQ_INT(heard.row.counter, 1); /* by this the owner knows its own write */
    YES(heard.was_written);
    awaited = NULL;
    lease_fini(&heard.row);
    io->free(io);
    end();
}

TEST(a_name_that_is_no_text_is_not_lost_silently)
{
    struct lease_call call = {
        .op = LEASE_CREATE, .was = {.key = T("s\xff")}, .to = {.checkpoint = T("1")}};
    struct lease_io *io;
    struct heard heard;

    begin();
    open_file();
    io = lease_file_io(file, "in");
    call_and_wait(io, &call, &heard);
    EQ_INT(heard.status, LEASE_FAILED);
    YES(strstr(heard.error, "the name of a lane is not UTF-8") != NULL);
    EQ_STR(text(), "");
    io->free(io);
    end();
}

TEST(calls_of_one_turn_are_written_together_and_freed_ones_are_not_answered)
{
    struct lease_call call = {.op = LEASE_CREATE, .to = {.checkpoint = T("1")}};
    struct lease_io *in, *out;
    struct heard first = {0}, second = {0}, never = {0};

    begin();
    open_file();
    in = lease_file_io(file, "in");
    out = lease_file_io(file, "out");
    awaited = "\"b\"";
    call.was.key = T("a");
    in->call(in, &call, hear, &first);
    out->call(out, &call, hear, &never);
    call.was.key = T("b");
    in->call(in, &call, hear, &second);
    out->free(out);
    uv_run(&loop, UV_RUN_DEFAULT);
    YES(first.was_written && second.was_written);
    NO(never.is_there);
    awaited = NULL;
    in->free(in);
    close_file();
    open_file();
    out = lease_file_io(file, "out");
    YES(stands_at(out, "a", "1", 0));
    out->free(out);
    end();
}
