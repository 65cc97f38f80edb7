/* kinesis_load.c - writes records to a server that speaks the Kinesis API, or reads them all, as
 * fast as it answers; the same bytes for every server.
 *
 * Bodies are made before the clock starts and answers are only counted, so that this program costs
 * little beside the server: its own CPU seconds are printed. The signature is none; servers that
 * look for one find the form of it.
 *
 * usage: kinesis_load PORT make STREAM SHARDS
 *        kinesis_load PORT put STREAM CONNECTIONS BATCH SIZE SECONDS
 *        kinesis_load PORT get STREAM CONNECTIONS SHARDS SIZE SECONDS
 * put and get print "RECORDS SECONDS CPU FAILED"; get ends when it has read all there is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BODIES = 4, CONNECTIONS_MAX = 64, ANSWER_MAX = 64 << 20, ITERATOR_MAX = 2000 };

struct connection {
    int fd;
    char *buf; /* of an answer: head, then body without chunk marks */
    size_t len;
    char *body;
    size_t body_len;
    int status;
};

struct load {
    unsigned port, number, connections, batch, shards;
    const char *stream;
    size_t size; /* of one record's data */
    double until;
    long records, failed;
    bool is_broken;
};

static double clock_seconds(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

/* ---- HTTP */

static bool open_connection(struct connection *c, unsigned port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((unsigned short)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    *c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    c->buf = malloc(ANSWER_MAX);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return c->buf && c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&at, sizeof at);
}

static void close_connection(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->buf);
}

static bool send_all(int fd, struct iovec *parts, int n)
{
    while (n) {
        ssize_t sent = writev(fd, parts, n);

        if (sent < 0)
            return false;
        while (n && (size_t)sent >= parts->iov_len) {
            sent -= (ssize_t)parts->iov_len;
            parts++;
            n--;
        }
        if (n) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return true;
}

static bool receive(struct connection *c)
{
    ssize_t n = recv(c->fd, c->buf + c->len, ANSWER_MAX - 1 - c->len, 0);

    if (n <= 0)
        return false;
    c->len += (size_t)n;
    c->buf[c->len] = '\0';
    return true;
}

/* One chunk after the other, moved together behind the head. */
static bool receive_chunks(struct connection *c, size_t at)
{
    for (;;) {
        char *end;
        size_t size;

        while (!(end = memmem(c->buf + at, c->len - at, "\r\n", 2)))
            if (!receive(c))
                return false;
        size = strtoull(c->buf + at, NULL, 16);
        at = (size_t)(end + 2 - c->buf);
        while (c->len < at + size + 2)
            if (!receive(c))
                return false;
        if (!size)
            return true;
        memmove(c->body + c->body_len, c->buf + at, size);
        c->body_len += size;
        at += size + 2;
    }
}

static bool receive_answer(struct connection *c)
{
    char *end, *header;

    c->len = c->body_len = 0;
    c->buf[0] = '\0';
    while (!(end = strstr(c->buf, "\r\n\r\n")))
        if (!receive(c))
            return false;
    *end = '\0';
    c->body = end + 4;
    c->status = atoi(c->buf + 9);
    if (strcasestr(c->buf, "\ntransfer-encoding: chunked"))
        return receive_chunks(c, (size_t)(c->body - c->buf));
    header = strcasestr(c->buf, "\ncontent-length:");
    c->body_len = header ? strtoull(header + 16, NULL, 10) : 0;
    while (c->buf + c->len < c->body + c->body_len)
        if (!receive(c))
            return false;
    return true;
}

static bool ask(struct connection *c, const char *operation, const char *body, size_t len)
{
    char head[700];
    int n = snprintf(head, sizeof head,
                     "POST / HTTP/1.1\r\nHost: kinesis.us-east-1.amazonaws.com\r\n"
                     "Content-Type: application/x-amz-json-1.1\r\n"
                     "X-Amz-Target: Kinesis_20131202.%s\r\nX-Amz-Date: 20260101T000000Z\r\n"
                     "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/"
                     "aws4_request, SignedHeaders=host, Signature=%064d\r\nContent-Length: %zu"
                     "\r\n\r\n",
                     operation, 0, len);
    struct iovec parts[2] = {{head, (size_t)n}, {(void *)(uintptr_t)body, len}};

    return send_all(c->fd, parts, 2) && receive_answer(c);
}

/* The number or text behind a member's name. */
static const char *member(const struct connection *c, const char *name)
{
    const char *at = memmem(c->body, c->body_len, name, strlen(name));

    return at ? at + strlen(name) : NULL;
}

/* ---- writing */

/* One request of `batch` records with keys that spread over all shards. */
static char *make_body(const struct load *load, unsigned variant, size_t *ret_len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t encoded = (load->size + 2) / 3 * 4, pad = (3 - load->size % 3) % 3;
    char *body = malloc(200 + load->batch * (encoded + 80)), *at = body;
    unsigned seed = load->number * BODIES + variant + 1;

    if (!body)
        return NULL;
    at += sprintf(at, "{\"StreamName\":\"%s\",\"Records\":[", load->stream);
    for (unsigned i = 0; i < load->batch; i++) {
        at += sprintf(at, "%s{\"PartitionKey\":\"%08x%04x\",\"Data\":\"", i ? "," : "",
                      (unsigned)rand_r(&seed), i);
        for (size_t j = 0; j < encoded - pad; j++)
            *at++ = digits[j + 1 == encoded - pad ? 0 : rand_r(&seed) >> 8 & 63];
        at += sprintf(at, "%.*s\"}", (int)pad, "==");
    }
    at += sprintf(at, "]}");
    *ret_len = (size_t)(at - body);
    return body;
}

static void put_once(struct load *load, struct connection *c, const char *body, size_t len)
{
    const char *failed;

    if (!ask(c, "PutRecords", body, len) || c->status != 200) {
        fprintf(stderr, "kinesis_load: PutRecords: %d %.300s\n", c->status, c->body ? c->body : "");
        load->is_broken = true;
        return;
    }
    failed = member(c, "\"FailedRecordCount\":");
    load->failed += failed ? atol(failed) : 0;
    load->records += load->batch - (failed ? atol(failed) : 0);
}

static void *put_run(void *arg)
{
    struct load *load = arg;
    struct connection c = {.fd = -1};
    char *bodies[BODIES] = {NULL};
    size_t lens[BODIES];

    load->is_broken = !open_connection(&c, load->port);
    for (unsigned i = 0; i < BODIES; i++)
        load->is_broken |= !(bodies[i] = make_body(load, i, &lens[i]));
    for (unsigned i = 0; !load->is_broken && now() < load->until; i++)
        put_once(load, &c, bodies[i % BODIES], lens[i % BODIES]);
    for (unsigned i = 0; i < BODIES; i++)
        free(bodies[i]);
    close_connection(&c);
    return NULL;
}

/* ---- reading */

/* Every record has as many bytes as its data in base64, so from one to the next that far is left
 * out. */
static long count_records(const struct connection *c, size_t size)
{
    static const char name[] = "\"PartitionKey\"";
    const char *at = c->body, *end = c->body + c->body_len;
    size_t step = (size + 2) / 3 * 4;
    long n = 0;

    while (at < end && (at = memmem(at, (size_t)(end - at), name, sizeof name - 1))) {
        n++;
        at += sizeof name + step;
    }
    return n;
}

static bool take_iterator(const struct connection *c, const char *name, char out[ITERATOR_MAX])
{
    const char *at = member(c, name);
    size_t len = at ? strcspn(at, "\"") : 0;

    if (!len || len >= ITERATOR_MAX)
        return false;
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

static void get_shard(struct load *load, struct connection *c, unsigned shard)
{
    char body[ITERATOR_MAX + 100], iterator[ITERATOR_MAX];
    const char *behind;
    long n;

    snprintf(body, sizeof body,
             "{\"StreamName\":\"%s\",\"ShardId\":\"shardId-%012u\","
             "\"ShardIteratorType\":\"TRIM_HORIZON\"}",
             load->stream, shard);
    load->is_broken = !ask(c, "GetShardIterator", body, strlen(body)) ||
                      !take_iterator(c, "\"ShardIterator\":\"", iterator);
    while (!load->is_broken && now() < load->until) {
        snprintf(body, sizeof body, "{\"ShardIterator\":\"%s\",\"Limit\":10000}", iterator);
        if (!ask(c, "GetRecords", body, strlen(body)) || c->status != 200 ||
            !take_iterator(c, "\"NextShardIterator\":\"", iterator)) {
            fprintf(stderr, "kinesis_load: GetRecords: %d %.300s\n", c->status,
                    c->body ? c->body : "");
            load->is_broken = true;
            return;
        }
        n = count_records(c, load->size);
        load->records += n;
        behind = member(c, "\"MillisBehindLatest\":");
        if (!n && behind && !atol(behind))
            return;
    }
}

static void *get_run(void *arg)
{
    struct load *load = arg;
    struct connection c = {.fd = -1};

    load->is_broken = !open_connection(&c, load->port);
    for (unsigned s = load->number; !load->is_broken && s < load->shards; s += load->connections)
        get_shard(load, &c, s);
    close_connection(&c);
    return NULL;
}

/* ---- the whole */

static int run_all(const struct load *like, void *(*fn)(void *), double seconds)
{
    static struct load loads[CONNECTIONS_MAX];
    pthread_t threads[CONNECTIONS_MAX];
    double start = now(), cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    long records = 0, failed = 0;
    bool is_broken = false;

    for (unsigned i = 0; i < like->connections; i++) {
        loads[i] = *like;
        loads[i].number = i;
        loads[i].until = start + seconds;
        if (pthread_create(&threads[i], NULL, fn, &loads[i]))
            return 1;
    }
    for (unsigned i = 0; i < like->connections; i++) {
        pthread_join(threads[i], NULL);
        records += loads[i].records;
        failed += loads[i].failed;
        is_broken |= loads[i].is_broken;
    }
    printf("%ld %.3f %.3f %ld\n", records, now() - start,
           clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, failed);
    return is_broken;
}

/* Makes the stream and waits until it is there. */
static int make_stream(const struct load *load)
{
    struct timespec wait = {.tv_nsec = 20000000};
    struct connection c;
    char body[300];

    if (!open_connection(&c, load->port))
        return 1;
    snprintf(body, sizeof body, "{\"StreamName\":\"%s\",\"ShardCount\":%u}", load->stream,
             load->shards);
    if (!ask(&c, "CreateStream", body, strlen(body)) || c.status != 200) {
        fprintf(stderr, "kinesis_load: CreateStream: %d %.300s\n", c.status, c.body ? c.body : "");
        return 1;
    }
    snprintf(body, sizeof body, "{\"StreamName\":\"%s\"}", load->stream);
    while (ask(&c, "DescribeStreamSummary", body, strlen(body)) && c.status == 200) {
        if (member(&c, "\"StreamStatus\":\"ACTIVE\"")) {
            close_connection(&c);
            return 0;
        }
        nanosleep(&wait, NULL);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct load load = {.port = argc > 3 ? (unsigned)atoi(argv[1]) : 0};
    const char *what = argc > 3 ? argv[2] : "";

    if (argc > 3)
        load.stream = argv[3];
    if (argc == 5 && !strcmp(what, "make")) {
        load.shards = (unsigned)atoi(argv[4]);
        return make_stream(&load);
    }
    if (argc != 8) {
        fprintf(stderr, "usage: kinesis_load PORT make|put|get STREAM ..., see the source\n");
        return 2;
    }
    load.connections = (unsigned)atoi(argv[4]);
    load.batch = load.shards = (unsigned)atoi(argv[5]);
    load.size = (size_t)atol(argv[6]);
    if (!load.connections || load.connections > CONNECTIONS_MAX || !load.batch || !load.size)
        return 2;
    return run_all(&load, strcmp(what, "put") ? get_run : put_run, atof(argv[7]));
}
