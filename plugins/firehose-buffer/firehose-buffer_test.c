/* firehose-buffer_test.c - objects by size, age and flush; bodies, keys and tickets. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/clock.h"
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#define UUID "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

static struct harness *open_with(const char *options)
{
    return harness_new("firehose-buffer", KP_TRANSFORM, options);
}

static void feed(struct harness *h, const char *lane, const char *data, int64_t arrival_ms)
{
    struct harness_input input = {.data = data, .arrival_ms = arrival_ms};

    harness_feed_records(h, lane, &input, 1);
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    bool found;

    REQUIRE(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    if (!found)
        fprintf(stderr, "'%s' does not match %s\n", text, pattern);
    return found;
}

/* 1 MiB of one letter [static] */
static const char *mebibyte(char c)
{
    static char text[(1 << 20) + 1];

    memset(text, c, sizeof text - 1);
    return text;
}

TEST(records_are_concatenated_as_they_are)
{
    struct harness *h = open_with("{ stream_name = 's' }");

    harness_feed(h, "a", (const char *const[]){"abc", "", "def\n", NULL});
    harness_feed(h, "b", (const char *const[]){"ghi", NULL});
    EQ_INT(harness_out_count(h), 0);
    EQ_INT(harness_count(h, KP_DELIVERED), 0);
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "abcdef\nghi");
    EQ_STR(harness_out(h, 0)->type, "application/x-kpipe-object");
    EQ_INT(harness_out(h, 0)->encoding, KP_PLAIN);
    EQ_INT(harness_out(h, 0)->origins, 4);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    harness_free(h);
}

TEST(a_delimiter_is_put_where_it_is_missing)
{
    struct harness *h = open_with("{ delimiter = '\\n' }");

    harness_feed(h, "a", (const char *const[]){"abc", "def\n", "", "g", NULL});
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "abc\ndef\n\ng\n");
    harness_free(h);
}

TEST(the_key_has_the_instant_of_the_oldest_record)
{
    struct harness *h = open_with(
        "{ stream_name = 's', compression = 'GZIP', error_prefix = '!{firehose:error-output-type}',"
        " prefix = 'data/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/"
        "hour=!{timestamp:HH}/' }");

    feed(h, "a", "later", 1710028800000);  /* 2024-03-10T00:00:00Z */
    feed(h, "b", "oldest", 1710028798000); /* 2024-03-09T23:59:58Z */
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 1);
    YES(matches(harness_out(h, 0)->key, "^data/year=2024/month=03/day=09/hour=23/"
                                        "s-1-2024-03-09-23-59-58-" UUID "\\.gz$"));
    EQ_INT(harness_out(h, 0)->arrival_ms, 1710028798000);
    harness_free(h);
}

TEST(without_a_prefix_the_hour_is_the_folder)
{
    struct harness *h = open_with("{ stream_name = 'orders', version = 3, extension = '.json' }");

    feed(h, "a", "x", 1710028798000);
    harness_flush(h);
    YES(matches(harness_out(h, 0)->key,
                "^2024/03/09/23/orders-3-2024-03-09-23-59-58-" UUID "\\.json$"));
    harness_free(h);
}

TEST(an_object_leaves_when_it_has_its_size)
{
    struct harness *h = open_with("{ size_mib = 2 }");

    feed(h, "a", mebibyte('a'), 0);
    EQ_INT(harness_out_count(h), 0);
    feed(h, "a", mebibyte('b'), 0);
    REQUIRE(harness_out_count(h) == 1);
    EQ_INT(harness_out(h, 0)->data_len, 2 << 20);
    EQ_INT(harness_out(h, 0)->data[(1 << 20) - 1], 'a');
    EQ_INT(harness_out(h, 0)->data[1 << 20], 'b');
    feed(h, "a", "c", 0);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

TEST(an_object_leaves_when_it_is_old_enough)
{
    struct harness *h = open_with("{ interval_s = 60 }");

    feed(h, "a", "1", 0);
    harness_advance(h, 59999);
    feed(h, "a", "2", 0);
    EQ_INT(harness_out_count(h), 0);
    harness_advance(h, 1);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "12");
    harness_advance(h, 600000);
    EQ_INT(harness_out_count(h), 1); /* nothing in it: no object */
    feed(h, "a", "3", 0);
    harness_advance(h, 59999);
    EQ_INT(harness_out_count(h), 1); /* the age counts from its own first record */
    harness_advance(h, 1);
    EQ_INT(harness_out_count(h), 2);
    harness_free(h);
}

TEST(without_an_interval_an_object_leaves_within_a_second)
{
    struct harness *h = open_with("{ interval_s = 0 }");

    feed(h, "a", "1", 0);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}

static size_t gunzip(const char *data, size_t len, char *out, size_t cap)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data,
                  .avail_in = (uInt)len,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)cap};

    REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);
    EQ_INT(inflate(&z, Z_FINISH), Z_STREAM_END);
    EQ_INT(z.avail_in, 0); /* one member, nothing behind it */
    inflateEnd(&z);
    return z.total_out;
}

TEST(gzip_is_one_member_of_all_records)
{
    struct harness *h = open_with("{ compression = 'GZIP', size_mib = 3 }");
    char *want = malloc(4 << 20), *got = malloc(4 << 20), line[200];
    size_t want_len = 0;

    for (int i = 0; want_len < (3 << 20) - 300; i++) {
        int n = snprintf(line, sizeof line, "{\"trip_id\":%d,\"noise\":%d}\n", i, i * 7919 % 1000);

        memcpy(want + want_len, line, (size_t)n);
        want_len += (size_t)n;
        feed(h, "a", line, 0);
    }
    EQ_INT(harness_out_count(h), 0);
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 1);
    EQ_INT(harness_out(h, 0)->encoding, KP_GZIP);
    YES(harness_out(h, 0)->data_len < want_len / 3);
    EQ_INT(gunzip(harness_out(h, 0)->data, harness_out(h, 0)->data_len, got, 4 << 20), want_len);
    EQ_INT(memcmp(want, got, want_len), 0);
    free(want);
    free(got);
    harness_free(h);
}

TEST(bytes_that_cannot_be_compressed_fit_too)
{
    struct harness *h = open_with("{ compression = 'GZIP', size_mib = 1 }");
    size_t len = (1 << 20) + 5000;
    char *noise = malloc(len), *got = malloc(len);
    struct harness_input input = {.data = noise, .data_len = len};
    uint32_t x = 1;

    for (size_t i = 0; i < len; i++)
        noise[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    harness_feed_records(h, "a", &input, 1);
    REQUIRE(harness_out_count(h) == 1);
    EQ_INT(gunzip(harness_out(h, 0)->data, harness_out(h, 0)->data_len, got, len), len);
    EQ_INT(memcmp(noise, got, len), 0);
    free(noise);
    free(got);
    harness_free(h);
}

TEST(records_stay_open_until_their_object_is_written)
{
    struct harness *h = open_with("{ }");
    kp_receipt receipt = {.size = sizeof receipt, .status = 200};

    harness_hold(h, true);
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_flush(h);
    EQ_INT(harness_count(h, KP_DELIVERED), 0);
    EQ_INT(harness_count(h, KP_NONE), 2);
    harness_settle_out(h, 0, KP_DELIVERED, &receipt);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(a_rejected_object_rejects_its_records)
{
    struct harness *h = open_with("{ }");

    harness_hold(h, true);
    harness_feed(h, "a", (const char *const[]){"1", "2", "3", NULL});
    harness_flush(h);
    harness_settle_out(h, 0, KP_REJECTED, NULL);
    EQ_INT(harness_count(h, KP_REJECTED), 3);
    harness_free(h);
}

TEST(an_object_that_could_not_be_written_gives_all_its_records_back)
{
    struct harness *h = open_with("{ }");

    harness_hold(h, true);
    harness_feed(h, "a", (const char *const[]){"1", "2", NULL});
    harness_feed(h, "b", (const char *const[]){"3", NULL}); /* lanes share the buffer */
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "123");
    EQ_INT(harness_out(h, 0)->origins, 3);
    harness_settle_out(h, 0, KP_RETRY, NULL);
    EQ_INT(harness_count(h, KP_RETRY), 3);
    harness_free(h);
}

TEST(short_memory_closes_the_object_early)
{
    struct harness *h = open_with("{ size_mib = 64 }");

    harness_set_room(h, false);
    for (int i = 0; i < 12; i++)
        feed(h, "a", mebibyte('a'), 0);
    YES(harness_out_count(h) >= 1);
    EQ_INT(harness_counter(h, "early_objects"), harness_out_count(h));
    for (size_t i = 0; i < harness_out_count(h); i++) {
        YES(harness_out(h, i)->data_len >= 4 << 20); /* not crumbs either */
        YES(harness_out(h, i)->data_len <= 9 << 20);
    }
    EQ_INT(harness_count(h, KP_RETRY), 0); /* memory was found all the same */
    harness_free(h);
}

TEST(a_record_without_memory_is_given_back)
{
    struct harness *h = open_with("{ }");

    harness_fail_alloc(h, 1);
    harness_feed(h, "a", (const char *const[]){"1", NULL});
    EQ_INT(harness_outcome(h, 0), KP_RETRY);
    harness_fail_alloc(h, 0);
    harness_feed(h, "a", (const char *const[]){"2", NULL});
    harness_flush(h);
    EQ_STR(harness_out(h, 0)->data, "2");
    EQ_INT(harness_outcome(h, 1), KP_DELIVERED);
    harness_free(h);
}

static void refused(const char *options, const char *why)
{
    const char *error = harness_config_error("firehose-buffer", KP_TRANSFORM, options);

    REQUIRE(error != NULL);
    if (!strstr(error, why))
        fprintf(stderr, "'%s' is not in: %s\n", why, error);
    YES(strstr(error, why) != NULL);
}

TEST(wrong_options_are_refused)
{
    refused("{ prefix = '!{timestamp:qq}/' }", "'q' is no pattern letter");
    refused("{ prefix = '!{timestamp:yyyy/' }", "is no expression");
    refused("{ prefix = '!{partition:a}/', error_prefix = 'e' }", "is not known");
    refused("{ prefix = '!{firehose:error-output-type}/' }", "belongs into the error prefix");
    refused("{ prefix = '!{timestamp:yyyy}/' }", "error_prefix must be given");
    refused("{ error_prefix = 'e/!{timestamp:yyyy}/' }", "needs !{firehose:error-output-type}");
    refused("{ size_mib = 129 }", "size_mib");
    refused("{ interval_s = 901 }", "interval_s");
    refused("{ compression = 'gzip' }", "compression");
    refused("{ stream_name = 'a b' }", "stream_name");
    refused("{ extension = 'gz' }", "extension");
}
