/* test_objects_roll.c - when objects close, what is in them, and whose tickets they carry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/internal.h"
#include "sdk/objects/objects.h"
#include "sdk/wire/gzip.h"
#include "tests/kptest.h"

const kp_host *kp = &harness_host; /* what the objects library calls */

/* ---- a transform that puts each record into the object named by its key */

static const kp_option no_options[] = {{0}};
static struct kpo_config config; /* of the next one opened */

struct collect_state {
    kp_node *node;
    struct kpo_objects *objects;
};

static void on_closed(void *arg, const struct kpo_object *object)
{
    struct collect_state *me = arg;
    char key[100];
    int n = snprintf(key, sizeof key, "%.*s:%llu", (int)object->name_len, object->name,
                     (unsigned long long)object->records);
    kp_batch *out = kpo_object_batch(me->node, object, key, (size_t)n, config.gzip);

    if (out)
        kp->emit(me->node, out);
}

static kp_status collect_open(kp_node *node, const void *options, void *state)
{
    struct collect_state *me = state;

    (void)options;
    me->node = node;
    me->objects = kpo_objects_new(node, &config, on_closed, me);
    return me->objects ? KP_OK : kp->fail(node, "out of memory");
}

static kp_status collect_process(kp_node *node, void *state, kp_batch *b)
{
    struct collect_state *me = state;

    for (uint32_t i = 0; i < b->count; i++) {
        const kp_record *record = kp_at(b, i);

        if (!kpo_objects_add(me->objects, (kp_slice){record->key, record->key_len}, b, i))
            kp->retry(b, i, 0, "out of memory");
    }
    YES(kpo_objects_open(me->objects) <= config.max_open);
    kp->release(node, b);
    return KP_OK;
}

static void collect_flush(kp_node *node, void *state)
{
    (void)node;
    kpo_objects_flush(((struct collect_state *)state)->objects);
}

static void collect_close(kp_node *node, void *state)
{
    (void)node;
    kpo_objects_free(((struct collect_state *)state)->objects);
}

static const kp_element collect = {.size = sizeof(kp_element),
                                   .kind = KP_TRANSFORM,
                                   .name = "collect",
                                   .help = "collects",
                                   .options = no_options,
                                   .state_size = sizeof(struct collect_state),
                                   .open = collect_open,
                                   .process = collect_process,
                                   .flush = collect_flush,
                                   .close = collect_close};

static const kp_plugin *entry(const kp_host *host)
{
    static const kp_element *const elements[] = {&collect, NULL};
    static const kp_plugin plugin = {sizeof plugin, KP_ABI_MAJOR, KP_ABI_MINOR, "collect",
                                     "1.0.0",       "Apache-2.0", elements};

    (void)host;
    return &plugin;
}

static struct harness *open_collect(struct kpo_config with)
{
    config = with;
    config.roll_bytes = with.roll_bytes ? with.roll_bytes : 1 << 20;
    config.roll_ms = with.roll_ms ? with.roll_ms : 60000;
    config.max_open = with.max_open ? with.max_open : 100;
    config.max_bytes = with.max_bytes ? with.max_bytes : (size_t)64 << 20;
    harness_use(entry);
    return harness_new("collect", KP_TRANSFORM, "{}");
}

static void close_collect(struct harness *h)
{
    harness_free(h);
    harness_use(NULL);
}

static void feed(struct harness *h, const char *key, const char *data)
{
    harness_feed_one(h, "lane", data, key);
}

/* [static] */
static const char *letters(char c, size_t n)
{
    static char text[(2 << 20) + 1];

    memset(text, c, n);
    text[n] = '\0';
    return text;
}

/* ---- tests */

TEST(each_name_has_an_object_of_its_own)
{
    struct harness *h = open_collect((struct kpo_config){.delimiter = "\n"});

    feed(h, "a", "1");
    feed(h, "b", "2");
    feed(h, "a", "3\n");
    feed(h, "b", "");
    EQ_INT(harness_out_count(h), 0);
    EQ_INT(harness_count(h, KP_DELIVERED), 0);
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->key, "a:2"); /* the oldest first */
    EQ_STR(harness_out(h, 0)->data, "1\n3\n");
    EQ_INT(harness_out(h, 0)->origins, 2);
    EQ_STR(harness_out(h, 1)->key, "b:2");
    EQ_STR(harness_out(h, 1)->data, "2\n\n");
    EQ_STR(harness_out(h, 1)->type, KPO_OBJECT_TYPE);
    EQ_INT(harness_count(h, KP_DELIVERED), 4);
    close_collect(h);
}

TEST(an_object_closes_at_its_size_to_the_byte)
{
    struct harness *h = open_collect((struct kpo_config){.roll_bytes = 10});

    feed(h, "a", "123456789");
    EQ_INT(harness_out_count(h), 0);
    feed(h, "a", "0");
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "1234567890");
    feed(h, "a", "123456789012345"); /* one record is never split */
    REQUIRE(harness_out_count(h) == 2);
    EQ_INT(harness_out(h, 1)->data_len, 15);
    close_collect(h);
}

TEST(a_record_that_overshoots_begins_the_next_object)
{
    struct harness *h = open_collect((struct kpo_config){.roll_bytes = 1000});

    feed(h, "a", "first");
    feed(h, "a", letters('x', 2 << 20)); /* would be a mebibyte over */
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->data, "first");
    EQ_INT(harness_out(h, 1)->data_len, 2 << 20);
    close_collect(h);
}

TEST(an_object_closes_at_its_number_of_records)
{
    struct harness *h = open_collect((struct kpo_config){.roll_records = 3});
    const char *const seven[] = {"1", "2", "3", "4", "5", "6", "7", NULL};

    harness_feed(h, "lane", seven);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 0)->data, "123");
    EQ_STR(harness_out(h, 1)->data, "456");
    EQ_INT(harness_outcome(h, 5), KP_DELIVERED);
    EQ_INT(harness_outcome(h, 6), KP_NONE);
    harness_flush(h);
    EQ_INT(harness_outcome(h, 6), KP_DELIVERED);
    close_collect(h);
}

TEST(age_counts_from_the_first_record_of_each)
{
    struct harness *h = open_collect((struct kpo_config){.roll_ms = 1000});

    feed(h, "a", "1");
    harness_advance(h, 400);
    feed(h, "b", "2");
    harness_advance(h, 599);
    feed(h, "a", "3"); /* makes it no younger */
    EQ_INT(harness_out_count(h), 0);
    harness_advance(h, 1);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "13");
    harness_advance(h, 399);
    EQ_INT(harness_out_count(h), 1);
    harness_advance(h, 1);
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 1)->data, "2");
    NO(harness_next_timer(h)); /* nothing is open: nothing to wait for */
    close_collect(h);
}

TEST(too_many_names_close_the_oldest)
{
    struct harness *h = open_collect((struct kpo_config){.max_open = 2});

    feed(h, "a", "1");
    feed(h, "b", "2");
    feed(h, "a", "3");
    feed(h, "c", "4");
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->key, "a:2");
    feed(h, "a", "5");
    REQUIRE(harness_out_count(h) == 2);
    EQ_STR(harness_out(h, 1)->key, "b:1");
    harness_flush(h);
    EQ_INT(harness_out_count(h), 4);
    EQ_INT(harness_count(h, KP_DELIVERED), 5);
    close_collect(h);
}

TEST(short_memory_closes_the_largest)
{
    struct harness *h = open_collect((struct kpo_config){.max_bytes = 600000});

    feed(h, "small", "1");
    feed(h, "large", letters('x', 400000));
    EQ_INT(harness_out_count(h), 0);
    feed(h, "other", letters('y', 100000));
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->key, "large:1");
    EQ_INT(harness_counter(h, "early_objects"), 1);
    harness_flush(h);
    EQ_INT(harness_out_count(h), 3);
    close_collect(h);
}

TEST(hundreds_of_names_keep_their_records)
{
    struct harness *h = open_collect((struct kpo_config){.max_open = 1000});
    char key[16], want[16];

    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "n%d", i % 700); /* more than there are buckets */
        feed(h, key, "x");
    }
    EQ_INT(harness_out_count(h), 0);
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 700);
    for (int i = 0; i < 700; i++) {
        snprintf(want, sizeof want, "n%d:%d", i, i < 3000 % 700 ? 5 : 4);
        EQ_STR(harness_out(h, (size_t)i)->key, want);
    }
    EQ_INT(harness_count(h, KP_DELIVERED), 3000);
    close_collect(h);
}

TEST(gzip_bodies_hold_every_byte)
{
    struct harness *h = open_collect((struct kpo_config){.gzip = true, .delimiter = "\n"});
    struct kpw_buf want = KPW_BUF_INIT, got = KPW_BUF_INIT;
    const struct harness_record *out;
    char line[64];

    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, "{\"n\":%d,\"square\":%lld}", i, (long long)i * i);
        feed(h, "a", line);
        kpw_buf_appendf(&want, "%s\n", line);
    }
    harness_flush(h);
    REQUIRE(harness_out_count(h) == 1);
    out = harness_out(h, 0);
    EQ_INT(out->encoding, KP_GZIP);
    EQ_INT(out->origins, 20000);
    YES(out->data_len < want.len / 3);
    EQ_INT(kpw_inflate(&got, out->data, out->data_len, KPW_INFLATE_GZIP, want.len), KPW_INFLATE_OK);
    YES(kpw_slice_eq(kpw_buf_slice(&got), kpw_buf_slice(&want)));
    kpw_buf_fini(&want);
    kpw_buf_fini(&got);
    close_collect(h);
}

TEST(an_object_of_empty_records_is_empty)
{
    for (int gzip = 0; gzip < 2; gzip++) {
        struct harness *h = open_collect((struct kpo_config){.gzip = gzip});
        struct kpw_buf got = KPW_BUF_INIT;

        feed(h, "a", "");
        feed(h, "a", "");
        harness_flush(h);
        REQUIRE(harness_out_count(h) == 1);
        EQ_INT(harness_out(h, 0)->origins, 2);
        if (gzip)
            EQ_INT(kpw_inflate(&got, harness_out(h, 0)->data, harness_out(h, 0)->data_len,
                               KPW_INFLATE_GZIP, 0),
                   KPW_INFLATE_OK);
        EQ_INT(gzip ? got.len : harness_out(h, 0)->data_len, 0);
        kpw_buf_fini(&got);
        close_collect(h);
    }
}

/* Whichever allocation fails: each record is delivered once or comes again, and none is in two
 * places. The harness checks at its end that every ticket was settled. */
TEST(no_record_is_lost_without_memory)
{
    for (int nth = 1; nth < 40; nth++) {
        struct harness *h = open_collect((struct kpo_config){.roll_bytes = 100000});
        size_t delivered = 0;

        harness_fail_alloc(h, nth);
        for (int i = 0; i < 6; i++)
            feed(h, i % 2 ? "a" : "b", letters('x', 40000));
        harness_flush(h);
        harness_fail_alloc(h, 0);
        for (size_t i = 0; i < harness_out_count(h); i++) {
            EQ_INT(harness_out(h, i)->data_len, harness_out(h, i)->origins * 40000);
            delivered += harness_out(h, i)->origins;
        }
        EQ_INT(harness_count(h, KP_DELIVERED), delivered);
        EQ_INT(harness_count(h, KP_DELIVERED) + harness_count(h, KP_RETRY), 6);
        close_collect(h);
    }
}
