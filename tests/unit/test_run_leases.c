/* test_run_leases.c - the lease file: what is written, read back, refused and kept for later. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/config/plan.h"
#include "core/run/leases.h"
#include "tests/kptest.h"

struct shelf {
    char path[200], spec[210];
    struct plan_flow flows[2];
    struct plan plan;
    struct leases *leases;
};

static const unsigned no_signals;

static struct leases *open_leases(struct shelf *shelf)
{
    return shelf->leases = leases_new(&shelf->plan, NULL, NULL, false, &no_signals);
}

static void shelf_init(struct shelf *shelf)
{
    memset(shelf, 0, sizeof *shelf);
    snprintf(shelf->path, sizeof shelf->path, "%s/leases", kptest_dir());
    snprintf(shelf->spec, sizeof shelf->spec, "file:%s", shelf->path);
    shelf->flows[0].name = (char *)(uintptr_t) "in";
    shelf->flows[1].name = (char *)(uintptr_t) "out";
    shelf->plan = (struct plan){.application = (char *)(uintptr_t) "app",
                                .leases = shelf->spec,
                                .flows = shelf->flows,
                                .n_flows = 2};
    open_leases(shelf);
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
}

static bool loads(struct shelf *shelf, struct error *err)
{
    *err = (struct error)ERROR_INIT;
    return leases_load(shelf->leases, err);
}

static bool stands_at(struct shelf *shelf, uint32_t flow, const char *lane, const char *text,
                      uint64_t sub)
{
    kp_position position;

    leases_row(shelf->leases, flow, lane, &position);
    return position.text.len == strlen(text) &&
           !memcmp(position.text.ptr, text, position.text.len) && position.sub == sub;
}

static void move(struct shelf *shelf, uint32_t flow, const char *lane, const char *text,
                 uint64_t sub)
{
    kp_position position;

    lease_row_move(leases_row(shelf->leases, flow, lane, &position), text, strlen(text), sub);
}

TEST(positions_come_back_after_a_restart)
{
    struct shelf shelf;
    struct error err;

    shelf_init(&shelf);
    YES(loads(&shelf, &err));
    move(&shelf, 0, "shard-0", "4959", 3);
    move(&shelf, 0, "shard \"1\"", "7", 0);
    move(&shelf, 1, "shard-0", "12", 0);
    NO(leases_is_clean(shelf.leases));
    leases_publish(shelf.leases, false);
    YES(leases_is_clean(shelf.leases));
    leases_free(shelf.leases);
    open_leases(&shelf);
    YES(loads(&shelf, &err));
    YES(stands_at(&shelf, 0, "shard-0", "4959", 3));
    YES(stands_at(&shelf, 0, "shard \"1\"", "7", 0));
    YES(stands_at(&shelf, 1, "shard-0", "12", 0));
    YES(stands_at(&shelf, 1, "new", "", 0));
    YES(leases_is_clean(shelf.leases)); /* reading is no move */
    leases_free(shelf.leases);
}

TEST(a_lane_that_has_not_moved_is_not_written_and_one_that_is_gone_stays)
{
    struct shelf shelf;
    struct error err;

    shelf_init(&shelf);
    YES(loads(&shelf, &err));
    move(&shelf, 0, "old", "1", 0);
    leases_publish(shelf.leases, false);
    leases_free(shelf.leases);
    open_leases(&shelf);
    YES(loads(&shelf, &err));
    YES(stands_at(&shelf, 0, "idle", "", 0));
    move(&shelf, 0, "young", "5", 0);
    leases_publish(shelf.leases, true);
    leases_free(shelf.leases);
    open_leases(&shelf);
    YES(loads(&shelf, &err));
    YES(stands_at(&shelf, 0, "old", "1", 0));
    YES(stands_at(&shelf, 0, "young", "5", 0));
    leases_free(shelf.leases);
}

TEST(a_file_that_is_no_lease_file_is_refused_and_left_alone)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"kpipe\":2,\"flows\":{}}",
        "{\"kpipe\":1,\"flows\":[]}",
        "{\"kpipe\":1,\"flows\":{\"in\":[]}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{}}}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{\"checkpoint\":7}}}}",
        "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"7\",\"sub\":\"x\"}}}}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct shelf shelf;
        struct error err;
        struct stat st;

        shelf_init(&shelf);
        put(shelf.path, texts[i]);
        NO(loads(&shelf, &err));
        EQ_INT(err.kind, ERROR_CORRUPT);
        YES(strstr(err.text, shelf.path) != NULL);
        leases_publish(shelf.leases, true);
        REQUIRE(!stat(shelf.path, &st));
        EQ_INT(st.st_size, strlen(texts[i]));
        leases_free(shelf.leases);
    }
}

TEST(a_position_that_is_too_long_is_refused)
{
    struct shelf shelf;
    struct error err;
    char text[400], digits[KP_POSITION_MAX + 2];

    memset(digits, '7', sizeof digits - 1);
    digits[sizeof digits - 1] = '\0';
    shelf_init(&shelf);
    snprintf(text, sizeof text,
             "{\"kpipe\":1,\"flows\":{\"in\":{\"s\":{\"checkpoint\":\"%s\",\"sub\":0}}}}", digits);
    put(shelf.path, text);
    NO(loads(&shelf, &err));
    leases_free(shelf.leases);
}

TEST(a_second_process_does_not_get_the_file)
{
    struct shelf shelf;
    struct error err;
    int status;
    pid_t pid;

    shelf_init(&shelf);
    YES(loads(&shelf, &err));
    pid = fork();
    REQUIRE(pid >= 0);
    if (!pid) {
        open_leases(&shelf);
        _exit(loads(&shelf, &err) ? 1 : strstr(err.text, "another process") != NULL ? 0 : 2);
    }
    REQUIRE(waitpid(pid, &status, 0) == pid);
    EQ_INT(status, 0);
    leases_free(shelf.leases);
    open_leases(&shelf);
    YES(loads(&shelf, &err)); /* the lock went with its owner */
    leases_free(shelf.leases);
}

/* A file system that takes nothing more: every write stops at the size limit of the process. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    REQUIRE(!getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    REQUIRE(!setrlimit(RLIMIT_FSIZE, &limit));
}

TEST(a_full_disk_fails_the_run_keeps_the_old_file_and_owes_the_write)
{
    struct shelf shelf;
    struct error err;
    struct rlimit before;
    void (*handler)(int);

    shelf_init(&shelf);
    YES(loads(&shelf, &err));
    move(&shelf, 0, "s", "1", 0);
    leases_publish(shelf.leases, false);
    move(&shelf, 0, "s", "2", 0);
    handler = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit_files(10);
    leases_publish(shelf.leases, false);
    limit_files(before.rlim_cur);
    signal(SIGXFSZ, handler);
    REQUIRE(shelf.leases->failure != NULL);
    YES(strstr(shelf.leases->failure, "cannot write the lease file") != NULL);
    NO(leases_is_clean(shelf.leases));
    leases_publish(shelf.leases, true); /* there is room again */
    YES(leases_is_clean(shelf.leases));
    leases_free(shelf.leases);
    open_leases(&shelf);
    YES(loads(&shelf, &err));
    YES(stands_at(&shelf, 0, "s", "2", 0));
    leases_free(shelf.leases);
}
