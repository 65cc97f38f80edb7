/* basic_test.c - every element of plugins/basic through the harness. */
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/harness/harness.h"
#include "tests/kptest.h"

static const char *path_in(const char *dir, const char *name)
{
    static char paths[4][300];
    static int at;

    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", dir, name);
    return paths[at];
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    REQUIRE(f != NULL);
    fputs(text, f);
    fclose(f);
}

static const char *read_text(const char *path)
{
    static char text[100000];
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

    text[n] = '\0';
    if (f)
        fclose(f);
    return text;
}

static struct harness *open_with(const char *element, kp_kind kind, const char *fmt,
                                 const char *value)
{
    char options[1000];

    snprintf(options, sizeof options, fmt, value);
    return harness_new(element, kind, options);
}

/* ---- lua and filter */

TEST(lua_keeps_drops_and_replaces)
{
    struct harness *h = harness_new("lua", KP_TRANSFORM,
                                    "{ each = function(e) if e.n == 1 then return nil end "
                                    "if e.n == 2 then return 'two' end "
                                    "if e.n == 3 then return true end return e end }");
    const char *const in[] = {"{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "{\"n\":4}", NULL};

    harness_feed(h, "a", in);
    EQ_INT(harness_outcome(h, 0), KP_FILTERED);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 0)->data, "two");
    EQ_STR(harness_out(h, 1)->data, "{\"n\":3}");
    EQ_STR(harness_out(h, 2)->data, "{\"n\":4}");
    harness_free(h);
}

TEST(lua_error_rejects_the_record_with_its_text)
{
    struct harness *h =
        harness_new("lua", KP_TRANSFORM, "{ each = function(e) error('no price') end }");

    harness_feed_one(h, "a", "{}", NULL);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_reason(h, 0), "no price") != NULL);
    harness_free(h);
}

TEST(lua_without_memory_tries_again)
{
    struct harness *h = harness_new("lua", KP_TRANSFORM, "{ each = function(e) return 'x' end }");

    harness_fail_alloc(h, 1);
    harness_feed_one(h, "a", "{}", NULL);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    harness_free(h);
}

TEST(lua_needs_a_function)
{
    YES(strstr(harness_config_error("lua", KP_TRANSFORM, "{}"), "each") != NULL);
    YES(strstr(harness_config_error("lua", KP_TRANSFORM, "{ each = 'x' }"), "each") != NULL);
}

TEST(filter_keeps_what_its_function_says_yes_to)
{
    struct harness *h =
        harness_new("filter", KP_TRANSFORM, "{ keep = function(e) return e.price > 50 end }");
    const char *const in[] = {"{\"price\":51}", "{\"price\":50}", "{\"other\":1}", NULL};

    harness_feed(h, "a", in);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 1), KP_FILTERED);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED); /* nil > 50 is an error */
    EQ_STR(harness_out(h, 0)->data, "{\"price\":51}");
    harness_free(h);
}

TEST(filter_by_field_takes_false_null_and_missing_for_no)
{
    struct harness *h = harness_new("filter", KP_TRANSFORM, "{ keep = k.field '$.ok' }");
    const char *const in[] = {"{\"ok\":true}", "{\"ok\":false}", "{\"ok\":null}", "{}",
                              "{\"ok\":0}",    "{\"ok\":\"\"}",  "no json",       NULL};
    static const kp_outcome out[] = {KP_DELIVERED, KP_FILTERED,  KP_FILTERED, KP_FILTERED,
                                     KP_DELIVERED, KP_DELIVERED, KP_FILTERED};

    harness_feed(h, "a", in);
    for (size_t i = 0; i < 7; i++)
        EQ_INT(harness_outcome(h, i), out[i]);
    harness_free(h);
}

TEST(filter_by_a_text_is_refused)
{
    YES(strstr(harness_config_error("filter", KP_TRANSFORM, "{ keep = 'yes' }"), "keep") != NULL);
}

/* ---- meter */

TEST(meter_logs_rates_and_changes_nothing)
{
    struct harness *h = harness_new("meter", KP_TRANSFORM, "{ every = '2s' }");
    const char *const in[] = {"1234567890", "1234567890", NULL};

    harness_feed(h, "a", in);
    harness_advance(h, 2000);
    YES(strstr(harness_log(h), "info meter.measured records_per_s=1 mb_per_s=0.00 records=2 "
                               "bytes=20") != NULL);
    EQ_INT(harness_out_count(h), 2);
    EQ_INT(harness_counter(h, "meter_bytes"), 20);
    harness_free(h);
}

/* ---- file source */

TEST(file_source_gives_lines_with_byte_positions)
{
    const char *path = path_in(kptest_dir(), "in.txt");
    struct harness *h;

    write_text(path, "one\n\ntwo\r\nthree");
    h = open_with("file", KP_SOURCE, "{ path = { '%s' }, key = 'k' }", path);
    harness_start(h);
    YES(harness_has_ended(h));
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 0)->data, "one");
    EQ_STR(harness_out(h, 0)->key, "k");
    EQ_STR(harness_out(h, 0)->lane, path);
    EQ_STR(harness_out(h, 1)->data, "two");
    EQ_STR(harness_out(h, 1)->sequence, "5");
    EQ_STR(harness_out(h, 2)->data, "three");
    EQ_STR(harness_position(h, path), "15");
    harness_free(h);
}

TEST(file_source_goes_on_at_its_checkpoint)
{
    const char *path = path_in(kptest_dir(), "in.txt");
    struct harness *h;

    write_text(path, "one\ntwo\nthree\n");
    h = open_with("file", KP_SOURCE, "{ path = { '%s' } }", path);
    harness_checkpoint(h, path, "4", 0);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->data, "two");
    harness_free(h);
}

TEST(file_source_reads_lines_longer_than_a_piece_and_many_files)
{
    const char *dir = kptest_dir();
    size_t len = 700000;
    char *line = malloc(len + 2);
    struct harness *h;

    memset(line, 'x', len);
    memcpy(line + len, "\n", 2);
    write_text(path_in(dir, "long.txt"), line);
    for (int i = 0; i < 9; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%d.txt", i);
        write_text(path_in(dir, name), "a\nb\n");
    }
    h = open_with("file", KP_SOURCE, "{ path = { '%s' } }", path_in(dir, "*.txt"));
    harness_start(h);
    YES(harness_has_ended(h));
    EQ_INT(harness_out_count(h), 19);
    for (size_t i = 0; i < harness_out_count(h); i++)
        YES(harness_out(h, i)->data_len == len || harness_out(h, i)->data_len == 1);
    EQ_STR(harness_position(h, path_in(dir, "long.txt")), "700001");
    harness_free(h);
    free(line);
}

TEST(file_source_waits_while_there_is_no_room)
{
    const char *path = path_in(kptest_dir(), "in.txt");
    struct harness *h;

    write_text(path, "one\n");
    h = open_with("file", KP_SOURCE, "{ path = { '%s' } }", path);
    harness_set_room(h, false);
    harness_start(h);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

static void expect_failure(const char *fmt, const char *path, const char *text)
{
    char options[600];
    const char *error;

    snprintf(options, sizeof options, fmt, path);
    error = harness_config_error("file", KP_SOURCE, options);
    if (!strstr(error, text))
        fprintf(stderr, "got: %s\n", error);
    YES(strstr(error, text) != NULL);
}

TEST(file_source_says_what_is_missing)
{
    const char *dir = kptest_dir();

    expect_failure("{ path = { '%s' } }", path_in(dir, "none"), "No such file or directory");
    expect_failure("{ path = { '%s' } }", path_in(dir, "*.none"), "no file matches");
}

TEST(file_source_refuses_folders_lines_without_end_and_short_files)
{
    const char *dir = kptest_dir(), *path = path_in(dir, "in.txt");
    struct harness *h = open_with("file", KP_SOURCE, "{ path = { '%s' } }", dir);
    char line[3000];

    harness_start(h);
    YES(strstr(harness_failed(h), "no regular file") != NULL);
    harness_free(h);

    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    write_text(path, line);
    h = open_with("file", KP_SOURCE, "{ path = { '%s' } }", path);
    harness_checkpoint(h, path, "9000", 0);
    harness_start(h);
    YES(strstr(harness_failed(h), "shorter than its checkpoint") != NULL);
    harness_free(h);
}

TEST(file_source_fails_on_a_line_beyond_the_limit)
{
    const char *path = path_in(kptest_dir(), "in.txt");
    struct harness *h;
    size_t len = 300000;
    char *line = malloc(len + 1);

    memset(line, 'x', len);
    line[len] = '\0';
    write_text(path, line);
    free(line);
    h = open_with("file", KP_SOURCE, "{ path = { '%s' }, max_line = '1KiB' }", path);
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "longer than max_line") != NULL);
    EQ_INT(harness_out_count(h), 0);
    harness_free(h);
}

/* ---- generate and list */

TEST(generate_makes_exactly_so_many_records_on_all_lanes)
{
    struct harness *h =
        harness_new("generate", KP_SOURCE, "{ count = 25001, size = '100B', lanes = 3 }");

    harness_start(h);
    YES(harness_has_ended(h));
    EQ_INT(harness_out_count(h), 25001);
    EQ_INT(harness_out(h, 0)->data_len, 100);
    EQ_STR(harness_position(h, "generate-0000"), "8334");
    EQ_STR(harness_position(h, "generate-0002"), "8333");
    harness_free(h);
}

TEST(generate_without_end_stops_when_there_is_no_room_and_goes_on)
{
    struct harness *h = harness_new("generate", KP_SOURCE, "{ size = '10B' }");
    size_t n;

    harness_hold(h, true);
    harness_start(h);
    n = harness_out_count(h);
    YES(n >= 10000 && n < 30000);
    NO(harness_has_ended(h));
    for (size_t i = 0; i < n; i++)
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    YES(harness_out_count(h) > n);
    harness_free(h);
}

TEST(generate_keeps_its_rate)
{
    struct harness *h = harness_new("generate", KP_SOURCE, "{ rate = 1000, size = '10B' }");

    harness_start(h);
    harness_advance(h, 5000);
    YES(harness_out_count(h) >= 4990 && harness_out_count(h) <= 5010);
    harness_stop(h);
    harness_advance(h, 5000);
    YES(harness_out_count(h) <= 5010);
    harness_free(h);
}

TEST(generate_goes_on_at_its_checkpoint)
{
    struct harness *h = harness_new("generate", KP_SOURCE, "{ count = 10 }");

    harness_checkpoint(h, "generate-0000", "7", 0);
    harness_start(h);
    EQ_INT(harness_out_count(h), 3);
    YES(harness_has_ended(h));
    harness_free(h);
}

TEST(list_gives_its_records_in_order)
{
    struct harness *h = harness_new(
        "list", KP_SOURCE, "{ records = { 'a', 'b', 'c' }, key = 'k', lane = 'here', batch = 2 }");

    harness_start(h);
    YES(harness_has_ended(h));
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 2)->data, "c");
    EQ_STR(harness_out(h, 2)->sequence, "3");
    EQ_STR(harness_out(h, 2)->key, "k");
    EQ_STR(harness_position(h, "here"), "3");
    harness_free(h);
}

/* ---- sinks */

TEST(file_sink_appends_lines_and_ends_a_torn_one)
{
    const char *path = path_in(kptest_dir(), "out.txt");
    const char *const in[] = {"one", "two", NULL};
    struct harness *h;

    write_text(path, "torn");
    h = open_with("file", KP_SINK, "{ path = '%s' }", path);
    harness_feed(h, "a", in);
    harness_feed_one(h, "b", "three\n", NULL); /* has its end already */
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    EQ_STR(read_text(path), "torn\none\ntwo\nthree\n");
    YES(strstr(harness_log(h), "line.torn") != NULL);
    harness_free(h);
}

TEST(file_sink_tries_again_when_the_disk_is_full)
{
    struct harness *h = harness_new("file", KP_SINK, "{ path = '/dev/full' }");
    const char *const in[] = {"one", "two", NULL};

    harness_feed(h, "a", in);
    EQ_INT(harness_count(h, KP_RETRY), 2);
    EQ_STR(harness_reason(h, 1), "cannot write /dev/full: No space left on device");
    harness_feed(h, "a", in);
    EQ_INT(harness_count(h, KP_RETRY), 4);
    REQUIRE(strstr(harness_log(h), "warn write.failed") != NULL); /* said once */
    CU_ASSERT_PTR_NULL(strstr(strstr(harness_log(h), "write.failed") + 1, "write.failed"));
    CU_ASSERT_PTR_NULL(harness_failed(h));
    harness_free(h);
}

TEST(file_sink_leaves_no_half_group_behind)
{
    const char *path = path_in(kptest_dir(), "out.txt");
    struct harness *h = open_with("file", KP_SINK, "{ path = '%s' }", path);
    struct rlimit old, small;
    size_t len = 200000;
    char *line = malloc(len + 1);

    memset(line, 'x', len);
    line[len] = '\0';
    harness_feed_one(h, "a", "first", NULL);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){100000, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    harness_feed_one(h, "a", line, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    EQ_INT(harness_outcome(h, 1), KP_RETRY);
    EQ_STR(read_text(path), "first\n");
    harness_feed_one(h, "a", "second", NULL);
    EQ_STR(read_text(path), "first\nsecond\n");
    YES(strstr(harness_log(h), "write.recovered") != NULL);
    harness_free(h);
    free(line);
}

TEST(file_sink_says_once_why_it_cannot_open)
{
    const char *error =
        harness_config_error("file", KP_SINK, "{ path = '/nowhere/at/all/out.txt' }");

    YES(strstr(error, "cannot open /nowhere/at/all/out.txt for writing: No such file") != NULL);
    error = harness_config_error("file", KP_SINK, "{ path = '/' }");
    YES(strstr(error, "Is a directory") != NULL);
}

TEST(stdout_writes_lines)
{
    const char *path = path_in(kptest_dir(), "out.txt");
    int saved = dup(1), fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct harness *h;

    fflush(stdout);
    dup2(fd, 1);
    h = harness_new("stdout", KP_SINK, "{}");
    harness_feed_one(h, "a", "hello", NULL);
    dup2(saved, 1);
    close(saved);
    close(fd);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    EQ_STR(read_text(path), "hello\n");
    harness_free(h);
}

TEST(stdout_that_nobody_reads_any_more_ends_the_run)
{
    int saved = dup(1), ends[2];
    struct harness *h;

    REQUIRE(pipe(ends) == 0);
    fflush(stdout);
    dup2(ends[1], 1);
    h = harness_new("stdout", KP_SINK, "{}");
    close(ends[0]);
    close(ends[1]);
    harness_feed_one(h, "a", "hello", NULL);
    dup2(saved, 1);
    close(saved);
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    EQ_STR(harness_failed(h), "standard output was closed by its reader");
    harness_free(h);
}

TEST(null_takes_everything)
{
    struct harness *h = harness_new("null", KP_SINK, "{}");

    harness_feed_one(h, "a", "x", NULL);
    EQ_INT(harness_outcome(h, 0), KP_DELIVERED);
    harness_free(h);
}

TEST(collect_writes_all_that_is_known_as_json)
{
    const char *path = path_in(kptest_dir(), "out.jsonl");
    struct harness *h = open_with("collect", KP_SINK, "{ path = '%s' }", path);
    const kp_failure failure = {.size = sizeof failure, .attempts = 3, .reason = {"tired", 5}};
    const struct harness_input in[] = {
        {.data = "say \"hi\"\n", .key = "k", .type = "text/plain"},
        {.data = "\xff\x00\x01", .data_len = 3},
        {.data = "bad", .failure = &failure},
    };

    harness_feed_records(h, "lane", in, 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 3);
    EQ_STR(read_text(path), "{\"data\":\"say \\\"hi\\\"\\n\",\"key\":\"k\",\"sequence\":\"1\","
                            "\"type\":\"text/plain\",\"lane\":\"lane\"}\n"
                            "{\"data_base64\":\"/wAB\",\"sequence\":\"2\",\"lane\":\"lane\"}\n"
                            "{\"data\":\"bad\",\"sequence\":\"3\",\"lane\":\"lane\","
                            "\"failure\":{\"attempts\":3,\"reason\":\"tired\"}}\n");
    harness_free(h);
}
