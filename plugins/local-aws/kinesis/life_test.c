/* Kinesis over restarts, crashes and full disks. */
#include "plugins/local-aws/kinesis/kinesis_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugins/local-aws/kinesis/find.h"
#include "plugins/local-aws/kinesis/segment.h"

static struct harness *restart(struct harness *h, const char *dir, const char *options)
{
    harness_free(h);
    return kinesis_start(dir, options);
}

static void create(struct harness *h, const char *stream, int shards)
{
    kinesis_do(h, 200, "CreateStream", "{'StreamName': '%s', 'ShardCount': %d}", stream, shards);
}

/* Path of the last (or only) segment of shard 0. [static buffer] */
static const char *last_segment(const char *dir, const char *stream, size_t *ret_n)
{
    static char path[700];
    char folder[600], last[100] = "";
    struct dirent *entry;
    DIR *d;

    snprintf(folder, sizeof folder, "%s/kinesis/%s/shardId-000000000000", dir, stream);
    d = opendir(folder);
    REQUIRE(d != NULL);
    for (*ret_n = 0; (entry = readdir(d));) {
        if (!strstr(entry->d_name, ".seg"))
            continue;
        ++*ret_n;
        if (strcmp(entry->d_name, last) > 0)
            snprintf(last, sizeof last, "%.90s", entry->d_name);
    }
    closedir(d);
    snprintf(path, sizeof path, "%s/%s", folder, last);
    return path;
}

static off_t size_of(const char *path)
{
    struct stat st;

    REQUIRE(stat(path, &st) == 0);
    return st.st_size;
}

TEST(streams_records_numbers_tags_and_iterators_survive_a_restart)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    char before[60], *iterator;
    json_t *out;

    create(h, "s", 2);
    kinesis_do(h, 200, "AddTagsToStream", "{'StreamName': 's', 'Tags': {'a': '1'}}");
    kinesis_put(h, "s", "a", "MA==");
    snprintf(before, sizeof before, "%s", kinesis_put(h, "s", "a", "MQ=="));
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    json_decref(kinesis_get(h, &iterator, 1));
    h = restart(h, dir, NULL);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 1);
    EQ_STR(kinesis_text(out, "Records.0.SequenceNumber"), before);
    json_decref(out);
    YES(strcmp(before, kinesis_put(h, "s", "a", "Mg==")) < 0);
    out = kinesis_get(h, &iterator, 0);
    EQ_STR(kinesis_text(out, "Records.0.Data"), "Mg==");
    json_decref(out);
    out = kinesis_ask(h, 200, "ListTagsForStream", "{'StreamName': 's'}");
    EQ_STR(kinesis_text(out, "Tags.0.Value"), "1");
    json_decref(out);
    free(iterator);
    harness_free(h);
}

TEST(a_split_survives_a_restart)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    json_t *out;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    kinesis_do(h, 200, "SplitShard",
               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': '99999999'}");
    h = restart(h, dir, NULL);
    kinesis_put(h, "s", "a", "MQ==");
    EQ_INT(kinesis_count(h, "s", 2), 1);
    out = kinesis_all(h, "s", 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 1);
    EQ_STR(kinesis_text(out, "ChildShards.1.ShardId"), "shardId-000000000002");
    json_decref(out);
    harness_free(h);
}

static void tail_is_cut(const char *options)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, options);
    off_t whole, torn;
    size_t n;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    EQ_INT(kinesis_count(h, "s", 0), 1); /* durability memory writes what is asked for */
    path = last_segment(dir, "s", &n);
    whole = size_of(path);
    kinesis_put(h, "s", "a", "MQ==");
    EQ_INT(kinesis_count(h, "s", 0), 2);
    torn = size_of(path) - 3;
    harness_free(h);
    h = NULL;
    REQUIRE(truncate(path, torn) == 0);

    h = kinesis_start(dir, options);
    EQ_INT(size_of(path), whole);
    EQ_INT(harness_counter(h, "kinesis_tail_cut_bytes"), torn - whole);
    YES(strstr(harness_log(h), "kinesis.tail-cut") != NULL);
    EQ_INT(kinesis_count(h, "s", 0), 1);
    kinesis_put(h, "s", "a", "Mg==");
    EQ_INT(kinesis_count(h, "s", 0), 2);
    h = restart(h, dir, options);
    EQ_INT(harness_counter(h, "kinesis_tail_cut_bytes"), 0);
    EQ_INT(kinesis_count(h, "s", 0), 2);
    harness_free(h);
}

TEST(a_torn_tail_is_cut_off_and_counted)
{
    tail_is_cut("durability = 'fsync'");
    tail_is_cut("durability = 'os'");
    tail_is_cut("durability = 'memory'");
}

/* Every way to tear the last block: each length of it, and each byte of it changed. */
TEST(whatever_happens_to_the_last_block_the_ones_before_stay)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, NULL);
    char bytes[400];
    off_t first, all;
    size_t n;
    int fd;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    path = last_segment(dir, "s", &n);
    first = size_of(path);
    kinesis_put(h, "s", "a", "MQ==");
    all = size_of(path);
    harness_free(h);
    fd = open(path, O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0 && all < (off_t)sizeof bytes && pread(fd, bytes, (size_t)all, 0) == all);
    for (off_t i = first; i < all; i += 3) {
        char byte = (char)(bytes[i] ^ 0x55);

        REQUIRE(pwrite(fd, bytes, (size_t)all, 0) == all);
        REQUIRE(i % 2 ? ftruncate(fd, i) == 0 : pwrite(fd, &byte, 1, i) == 1);
        h = kinesis_start(dir, NULL);
        EQ_INT(kinesis_count(h, "s", 0), 1);
        harness_free(h);
        EQ_INT(size_of(path), first);
    }
    close(fd);
}

/* SHARD/tail of shard 0. [static buffer] */
static const char *note_of(const char *dir)
{
    static char path[700];

    snprintf(path, sizeof path, "%s/kinesis/s/shardId-000000000000/tail", dir);
    return path;
}

/* 3 MiB, then kill -9: the folder is copied by name as the process would leave it. */
TEST(a_start_proves_only_what_is_behind_the_note)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, "no_limits = true");
    char *body = kinesis_many("s", 100, 10240), note[40], byte = 0;
    off_t whole;
    size_t n;
    int fd;

    create(h, "s", 1);
    for (int i = 0; i < 3; i++)
        kinesis_do(h, 200, "PutRecords", "%s", body);
    fd = open(note_of(dir), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && pread(fd, note, sizeof note, 0) == (ssize_t)sizeof note); /* of that time */
    close(fd);
    kinesis_put(h, "s", "a", "MQ==");
    path = last_segment(dir, "s", &n);
    whole = size_of(path);
    harness_free(h);
    fd = open(note_of(dir), O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && pwrite(fd, note, sizeof note, 0) == (ssize_t)sizeof note);
    close(fd);
    fd = open(path, O_RDWR | O_CLOEXEC); /* in front of the note: nobody looks there */
    REQUIRE(fd >= 0 && pread(fd, &byte, 1, 5000) == 1);
    byte ^= 1;
    REQUIRE(pwrite(fd, &byte, 1, 5000) == 1);
    close(fd);
    REQUIRE(truncate(path, whole - 1) == 0); /* and the last record is torn */
    h = kinesis_start(dir, "no_limits = true");
    YES(harness_counter(h, "kinesis_tail_cut_bytes") > 0 &&
        harness_counter(h, "kinesis_tail_cut_bytes") < 200);
    kinesis_put(h, "s", "a", "MQ==");
    EQ_INT(size_of(path), whole);
    harness_free(h);
    free(body);
}

/* Whatever is in the note, the start finds the end. */
TEST(a_wrong_note_costs_time_and_nothing_else)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, NULL);
    char note[40];
    off_t whole;
    size_t n;
    int fd;

    create(h, "s", 1);
    for (int i = 0; i < 5; i++)
        kinesis_put(h, "s", "a", "MQ==");
    path = last_segment(dir, "s", &n);
    whole = size_of(path);
    harness_free(h);
    fd = open(note_of(dir), O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0 && pread(fd, note, sizeof note, 0) == (ssize_t)sizeof note);
    for (size_t i = 0; i <= sizeof note; i++) {
        char changed[40];

        memcpy(changed, note, sizeof note);
        if (i < sizeof note)
            changed[i] ^= 0x11;
        REQUIRE(ftruncate(fd, 0) == 0);
        REQUIRE(pwrite(fd, changed, i ? i : 1, 0) > 0); /* torn and changed */
        h = kinesis_start(dir, NULL);
        EQ_INT(harness_counter(h, "kinesis_tail_cut_bytes"), 0);
        EQ_INT(size_of(path), whole);
        EQ_INT(kinesis_count(h, "s", 0), 5);
        harness_free(h);
    }
    close(fd);
}

/* A note that is right but for its place: inside of a block. */
TEST(a_note_of_no_block_is_not_believed)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, NULL);
    struct log log = {.path = strdup("s/shardId-000000000000"), .fd = -1, .old_fd = -1};
    char head[SEGMENT_HEAD];
    struct segment_head found;
    size_t n;
    int fd;

    create(h, "s", 1);
    for (int i = 0; i < 3; i++)
        kinesis_put(h, "s", "a", "MQ==");
    path = last_segment(dir, "s", &n);
    harness_free(h);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head);
    REQUIRE(segment_head_read(head, &found));
    close(fd);
    log.generation = found.generation;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    log.root = openat(fd, "kinesis", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(log.root >= 0);
    for (uint64_t offset = 0; offset < 400; offset += 7) {
        log_tail_note(&log, found.first_index, offset);
        h = kinesis_start(dir, NULL);
        EQ_INT(kinesis_count(h, "s", 0), 3);
        kinesis_put(h, "s", "a", "MQ=="); /* the numbers go on */
        EQ_INT(kinesis_count(h, "s", 0), 4);
        harness_free(h);
        REQUIRE(truncate(path, size_of(path) - 1) == 0);
    }
    close(log.root);
    close(fd);
    free(log.path);
}

TEST(a_broken_block_before_the_tail_is_an_error_and_not_a_gap)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, NULL);
    char *iterator, first[700];
    size_t n;
    int fd;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    path = last_segment(dir, "s", &n);
    snprintf(first, sizeof first, "%s", path);
    harness_advance(h, 2 * 3600000);
    kinesis_put(h, "s", "a", "MQ=="); /* in the next segment */
    last_segment(dir, "s", &n);
    EQ_INT(n, 2);
    fd = open(first, O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && pwrite(fd, "x", 1, size_of(first) - 1) == 1);
    close(fd);
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    EQ_STR(kinesis_do(h, 500, "GetRecords", "{'ShardIterator': '%s'}", iterator),
           "{\"__type\":\"InternalFailure\"}");
    free(iterator);
    harness_free(h);
}

TEST(a_file_of_another_shard_is_refused_at_the_start)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, NULL);
    char options[700];
    size_t n;
    int fd;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    path = last_segment(dir, "s", &n);
    harness_free(h);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && pwrite(fd, "\7", 1, 9) == 1);
    close(fd);
    snprintf(options, sizeof options, "{ dir = '%s' }", dir);
    YES(strstr(harness_config_error("local-aws", KP_SERVICE, options),
               "is not a segment of this shard") != NULL);
}

/* The seconds of hours apart end segments; reading goes through all of them, also after a restart,
 * when only the last one is known in detail. */
TEST(reading_goes_through_many_segments)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    char number[60] = "", more[120], *iterator;
    double at = 0;
    json_t *out;
    size_t n;

    create(h, "s", 1);
    for (int i = 0; i < 8; i++) {
        const char *given = kinesis_put(h, "s", "a", i % 2 ? "MQ==" : "MA==");

        kinesis_put(h, "s", "a", "Mg==");
        if (i == 5)
            snprintf(number, sizeof number, "%s", given);
        harness_advance(h, 2 * 3600000);
    }
    last_segment(dir, "s", &n);
    EQ_INT(n, 8);
    out = kinesis_all(h, "s", 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 16);
    at = json_number_value(kinesis_at(out, "Records.6.ApproximateArrivalTimestamp"));
    json_decref(out);
    h = restart(h, dir, "no_limits = true");
    EQ_INT(kinesis_count(h, "s", 0), 16);

    snprintf(more, sizeof more, ", 'StartingSequenceNumber': '%s'", number);
    iterator = kinesis_iterator(h, "s", 0, "AFTER_SEQUENCE_NUMBER", more);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 5);
    json_decref(out);
    free(iterator);
    harness_advance(h, 16 * 3600000); /* the fake clock began again with the harness */
    snprintf(more, sizeof more, ", 'Timestamp': %.3f", at);
    iterator = kinesis_iterator(h, "s", 0, "AT_TIMESTAMP", more);
    out = kinesis_get(h, &iterator, 0);
    EQ_INT(json_array_size(kinesis_at(out, "Records")), 10);
    json_decref(out);
    free(iterator);
    harness_free(h);
}

TEST(whole_segments_are_deleted_when_they_have_expired)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    size_t n;

    create(h, "s", 1);
    for (int i = 0; i < 4; i++) {
        kinesis_put(h, "s", "a", "MA==");
        harness_advance(h, 8 * 3600000);
    }
    harness_advance(h, 60001);
    last_segment(dir, "s", &n);
    EQ_INT(n, 3); /* of 0, 8, 16 and 24 hours the first: the second may go on until 16 */
    EQ_INT(kinesis_count(h, "s", 0), 2);
    harness_advance(h, 48 * 3600000);
    last_segment(dir, "s", &n);
    EQ_INT(n, 1); /* the last one stays, empty: it knows the next number */
    harness_free(h);
}

TEST(a_closed_shard_goes_when_its_records_have_expired)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    char *iterator;
    json_t *out;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    kinesis_do(h, 200, "SplitShard",
               "{'StreamName': 's', 'ShardToSplit': '0', 'NewStartingHashKey': '99999999'}");
    harness_advance(h, 23 * 3600000);
    EQ_INT(kinesis_count(h, "s", 0), 1);
    harness_advance(h, 3600000 + 58000);
    iterator = kinesis_iterator(h, "s", 0, "TRIM_HORIZON", NULL);
    harness_advance(h, 120000);
    kinesis_refused(kinesis_do(h, 400, "GetRecords", "{'ShardIterator': '%s'}", iterator),
                    "ResourceNotFoundException",
                    "Shard shardId-000000000000 in stream s under account 000000000000 does not "
                    "exist");
    free(iterator);
    h = restart(h, dir, NULL);
    out = kinesis_ask(h, 200, "ListShards", "{'StreamName': 's'}");
    EQ_STR(kinesis_text(out, "Shards.0.ShardId"), "shardId-000000000001");
    EQ_INT(json_array_size(kinesis_at(out, "Shards")), 2);
    json_decref(out);
    harness_free(h);
}

/* ---- kill -9 */

/* Puts in a child process that kills itself after the answers. */
static void die_after_putting(const char *dir, const char *options, int n)
{
    const char *left = kptest_dir(); /* what the child leaves behind */
    pid_t child = fork();
    int status;

    REQUIRE(child >= 0);
    if (child == 0) {
        struct harness *h;

        setenv("TMPDIR", left, 1);
        h = kinesis_start(dir, options);
        for (int i = 0; i < n; i++)
            kinesis_put(h, "s", "a", "MA==");
        kill(getpid(), SIGKILL);
    }
    REQUIRE(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void nothing_is_lost(const char *durability)
{
    const char *dir = kptest_dir();
    char options[60];
    struct harness *h = kinesis_start(dir, NULL);

    create(h, "s", 1);
    harness_free(h);
    snprintf(options, sizeof options, "durability = '%s'", durability);
    die_after_putting(dir, options, 7);
    die_after_putting(dir, options, 5);
    h = kinesis_start(dir, options);
    EQ_INT(kinesis_count(h, "s", 0), 12);
    harness_free(h);
}

TEST(nothing_acknowledged_is_lost_by_kill_9)
{
    nothing_is_lost("os");
    nothing_is_lost("fsync");
}

TEST(a_folder_has_one_owner)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    char options[700], expected[100];

    snprintf(options, sizeof options, "{ dir = '%s' }", dir);
    snprintf(expected, sizeof expected, "is in use by process %ld", (long)getpid());
    YES(strstr(harness_config_error("local-aws", KP_SERVICE, options), expected) != NULL);
    harness_free(h);
    harness_free(kinesis_start(dir, NULL));
}

/* ---- durability */

TEST(requests_that_wait_for_the_disk_share_one_commit)
{
    static const char body[] = "{\"StreamName\":\"s\",\"PartitionKey\":\"a\",\"Data\":\"MA==\"}";
    static const char headers[] = "Content-Type: application/x-amz-json-1.1\r\n"
                                  "X-Amz-Target: Kinesis_20131202.PutRecord\r\n";
    struct harness *h = kinesis_start(kptest_dir(), "durability = 'fsync'");
    struct harness_exchange *x[40];
    int64_t commits;

    create(h, "s", 1);
    for (int i = 0; i < 40; i++)
        x[i] = harness_request_begin(h, "POST", "/", headers, body, sizeof body - 1);
    for (int i = 0; i < 40; i++)
        EQ_INT(harness_request_end(h, x[i], NULL), 200);
    commits = harness_counter(h, "kinesis_commits");
    YES(commits >= 1 && commits < 40);
    EQ_INT(kinesis_count(h, "s", 0), 40);
    harness_free(h);
}

/* Begins a call; the answer comes by harness_request_end(). */
static struct harness_exchange *begin(struct harness *h, const char *operation, const char *body)
{
    char headers[200];

    snprintf(headers, sizeof headers,
             "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.%s\r\n",
             operation);
    return harness_request_begin(h, "POST", "/", headers, body, strlen(body));
}

/* A put of shard 1 waits for the commit of shard 0 while its stream is deleted and made anew. */
TEST(a_stream_replaced_under_its_writers_gets_nothing_of_theirs)
{
    static const char low[] = "{\"StreamName\":\"s\",\"PartitionKey\":\"a\",\"Data\":\"MA==\","
                              "\"ExplicitHashKey\":\"0\"}";
    static const char high[] = "{\"StreamName\":\"s\",\"PartitionKey\":\"a\",\"Data\":\"MA==\","
                               "\"ExplicitHashKey\":\"340282366920938463463374607431768211455\"}";
    static const char made[] = "{\"StreamName\":\"s\",\"ShardCount\":2}";
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "durability = 'fsync'");
    struct harness_exchange *x[4];
    int first;

    create(h, "s", 2);
    x[0] = begin(h, "PutRecord", low);
    x[1] = begin(h, "PutRecord", high);
    x[2] = begin(h, "DeleteStream", "{\"StreamName\":\"s\"}");
    x[3] = begin(h, "CreateStream", made);
    EQ_INT(harness_request_end(h, x[3], NULL), 200);
    EQ_INT(harness_request_end(h, x[2], NULL), 200);
    EQ_INT(harness_request_end(h, x[1], NULL), 500);
    first = harness_request_end(h, x[0], NULL); /* it was written before the end, or not */
    YES(first == 200 || first == 500);
    EQ_INT(kinesis_count(h, "s", 0) + kinesis_count(h, "s", 1), 0);
    h = restart(h, dir, NULL);
    kinesis_put(h, "s", "a", "MQ==");
    EQ_INT(kinesis_count(h, "s", 0) + kinesis_count(h, "s", 1), 1);
    harness_free(h);
}

TEST(what_memory_holds_is_readable_at_once_and_written_soon)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, "durability = 'memory'");
    size_t n;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    EQ_INT(kinesis_count(h, "s", 0), 1);
    kinesis_put(h, "s", "a", "MQ==");
    last_segment(dir, "s", &n);
    EQ_INT(n, 1);
    harness_advance(h, 100);
    h = restart(h, dir, NULL);
    EQ_INT(kinesis_count(h, "s", 0), 2);
    harness_free(h);
}

/* ---- a full disk, played by the limit of a file's size */

static void limit_files(rlim_t bytes, struct rlimit *ret_before)
{
    struct rlimit tight;

    REQUIRE(getrlimit(RLIMIT_FSIZE, ret_before) == 0);
    tight = *ret_before;
    tight.rlim_cur = bytes;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
}

static void full_disk(const char *options)
{
    const char *dir = kptest_dir(), *path;
    struct harness *h = kinesis_start(dir, options);
    struct rlimit before;
    off_t whole;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    size_t n;

    create(h, "s", 1);
    kinesis_put(h, "s", "a", "MA==");
    path = last_segment(dir, "s", &n);
    whole = size_of(path);
    limit_files((rlim_t)whole + 10, &before);
    EQ_STR(
        kinesis_do(h, 500, "PutRecord", "{'StreamName': 's', 'PartitionKey': 'a', 'Data': 'MQ=='}"),
        "{\"__type\":\"InternalFailure\"}");
    EQ_STR(kinesis_do(h, 200, "PutRecords",
                      "{'StreamName': 's', 'Records': [{'PartitionKey': 'a', 'Data': 'MQ=='}]}"),
           "{\"FailedRecordCount\":1,\"Records\":[{\"ErrorCode\":\"InternalFailure\","
           "\"ErrorMessage\":\"Internal Service Failure\"}]}");
    EQ_INT(kinesis_count(h, "s", 0), 1);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    EQ_INT(size_of(path), whole); /* what fitted was cut off again */
    YES(strstr(harness_log(h), "kinesis.write-failed") != NULL);
    kinesis_put(h, "s", "a", "Mg==");
    EQ_INT(kinesis_count(h, "s", 0), 2);
    h = restart(h, dir, options);
    EQ_INT(kinesis_count(h, "s", 0), 2);
    EQ_INT(harness_counter(h, "kinesis_tail_cut_bytes"), 0);
    harness_free(h);
    signal(SIGXFSZ, handler);
}

TEST(a_full_disk_fails_the_put_and_loses_nothing)
{
    full_disk("durability = 'fsync'");
    full_disk("durability = 'os'");
}

static void no_room_to_begin(const char *options)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, options);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    size_t n;

    create(h, "s", 1);
    limit_files(SEGMENT_HEAD + 10, &before);
    kinesis_do(h, 500, "PutRecord", "{'StreamName': 's', 'PartitionKey': 'a', 'Data': 'MQ=='}");
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    last_segment(dir, "s", &n);
    EQ_INT(n, 0); /* nothing is left of it */
    kinesis_put(h, "s", "a", "MA==");
    h = restart(h, dir, options);
    EQ_INT(kinesis_count(h, "s", 0), 1);
    harness_free(h);
    signal(SIGXFSZ, handler);
}

TEST(a_segment_that_cannot_begin_leaves_nothing)
{
    no_room_to_begin("durability = 'fsync'");
    no_room_to_begin("durability = 'os'");
}

TEST(what_a_crash_left_of_a_stream_is_swept)
{
    const char *dir = kptest_dir();
    struct harness *h = kinesis_start(dir, NULL);
    char path[700];
    struct stat st;

    harness_free(h);
    snprintf(path, sizeof path, "%s/kinesis/gone", dir);
    REQUIRE(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/kinesis/gone/shardId-000000000000", dir);
    REQUIRE(mkdir(path, 0700) == 0);
    h = kinesis_start(dir, NULL);
    NO(stat(path, &st) == 0);
    harness_free(h);
}
