/* replay_test.c - replay and ticker through the harness: what comes out, when, and from where on.
 */
#include "plugins/replay/line.h"
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#include <lz4frame.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TAXI "pipelines/data/taxi/dropoff_year=2018"

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
    char path[1024];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    REQUIRE(f != NULL);
    REQUIRE(fwrite(data, 1, len, f) == len);
    REQUIRE(fclose(f) == 0);
}

static void write_text(const char *dir, const char *name, const char *text)
{
    write_file(dir, name, text, strlen(text));
}

/* [owned by caller] */
static char *lz4_of(const char *text, size_t *ret_len)
{
    LZ4F_preferences_t prefs = {.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled,
                                              .blockSizeID = LZ4F_max64KB}};
    size_t room = LZ4F_compressFrameBound(strlen(text), &prefs);
    char *out = malloc(room);

    REQUIRE(out != NULL);
    *ret_len = LZ4F_compressFrame(out, room, text, strlen(text), &prefs);
    REQUIRE(!LZ4F_isError(*ret_len));
    return out;
}

static struct harness *replay(const char *fmt, const char *path)
{
    char options[2048];

    snprintf(options, sizeof(options), fmt, path);
    return harness_new("replay", KP_SOURCE, options);
}

static void digest_of(const struct harness *h, char out[65])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char sum[32];

    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (size_t i = 0; i < harness_out_count(h); i++)
        EVP_DigestUpdate(md, harness_out(h, i)->data, harness_out(h, i)->data_len);
    EVP_DigestFinal_ex(md, sum, NULL);
    EVP_MD_CTX_free(md);
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

TEST(the_taxi_trips_come_out_byte_for_byte)
{
    struct harness *h = replay("{ path = '%s', partition_key = 'hash' }", kptest_path(TAXI));
    char digest[65];

    harness_start(h);
    YES(harness_has_ended(h));
    EQ_INT(harness_out_count(h), 119996);
    digest_of(h, digest);
    EQ_STR(digest, "bbcc7eab4b894bb3e2c73305c8f616e095f1a2c756c6d497901cc88342315872");
    EQ_STR(harness_position(h, "replay"), "part-00011.c000.json.lz4#9996");
    harness_free(h);
}

TEST(hash_keys_are_those_of_the_replay_tool)
{
    struct harness *h = replay("{ path = '%s', partition_key = 'hash' }",
                               kptest_path(TAXI "/part-00000.c000.json.lz4"));
    FILE *f = fopen(kptest_path("tests/golden/taxi/partition_keys.csv"), "re");
    char line[256], key[32];
    long long trip;
    size_t i = 0;

    REQUIRE(f != NULL);
    harness_start(h);
    EQ_INT(harness_out_count(h), 10000);
    REQUIRE(fgets(line, sizeof(line), f) != NULL);
    for (; fgets(line, sizeof(line), f); i++) {
        REQUIRE(sscanf(line, "%lld,%31[^,]", &trip, key) == 2);
        EQ_INT(trip, i);
        EQ_STR(harness_out(h, i)->key, key);
    }
    EQ_INT(i, 1000);
    fclose(f);
    harness_free(h);
}

TEST(random_keys_are_uuids_and_differ)
{
    const char *dir = kptest_dir();
    struct harness *h;

    write_text(dir, "a", "1\n2\n");
    h = replay("{ path = '%s' }", dir);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 2);
    EQ_INT(strlen(harness_out(h, 0)->key), 36);
    EQ_INT(harness_out(h, 0)->key[14], '4');
    YES(strcmp(harness_out(h, 0)->key, harness_out(h, 1)->key) != 0);
    harness_free(h);
}

TEST(objects_go_by_name_and_readmes_are_no_data)
{
    const char *dir = kptest_dir();
    char sub[256], options[1024];
    size_t len;
    char *frame = lz4_of("c\n", &len);
    struct harness *h;

    snprintf(sub, sizeof(sub), "%s/b", dir);
    REQUIRE(mkdir(sub, 0755) == 0);
    write_text(dir, "a.json", "a\n");
    write_file(sub, "1.json.lz4", frame, len);
    write_text(sub, "README.md", "no\n");
    write_text(dir, ".hidden", "no\n");
    write_text(dir, "z-empty", "");
    write_text(dir, "z-last", "d\n\ne"); /* an empty line, and none at the end */
    snprintf(options, sizeof(options), "%s", dir);
    h = replay("{ path = '%s' }", options);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 4);
    EQ_STR(harness_out(h, 0)->data, "a\n");
    EQ_STR(harness_out(h, 1)->data, "c\n");
    EQ_STR(harness_out(h, 2)->data, "d\n");
    EQ_STR(harness_out(h, 3)->data, "e\n");
    EQ_STR(harness_position(h, "replay"), "z-last#3");
    YES(harness_has_ended(h));
    harness_free(h);
    free(frame);
}

TEST(a_pattern_and_a_list_choose_objects)
{
    const char *dir = kptest_dir();
    char options[1024];
    struct harness *h;

    write_text(dir, "1.json", "1\n");
    write_text(dir, "2.json", "2\n");
    write_text(dir, "3.txt", "3\n");
    h = replay("{ path = '%s/*.json' }", dir);
    harness_start(h);
    EQ_INT(harness_out_count(h), 2);
    EQ_STR(harness_position(h, "replay"), "2.json#1");
    harness_free(h);
    snprintf(options, sizeof(options), "{ files = { '%s/3.txt', '%s/1.json' } }", dir, dir);
    h = harness_new("replay", KP_SOURCE, options);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->data, "3\n");
    EQ_STR(harness_out(h, 1)->data, "1\n");
    harness_free(h);
}

TEST(a_restart_goes_on_behind_the_last_settled_line)
{
    const char *dir = kptest_dir();
    struct harness *h;

    write_text(dir, "1", "a\nb\nc\n");
    write_text(dir, "2", "d\ne\n");
    h = replay("{ path = '%s' }", dir);
    harness_checkpoint(h, "replay", "1#2", 0);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 0)->data, "c\n");
    EQ_STR(harness_out(h, 2)->data, "e\n");
    harness_free(h);

    h = replay("{ path = '%s' }", dir);
    harness_checkpoint(h, "replay", "2#2", 0); /* all was done */
    harness_start(h);
    EQ_INT(harness_out_count(h), 0);
    YES(harness_has_ended(h));
    harness_free(h);

    h = replay("{ path = '%s' }", dir);
    harness_checkpoint(h, "replay", "gone#2", 0); /* not there any more: from the beginning */
    harness_start(h);
    EQ_INT(harness_out_count(h), 5);
    harness_free(h);
}

TEST(speedup_paces_by_the_time_stamp_and_bad_lines_go_at_once)
{
    const char *dir = kptest_dir();
    struct harness *h;

    write_text(dir, "a",
               "{\"t\":\"2018-01-01T00:00:00.000Z\"}\n"
               "{\"t\":\"2018-01-01T00:01:00.000Z\"}\n"
               "not json\n"
               "{\"x\":1}\n"
               "{\"t\":\"2018-01-01T00:02:00.000Z\"}\n");
    h = replay("{ path = '%s', timestamp = 't', speedup = 60 }", dir);
    harness_start(h);
    EQ_INT(harness_out_count(h), 1);
    harness_advance(h, 999);
    EQ_INT(harness_out_count(h), 1);
    harness_advance(h, 1);
    EQ_INT(harness_out_count(h), 4);
    NO(harness_has_ended(h));
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 5);
    YES(harness_has_ended(h));
    harness_free(h);
}

TEST(nothing_is_sent_while_there_is_no_room)
{
    const char *dir = kptest_dir();
    struct harness *h;

    write_text(dir, "a", "1\n2\n");
    h = replay("{ path = '%s' }", dir);
    harness_set_room(h, false);
    harness_start(h);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    EQ_INT(harness_out_count(h), 2);
    YES(harness_has_ended(h));
    harness_free(h);
}

TEST(a_replay_without_memory_goes_on_when_there_is_some)
{
    const char *dir = kptest_dir();

    for (int nth = 1; nth <= 4; nth++) {
        struct harness *h;

        write_text(dir, "a", "one\ntwo\n");
        h = replay("{ path = '%s' }", dir);
        harness_fail_alloc(h, nth);
        harness_start(h);
        harness_advance(h, 1000);
        EQ_INT(harness_out_count(h), 2);
        EQ_STR(harness_position(h, "replay"), "a#2");
        YES(harness_has_ended(h));
        harness_free(h);
    }
}

TEST(a_line_longer_than_a_piece_stays_whole)
{
    const char *dir = kptest_dir();
    size_t len = 700000;
    char *line = malloc(len + 8);
    struct harness *h;

    REQUIRE(line != NULL);
    memset(line, 'x', len);
    memcpy(line + len, "\nend\n", 6);
    write_text(dir, "a", line);
    h = replay("{ path = '%s' }", dir);
    harness_start(h);
    REQUIRE(harness_out_count(h) == 2);
    EQ_INT(harness_out(h, 0)->data_len, len + 1);
    EQ_STR(harness_out(h, 1)->data, "end\n");
    harness_free(h);
    free(line);
}

TEST(a_damaged_frame_fails_by_name_and_offset_after_what_was_good)
{
    const char *dir = kptest_dir();
    size_t len, lines = 20000;
    char *text = malloc(lines * 8 + 1), *frame;
    struct harness *h;

    REQUIRE(text != NULL);
    for (size_t i = 0; i < lines; i++)
        snprintf(text + i * 8, 9, "%07zu\n", i);
    frame = lz4_of(text, &len);
    frame[len - 2] ^= 0x55; /* the checksum of the content */
    write_file(dir, "bad.lz4", frame, len);
    h = replay("{ path = '%s' }", dir);
    harness_hold(h, true);
    harness_start(h);
    EQ_INT(harness_out_count(h), 10000); /* what one lane may have open */
    CU_ASSERT_PTR_NULL(harness_failed(h));
    for (size_t i = 0; i < harness_out_count(h); i++) /* more come meanwhile */
        harness_settle_out(h, i, KP_DELIVERED, NULL);
    harness_advance(h, 0);
    EQ_INT(harness_out_count(h), lines);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "bad.lz4 is damaged near byte") != NULL);
    NO(harness_has_ended(h));
    harness_free(h);
    free(frame);
    free(text);
}

TEST(a_cut_frame_and_other_compressions_are_named)
{
    const char *dir = kptest_dir();
    size_t len;
    char *frame = lz4_of("one\ntwo\n", &len);
    struct harness *h;

    write_file(dir, "cut.lz4", frame, len - 5);
    h = replay("{ path = '%s/cut.lz4' }", dir);
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "cut.lz4 is damaged: it ends inside an LZ4 frame") != NULL);
    harness_free(h);
    write_file(dir, "x.gz", "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
    h = replay("{ path = '%s/x.gz' }", dir);
    harness_start(h);
    REQUIRE(harness_failed(h) != NULL);
    YES(strstr(harness_failed(h), "is compressed with gzip") != NULL);
    harness_free(h);
    free(frame);
}

TEST(replay_options_that_cannot_work_are_refused)
{
    YES(strstr(harness_config_error("replay", KP_SOURCE, "{}"), "either path or files") != NULL);
    YES(strstr(harness_config_error("replay", KP_SOURCE, "{ path = '/nonexistent/dir' }"),
               "cannot read /nonexistent/dir") != NULL);
    YES(strstr(harness_config_error("replay", KP_SOURCE, "{ path = '/nonexistent/*.lz4' }"),
               "no file matches") != NULL);
}

TEST(time_stamps_of_both_data_sets_are_read)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2018-01-01T00:12:08.000Z", 1514765528000},
        {"2018-01-01T01:12:08.5+01:00", 1514765528500},
        {"2007-01-03 00:00:00.000", 1167782400000},
        {"2000-02-29T23:59:59.999Z", 951868799999},
        {"1514765528", 1514765528000},
        {"1514765528123", 1514765528123},
    };
    static const char *const bad[] = {"",          "2018-13-01T00:00:00Z",  "2018-01-01",
                                      "yesterday", "2018-01-01T00:00:00.Z", "2018-01-01T00:00:00Zx",
                                      "-5"};
    int64_t ms;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        YES(replay_time((kp_slice){good[i].text, strlen(good[i].text)}, &ms));
        EQ_INT(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        NO(replay_time((kp_slice){bad[i], strlen(bad[i])}, &ms));
}

TEST(the_hash_key_follows_java_beyond_ascii)
{
    char out[12];

    /* 31 + "é😀".hashCode(): é = U+00E9, the face is two UTF-16 units */
    out[replay_hash_key("\xc3\xa9\xf0\x9f\x98\x80", 6, out)] = 0;
    EQ_STR(out, "1996843");
    out[replay_hash_key("", 0, out)] = 0;
    EQ_STR(out, "31");
}

/* ---- ticker --------------------------------------------------------------------------------- */

TEST(the_ticker_makes_a_hundred_records_a_second)
{
    struct harness *h = harness_new("ticker", KP_SOURCE, "{}");

    harness_start(h);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 100);
    harness_advance(h, 2500);
    EQ_INT(harness_out_count(h), 350);
    NO(harness_has_ended(h));
    harness_free(h);
}

TEST(the_ticker_ends_after_count_records_and_goes_on_from_a_checkpoint)
{
    struct harness *h = harness_new("ticker", KP_SOURCE, "{ count = 250, rate = 1000 }");

    harness_start(h);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 250);
    YES(harness_has_ended(h));
    EQ_STR(harness_position(h, "ticker"), "250");
    harness_free(h);
    h = harness_new("ticker", KP_SOURCE, "{ count = 250, rate = 1000 }");
    harness_checkpoint(h, "ticker", "240", 0);
    harness_start(h);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 10);
    YES(harness_has_ended(h));
    harness_free(h);
}

TEST(ticker_records_look_like_those_of_the_demo_producer)
{
    struct harness *h =
        harness_new("ticker", KP_SOURCE, "{ count = 5000, rate = 10000, seed = 7 }");
    double sum = 0;
    int seen = 0;

    harness_start(h);
    harness_advance(h, 1000);
    REQUIRE(harness_out_count(h) == 5000);
    for (size_t i = 0; i < 5000; i++) {
        char time[40], name[8];
        double price;
        static const char *const names = "AAPL AMZN MSFT INTC TBV";

        REQUIRE(sscanf(harness_out(h, i)->data,
                       "{\"event_time\":\"%39[^\"]\",\"ticker\":\"%7[^\"]\",\"price\":%lf}", time,
                       name, &price) == 3);
        YES(strstr(names, name) != NULL);
        YES(price >= 0 && price < 100);
        seen |= 1 << ((strstr(names, name) - names) / 5);
        sum += price;
    }
    EQ_INT(seen, 31);
    YES(sum / 5000 > 48 && sum / 5000 < 52);
    YES(strncmp(harness_out(h, 0)->data, "{\"event_time\":\"2023-11-14 22:13:20.", 35) == 0);
    harness_free(h);
}

TEST(a_seed_gives_the_same_prices_every_time)
{
    char first[200];
    struct harness *h = harness_new("ticker", KP_SOURCE, "{ count = 20, rate = 1000, seed = 42 }");

    harness_start(h);
    harness_advance(h, 1000);
    snprintf(first, sizeof(first), "%s", strstr(harness_out(h, 15)->data, "\"ticker\""));
    harness_free(h);
    h = harness_new("ticker", KP_SOURCE, "{ count = 20, rate = 1000, seed = 42 }");
    harness_checkpoint(h, "ticker", "15", 0);
    harness_start(h);
    harness_advance(h, 1000);
    EQ_STR(strstr(harness_out(h, 0)->data, "\"ticker\""), first);
    harness_free(h);
}
