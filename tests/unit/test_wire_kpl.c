/* test_wire_kpl.c - aggregates of the KPL itself, ones made here, and what only looks like one. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/kpl.h"
#include "tests/kptest.h"

/* ---- the vectors */

static struct kpw_slice text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? kpw_slice(json_string_value(value), json_string_length(value))
                                 : kpw_slice(NULL, 0);
}

static void check_records(const struct kpw_kpl_reader *r, const json_t *want)
{
    EQ_INT(r->n, json_array_size(want));
    for (size_t i = 0; i < r->n && i < json_array_size(want); i++) {
        const json_t *record = json_array_get(want, i);

        YES(kpw_slice_eq(r->records[i].data, text_of(record, "data")));
        YES(kpw_slice_eq(r->records[i].partition_key, text_of(record, "partition_key")));
        YES(kpw_slice_eq(r->records[i].explicit_hash_key, text_of(record, "explicit_hash_key")));
    }
}

/* What was read, written again, is the same bytes. */
static void check_writer(const struct kpw_kpl_reader *r, struct kpw_slice bytes)
{
    struct kpw_kpl_writer w = {0};
    struct kpw_buf out = KPW_BUF_INIT;
    size_t cost = KPW_KPL_OVERHEAD;

    for (size_t i = 0; i < r->n; i++) {
        cost += kpw_kpl_cost(&r->records[i]);
        YES(kpw_kpl_add(&w, &r->records[i]));
    }
    EQ_INT(kpw_kpl_size(&w), bytes.len);
    YES(cost >= bytes.len);
    kpw_kpl_finish(&w, &out);
    YES(kpw_slice_eq(kpw_buf_slice(&out), bytes));
    EQ_INT(kpw_kpl_size(&w), KPW_KPL_OVERHEAD);
    kpw_buf_fini(&out);
    kpw_kpl_writer_fini(&w);
}

TEST(the_aggregates_of_the_kpl_are_taken_apart_and_written_the_same)
{
    json_t *all =
               json_load_file(kptest_path("tests/vectors/kpl-aggregation/records.json"), 0, NULL),
           *vector;
    struct kpw_kpl_reader reader = {0};
    size_t i, n_aggregates = 0;

    REQUIRE(all != NULL);
    json_array_foreach(all, i, vector)
    {
        struct kpw_slice text = text_of(vector, "data_base64");
        char *bytes = malloc(text.len);
        size_t len;
        enum kpw_kpl_verdict verdict;

        REQUIRE(kpw_base64_decode(text.ptr, text.len, bytes, &len));
        verdict = kpw_kpl_read(&reader, bytes, len);
        EQ_INT(verdict == KPW_KPL_AGGREGATE, json_is_true(json_object_get(vector, "aggregated")));
        if (verdict == KPW_KPL_AGGREGATE) {
            n_aggregates++;
            check_records(&reader, json_object_get(vector, "user_records"));
            check_writer(&reader, kpw_slice(bytes, len));
        } else {
            EQ_INT(reader.n, 0);
        }
        free(bytes);
    }
    EQ_INT(n_aggregates, 4);
    kpw_kpl_reader_fini(&reader);
    json_decref(all);
}

/* ---- messages made by hand */

/* Wraps a protobuf message. [owned by caller] */
static char *wrap(const char *message, size_t len)
{
    char *all = malloc(len + KPW_KPL_OVERHEAD);

    memcpy(all, KPW_KPL_MAGIC, 4);
    memcpy(all + 4, message, len);
    kpw_md5(message, len, (uint8_t *)all + 4 + len);
    return all;
}

/* Reads the message; `records` gets "key=data," of each record, with "/hash" behind the key. */
static enum kpw_kpl_verdict verdict_of(const char *message, size_t len, char *records)
{
    struct kpw_kpl_reader reader = {0};
    char *all = wrap(message, len);
    enum kpw_kpl_verdict verdict = kpw_kpl_read(&reader, all, len + KPW_KPL_OVERHEAD);

    *records = '\0';
    for (size_t i = 0; i < reader.n; i++) {
        const struct kpw_kpl_record *r = &reader.records[i];

        records +=
            sprintf(records, "%.*s%s%.*s=%.*s,", (int)r->partition_key.len, r->partition_key.ptr,
                    r->explicit_hash_key.ptr ? "/" : "", (int)r->explicit_hash_key.len,
                    r->explicit_hash_key.ptr ? r->explicit_hash_key.ptr : "", (int)r->data.len,
                    r->data.ptr);
    }
    free(all);
    kpw_kpl_reader_fini(&reader);
    return verdict;
}

#define IS(message, want)                                                          \
    do {                                                                           \
        char got_[200];                                                            \
        EQ_INT(verdict_of(message, sizeof(message) - 1, got_), KPW_KPL_AGGREGATE); \
        EQ_STR(got_, want);                                                        \
    } while (0)
#define IS_PLAIN(message)                                                      \
    do {                                                                       \
        char got_[200];                                                        \
        EQ_INT(verdict_of(message, sizeof(message) - 1, got_), KPW_KPL_PLAIN); \
        EQ_STR(got_, "");                                                      \
    } while (0)

#define KEY_A  \
    "\x0a\x01" \
    "a"
#define KEY_B  \
    "\x0a\x01" \
    "b"
#define HASH_7 \
    "\x12\x01" \
    "7"
#define REC_0X                 \
    "\x1a\x05\x08\x00\x1a\x01" \
    "x"
#define REC_1Y                 \
    "\x1a\x05\x08\x01\x1a\x01" \
    "y"

TEST(fields_may_come_in_any_order_and_keys_may_repeat)
{
    IS(REC_0X REC_1Y KEY_A KEY_B, "a=x,b=y,");
    IS(KEY_A REC_0X KEY_A REC_1Y, "a=x,a=y,");
    IS(KEY_A HASH_7 "\x1a\x07\x1a\x01"
                    "x"
                    "\x10\x00\x08\x00",
       "a/7=x,");
    IS(KEY_A, ""); /* no record at all is an aggregate still */
    IS(KEY_A "\x1a\x04\x08\x00\x1a\x00", "a=,");
}

TEST(unknown_fields_are_skipped)
{
    IS("\x22\x01"
       "?"
       "\x28\x80\x01"
       "\x31"
       "12345678"
       "\x3d"
       "1234" KEY_A REC_0X,
       "a=x,");
    IS("\x43\x08\x01\x4b\x08\x01\x4c\x44" KEY_A REC_0X, "a=x,"); /* groups */
    IS(KEY_A "\x1a\x0a\x22\x03\x0a\x01"
             "t"
             "\x08\x00\x1a\x01"
             "x",
       "a=x,");                          /* a tag */
    IS(KEY_A "\x08\x05" REC_0X, "a=x,"); /* a known number of another type */
}

TEST(what_is_no_message_is_plain)
{
    IS_PLAIN(KEY_A "\x1a\x05\x08\x01\x1a\x01"
                   "x"); /* no such key */
    IS_PLAIN(KEY_A "\x1a\x07\x08\x00\x10\x00\x1a\x01"
                   "x"); /* no such hash key */
    IS_PLAIN(REC_0X);
    IS_PLAIN(KEY_A "\x1a\x03\x1a\x01"
                   "x");                /* no key index */
    IS_PLAIN(KEY_A "\x1a\x02\x08\x00"); /* no data */
    IS_PLAIN(KEY_A "\x1a\x06\x08\x00\x1a\x01"
                   "x"); /* too long */
    IS_PLAIN(KEY_A "\x1a\x05\x08\x00\x1a\x02"
                   "x");                                      /* too long inside */
    IS_PLAIN(KEY_A REC_0X "\x0a");                            /* ends in a tag */
    IS_PLAIN(KEY_A REC_0X "\x00\x00");                        /* field 0 */
    IS_PLAIN(KEY_A REC_0X "\x43\x4c");                        /* a group ended by another's end */
    IS_PLAIN(KEY_A REC_0X "\x43");                            /* a group without end */
    IS_PLAIN(KEY_A REC_0X "\x46\x00");                        /* type 6 */
    IS_PLAIN("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* a length of 2^64 - 1 */
    IS_PLAIN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); /* an endless number */
    IS_PLAIN(KEY_A "\x1a\x0e\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x01"
                   "x");
    {
        char nested[100], got[8];

        memset(nested, 0x43, sizeof nested);
        EQ_INT(verdict_of(nested, sizeof nested, got), KPW_KPL_PLAIN);
    }
}

TEST(a_digest_may_be_written_later)
{
    struct kpw_kpl_writer w = {0};
    struct kpw_buf at_once = KPW_BUF_INIT, later = KPW_BUF_INIT;
    struct kpw_kpl_place place;

    kpw_buf_puts(&later, "before");
    for (int round = 0; round < 2; round++) {
        struct kpw_kpl_record record = {.data = kpw_slice("data", 4),
                                        .partition_key = kpw_slice("key", 3)};

        REQUIRE(kpw_kpl_add(&w, &record) && kpw_kpl_add(&w, &record));
        if (round)
            kpw_kpl_finish_open(&w, &later, &place);
        else
            kpw_kpl_finish(&w, &at_once);
        EQ_INT(w.n, 0);
    }
    REQUIRE(!later.failed && later.len == 6 + at_once.len);
    EQ_INT(place.at, 6 + 4);
    EQ_INT(place.at + place.len + KPW_MD5_SIZE, later.len);
    kpw_md5(later.ptr + place.at, place.len, (uint8_t *)later.ptr + place.at + place.len);
    YES(!memcmp(later.ptr + 6, at_once.ptr, at_once.len));
    kpw_buf_fini(&at_once);
    kpw_buf_fini(&later);
    kpw_kpl_writer_fini(&w);
}

TEST(twenty_bytes_are_no_aggregate)
{
    struct kpw_kpl_reader reader = {0};
    char *all = wrap("", 0);

    EQ_INT(kpw_kpl_read(&reader, all, KPW_KPL_OVERHEAD), KPW_KPL_PLAIN);
    free(all);
}

TEST(an_aggregate_may_have_very_many_records)
{
    enum { N = 150000 };
    struct kpw_kpl_writer w = {0};
    struct kpw_kpl_reader r = {0};
    struct kpw_buf out = KPW_BUF_INIT;

    for (int round = 0; round < 2; round++) { /* the writer is used again */
        kpw_buf_clear(&out);
        for (int i = 0; i < N; i++) {
            char key[16];
            struct kpw_kpl_record record = {.data = kpw_slice("", 0)};

            record.partition_key = kpw_slice(key, (size_t)sprintf(key, "k%d", i % 1000));
            REQUIRE(kpw_kpl_add(&w, &record));
        }
        EQ_INT(w.n, N);
        kpw_kpl_finish(&w, &out);
        EQ_INT(kpw_kpl_read(&r, out.ptr, out.len), KPW_KPL_AGGREGATE);
        EQ_INT(r.n, N);
        EQ_INT(r.n_keys, 1000);
        YES(kpw_slice_is(r.records[N - 1].partition_key, "k999"));
    }
    kpw_buf_fini(&out);
    kpw_kpl_writer_fini(&w);
    kpw_kpl_reader_fini(&r);
}
