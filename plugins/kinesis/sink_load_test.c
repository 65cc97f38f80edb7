/* sink_load_test.c - the kinesis sink in front of a stream that behaves like one: shards with
 * limits, splits and merges, faults of every kind, and a reader that checks what it gets. Time is
 * the fake clock's. */
#include "plugins/kinesis/sink_test.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/random.h"
#include "sdk/wire/u128.h"

enum { KEYS = 16, SEQUENCES = 4000, SHARDS = 16, STEP_MS = 5, LATENCY_MS = 20 };

/* Of 1,000 requests so many ... */
struct faults {
    unsigned error, reset; /* have no effect */
    unsigned lost;         /* have one, but the answer is lost */
    unsigned expired;      /* are refused: the token has expired */
    unsigned slow;         /* take three seconds */
    unsigned partial;      /* lose entries by internal failures */
};

struct shard {
    kpw_u128 low, high;
    bool is_open;
    bool is_dead;          /* refuses everything */
    double records, bytes; /* that it takes now */
    int64_t at_ms;
    bool is_refusing; /* for the rest of this request */
    uint64_t taken;   /* entries */
};

struct stream {
    struct harness *h;
    struct faults faults;
    struct kpw_random random;
    struct shard shards[SHARDS];
    int n;
    bool has_limits;
    bool picks;  /* faults refuse single entries, not what is behind them too */
    size_t seen; /* requests */
    int64_t now_ms;
    uint64_t puts, throttles;
    /* what the reader has */
    unsigned short got[KEYS][SEQUENCES];
    int next[KEYS];          /* of each key */
    uint64_t gaps, filtered; /* records that came before an earlier one; aggregates left out */
    /* what was fed */
    int fed[KEYS];
};

static struct stream *stream_new(const char *options)
{
    struct stream *s = calloc(1, sizeof(*s));

    REQUIRE(s != NULL);
    kpw_random_init_from(&s->random, 7);
    s->h = sink(options);
    s->n = 2;
    s->shards[0] = (struct shard){.high = KPW_U128_MAX >> 1, .is_open = true};
    s->shards[1] =
        (struct shard){.low = (KPW_U128_MAX >> 1) + 1, .high = KPW_U128_MAX, .is_open = true};
    return s;
}

static void stream_free(struct stream *s)
{
    harness_free(s->h);
    free(s);
}

/* ---- the reader ----------------------------------------------------------------------------- */

static kpw_u128 hash_of(struct kpw_slice key, struct kpw_slice explicit_hash)
{
    uint8_t digest[KPW_MD5_SIZE];
    kpw_u128 hash;

    if (explicit_hash.len && kpw_u128_parse(explicit_hash, &hash))
        return hash;
    kpw_md5(key.ptr, key.len, digest);
    return kpw_u128_from_bytes(digest);
}

/* Data are "KEY:SEQUENCE" in digits. */
static void got(struct stream *s, struct kpw_slice data)
{
    char text[32];
    int key, sequence;

    if (data.len && data.ptr[0] == '{')
        return; /* a record that is not counted */
    snprintf(text, sizeof(text), "%.*s", (int)data.len, data.ptr);
    REQUIRE(sscanf(text, "%d:%d", &key, &sequence) == 2);
    REQUIRE(key < KEYS && sequence < SEQUENCES);
    s->got[key][sequence]++;
    if (sequence > s->next[key])
        s->gaps++;
    if (sequence >= s->next[key])
        s->next[key] = sequence + 1;
}

static bool belongs(const struct kpw_kpl_reader *reader, const struct shard *shard)
{
    for (size_t i = 0; i < reader->n; i++) {
        kpw_u128 hash =
            hash_of(reader->records[i].partition_key, reader->records[i].explicit_hash_key);

        if (hash < shard->low || hash > shard->high)
            return false;
    }
    return true;
}

static void read_record(struct stream *s, const struct shard *shard, struct kpw_slice data)
{
    struct kpw_kpl_reader reader = {0};

    if (kpw_kpl_read(&reader, data.ptr, data.len) != KPW_KPL_AGGREGATE)
        got(s, data);
    else if (!belongs(&reader, shard))
        s->filtered++;
    else
        for (size_t i = 0; i < reader.n; i++)
            got(s, reader.records[i].data);
    kpw_kpl_reader_fini(&reader);
}

/* ---- the service ---------------------------------------------------------------------------- */

static struct shard *shard_of(struct stream *s, kpw_u128 hash)
{
    for (int i = 0; i < s->n; i++)
        if (s->shards[i].is_open && s->shards[i].low <= hash && hash <= s->shards[i].high)
            return &s->shards[i];
    REQUIRE(false); /* there is a shard for every hash key */
    return NULL;
}

/* Takes so many bytes, or not: then nothing more of this request either. */
static bool has_room(struct stream *s, struct shard *shard, size_t bytes)
{
    double seconds = (double)(s->now_ms - shard->at_ms) / 1e3;

    shard->records =
        shard->records + seconds * 1000 < 1000 ? shard->records + seconds * 1000 : 1000;
    shard->bytes = shard->bytes + seconds * (1 << 20) < (1 << 20)
                       ? shard->bytes + seconds * (1 << 20)
                       : (1 << 20);
    shard->at_ms = s->now_ms;
    if (shard->is_dead || (s->has_limits && (shard->records < 1 || shard->bytes < (double)bytes)))
        shard->is_refusing = true;
    if (shard->is_refusing)
        return false;
    shard->records--;
    shard->bytes -= (double)bytes;
    return true;
}

/* The text behind `mark` up to the next quote. */
static struct kpw_slice text_after(const char *at, const char *end, const char *mark)
{
    const char *found = memmem(at, (size_t)(end - at), mark, strlen(mark)), *quote;

    if (!found)
        return kpw_slice(NULL, 0);
    found += strlen(mark);
    quote = memchr(found, '"', (size_t)(end - found));
    return kpw_slice(found, (size_t)(quote - found));
}

static void take_entry(struct stream *s, const char *at, const char *end, bool fails, FILE *out)
{
    static char data[2 << 20];
    struct kpw_slice text = text_after(at, end, "\"Data\":\"");
    struct kpw_slice key = text_after(at, end, "\"PartitionKey\":\"");
    struct shard *shard = shard_of(s, hash_of(key, text_after(at, end, "\"ExplicitHashKey\":\"")));
    size_t len;

    REQUIRE(text.len < sizeof(data) && kpw_base64_decode(text.ptr, text.len, data, &len));
    if (fails && !s->picks)
        shard->is_refusing = true;
    if (fails && !shard->is_dead) {
        fputs("{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"Internal Service Failure\"}",
              out);
        return;
    }
    if (!has_room(s, shard, len + key.len)) {
        s->throttles++;
        fputs(THROTTLE, out);
        return;
    }
    shard->taken++;
    read_record(s, shard, kpw_slice(data, len));
    fprintf(out, "{\"SequenceNumber\":\"%llu\",\"ShardId\":\"shardId-%012d\"}",
            (unsigned long long)shard->taken, (int)(shard - s->shards));
}

/* [owned by caller] The answer to a request that takes effect. */
static char *take_request(struct stream *s, const char *body, size_t len, unsigned fails)
{
    const char *end = body + len, *at = memmem(body, len, "{\"Data\"", 7), *next;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    REQUIRE(out != NULL && at != NULL);
    for (int i = 0; i < s->n; i++)
        s->shards[i].is_refusing = false;
    fputs("{\"FailedRecordCount\":0,\"Records\":[", out);
    for (; at; at = next) {
        next = memmem(at + 1, (size_t)(end - at - 1), "{\"Data\"", 7);
        take_entry(s, at, next ? next : end, kpw_random_below(&s->random, 1000) < fails, out);
        if (next)
            fputc(',', out);
    }
    fputs("]}", out);
    fclose(out);
    return text;
}

static void answer_put(struct stream *s, const char *body, size_t len)
{
    const struct faults *f = &s->faults;
    unsigned fate = (unsigned)kpw_random_below(&s->random, 1000), below = f->error;
    char *text;

    s->puts++;
    if (fate < below) {
        harness_aws_answer(s->h, "PutRecords", 500, "InternalFailure", "{}", LATENCY_MS);
        return;
    }
    if (fate < (below += f->reset)) {
        harness_aws_answer(s->h, "PutRecords", 0, NULL, "reset", LATENCY_MS);
        return;
    }
    if (fate < (below += f->expired)) {
        harness_aws_answer(s->h, "PutRecords", 400, "ExpiredTokenException", "{}", LATENCY_MS);
        return;
    }
    if (fate < (below += f->lost)) {
        free(take_request(s, body, len, 0));
        harness_aws_answer(s->h, "PutRecords", 0, NULL, "reset", LATENCY_MS);
        return;
    }
    text = take_request(s, body, len, fate < (below += f->partial) ? 200 : 0);
    harness_aws_answer(s->h, "PutRecords", 200, NULL, text,
                       fate >= below && fate < below + f->slow ? 3000 : LATENCY_MS);
    free(text);
}

static void answer_list(struct stream *s)
{
    char text[SHARDS * 400], *at = text;

    at += sprintf(at, "{\"Shards\":[");
    for (int i = 0; i < s->n; i++) {
        char low[KPW_U128_SIZE], high[KPW_U128_SIZE];

        kpw_u128_format(s->shards[i].low, low);
        kpw_u128_format(s->shards[i].high, high);
        at += sprintf(at,
                      "%s{\"ShardId\":\"shardId-%012d\",\"HashKeyRange\":{\"StartingHashKey\":\"%s"
                      "\",\"EndingHashKey\":\"%s\"},%s}",
                      i ? "," : "", i, low, high, s->shards[i].is_open ? OPEN : CLOSED);
    }
    sprintf(at, "]}");
    harness_aws_answer(s->h, "ListShards", 200, NULL, text, LATENCY_MS);
}

static void serve(struct stream *s)
{
    for (; s->seen < harness_requests(s->h); s->seen++) {
        size_t len;
        const char *body = harness_request_body(s->h, s->seen, &len);

        if (strstr(harness_request_line(s->h, s->seen), "ListShards"))
            answer_list(s);
        else
            answer_put(s, body, len);
    }
}

static void run_for(struct stream *s, int64_t ms)
{
    for (int64_t end = s->now_ms + ms; s->now_ms < end; s->now_ms += STEP_MS) {
        serve(s);
        harness_advance(s->h, STEP_MS);
    }
    serve(s);
}

/* A shard becomes two. */
static void split(struct stream *s, int parent, kpw_u128 at)
{
    REQUIRE(s->n + 2 <= SHARDS);
    s->shards[parent].is_open = false;
    s->shards[s->n++] =
        (struct shard){.low = s->shards[parent].low, .high = at - 1, .is_open = true};
    s->shards[s->n++] = (struct shard){.low = at, .high = s->shards[parent].high, .is_open = true};
}

static void merge(struct stream *s, int below, int above)
{
    REQUIRE(s->n < SHARDS);
    s->shards[below].is_open = s->shards[above].is_open = false;
    s->shards[s->n++] =
        (struct shard){.low = s->shards[below].low, .high = s->shards[above].high, .is_open = true};
}

/* ---- the load ------------------------------------------------------------------------------- */

/* A batch of n records of these keys in turn, the next of each. Keys are "0" to "15". */
static void feed(struct stream *s, const char *lane, int first, int n_keys, int n)
{
    static char data[1000][16], keys[1000][4];
    struct harness_input inputs[1000] = {0};

    REQUIRE(n <= 1000);
    for (int i = 0; i < n; i++) {
        int key = first + i % n_keys;

        snprintf(data[i], sizeof(data[i]), "%d:%d", key, s->fed[key]++);
        snprintf(keys[i], sizeof(keys[i]), "%u", (unsigned)key % KEYS);
        inputs[i].data = data[i];
        inputs[i].key = keys[i];
    }
    harness_feed_records(s->h, lane, inputs, (size_t)n);
}

static size_t n_fed(const struct stream *s)
{
    size_t n = 0;

    for (int k = 0; k < KEYS; k++)
        n += (size_t)s->fed[k];
    return n;
}

/* Lanes "a" and "b" have eight keys each, 32 records each 10 ms. */
static void load_for(struct stream *s, int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 10) {
        feed(s, "a", 0, 8, 32);
        feed(s, "b", 8, 8, 32);
        run_for(s, 10);
    }
}

static void run_until_delivered(struct stream *s, int64_t most_ms)
{
    for (int64_t t = 0; t < most_ms && harness_count(s->h, KP_DELIVERED) < n_fed(s); t += 100)
        run_for(s, 100);
    EQ_INT(harness_count(s->h, KP_DELIVERED), n_fed(s));
}

/* How many records the reader has too often; `ret_lost`: not at all. */
static uint64_t n_doubles(const struct stream *s, uint64_t *ret_lost)
{
    uint64_t doubles = 0;

    *ret_lost = 0;
    for (int k = 0; k < KEYS; k++)
        for (int i = 0; i < s->fed[k]; i++) {
            *ret_lost += s->got[k][i] == 0;
            doubles += s->got[k][i] > 1 ? s->got[k][i] - 1u : 0;
        }
    return doubles;
}

/* ---- faults --------------------------------------------------------------------------------- */

static const struct faults every_fault = {
    .error = 50, .reset = 50, .lost = 30, .expired = 30, .slow = 30, .partial = 100};

static void under_faults(const char *options, bool is_ordered, int64_t load_ms)
{
    struct stream *s = stream_new(options);
    uint64_t lost;

    s->has_limits = true;
    s->faults = every_fault;
    load_for(s, load_ms);
    run_until_delivered(s, 120000);
    n_doubles(s, &lost);
    EQ_INT(lost, 0);
    if (is_ordered)
        EQ_INT(s->gaps, 0);
    YES(s->puts > 10);
    YES(s->puts < (uint64_t)s->now_ms / 1000 * 200); /* four at a time of 20 ms each */
    EQ_INT(harness_count(s->h, KP_REJECTED) + harness_count(s->h, KP_RETRY), 0);
    stream_free(s);
}

TEST(under_every_fault_nothing_is_lost_and_each_key_keeps_its_order)
{
    under_faults(", attempts = 1000", true, 6000);
}

/* The service may refuse an entry and take a later one of the same shard. */
static uint64_t gaps_where_entries_are_picked(const char *options)
{
    struct stream *s = stream_new(options);
    uint64_t gaps, lost;

    s->picks = true;
    s->faults = (struct faults){.partial = 100};
    load_for(s, 3000);
    run_until_delivered(s, 120000);
    n_doubles(s, &lost);
    EQ_INT(lost, 0);
    gaps = s->gaps;
    stream_free(s);
    return gaps;
}

TEST(with_order_by_key_a_refused_entry_is_overtaken_by_none_of_its_key)
{
    EQ_INT(gaps_where_entries_are_picked(", attempts = 1000, order = 'key'"), 0);
    EQ_INT(gaps_where_entries_are_picked(", attempts = 1000, aggregate = true"), 0);
    YES(gaps_where_entries_are_picked(", attempts = 1000") > 0); /* as the readme says */
}

TEST(order_by_key_stands_every_fault)
{
    /* little: a key has one record per round trip */
    under_faults(", attempts = 1000, order = 'key'", true, 300);
}

TEST(so_it_is_with_aggregates)
{
    under_faults(", attempts = 1000, aggregate = true", true, 6000);
}

TEST(without_order_nothing_is_lost_either)
{
    under_faults(", attempts = 1000, order = 'none'", false, 6000);
    under_faults(", attempts = 1000, order = 'none', aggregate = true", false, 6000);
}

TEST(a_service_that_is_down_is_not_stormed)
{
    struct stream *s = stream_new(", attempts = 1000");
    uint64_t before;

    s->faults.error = 1000;
    load_for(s, 2000);
    run_for(s, 30000);
    before = s->puts;
    run_for(s, 60000);
    YES(s->puts - before >= 10);
    YES(s->puts - before <= 60); /* two shards, each every 2.5 seconds or so */
    s->faults.error = 0;
    run_until_delivered(s, 20000);
    EQ_INT(s->gaps, 0);
    stream_free(s);
}

/* ---- reshards ------------------------------------------------------------------------------- */

static void under_reshards(const char *options)
{
    struct stream *s = stream_new(options);
    uint64_t lost;

    load_for(s, 500);
    split(s, 0, KPW_U128_MAX >> 3);
    load_for(s, 500);
    split(s, 1, (KPW_U128_MAX >> 1) + (KPW_U128_MAX >> 3));
    load_for(s, 30);
    split(s, 3, KPW_U128_MAX >> 2);
    load_for(s, 500);
    merge(s, 4, 5);
    load_for(s, 500);
    merge(s, 2, 6);
    load_for(s, 500);
    run_until_delivered(s, 60000);
    EQ_INT(n_doubles(s, &lost), 0);
    EQ_INT(lost, 0);
    EQ_INT(s->gaps, 0);
    YES(harness_counter(s->h, "shard_maps") >= 5);
    YES(harness_counter(s->h, "shard_maps") <= 20);
    stream_free(s);
}

TEST(splits_and_merges_under_load_lose_and_double_nothing)
{
    under_reshards("");
}

TEST(a_reader_that_filters_gets_aggregates_once_over_splits_and_merges)
{
    under_reshards(", aggregate = true");
}

/* ---- prediction ----------------------------------------------------------------------------- */

/* Borders at random places; hash keys at, before and behind each, and of random keys. */
TEST(the_shard_is_predicted_as_the_service_chooses_it)
{
    struct stream *s = stream_new(", aggregate = true, hash_key = k.field '$.h'");
    struct harness_input inputs[400] = {0};
    static char data[400][80], keys[400][24];

    s->n = 12;
    for (int i = 0; i < s->n; i++) {
        uint64_t border = kpw_random_next(&s->random) >> 4 | (uint64_t)i << 60;

        s->shards[i].is_open = true;
        s->shards[i].low = i ? s->shards[i - 1].high + 1 : 0;
        s->shards[i].high =
            i + 1 < s->n ? (kpw_u128)border << 64 | kpw_random_next(&s->random) : KPW_U128_MAX;
    }
    feed(s, "a", 0, 1, 1);
    run_for(s, 200);
    for (int n = 0; n < 400; n++) {
        char text[KPW_U128_SIZE];

        kpw_u128_format(s->shards[n % s->n].high - 1 + (unsigned)(n / s->n) % 3, text);
        snprintf(data[n], sizeof(data[n]), n < 200 ? "{\"h\":\"%s\"}" : "{}", text);
        snprintf(keys[n], sizeof(keys[n]), "%016llx",
                 (unsigned long long)kpw_random_next(&s->random));
        inputs[n].data = data[n];
        inputs[n].key = keys[n];
    }
    harness_feed_records(s->h, "b", inputs, 400);
    run_for(s, 500);
    EQ_INT(harness_count(s->h, KP_DELIVERED), 401);
    EQ_INT(s->filtered, 0);
    EQ_INT(harness_counter(s->h, "wrong_shard_records"), 0);
    EQ_INT(harness_counter(s->h, "kinesis_records"), 1 + s->n);
    for (int i = 0; i < s->n; i++)
        YES(s->shards[i].taken > 0);
    stream_free(s);
}

/* ---- pace ---------------------------------------------------------------------------------- */

static bool is_lower(int key)
{
    char text[4];

    snprintf(text, sizeof(text), "%u", (unsigned)key % KEYS);
    return hash_of(kpw_slice_cstr(text), kpw_slice(NULL, 0)) <= KPW_U128_MAX >> 1;
}

/* A key of that half of the hash keys. */
static int key_of(bool lower)
{
    int key = 0;

    while (is_lower(key) != lower)
        key++;
    return key;
}

static uint64_t delivered_of(const struct stream *s, int key)
{
    uint64_t n = 0;

    for (int i = 0; i < s->fed[key]; i++)
        n += s->got[key][i];
    return n;
}

TEST(a_hot_shard_is_paced_and_delays_no_other)
{
    struct stream *s = stream_new(", rate_limit = 100");
    int hot = key_of(true), cold = key_of(false);

    s->has_limits = true;
    feed(s, "warm", cold, 1, 1);
    run_for(s, 1500);
    feed(s, "a", hot, 1, 1000);
    feed(s, "a", hot, 1, 900);
    run_for(s, 100); /* the bucket of the first second */
    YES(delivered_of(s, hot) >= 1000);
    YES(delivered_of(s, hot) <= 1150);
    feed(s, "a", cold, 1, 100); /* behind it on the same lane */
    run_for(s, 200);
    EQ_INT(delivered_of(s, cold), 101);
    YES(delivered_of(s, hot) <= 1350);
    run_for(s, 700);
    EQ_INT(delivered_of(s, hot), 1900);
    EQ_INT(s->throttles, 0);
    YES(s->puts <= 30); /* about one each 50 ms */
    EQ_INT(s->gaps, 0);
    stream_free(s);
}

TEST(without_rate_limit_all_goes_at_once)
{
    struct stream *s = stream_new(", rate_limit = 0");
    int hot = key_of(true);

    feed(s, "warm", hot, 1, 1);
    run_for(s, 500);
    feed(s, "a", hot, 1, 1000);
    feed(s, "a", hot, 1, 900);
    run_for(s, 4 * (LATENCY_MS + STEP_MS)); /* four requests, one after the other */
    EQ_INT(delivered_of(s, hot), 1901);
    stream_free(s);
}

TEST(a_shard_that_throttles_is_asked_less_and_less_and_the_others_go_on)
{
    struct stream *s = stream_new(", attempts = 1000");
    int dead = key_of(true), cold = key_of(false);
    uint64_t before;

    feed(s, "warm", cold, 1, 1);
    run_for(s, 500);
    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 300);
    run_for(s, 10000);
    before = s->throttles;
    for (int i = 0; i < 10; i++) {
        feed(s, "a", cold, 1, 100);
        run_for(s, 100);
        EQ_INT(delivered_of(s, cold), 1 + 100 * (i + 1));
    }
    run_for(s, 9000);
    YES(s->throttles - before >= 20);
    YES(s->throttles - before <= 80); /* some seconds between two tries, of a few records */
    s->shards[0].is_dead = false;
    run_until_delivered(s, 20000);
    EQ_INT(s->gaps, 0);
    EQ_INT(harness_count(s->h, KP_RETRY), 0);
    stream_free(s);
}

TEST(two_writers_of_a_shard_come_to_share_it)
{
    struct stream *s = stream_new(", attempts = 1000");
    int hot = key_of(true);

    s->has_limits = true;
    feed(s, "warm", hot, 1, 1);
    run_for(s, 500);
    for (int i = 0; i < 10; i++) { /* the other writer has half of it */
        feed(s, "a", hot, 1, 190);
        for (int k = 0; k < 40; k++) {
            run_for(s, 10);
            s->shards[0].records -= 5;
        }
    }
    run_until_delivered(s, 20000);
    YES(s->throttles <= 1500); /* of 1,900 records */
    EQ_INT(s->gaps, 0);
    stream_free(s);
}

/* ---- what is too old ------------------------------------------------------------------------ */

TEST(a_record_that_is_not_taken_within_its_ttl_is_rejected_with_a_reason)
{
    struct stream *s = stream_new(", record_ttl = '5s', attempts = 2");
    int dead = key_of(true), cold = key_of(false);

    feed(s, "warm", cold, 1, 1);
    run_for(s, 500);
    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 10);
    feed(s, "a", cold, 1, 10);
    run_for(s, 4900);
    EQ_INT(harness_count(s->h, KP_DELIVERED), 11);
    EQ_INT(harness_count(s->h, KP_REJECTED) + harness_count(s->h, KP_RETRY), 0);
    run_for(s, 300);
    EQ_INT(harness_count(s->h, KP_REJECTED), 10);
    EQ_INT(harness_counter(s->h, "expired_records"), 10);
    EQ_STR(harness_reason(s->h, 1),
           "older than record_ttl: stream orders did not take it within 5000 ms");
    stream_free(s);
}

TEST(without_ttl_a_record_waits)
{
    struct stream *s = stream_new(", attempts = 1000");
    int dead = key_of(true);

    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 10);
    run_for(s, 120000);
    EQ_INT(harness_count(s->h, KP_REJECTED) + harness_count(s->h, KP_RETRY), 0);
    s->shards[0].is_dead = false;
    run_until_delivered(s, 10000);
    stream_free(s);
}

TEST(what_is_throttled_fails_at_once_where_that_is_wanted)
{
    struct stream *s = stream_new(", fail_if_throttled = true");
    int dead = key_of(true), cold = key_of(false);

    s->shards[0].is_dead = true;
    feed(s, "a", dead, 1, 10);
    feed(s, "a", cold, 1, 10);
    run_for(s, 300);
    EQ_INT(harness_count(s->h, KP_REJECTED), 10);
    EQ_INT(harness_count(s->h, KP_DELIVERED), 10);
    YES(strstr(harness_reason(s->h, 0), "ProvisionedThroughputExceededException") != NULL);
    stream_free(s);
}

/* ---- order ---------------------------------------------------------------------------------- */

/* The most requests that were under way at a time with nothing answered. */
static uint64_t n_side_by_side(const char *options, int first, int second)
{
    struct stream *s = stream_new(options);
    uint64_t n;

    feed(s, "warm", 0, 16, 16);
    run_for(s, 500);
    n = n_puts(s->h);
    feed(s, "a", first, 1, 600);
    feed(s, "a", second, 1, 600);
    n = n_puts(s->h) - n;
    run_until_delivered(s, 10000);
    stream_free(s);
    return n;
}

TEST(strict_order_has_one_request_of_a_shard_under_way_and_others_beside_it)
{
    int lower = key_of(true), upper = key_of(false);

    EQ_INT(n_side_by_side(", rate_limit = 0", lower, lower), 1);
    EQ_INT(n_side_by_side(", rate_limit = 0", lower, upper), 2);
    EQ_INT(n_side_by_side(", rate_limit = 0, order = 'none'", lower, lower), 4);
}

TEST(strict_order_has_one_aggregate_of_a_shard_in_a_request)
{
    struct stream *s = stream_new(", aggregate = true, aggregate_count = 50");
    int hot = key_of(true);

    feed(s, "warm", hot, 1, 1);
    run_for(s, 500);
    feed(s, "a", hot, 1, 200);
    EQ_INT(n_puts(s->h), 2);
    EQ_INT(entries_in(s->h, 1), 1);
    run_for(s, 100);
    EQ_INT(n_puts(s->h), 5);
    run_until_delivered(s, 1000);
    stream_free(s);
}
