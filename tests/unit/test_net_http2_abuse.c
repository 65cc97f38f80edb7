/* test_net_http2_abuse.c - HTTP/2 peers that flood, stall or break the rules, as raw frames. */
#include "core/base/error.h"
#include "core/net/http_conn.h"
#include "core/net/http_server.h"
#include "tests/unit/net_http2.h"

static kp_server *server;
static kp_exchange *held[2000];
static size_t n_held, n_seen, n_gone;

static void on_gone(kp_node *node, void *arg, kp_exchange *exchange)
{
    (void)node, (void)arg, (void)exchange;
    n_gone++;
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    static char big[100000];

    (void)node, (void)arg;
    n_seen++;
    if (request->path.len == 6) { /* "/later" */
        held[n_held++] = exchange;
    } else if (request->path.len == 4) { /* "/big" */
        kp_server_stream stream = {.size = sizeof stream, .gone = on_gone};

        http_server_start(exchange, 200, NULL, 0, &stream);
        http_server_write(exchange, (kp_slice){big, sizeof big}, NULL);
    } else {
        http_server_respond(exchange, 200, NULL, 0, (kp_slice){"hello", 5}, NULL);
    }
}

static void start(kp_server_config config)
{
    struct error err = ERROR_INIT;

    uv_loop_init(&peer_loop);
    n_held = n_seen = n_gone = 0;
    config.size = sizeof config;
    config.listen = "127.0.0.1:0";
    config.http2 = true;
    server = http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err);
    REQUIRE(server != NULL);
}

static void end(void)
{
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
}

/* ---- raw frames */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
/* GET http a /later of the static table and one literal each. */
#define HEAD_LATER     \
    "\x82\x86\x41\x01" \
    "a"                \
    "\x44\x06"         \
    "/later"
#define HEAD_ROOT      \
    "\x82\x86\x41\x01" \
    "a"                \
    "\x84"

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

static void put_frame(struct peer *peer, int type, int flags, uint32_t id, const char *p, size_t n)
{
    unsigned char frame[9 + 300] = {0,
                                    (unsigned char)(n >> 8),
                                    (unsigned char)n,
                                    (unsigned char)type,
                                    (unsigned char)flags,
                                    (unsigned char)(id >> 24),
                                    (unsigned char)(id >> 16),
                                    (unsigned char)(id >> 8),
                                    (unsigned char)id};

    REQUIRE(n <= 300);
    memcpy(frame + 9, p, n);
    for (size_t sent = 0; sent < n + 9 && !peer->closed;) {
        ssize_t part = send(peer->fd, frame + sent, n + 9 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (part > 0)
            sent += (size_t)part;
        else if (errno == EAGAIN)
            peer_turn(peer->fd, POLLOUT);
        else
            peer->closed = true; /* it has had enough */
    }
}

static struct peer dial(void)
{
    struct peer peer = peer_connect(http_server_port(server), 0);

    peer_send(&peer, PREFACE);
    put_frame(&peer, SETTINGS, 0, 0, "", 0);
    return peer;
}

static void expect_end(struct peer *peer)
{
    PEER_WAIT((peer_pull(peer), peer->closed), peer->fd, POLLIN);
}

/* The frame of a type with its nth (from 0) payload byte at the end of a number; -1: none. */
static int find_frame(struct peer *peer, int type, size_t at)
{
    int found = -1;

    for (size_t i = 0; i + 9 <= peer->len;) {
        const unsigned char *p = (unsigned char *)peer->in + i;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        if (p[3] == type && n > at && i + 9 + n <= peer->len)
            found = p[9 + at];
        i += 9 + n;
    }
    return found;
}

static void expect_calm(struct peer *peer)
{
    expect_end(peer);
    EQ_INT(find_frame(peer, GOAWAY, 7), NGHTTP2_ENHANCE_YOUR_CALM);
    peer_close(peer);
}

/* ---- floods */

TEST(h2_floods_of_frames_that_bring_nothing_are_cut_off)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    for (int i = 0; i < 20000 && !peer.closed; i++)
        put_frame(&peer, PING, 0, 0, "12345678", 8);
    expect_calm(&peer);
    peer = dial();
    for (int i = 0; i < 20000 && !peer.closed; i++)
        put_frame(&peer, SETTINGS, 0, 0, "\0\1\0\0\x10\0", 6);
    expect_calm(&peer);
    peer = dial();
    put_frame(&peer, HEADERS, END_HEADERS, 1, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    for (int i = 0; i < 20000 && !peer.closed; i++)
        put_frame(&peer, DATA, 0, 1, "", 0);
    expect_calm(&peer);
    peer = dial();
    for (int i = 0; i < 20000 && !peer.closed; i++)
        put_frame(&peer, PRIORITY, 0, 3, "\0\0\0\0\x10", 5);
    expect_calm(&peer);
    EQ_INT(n_seen, 0);
    end();
}

TEST(h2_rapid_resets_are_cut_off)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    for (uint32_t id = 1; id < 10000 && !peer.closed; id += 2) {
        put_frame(&peer, HEADERS, END_HEADERS | END_STREAM, id, HEAD_LATER, sizeof HEAD_LATER - 1);
        put_frame(&peer, RST, 0, id, "\0\0\0\x8", 4);
        if (id % 50 == 1)
            peer_turn(-1, 0);
    }
    expect_end(&peer);
    peer_close(&peer);
    YES(n_seen <= 600); /* of what was reset, no more than so many are with the handler */
    for (size_t i = 0; i < n_held; i++)
        http_server_abort(held[i]);
    end();
}

TEST(h2_a_header_block_without_end_is_cut_off)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    put_frame(&peer, HEADERS, END_STREAM, 1, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    for (int i = 0; i < 100000 && !peer.closed; i++)
        put_frame(&peer, CONTINUATION, 0, 1, "\x10\x01x\x01y", 5);
    expect_calm(&peer);
    EQ_INT(n_seen, 0);
    end();
}

/* One entry of the table of 2,500 bytes, named again and again by one byte each. */
TEST(h2_a_header_bomb_is_refused)
{
    char *value = malloc(2501), bomb[200];
    nghttp2_nv large;
    struct peer peer;
    struct h2 *c;

    memset(value, 'x', 2500);
    value[2500] = '\0';
    large = NV("x-large", value);
    start((kp_server_config){0});
    c = h2_open(http_server_port(server), 0, true);
    {
        nghttp2_nv nv[150];
        int32_t id;

        for (size_t i = 0; i < 150; i++)
            nv[i] = large;
        id = h2_request(c, "GET", "/", nv, 10, NULL, 0);
        H2_WAIT(c, h2_answer(c, id)->closed);
        EQ_INT(h2_answer(c, id)->status, 200);
        id = h2_request(c, "GET", "/", nv, 150, NULL, 0);
        H2_WAIT(c, h2_answer(c, id)->closed);
        EQ_INT(h2_answer(c, id)->status, 431);
    }
    h2_close(c);
    free(value);
    memset(bomb, 0xbe, sizeof bomb); /* an entry that was never put: a connection error */
    peer = dial();
    put_frame(&peer, HEADERS, END_HEADERS | END_STREAM, 1, bomb, sizeof bomb);
    expect_end(&peer);
    EQ_INT(find_frame(&peer, GOAWAY, 7), NGHTTP2_COMPRESSION_ERROR);
    peer_close(&peer);
    EQ_INT(n_seen, 1);
    end();
}

/* ---- broken rules */

TEST(h2_upper_case_names_are_refused)
{
    static const char upper[] = HEAD_ROOT "\x10\x01X\x01y";
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    put_frame(&peer, HEADERS, END_HEADERS | END_STREAM, 1, upper, sizeof upper - 1);
    PEER_WAIT((peer_pull(&peer), find_frame(&peer, RST, 3) >= 0), peer.fd, POLLIN);
    EQ_INT(find_frame(&peer, RST, 3), NGHTTP2_PROTOCOL_ERROR);
    EQ_INT(n_seen, 0);
    peer_close(&peer);
    end();
}

TEST(h2_frames_that_break_the_rules_end_the_connection)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    put_frame(&peer, DATA, 0, 1, "x", 1); /* of no stream */
    expect_end(&peer);
    EQ_INT(find_frame(&peer, GOAWAY, 7), NGHTTP2_PROTOCOL_ERROR);
    peer_close(&peer);
    peer = dial();
    put_frame(&peer, HEADERS, END_HEADERS, 2, HEAD_ROOT, sizeof HEAD_ROOT - 1); /* a server's */
    expect_end(&peer);
    peer_close(&peer);
    peer = dial();
    put_frame(&peer, PING, 0, 0, "1234", 4);
    expect_end(&peer);
    EQ_INT(find_frame(&peer, GOAWAY, 7), NGHTTP2_FRAME_SIZE_ERROR);
    peer_close(&peer);
    peer = peer_connect(http_server_port(server), 0);
    peer_send(&peer, PREFACE); /* and then no settings */
    put_frame(&peer, PING, 0, 0, "12345678", 8);
    expect_end(&peer);
    peer_close(&peer);
    peer = peer_connect(http_server_port(server), 0);
    peer_send(&peer, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    peer_expect(&peer, "HTTP/1.1 505 ");
    expect_end(&peer);
    peer_close(&peer);
    EQ_INT(n_seen, 0);
    end();
}

/* ---- any split, one verdict */

static void close_pair(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* What the server says to all of `bytes`, sent `piece` at a time: its frames without those of flow
 * control, in an order of their own [owned by caller]. */
static char *verdict(const char *bytes, size_t n, size_t piece)
{
    char(*lines)[60] = calloc(200, sizeof *lines), *out = calloc(200, sizeof *lines);
    struct peer peer = peer_connect(http_server_port(server), 0);
    size_t n_lines = 0;

    for (size_t at = 0; at < n; at += piece) {
        peer_send_n(&peer, bytes + at, piece < n - at ? piece : n - at);
        peer_turn(-1, 0);
    }
    expect_end(&peer);
    for (size_t at = 0; at + 9 <= peer.len && n_lines < 200;) {
        const unsigned char *p = (unsigned char *)peer.in + at;
        size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        if (p[3] != WINDOW)
            snprintf(lines[n_lines++], sizeof *lines, "type %d flags %d stream %d%s%d\n", p[3],
                     p[4], p[8],
                     p[3] == RST      ? " error "
                     : p[3] == GOAWAY ? " end "
                                      : " ",
                     p[3] == RST      ? p[12]
                     : p[3] == GOAWAY ? p[16]
                                      : 0);
        at += 9 + len;
    }
    qsort(lines, n_lines, sizeof *lines, by_text);
    for (size_t i = 0; i < n_lines; i++)
        strcat(out, lines[i]);
    free(lines);
    peer_close(&peer);
    return out;
}

TEST(h2_the_verdict_does_not_depend_on_how_bytes_were_split)
{
    static const char upper[] = HEAD_ROOT "\x10\x01X\x01y", named[] = HEAD_ROOT "\x10\x0a"
                                                                                "connection\x05"
                                                                                "close";
    struct peer pen = {.fd = -1};
    int pair[2];
    char bytes[4000], *whole, *split;
    ssize_t n;

    start((kp_server_config){.max_body = 10});
    REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    pen.fd = pair[0]; /* a connection is written down first */
    peer_send(&pen, PREFACE);
    put_frame(&pen, SETTINGS, 0, 0, "\0\4\0\0\x10\0", 6);
    put_frame(&pen, HEADERS, END_HEADERS | END_STREAM, 1, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    put_frame(&pen, HEADERS, END_HEADERS | END_STREAM, 3, upper, sizeof upper - 1);
    put_frame(&pen, HEADERS, END_STREAM, 5, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    put_frame(&pen, CONTINUATION, END_HEADERS, 5, "\x10\x01x\x01y", 5);
    put_frame(&pen, HEADERS, END_HEADERS, 7, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    put_frame(&pen, DATA, 0, 7, "12345", 5);
    put_frame(&pen, PING, 0, 0, "12345678", 8);
    put_frame(&pen, DATA, END_STREAM, 7, "678901", 6); /* 11 bytes: 413 */
    put_frame(&pen, HEADERS, END_HEADERS | END_STREAM, 9, named, sizeof named - 1);
    put_frame(&pen, HEADERS, END_HEADERS, 11, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    put_frame(&pen, DATA, END_STREAM, 11, "1234567890", 10);
    put_frame(&pen, GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8); /* the end, when all is answered */
    n = recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT);
    close_pair(pair);
    whole = verdict(bytes, (size_t)n, (size_t)n);
    YES(strstr(whole, "type 3 flags 0 stream 3 error 1\n") != NULL);
    YES(strstr(whole, "type 3 flags 0 stream 9 error 1\n") != NULL);
    YES(strstr(whole, "type 0 flags 1 stream 7 0\n") != NULL);
    EQ_INT(n_seen, 3);
    for (size_t piece = 1; piece < 40; piece += 3) {
        n_seen = 0;
        split = verdict(bytes, (size_t)n, piece);
        EQ_STR(split, whole);
        EQ_INT(n_seen, 3);
        free(split);
    }
    free(whole);
    end();
}

/* ---- peers that stall */

TEST(h2_peers_that_say_nothing_are_let_go)
{
    struct peer idle, preface, head, body;

    start((kp_server_config){.idle_timeout_ms = 40, .read_timeout_ms = 20});
    idle = dial();
    preface = peer_connect(http_server_port(server), 0);
    peer_send(&preface, "PRI * HT");
    head = dial();
    put_frame(&head, HEADERS, END_STREAM, 1, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    body = dial();
    put_frame(&body, HEADERS, END_HEADERS, 1, HEAD_ROOT, sizeof HEAD_ROOT - 1);
    put_frame(&body, DATA, 0, 1, "x", 1);
    expect_end(&idle);
    EQ_INT(find_frame(&idle, GOAWAY, 7), NGHTTP2_NO_ERROR);
    peer_expect(&preface, "HTTP/1.1 408 ");
    expect_end(&preface);
    expect_end(&head);
    expect_end(&body);
    EQ_INT(find_frame(&body, RST, 3), NGHTTP2_NO_ERROR); /* after the 408 */
    EQ_INT(find_frame(&body, DATA, 36), 'g');            /* "the request took too long" */
    EQ_INT(n_seen, 0);
    peer_close(&idle);
    peer_close(&preface);
    peer_close(&head);
    peer_close(&body);
    end();
}

TEST(h2_an_exchange_takes_as_long_as_its_handler_needs)
{
    struct h2 *c, *other;
    int32_t id;

    start((kp_server_config){.idle_timeout_ms = 20, .read_timeout_ms = 20});
    c = h2_open(http_server_port(server), 0, true);
    id = h2_get(c, "/later");
    H2_WAIT(c, n_held == 1);
    other = h2_open(http_server_port(server), 0, true);
    H2_WAIT(other, other->peer.closed); /* it was idle for longer than is allowed */
    h2_step(c);
    NO(c->peer.closed);
    http_server_respond(held[0], 200, NULL, 0, (kp_slice){"x", 1}, NULL);
    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->status, 200);
    h2_close(c);
    h2_close(other);
    end();
}

TEST(h2_a_window_that_is_never_opened_is_not_waited_for)
{
    struct h2 *c;
    int32_t id;

    start((kp_server_config){.idle_timeout_ms = 5000, .read_timeout_ms = 40});
    server->write_timeout_ms = 20;
    c = h2_open(http_server_port(server), 1000, false);
    id = h2_get(c, "/big");
    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->error, NGHTTP2_CANCEL);
    EQ_INT(h2_answer(c, id)->len, 1000);
    PEER_WAIT(n_gone == 1, -1, 0);
    NO(c->peer.closed);
    h2_close(c);
    end();
}

TEST(h2_bodies_of_one_connection_are_bounded_together)
{
    size_t n = (size_t)9 << 20;
    char *body = malloc(n);
    int refused = 0;
    struct h2 *c;
    int32_t id;

    memset(body, 'x', n);
    start((kp_server_config){0});
    c = h2_open(http_server_port(server), 0, true);
    for (int i = 0; i < 8; i++) { /* 72 MiB, of which none is complete */
        id = h2_request(c, "POST", "/", NULL, 0, body, n);
        h2_answer(c, id)->stalls = true;
    }
    H2_WAIT(c, c->n_closed > 0);
    for (int i = 0; i < 8; i++)
        refused += h2_answer(c, 2 * i + 1)->error == NGHTTP2_REFUSED_STREAM;
    EQ_INT(refused, c->n_closed);
    id = h2_get(c, "/");
    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->status, 200);
    h2_close(c);
    free(body);
    end();
}
