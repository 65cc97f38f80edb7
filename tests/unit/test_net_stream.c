/* test_net_stream.c - answers in pieces, files as answers, peers that go: over HTTP/1.1 and 1.0. */
#include <fcntl.h>

#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/base/slab.h"
#include "core/net/http_server.h"
#include "tests/unit/net_peer.h"

#define PIECE ((size_t)1 << 20)

static kp_server *server;
static kp_exchange *held;
static size_t n_seen, n_gone, n_drained, n_pumped, most_waiting;
static struct budget memory = {.name = "test"};

static void on_gone(kp_node *node, void *arg, kp_exchange *exchange)
{
    YES(node == (kp_node *)&server && arg == &n_gone && exchange == held);
    n_gone++;
    held = NULL;
}

static void on_drained(kp_node *node, void *arg, kp_exchange *exchange)
{
    YES(node == (kp_node *)&server && arg == &n_gone && exchange == held);
    n_drained++;
}

static const kp_server_stream told = {sizeof told, on_drained, on_gone, &n_gone};

static void hold(kp_node *node, void *arg, kp_exchange *exchange, const kp_server_request *request)
{
    (void)node, (void)arg, (void)request;
    n_seen++;
    held = exchange;
}

static void start(kp_server_fn fn, kp_server_config config)
{
    struct error err = ERROR_INIT;

    uv_loop_init(&peer_loop);
    n_seen = n_gone = n_drained = n_pumped = most_waiting = 0;
    held = NULL;
    config.size = sizeof config;
    config.listen = "127.0.0.1:0";
    server = http_server_listen(&peer_loop, (kp_node *)&server, &config, fn, &n_seen, &err);
    REQUIRE(server != NULL);
}

static void end(void)
{
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
    EQ_INT(memory.used, 0);
}

static struct peer dial(void)
{
    return peer_connect(http_server_port(server), 0);
}

/* A peer whose request is with the handler. */
static struct peer ask(const char *request)
{
    struct peer peer = dial();

    held = NULL;
    peer_send(&peer, request);
    PEER_WAIT(held, -1, 0);
    return peer;
}

static size_t write_text(const char *text)
{
    return http_server_write(held, (kp_slice){text, strlen(text)}, NULL);
}

static void go(struct peer *peer)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    peer_close(peer);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- pieces */

TEST(pieces_go_out_as_they_are_written)
{
    static const kp_http_header type = {{"Content-Type", 12}, {"text/plain", 10}};
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET GET);
    http_server_start(held, 200, &type, 1, &told);
    peer_expect(&peer, "HTTP/1.1 200 OK\r\nDate: ");
    peer_expect(&peer, "\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    EQ_INT(peer.len, 0);
    EQ_INT(write_text("first"), 0);
    peer_expect(&peer, "5\r\nfirst\r\n");
    EQ_INT(write_text(""), 0); /* is no last chunk */
    EQ_INT(write_text("the second one, longer"), 0);
    peer_expect(&peer, "16\r\nthe second one, longer\r\n");
    EQ_INT(peer.len, 0);
    EQ_INT(n_seen, 1); /* the next request waits until the end of this answer */
    http_server_finish(held);
    peer_expect(&peer, "0\r\n\r\n");
    PEER_WAIT(n_seen == 2, -1, 0);
    http_server_respond(held, 200, NULL, 0, (kp_slice){"x", 1}, NULL);
    peer_expect(&peer, "Content-Length: 1\r\n\r\nx");
    EQ_INT(n_gone + n_drained, 0);
    peer_close(&peer);
    end();
}

TEST(http_1_0_gets_pieces_until_the_connection_ends)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    http_server_start(held, 200, NULL, 0, NULL);
    peer_expect(&peer, "\r\nConnection: close\r\n\r\n");
    NO(peer_has(&peer, "chunked"));
    write_text("first");
    write_text("second");
    http_server_finish(held);
    peer_expect(&peer, "firstsecond");
    peer_expect_close(&peer);
    EQ_INT(peer.len, 0);
    peer_close(&peer);
    end();
}

TEST(an_answer_in_pieces_to_head_has_no_body)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    http_server_start(held, 200, NULL, 0, NULL);
    EQ_INT(write_text("first"), 0);
    http_server_finish(held);
    peer_expect(&peer, "Transfer-Encoding: chunked\r\n\r\n");
    held = NULL;
    peer_send(&peer, GET);
    PEER_WAIT(held, -1, 0);
    http_server_start(held, 204, NULL, 0, NULL);
    write_text("first");
    http_server_finish(held);
    peer_expect(&peer, "HTTP/1.1 204 No Content\r\n");
    peer_expect(&peer, "\r\n\r\n");
    EQ_INT(peer.len, 0);
    peer_close(&peer);
    end();
}

TEST(an_answer_in_pieces_that_would_split_is_not_sent)
{
    static const kp_http_header split = {{"X", 1}, {"a\r\nY: b", 7}};
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    http_server_start(held, 200, &split, 1, NULL);
    write_text("first");
    http_server_finish(held);
    peer_expect(&peer, "HTTP/1.1 500 Internal Server Error\r\n");
    peer_expect_close(&peer);
    EQ_INT(peer_count(&peer, "first"), 0);
    peer_close(&peer);
    end();
}

/* Writes three pieces and ends, all in the handler, then each time there is room. */
static void pump(kp_node *node, void *arg, kp_exchange *exchange)
{
    kp_slab *slab;
    size_t waiting;

    (void)node, (void)arg;
    n_drained += exchange == held;
    while (n_pumped < 30) {
        budget_force(&memory, PIECE);
        slab = slab_new(&memory, PIECE);
        memset(slab->data, 'a' + (int)(n_pumped++ % 26), PIECE);
        waiting = http_server_write(exchange, (kp_slice){slab->data, PIECE}, slab);
        if (waiting > most_waiting)
            most_waiting = waiting;
        if (waiting > PIECE)
            return;
    }
    held = NULL;
    http_server_finish(exchange);
}

static void stream_much(kp_node *node, void *arg, kp_exchange *exchange,
                        const kp_server_request *request)
{
    kp_server_stream stream = {.size = sizeof stream, .drained = pump};

    (void)node, (void)arg, (void)request;
    n_seen++;
    http_server_start(exchange, 200, NULL, 0, &stream);
    held = exchange;
    pump(NULL, NULL, exchange);
}

TEST(a_writer_waits_for_a_slow_reader_and_goes_on)
{
    struct peer peer;
    size_t bare = 0;
    char *at;

    start(stream_much, (kp_server_config){0});
    peer = peer_connect(http_server_port(server), 4096);
    peer_send(&peer, GET);
    PEER_WAIT(n_seen == 1, -1, 0);
    peer_turn(-1, 0);
    YES(n_pumped < 30); /* the peer does not read, so the rest is not made */
    YES(memory.used <= 4 * (int64_t)PIECE);
    peer_expect(&peer, "\r\n\r\n");
    PEER_WAIT((peer_pull(&peer), peer.len > 30 * PIECE && peer_has(&peer, "\r\n0\r\n\r\n")),
              peer.fd, POLLIN);
    at = peer.in;
    for (size_t i = 0; i < 30; i++, at += PIECE + 10) {
        REQUIRE(!memcmp(at, "100000\r\n", 8));
        EQ_INT(at[8], 'a' + (int)(i % 26));
        YES(!memcmp(at + 8, at + 9, PIECE - 1)); /* all the same byte */
        bare += PIECE;
    }
    EQ_STR(at, "0\r\n\r\n");
    EQ_INT(bare, 30 * PIECE);
    YES(n_drained > 2);
    YES(most_waiting < 4 * PIECE);
    EQ_INT(memory.used, 0);
    peer_close(&peer);
    end();
}

/* ---- peers that go */

TEST(who_watches_hears_when_the_peer_goes)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    for (int way = 0; way < 3; way++) {
        peer = ask(GET);
        http_server_watch(held, on_gone, &n_gone);
        if (way == 0)
            peer_close(&peer);
        else if (way == 1)
            go(&peer);
        else
            shutdown(peer.fd, SHUT_WR);
        PEER_WAIT(n_gone == (size_t)way + 1, -1, 0);
        YES(!held);
        if (way == 2)
            peer_close(&peer);
    }
    peer = ask(GET);
    http_server_watch(held, on_gone, &n_gone);
    http_server_respond(held, 200, NULL, 0, (kp_slice){"x", 1}, NULL);
    peer_expect(&peer, "\r\n\r\nx");
    peer_close(&peer); /* after its answer nobody is told */
    end();
    EQ_INT(n_gone, 3);
}

/* More requests are sent ahead than the server reads: it looks all the same. */
TEST(a_peer_that_goes_behind_many_requests_is_noticed)
{
    char junk[4000];
    struct peer peer;

    memset(junk, 'x', sizeof junk);
    start(hold, (kp_server_config){.read_timeout_ms = 40});
    peer = ask(GET);
    http_server_watch(held, on_gone, &n_gone);
    for (int i = 0; i < 5; i++) {
        peer_send(&peer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n");
        peer_send_n(&peer, junk, sizeof junk);
    }
    peer_turn(-1, 0);
    EQ_INT(n_gone, 0);
    shutdown(peer.fd, SHUT_WR);
    PEER_WAIT(n_gone, -1, 0);
    EQ_INT(n_gone, 1);
    EQ_INT(n_seen, 1);
    peer_close(&peer);
    end();
}

TEST(a_watch_set_after_the_peer_went_is_told_too)
{
    struct peer peer;

    start(hold, (kp_server_config){.read_timeout_ms = 40});
    peer = ask(GET);
    go(&peer);
    peer = dial(); /* by its answer the first one is known to be closed */
    peer_send(&peer, "GET / HTTP/1.1\r\n\r\n");
    peer_expect_close(&peer);
    peer_close(&peer);
    peer_turn(-1, 0);
    http_server_watch(held, on_gone, &n_gone);
    EQ_INT(n_gone, 0); /* never inside of a call */
    PEER_WAIT(n_gone, -1, 0);
    EQ_INT(n_gone, 1);
    end();
}

TEST(a_writer_hears_once_that_its_peer_has_gone)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    http_server_start(held, 200, NULL, 0, &told);
    write_text("first");
    peer_expect(&peer, "first");
    go(&peer);
    while (held) { /* it may hear by a failed write as well as by reading */
        write_text("more");
        peer_turn(-1, 0);
    }
    EQ_INT(n_gone, 1);
    end();
    EQ_INT(n_gone, 1);
}

TEST(what_is_written_to_nobody_goes_nowhere)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    http_server_start(held, 200, NULL, 0, NULL);
    go(&peer);
    peer = dial();
    peer_send(&peer, "GET / HTTP/1.1\r\n\r\n");
    peer_expect_close(&peer);
    peer_close(&peer);
    EQ_INT(write_text("first"), 0);
    EQ_INT(write_text("second"), 0);
    http_server_finish(held);
    end();
}

TEST(nobody_is_told_after_the_server_was_closed)
{
    struct peer streaming, watching;
    kp_exchange *stream;

    start(hold, (kp_server_config){0});
    streaming = ask(GET);
    stream = held;
    http_server_start(stream, 200, NULL, 0, &told);
    watching = ask(GET);
    http_server_watch(held, on_gone, &n_gone);
    end();
    EQ_INT(n_gone, 0);
    http_server_abort(held);
    EQ_INT(http_server_write(stream, (kp_slice){"x", 1}, NULL), 0);
    http_server_finish(stream);
    peer_close(&streaming);
    peer_close(&watching);
}

TEST(an_aborted_answer_is_not_whole)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    http_server_start(held, 200, NULL, 0, &told);
    write_text("first");
    http_server_abort(held);
    PEER_WAIT((peer_pull(&peer), peer.closed), peer.fd, POLLIN);
    peer_expect(&peer, "5\r\nfirst\r\n");
    EQ_INT(peer.len, 0);
    EQ_INT(n_gone, 0);
    peer_close(&peer);
    end();
}

TEST(a_cut_answer_ends_in_its_middle_by_a_reset)
{
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    http_server_respond_cut(held, 200, NULL, 0, (kp_slice){"0123456789", 10});
    PEER_WAIT((peer_pull(&peer), peer.closed), peer.fd, POLLIN);
    YES(peer.reset);
    peer_expect(&peer, "Content-Length: 10\r\n\r\n01234");
    EQ_INT(peer.len, 0);
    peer_close(&peer);
    end();
}

TEST(a_large_cut_answer_is_sent_to_its_middle)
{
    size_t n = 8 * PIECE;
    char *body = malloc(n);
    struct peer peer;

    memset(body, 'c', n);
    start(hold, (kp_server_config){.read_timeout_ms = 40});
    peer = peer_connect(http_server_port(server), 4096);
    peer_send(&peer, GET);
    PEER_WAIT(held, -1, 0);
    http_server_respond_cut(held, 200, NULL, 0, (kp_slice){body, n});
    free(body);
    PEER_WAIT((peer_pull(&peer), peer.closed), peer.fd, POLLIN);
    YES(peer.reset);
    peer_expect(&peer, "Content-Length: 8388608\r\n\r\n");
    EQ_INT(peer.len, n / 2);
    peer_close(&peer);
    end();
}

/* ---- files */

static char byte_of(uint64_t at)
{
    return (char)(at * 31 + (at >> 12));
}

static int open_file(size_t n)
{
    char path[300], block[4096];
    int fd;

    snprintf(path, sizeof path, "%s/body", kptest_dir());
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    for (size_t at = 0; at < n; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = byte_of(at + i);
        REQUIRE(write(fd, block, sizeof block) == sizeof block);
    }
    return fd;
}

static void expect_bytes(struct peer *peer, uint64_t from, size_t n)
{
    PEER_WAIT((peer_pull(peer), peer->len >= n), peer->fd, POLLIN);
    EQ_INT(peer->len, n);
    for (size_t i = 0; i < n; i++)
        if (peer->in[i] != byte_of(from + i)) {
            CU_FAIL("the file's bytes have changed on their way");
            return;
        }
    peer->len = 0;
}

static bool is_open_fd(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

TEST(a_file_is_sent_as_the_body)
{
    size_t n = (size_t)20 << 20;
    kp_server_file file = {.size = sizeof file, .offset = 1000, .len = n - 3000};
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    file.fd = open_file(n);
    http_server_respond_file(held, 206, NULL, 0, &file);
    peer_expect(&peer, "HTTP/1.1 206 Partial Content\r\n");
    peer_expect(&peer, "Content-Length: 20968520\r\n\r\n");
    expect_bytes(&peer, 1000, n - 3000);
    NO(is_open_fd(file.fd));
    held = NULL;
    peer_send(&peer, GET);
    PEER_WAIT(held, -1, 0);
    file = (kp_server_file){sizeof file, open_file(4096), 0, 0};
    http_server_respond_file(held, 200, NULL, 0, &file);
    peer_expect(&peer, "Content-Length: 0\r\n\r\n");
    NO(is_open_fd(file.fd));
    peer_close(&peer);
    end();
}

TEST(head_does_not_read_the_file)
{
    kp_server_file file = {.size = sizeof file, .len = 4096};
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    file.fd = open_file(4096);
    http_server_respond_file(held, 200, NULL, 0, &file);
    peer_expect(&peer, "Content-Length: 4096\r\n\r\n");
    EQ_INT(peer.len, 0);
    NO(is_open_fd(file.fd));
    peer_close(&peer);
    end();
}

TEST(a_file_that_is_shorter_than_promised_cuts_the_answer)
{
    kp_server_file file = {.size = sizeof file, .len = 9000};
    struct peer peer;

    start(hold, (kp_server_config){0});
    peer = ask(GET);
    file.fd = open_file(8192);
    http_server_respond_file(held, 200, NULL, 0, &file);
    peer_expect(&peer, "Content-Length: 9000\r\n\r\n");
    PEER_WAIT((peer_pull(&peer), peer.closed), peer.fd, POLLIN);
    EQ_INT(peer.len, 8192);
    NO(is_open_fd(file.fd));
    peer_close(&peer);
    end();
}

TEST(a_file_is_closed_when_its_reader_goes)
{
    size_t n = (size_t)20 << 20;
    kp_server_file file = {.size = sizeof file, .len = n};
    struct peer peer;

    start(hold, (kp_server_config){0});
    for (int round = 0; round < 3; round++) {
        peer = peer_connect(http_server_port(server), 4096);
        held = NULL;
        peer_send(&peer, GET);
        PEER_WAIT(held, -1, 0);
        file.fd = open_file(n);
        http_server_respond_file(held, 200, NULL, 0, &file);
        if (round)
            peer_expect(&peer, "Content-Length: 20971520\r\n\r\n");
        if (round < 2) {
            go(&peer);
            PEER_WAIT(!is_open_fd(file.fd), -1, 0);
        }
    }
    end(); /* the last one goes with the server */
    NO(is_open_fd(file.fd));
    peer_close(&peer);
}
