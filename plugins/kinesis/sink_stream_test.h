/* sink_stream_test.h - a stream in front of which tests put the kinesis sink: shards with limits,
 * splits and merges, faults of every kind, and a reader that checks what it gets. Time is the fake
 * clock's. */
#ifndef KPIPE_KINESIS_SINK_STREAM_TEST_H
#define KPIPE_KINESIS_SINK_STREAM_TEST_H

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

static inline struct stream *stream_new(const char *options)
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

static inline void stream_free(struct stream *s)
{
    harness_free(s->h);
    free(s);
}

/* ---- the reader ----------------------------------------------------------------------------- */

static inline kpw_u128 hash_of(struct kpw_slice key, struct kpw_slice explicit_hash)
{
    uint8_t digest[KPW_MD5_SIZE];
    kpw_u128 hash;

    if (explicit_hash.len && kpw_u128_parse(explicit_hash, &hash))
        return hash;
    kpw_md5(key.ptr, key.len, digest);
    return kpw_u128_from_bytes(digest);
}

/* Data are "KEY:SEQUENCE" in digits. */
static inline void got(struct stream *s, struct kpw_slice data)
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

static inline bool belongs(const struct kpw_kpl_reader *reader, const struct shard *shard)
{
    for (size_t i = 0; i < reader->n; i++) {
        kpw_u128 hash =
            hash_of(reader->records[i].partition_key, reader->records[i].explicit_hash_key);

        if (hash < shard->low || hash > shard->high)
            return false;
    }
    return true;
}

static inline void read_record(struct stream *s, const struct shard *shard, struct kpw_slice data)
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

static inline struct shard *shard_of(struct stream *s, kpw_u128 hash)
{
    for (int i = 0; i < s->n; i++)
        if (s->shards[i].is_open && s->shards[i].low <= hash && hash <= s->shards[i].high)
            return &s->shards[i];
    REQUIRE(false); /* there is a shard for every hash key */
    return NULL;
}

/* Takes so many bytes, or not: then nothing more of this request either. */
static inline bool has_room(struct stream *s, struct shard *shard, size_t bytes)
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
static inline struct kpw_slice text_after(const char *at, const char *end, const char *mark)
{
    const char *found = memmem(at, (size_t)(end - at), mark, strlen(mark)), *quote;

    if (!found)
        return kpw_slice(NULL, 0);
    found += strlen(mark);
    quote = memchr(found, '"', (size_t)(end - found));
    return kpw_slice(found, (size_t)(quote - found));
}

static inline void take_entry(struct stream *s, const char *at, const char *end, bool fails,
                              FILE *out)
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
static inline char *take_request(struct stream *s, const char *body, size_t len, unsigned fails)
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

static inline void answer_put(struct stream *s, const char *body, size_t len)
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

static inline void answer_list(struct stream *s)
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

static inline void serve(struct stream *s)
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

static inline void run_for(struct stream *s, int64_t ms)
{
    for (int64_t end = s->now_ms + ms; s->now_ms < end; s->now_ms += STEP_MS) {
        serve(s);
        harness_advance(s->h, STEP_MS);
    }
    serve(s);
}

/* A shard becomes two. */
static inline void split(struct stream *s, int parent, kpw_u128 at)
{
    REQUIRE(s->n + 2 <= SHARDS);
    s->shards[parent].is_open = false;
    s->shards[s->n++] =
        (struct shard){.low = s->shards[parent].low, .high = at - 1, .is_open = true};
    s->shards[s->n++] = (struct shard){.low = at, .high = s->shards[parent].high, .is_open = true};
}

static inline void merge(struct stream *s, int below, int above)
{
    REQUIRE(s->n < SHARDS);
    s->shards[below].is_open = s->shards[above].is_open = false;
    s->shards[s->n++] =
        (struct shard){.low = s->shards[below].low, .high = s->shards[above].high, .is_open = true};
}

/* ---- the load ------------------------------------------------------------------------------- */

/* A batch of n records of these keys in turn, the next of each. Keys are "0" to "15". */
static inline void feed(struct stream *s, const char *lane, int first, int n_keys, int n)
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

static inline size_t n_fed(const struct stream *s)
{
    size_t n = 0;

    for (int k = 0; k < KEYS; k++)
        n += (size_t)s->fed[k];
    return n;
}

/* Lanes "a" and "b" have eight keys each, 32 records each 10 ms. */
static inline void load_for(struct stream *s, int64_t ms)
{
    for (int64_t t = 0; t < ms; t += 10) {
        feed(s, "a", 0, 8, 32);
        feed(s, "b", 8, 8, 32);
        run_for(s, 10);
    }
}

static inline void run_until_delivered(struct stream *s, int64_t most_ms)
{
    for (int64_t t = 0; t < most_ms && harness_count(s->h, KP_DELIVERED) < n_fed(s); t += 100)
        run_for(s, 100);
    EQ_INT(harness_count(s->h, KP_DELIVERED), n_fed(s));
}

/* How many records the reader has too often; `ret_lost`: not at all. */
static inline uint64_t n_doubles(const struct stream *s, uint64_t *ret_lost)
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

#endif
