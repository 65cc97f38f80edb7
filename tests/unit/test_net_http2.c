/* test_net_http2.c - HTTP/2 requests and answers, asked by nghttp2's client. */
#include <fcntl.h>

#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/base/slab.h"
#include "core/net/http_server.h"
#include "tests/unit/net_http2.h"

#define PIECE ((size_t)1 << 20)

static kp_server *server;
static kp_exchange *held[1000];
static size_t n_held, n_seen, n_gone, n_drained, n_pumped;
static char seen[4000]; /* of the last request */
static struct budget memory = {.name = "test"};

static bool is_path(const kp_server_request *request, const char *path)
{
    return request->path.len == strlen(path) && !memcmp(request->path.ptr, path, strlen(path));
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void see(const kp_server_request *r)
{
    int n = snprintf(seen, sizeof seen, "%.*s %.*s|%.*s?%.*s|%d %d %d|%.*s\n", (int)r->method.len,
                     r->method.ptr, (int)r->target.len, r->target.ptr, (int)r->path.len,
                     r->path.ptr, (int)r->query.len, r->query.ptr, r->http_version, r->is_tls,
                     r->head_only, r->body.len > 100 ? 0 : (int)r->body.len, r->body.ptr);

    for (size_t i = 0; i < r->n_headers && n < 3000; i++)
        n += snprintf(seen + n, sizeof seen - (size_t)n, "%.*s: %.*s\n",
                      (int)r->headers[i].name.len, r->headers[i].name.ptr,
                      r->headers[i].value.len > 100 ? 100 : (int)r->headers[i].value.len,
                      r->headers[i].value.ptr);
}

static void on_gone(kp_node *node, void *arg, kp_exchange *exchange)
{
    YES(node == (kp_node *)&server && arg == &n_gone);
    for (size_t i = 0; i < n_held; i++)
        if (held[i] == exchange)
            held[i] = NULL;
    n_gone++;
}

/* Thirty pieces, as there is room. */
static void pump(kp_node *node, void *arg, kp_exchange *exchange)
{
    kp_slab *slab;

    (void)arg;
    n_drained += node != NULL;
    while (n_pumped < 30) {
        budget_force(&memory, PIECE);
        slab = slab_new(&memory, PIECE);
        memset(slab->data, 'a' + (int)(n_pumped++ % 26), PIECE);
        if (http_server_write(exchange, (kp_slice){slab->data, PIECE}, slab) > PIECE)
            return;
    }
    http_server_finish(exchange);
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    static const kp_server_stream pumped = {.size = sizeof pumped, .drained = pump};
    static const kp_http_header split = {{"X", 1}, {"a\r\nY: b", 7}};
    static const kp_http_header headers[] = {{{"Content-Type", 12}, {"text/plain", 10}},
                                             {{"content-length", 14}, {"77", 2}},
                                             {{"Connection", 10}, {"x", 1}}};

    YES(node == (kp_node *)&server && arg == &n_seen);
    n_seen++;
    see(request);
    if (is_path(request, "/later") || is_path(request, "/watched")) {
        held[n_held++] = exchange;
        if (is_path(request, "/watched"))
            http_server_watch(exchange, on_gone, &n_gone);
    } else if (is_path(request, "/echo")) {
        http_server_respond(exchange, 200, NULL, 0, request->body, NULL);
    } else if (is_path(request, "/pump")) {
        http_server_start(exchange, 200, NULL, 0, &pumped);
        pump(NULL, NULL, exchange);
    } else if (is_path(request, "/split")) {
        http_server_respond(exchange, 200, &split, 1, (kp_slice){"x", 1}, NULL);
    } else if (is_path(request, "/abort")) {
        http_server_abort(exchange);
    } else if (is_path(request, "/cut")) {
        http_server_respond_cut(exchange, 200, NULL, 0, (kp_slice){"0123456789", 10});
    } else if (is_path(request, "/none")) {
        http_server_respond(exchange, 204, NULL, 0, (kp_slice){"none", 4}, NULL);
    } else {
        http_server_respond(exchange, 200, headers, 3, (kp_slice){"hello", 5}, NULL);
    }
}

static void start(kp_server_config config)
{
    struct error err = ERROR_INIT;

    uv_loop_init(&peer_loop);
    n_held = n_seen = n_gone = n_drained = n_pumped = 0;
    memset(held, 0, sizeof held);
    config.size = sizeof config;
    config.listen = "127.0.0.1:0";
    config.http2 = true;
    server = http_server_listen(&peer_loop, (kp_node *)&server, &config, on_request, &n_seen, &err);
    REQUIRE(server != NULL);
}

static void end(void)
{
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
    EQ_INT(memory.used, 0);
}

static struct h2 *dial(void)
{
    return h2_open(http_server_port(server), 1 << 20, true);
}

static void expect(struct h2 *c, int32_t id, int status, const char *body)
{
    struct h2_answer *answer = h2_answer(c, id);

    H2_WAIT(c, answer->closed || c->peer.closed);
    EQ_INT(answer->status, status);
    EQ_INT(answer->error, NGHTTP2_NO_ERROR);
    EQ_STR(answer->body ? answer->body : "", body);
}

static void expect_reset(struct h2 *c, int32_t id, uint32_t error)
{
    H2_WAIT(c, h2_answer(c, id)->closed || c->peer.closed);
    EQ_INT(h2_answer(c, id)->error, error);
}

static void reply(size_t i, const char *body)
{
    kp_exchange *exchange = held[i];

    held[i] = NULL;
    http_server_respond(exchange, 200, NULL, 0, (kp_slice){body, strlen(body)}, NULL);
}

/* ---- requests and answers */

TEST(h2_requests_look_like_those_of_http_1)
{
    const nghttp2_nv extra[] = {NV("content-type", "text/plain"), NV("cookie", "a=1"),
                                NV("x-more", "1"), NV("cookie", "b=2"), NV("x-more", "2")};
    struct h2 *c;
    int32_t id;

    start((kp_server_config){0});
    c = dial();
    id = h2_request(c, "POST", "/p%20q?x=1&y", extra, 5, "abc", 3);
    expect(c, id, 200, "hello");
    EQ_STR(seen, "POST /p%20q?x=1&y|/p%20q?x=1&y|20 0 0|abc\n"
                 "host: a\ncontent-type: text/plain\ncookie: a=1; b=2\nx-more: 1\nx-more: 2\n");
    YES(strstr(h2_answer(c, id)->head, "date: ") == h2_answer(c, id)->head);
    YES(has(h2_answer(c, id)->head, " GMT\ncontent-type: text/plain\ncontent-length: 5\n"));
    NO(strstr(h2_answer(c, id)->head, "onnection"));
    h2_close(c);
    end();
}

TEST(h2_answers_without_a_body_have_none)
{
    struct h2 *c;
    int32_t head, none, echo;

    start((kp_server_config){0});
    c = dial();
    head = h2_request(c, "HEAD", "/", NULL, 0, NULL, 0);
    expect(c, head, 200, "");
    YES(has(h2_answer(c, head)->head, "content-length: 5\n"));
    none = h2_get(c, "/none");
    expect(c, none, 204, "");
    NO(strstr(h2_answer(c, none)->head, "length"));
    echo = h2_get(c, "/echo");
    expect(c, echo, 200, "");
    YES(has(h2_answer(c, echo)->head, "content-length: 0\n"));
    h2_close(c);
    end();
}

TEST(h2_streams_are_answered_in_any_order)
{
    struct h2 *c;
    int32_t ids[256];

    start((kp_server_config){0});
    c = dial();
    for (int i = 0; i < 256; i++)
        ids[i] = h2_get(c, "/later");
    H2_WAIT(c, n_held == 256);
    for (int i = 255; i >= 0; i--) {
        char body[20];

        snprintf(body, sizeof body, "answer %d", i);
        reply((size_t)i, body);
    }
    for (int i = 0; i < 256; i++) {
        char body[20];

        snprintf(body, sizeof body, "answer %d", i);
        expect(c, ids[i], 200, body);
    }
    h2_close(c);
    end();
}

TEST(h2_streams_beyond_the_limit_are_refused)
{
    struct h2 *c;
    unsigned refused = 0;

    start((kp_server_config){0});
    c = dial();
    nghttp2_session_set_user_data(c->session, c);
    for (int i = 0; i < 300; i++)
        h2_get(c, "/later");
    h2_push(c, 0); /* before it has read the server's settings */
    H2_WAIT(c, n_held == 256 && c->n_closed == 44);
    for (int i = 0; i < 300; i++)
        refused += c->answers[2 * i + 1].error == NGHTTP2_REFUSED_STREAM;
    EQ_INT(refused, 44);
    for (size_t i = 0; i < 256; i++)
        reply(i, "x");
    H2_WAIT(c, c->n_closed == 300);
    EQ_INT(n_seen, 256);
    h2_close(c);
    end();
}

/* Windows of a few bytes; much larger bodies both ways, several at once. */
TEST(h2_large_bodies_pass_small_windows)
{
    size_t n = (size_t)3 << 20;
    char *body = malloc(n + 1);
    struct h2 *c;
    int32_t ids[3];

    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 23);
    body[n] = '\0';
    start((kp_server_config){0});
    c = h2_open(http_server_port(server), 1000, true);
    for (int i = 0; i < 3; i++)
        ids[i] = h2_request(c, "POST", "/echo", NULL, 0, body, n);
    for (int i = 0; i < 3; i++) {
        H2_WAIT(c, h2_answer(c, ids[i])->closed);
        EQ_INT(h2_answer(c, ids[i])->len, n);
        YES(!strcmp(h2_answer(c, ids[i])->body, body));
    }
    h2_close(c);
    free(body);
    end();
}

TEST(h2_bytes_may_come_one_by_one)
{
    struct h2 *c;
    int32_t good, bad, echo;

    start((kp_server_config){0});
    c = dial();
    good = h2_get(c, "/");
    bad = h2_request(c, "GET", "/a b", NULL, 0, NULL, 0);
    echo = h2_request(c, "POST", "/echo", NULL, 0, "some bytes", 10);
    h2_push(c, 1);
    expect(c, good, 200, "hello");
    H2_WAIT(c, h2_answer(c, bad)->closed);
    YES(h2_answer(c, bad)->status == 400 || h2_answer(c, bad)->error == NGHTTP2_PROTOCOL_ERROR);
    expect(c, echo, 200, "some bytes");
    h2_close(c);
    end();
}

TEST(h2_and_http_1_share_a_port)
{
    struct peer peer;
    struct h2 *c;

    start((kp_server_config){0});
    c = dial();
    expect(c, h2_get(c, "/"), 200, "hello");
    peer = peer_connect(http_server_port(server), 0);
    peer_send(&peer, "P");
    peer_turn(-1, 0);
    peer_send(&peer, "OST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    peer_expect(&peer, "\r\n\r\nab");
    YES(has(seen, "|11 0 0|ab\nhost: a\n"));
    peer_send(&peer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); /* too late */
    peer_expect(&peer, "HTTP/1.1 505 ");
    peer_expect_close(&peer);
    peer_close(&peer);
    h2_close(c);
    end();
}

TEST(h2_a_peer_that_waits_is_told_to_continue)
{
    const nghttp2_nv expects = NV("expect", "100-continue"), other = NV("expect", "tea");
    struct h2 *c;
    int32_t id;

    start((kp_server_config){0});
    c = dial();
    id = h2_request(c, "POST", "/echo", &expects, 1, "", 0);
    h2_answer(c, id)->stalls = true;
    H2_WAIT(c, h2_answer(c, id)->n_continue == 1);
    EQ_INT(n_seen, 0);
    h2_answer(c, id)->send = "late";
    h2_answer(c, id)->left = 4;
    h2_answer(c, id)->stalls = false;
    nghttp2_session_resume_data(c->session, id);
    expect(c, id, 200, "late");
    id = h2_request(c, "POST", "/echo", &other, 1, "x", 1);
    expect(c, id, 417, "{\"message\":\"the expectation is not known\"}");
    h2_close(c);
    end();
}

/* ---- what is refused */

static void check_refused(const nghttp2_nv *extra, size_t n, int status, uint32_t error)
{
    struct h2 *c = dial();
    int32_t id = h2_request(c, "GET", "/", extra, n, NULL, 0);

    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->status, status);
    EQ_INT(h2_answer(c, id)->error, error);
    EQ_INT(n_seen, 0);
    h2_close(c);
}

TEST(h2_what_two_readers_could_understand_differently_is_refused)
{
    const nghttp2_nv hosts[] = {NV("host", "b")};
    const nghttp2_nv same[] = {NV("host", "A")};
    const nghttp2_nv twice[] = {NV("authorization", "x"), NV("authorization", "y")};
    const nghttp2_nv conn[] = {NV("connection", "close")};
    const nghttp2_nv coding[] = {NV("transfer-encoding", "chunked")};
    const nghttp2_nv value[] = {NV("x", "a\r\nb: c")};
    const nghttp2_nv name[] = {NV("x y", "a")};
    const nghttp2_nv length[] = {NV("content-length", "3")};
    struct h2 *c;
    int32_t id;

    start((kp_server_config){0});
    check_refused(hosts, 1, 400, NGHTTP2_NO_ERROR);
    check_refused(twice, 2, 400, NGHTTP2_NO_ERROR);
    check_refused(conn, 1, 0, NGHTTP2_PROTOCOL_ERROR);
    check_refused(coding, 1, 0, NGHTTP2_PROTOCOL_ERROR);
    check_refused(length, 1, 0, NGHTTP2_PROTOCOL_ERROR);
    check_refused(value, 1, 0, NGHTTP2_PROTOCOL_ERROR);
    check_refused(name, 1, 0, NGHTTP2_PROTOCOL_ERROR);
    c = dial();
    id = h2_request(c, "GET", "/", same, 1, NULL, 0);
    expect(c, id, 200, "hello");
    YES(has(seen, "\nhost: a\n") && !has(seen, "host: A"));
    id = h2_request(c, "THISMETHODISTOOLONG", "/", NULL, 0, NULL, 0);
    expect(c, id, 501, "{\"message\":\"the method is not known\"}");
    id = h2_request(c, "OPTIONS", "*", NULL, 0, NULL, 0);
    expect(c, id, 200, "hello");
    id = h2_request(c, "GET", "/%zz", NULL, 0, NULL, 0);
    expect(c, id, 400, "{\"message\":\"the request target is not valid\"}");
    h2_close(c);
    end();
}

TEST(h2_header_lists_are_bounded)
{
    nghttp2_nv many[120];
    char big[3000];
    const nghttp2_nv large[] = {NV("x-1", big), NV("x-2", big)};
    struct h2 *c;
    int32_t id;

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (int i = 0; i < 120; i++)
        many[i] = NV("x-a", "b");
    ((nghttp2_nv *)large)[0] = NV("x-1", big);
    ((nghttp2_nv *)large)[1] = NV("x-2", big);
    start((kp_server_config){.max_header = 5000});
    c = dial();
    id = h2_request(c, "GET", "/", large, 2, NULL, 0);
    expect(c, id, 431, "{\"message\":\"the header fields are too long\"}");
    id = h2_request(c, "GET", "/", large, 1, NULL, 0);
    expect(c, id, 200, "hello");
    id = h2_request(c, "GET", "/", many, 101, NULL, 0);
    expect(c, id, 431, "{\"message\":\"there are too many header fields\"}");
    h2_close(c);
    end();
}

TEST(h2_a_body_that_is_too_long_is_refused)
{
    char body[100000];
    const nghttp2_nv length = NV("content-length", "100000");
    struct h2 *c;
    int32_t id;

    memset(body, 'x', sizeof body);
    start((kp_server_config){.max_body = 1000});
    c = dial();
    id = h2_request(c, "POST", "/echo", NULL, 0, body, sizeof body);
    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->status, 413);
    id = h2_request(c, "POST", "/echo", &length, 1, "x", 1);
    h2_answer(c, id)->stalls = true;
    H2_WAIT(c, h2_answer(c, id)->closed); /* before the body is there */
    EQ_INT(h2_answer(c, id)->status, 413);
    EQ_INT(h2_answer(c, id)->error, NGHTTP2_NO_ERROR);
    id = h2_request(c, "POST", "/echo", NULL, 0, body, 1000);
    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->len, 1000);
    EQ_INT(n_seen, 1);
    h2_close(c);
    end();
}

/* ---- answers in pieces, and ends */

TEST(h2_pieces_go_out_as_they_are_written)
{
    struct h2 *c;
    int32_t id, other;

    start((kp_server_config){0});
    c = dial();
    id = h2_get(c, "/later");
    H2_WAIT(c, n_held == 1);
    http_server_start(held[0], 200, NULL, 0, NULL);
    H2_WAIT(c, h2_answer(c, id)->status == 200);
    EQ_INT(http_server_write(held[0], (kp_slice){"first", 5}, NULL), 0);
    H2_WAIT(c, h2_answer(c, id)->len == 5);
    other = h2_get(c, "/");
    expect(c, other, 200, "hello");
    http_server_write(held[0], (kp_slice){"second", 6}, NULL);
    H2_WAIT(c, h2_answer(c, id)->len == 11);
    NO(h2_answer(c, id)->closed);
    http_server_finish(held[0]);
    expect(c, id, 200, "firstsecond");
    h2_close(c);
    end();
}

TEST(h2_a_writer_waits_until_the_window_opens)
{
    struct h2 *c;
    int32_t id, other;

    start((kp_server_config){0});
    c = h2_open(http_server_port(server), 10000, false);
    id = h2_get(c, "/pump");
    H2_WAIT(c, h2_answer(c, id)->len == 10000);
    peer_turn(-1, 0);
    EQ_INT(n_pumped, 2); /* the rest is not made */
    other = h2_get(c, "/");
    expect(c, other, 200, "hello"); /* others are not held up */
    while (!h2_answer(c, id)->closed) {
        nghttp2_submit_window_update(c->session, 0, id, 1 << 20);
        nghttp2_submit_window_update(c->session, 0, 0, 1 << 20);
        h2_step(c);
        peer_turn(-1, 0);
        YES(memory.used <= 4 * (int64_t)PIECE);
    }
    EQ_INT(h2_answer(c, id)->len, 30 * PIECE);
    for (size_t i = 0; i < 30; i++)
        EQ_INT(h2_answer(c, id)->body[i * PIECE + 77], 'a' + (int)(i % 26));
    YES(n_drained > 10);
    h2_close(c);
    end();
}

TEST(h2_who_watches_hears_once_when_the_stream_or_the_peer_goes)
{
    struct h2 *c;
    int32_t id;

    start((kp_server_config){0});
    c = dial();
    id = h2_get(c, "/watched");
    h2_get(c, "/watched");
    h2_get(c, "/later");
    H2_WAIT(c, n_held == 3);
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    H2_WAIT(c, n_gone == 1);
    YES(!held[0] && held[1] && held[2]);
    h2_close(c);
    PEER_WAIT(n_gone == 2, -1, 0);
    YES(!held[1]);
    reply(2, "to nobody");
    end();
    EQ_INT(n_gone, 2);
}

TEST(h2_an_answer_to_a_stream_that_was_reset_is_thrown_away)
{
    struct h2 *c;
    int32_t id, other;

    start((kp_server_config){0});
    c = dial();
    id = h2_get(c, "/later");
    H2_WAIT(c, n_held == 1);
    nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    other = h2_get(c, "/");
    expect(c, other, 200, "hello");
    reply(0, "too late");
    id = h2_get(c, "/later");
    H2_WAIT(c, n_held == 2);
    end(); /* and when the server itself has gone */
    reply(1, "too late");
    h2_close(c);
}

TEST(h2_aborting_and_cutting_reset_the_stream_alone)
{
    struct h2 *c;
    int32_t aborted, cut, other;

    start((kp_server_config){0});
    c = dial();
    other = h2_get(c, "/later");
    aborted = h2_get(c, "/abort");
    cut = h2_get(c, "/cut");
    expect_reset(c, aborted, NGHTTP2_INTERNAL_ERROR);
    EQ_INT(h2_answer(c, aborted)->status, 0);
    expect_reset(c, cut, NGHTTP2_INTERNAL_ERROR);
    EQ_INT(h2_answer(c, cut)->status, 200);
    EQ_STR(h2_answer(c, cut)->body, "01234");
    YES(has(h2_answer(c, cut)->head, "content-length: 10\n"));
    expect(c, h2_get(c, "/split"), 500, "{\"message\":\"the answer cannot be sent\"}");
    reply(0, "still here");
    expect(c, other, 200, "still here");
    h2_close(c);
    end();
}

TEST(h2_stopping_says_goaway_and_lets_streams_end)
{
    struct h2 *idle, *busy;
    int32_t id;

    start((kp_server_config){0});
    idle = dial();
    expect(idle, h2_get(idle, "/"), 200, "hello");
    busy = dial();
    id = h2_get(busy, "/later");
    H2_WAIT(busy, n_held == 1);
    http_server_stop(server);
    H2_WAIT(idle, idle->peer.closed);
    YES(idle->goaway);
    EQ_INT(idle->goaway_error, NGHTTP2_NO_ERROR);
    H2_WAIT(busy, busy->goaway);
    NO(busy->peer.closed);
    reply(0, "done");
    expect(busy, id, 200, "done");
    H2_WAIT(busy, busy->peer.closed);
    h2_close(idle);
    h2_close(busy);
    end();
}

TEST(h2_a_file_is_sent_as_the_body)
{
    size_t n = (size_t)20 << 20;
    char path[300], *bytes = malloc(n);
    kp_server_file file = {.size = sizeof file, .offset = 5, .len = n - 5};
    struct h2 *c;
    int32_t id;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 + (i >> 12));
    snprintf(path, sizeof path, "%s/body", kptest_dir());
    file.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(write(file.fd, bytes, n) == (ssize_t)n);
    start((kp_server_config){0});
    c = dial();
    id = h2_get(c, "/later");
    H2_WAIT(c, n_held == 1);
    http_server_respond_file(held[0], 206, NULL, 0, &file);
    H2_WAIT(c, h2_answer(c, id)->closed);
    EQ_INT(h2_answer(c, id)->status, 206);
    EQ_INT(h2_answer(c, id)->len, n - 5);
    YES(!memcmp(h2_answer(c, id)->body, bytes + 5, n - 5));
    YES(fcntl(file.fd, F_GETFD) < 0);
    h2_close(c);
    free(bytes);
    end();
}
