/* test_net_server.c - the HTTP server on real sockets: connections, order, limits, the end. */
#include "core/base/budget.h"
#include "core/base/error.h"
#include "core/base/slab.h"
#include "core/net/http_server.h"
#include "tests/unit/net_peer.h"

#define BIG ((size_t)8 << 20)

static kp_server *server;
static kp_exchange *held[10]; /* of /later, in their order */
static size_t n_held, n_seen;
static uint64_t last_connection;
static char last_peer[60];
static struct budget memory = {.name = "test"};

static bool is_path(const kp_server_request *request, const char *path)
{
    return request->path.len == strlen(path) && !memcmp(request->path.ptr, path, strlen(path));
}

static void answer(kp_exchange *exchange, int status, const char *body)
{
    kp_http_header headers[] = {{{"Content-Type", 12}, {"text/plain", 10}},
                                {{"content-length", 14}, {"77", 2}},
                                {{"Connection", 10}, {"x", 1}}};

    http_server_respond(exchange, status, headers, 3, (kp_slice){body, strlen(body)}, NULL);
}

static void answer_big(kp_exchange *exchange)
{
    kp_slab *slab;

    budget_force(&memory, BIG);
    slab = slab_new(&memory, BIG);
    memset(slab->data, 'b', BIG);
    http_server_respond(exchange, 200, NULL, 0, (kp_slice){slab->data, BIG}, slab);
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    static const kp_http_header split = {{"X", 1}, {"a\r\nY: b", 7}};

    YES(node == (kp_node *)&server && arg == &n_seen);
    n_seen++;
    last_connection = request->connection;
    snprintf(last_peer, sizeof last_peer, "%.*s", (int)request->peer.len, request->peer.ptr);
    if (is_path(request, "/later"))
        held[n_held++] = exchange;
    else if (is_path(request, "/echo"))
        http_server_respond(exchange, 200, NULL, 0, request->body, NULL);
    else if (is_path(request, "/big"))
        answer_big(exchange);
    else if (is_path(request, "/abort"))
        http_server_abort(exchange);
    else if (is_path(request, "/split"))
        http_server_respond(exchange, 200, &split, 1, (kp_slice){"x", 1}, NULL);
    else if (is_path(request, "/none"))
        answer(exchange, 204, "none");
    else if (is_path(request, "/close"))
        http_server_close(server);
    else
        answer(exchange, 200, "hello");
    if (is_path(request, "/close"))
        answer(exchange, 200, "too late");
}

static void start(kp_server_config config)
{
    struct error err = ERROR_INIT;

    uv_loop_init(&peer_loop);
    n_held = n_seen = 0;
    config.size = sizeof config;
    if (!config.listen)
        config.listen = "127.0.0.1:0";
    server = http_server_listen(&peer_loop, (kp_node *)&server, &config, on_request, &n_seen, &err);
    REQUIRE(server != NULL);
    REQUIRE(http_server_port(server) != 0);
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

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

TEST(a_connection_is_kept_for_the_next_request)
{
    struct peer peer;
    char name[60];
    uint64_t number;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/"));
    peer_expect(&peer, "HTTP/1.1 200 OK\r\nDate: ");
    peer_expect(&peer, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    EQ_INT(peer.len, 0);
    number = last_connection;
    snprintf(name, sizeof name, "127.0.0.1:%u", peer.port);
    EQ_STR(last_peer, name);
    peer_send(&peer, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    peer_expect(&peer, "Content-Length: 5\r\n\r\nabcde");
    EQ_INT(last_connection, number);
    peer_close(&peer);
    peer = dial();
    peer_send(&peer, GET("/"));
    peer_expect(&peer, "hello");
    YES(last_connection != number);
    peer_close(&peer);
    end();
}

TEST(a_request_sent_byte_by_byte_is_understood)
{
    static const char bytes[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    for (size_t i = 0; i + 1 < sizeof bytes; i++) {
        peer_send_n(&peer, bytes + i, 1);
        peer_turn(-1, 0);
    }
    peer_expect(&peer, "Content-Length: 3\r\n\r\nabc");
    peer_close(&peer);
    end();
}

TEST(pipelined_requests_are_answered_in_their_order)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/") GET("/later") GET("/none"));
    peer_expect(&peer, "hello");
    PEER_WAIT(n_held == 1, -1, 0);
    EQ_INT(n_seen, 2); /* the third waits for the second's answer */
    EQ_INT(peer.len, 0);
    answer(held[0], 201, "second");
    EQ_INT(n_seen, 3);
    peer_expect(&peer, "HTTP/1.1 201 Created\r\n");
    peer_expect(&peer, "secondHTTP/1.1 204 No Content\r\n");
    peer_close(&peer);
    end();
}

TEST(many_pipelined_requests_are_all_answered)
{
    struct peer peer;
    size_t n = 3000;

    start((kp_server_config){0});
    peer = dial();
    for (size_t i = 0; i < n; i++)
        peer_send(&peer, GET("/"));
    PEER_WAIT((peer_pull(&peer), peer_count(&peer, "\r\n\r\nhello") == n), peer.fd, POLLIN);
    EQ_INT(n_seen, n);
    peer_close(&peer);
    end();
}

TEST(answers_without_a_body_have_none)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&peer, "Content-Length: 5\r\n\r\n");
    EQ_INT(peer.len, 0);
    peer_send(&peer, GET("/none"));
    peer_expect(&peer, "204 No Content\r\n");
    peer_expect(&peer, "\r\n\r\n");
    NO(peer_has(&peer, "Length"));
    EQ_INT(peer.len, 0);
    peer_close(&peer);
    end();
}

TEST(connections_end_when_the_request_says_so)
{
    static const char *const requests[] = {
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/")};
    struct peer peer;

    start((kp_server_config){0});
    for (size_t i = 0; i < 2; i++) {
        peer = dial();
        peer_send(&peer, requests[i]);
        peer_expect(&peer, "Connection: close\r\n\r\nhello");
        peer_expect_close(&peer);
        EQ_INT(peer.len, 0);
        peer_close(&peer);
    }
    peer = dial();
    peer_send(&peer, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(&peer, "Connection: keep-alive\r\n\r\nhello");
    peer_send(&peer, GET("/"));
    peer_expect(&peer, "hello");
    peer_close(&peer);
    end();
}

TEST(what_came_before_a_bad_request_is_answered)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/") "GET / HTTP/1.1\nHost: a\n\n" GET("/"));
    peer_expect(&peer, "helloHTTP/1.1 400 Bad Request\r\n");
    peer_expect(&peer, "Content-Type: application/json\r\nContent-Length: 38\r\n"
                       "Connection: close\r\n\r\n{\"message\":\"a line ends in a bare LF\"}");
    peer_expect_close(&peer);
    EQ_INT(n_seen, 1);
    peer_close(&peer);
    end();
}

TEST(a_body_that_is_too_long_is_refused_before_it_is_sent)
{
    struct peer peer;
    char junk[1000];

    memset(junk, 'x', sizeof junk);
    start((kp_server_config){.max_body = 100});
    peer = dial();
    peer_send(&peer, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                     "Content-Length: 500000\r\n\r\n");
    for (int i = 0; i < 500; i++) /* sent all the same; the answer must not be lost for it */
        peer_send_n(&peer, junk, sizeof junk);
    peer_expect(&peer, "HTTP/1.1 413 Content Too Large\r\n");
    peer_expect_close(&peer);
    peer_close(&peer);
    EQ_INT(n_seen, 0);
    end();
}

TEST(a_peer_that_waits_is_told_to_continue)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                     "Content-Length: 4\r\n\r\n");
    peer_expect(&peer, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_send(&peer, "ab");
    peer_turn(-1, 0);
    peer_send(&peer, "cd");
    peer_expect(&peer, "Content-Length: 4\r\n\r\nabcd");
    EQ_INT(peer_count(&peer, "Continue"), 0);
    peer_close(&peer);
    end();
}

TEST(large_requests_arrive_whole)
{
    size_t n = (size_t)5 << 20;
    struct peer peer;
    char *body = malloc(n), head[100];

    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 23);
    start((kp_server_config){0});
    peer = dial();
    for (int round = 0; round < 2; round++) {
        snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                 n);
        peer_send(&peer, head);
        peer_send_n(&peer, body, n);
        peer_expect(&peer, "Content-Length: 5242880\r\n\r\n");
        PEER_WAIT((peer_pull(&peer), peer.len >= n), peer.fd, POLLIN);
        EQ_INT(peer.len, n);
        YES(!memcmp(peer.in, body, n));
        peer.len = 0;
    }
    peer_close(&peer);
    free(body);
    end();
}

TEST(a_kept_body_is_given_back_when_it_was_sent)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = peer_connect(http_server_port(server), 4096);
    peer_send(&peer, GET("/big") GET("/later") GET("/"));
    PEER_WAIT(n_seen == 1, -1, 0);
    peer_turn(-1, 0);
    YES(memory.used > 0); /* the peer has not read it yet */
    EQ_INT(n_seen, 1);    /* and gets no further answer for it */
    peer_expect(&peer, "Content-Length: 8388608\r\n\r\n");
    PEER_WAIT((peer_pull(&peer), peer.len >= BIG), peer.fd, POLLIN);
    PEER_WAIT(n_held == 1, -1, 0);
    EQ_INT(memory.used, 0);
    answer_big(held[0]);
    YES(memory.used > 0);
    peer.len = 0;
    peer_expect(&peer, "Content-Length: 8388608\r\n\r\n");
    peer_expect(&peer, "hello");
    EQ_INT(n_seen, 3);
    peer_close(&peer);
    end();
}

TEST(a_peer_that_says_nothing_is_let_go)
{
    struct peer idle, slow;

    start((kp_server_config){.idle_timeout_ms = 20, .read_timeout_ms = 40});
    idle = dial();
    peer_expect_close(&idle);
    EQ_INT(idle.len, 0);
    peer_close(&idle);

    idle = dial();
    slow = dial();
    peer_send(&idle, GET("/later"));
    PEER_WAIT(n_held == 1, -1, 0);
    peer_send(&slow, "GET / HTTP/1.1\r\nHost: ");
    peer_expect(&slow, "HTTP/1.1 408 Request Timeout\r\n");
    peer_expect_close(&slow);
    peer_close(&slow);
    NO(idle.closed); /* an exchange takes as long as its handler needs */
    answer(held[0], 200, "at last");
    peer_expect(&idle, "at last");
    peer_expect_close(&idle);
    peer_close(&idle);
    end();
}

TEST(one_connection_too_many_is_told_so)
{
    struct peer first, second, third;

    start((kp_server_config){.max_connections = 2});
    first = dial();
    second = dial();
    peer_send(&first, GET("/"));
    peer_send(&second, GET("/"));
    peer_expect(&first, "hello");
    peer_expect(&second, "hello");
    third = dial();
    peer_send(&third, GET("/"));
    peer_expect(&third, "HTTP/1.1 503 Service Unavailable\r\n");
    peer_expect_close(&third);
    peer_close(&third);
    peer_close(&first);
    EQ_INT(n_seen, 2);
    for (bool served = false; !served;) { /* once the server has seen the first one go */
        third = dial();
        peer_send(&third, GET("/"));
        PEER_WAIT(peer_has(&third, "\r\n\r\n"), third.fd, POLLIN);
        served = peer_count(&third, "hello") == 1;
        peer_close(&third);
    }
    peer_close(&second);
    end();
}

TEST(an_answer_to_a_peer_that_has_gone_is_thrown_away)
{
    struct linger hard = {.l_onoff = 1};
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/later"));
    PEER_WAIT(n_held == 1, -1, 0);
    setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    peer_close(&peer); /* a reset */
    peer = dial();
    peer_send(&peer, GET("/"));
    peer_expect(&peer, "hello");
    answer_big(held[0]);
    EQ_INT(memory.used, 0);

    peer_send(&peer, GET("/later")); /* and when the server itself has gone */
    PEER_WAIT(n_held == 2, -1, 0);
    end();
    answer_big(held[1]);
    EQ_INT(memory.used, 0);
    peer_expect_close(&peer);
    peer_close(&peer);
}

TEST(a_peer_that_closed_its_side_still_gets_its_answers)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/later") GET("/"));
    shutdown(peer.fd, SHUT_WR);
    PEER_WAIT(n_held == 1, -1, 0);
    peer_turn(-1, 0);
    answer(held[0], 200, "first");
    peer_expect(&peer, "first");
    peer_expect(&peer, "hello");
    peer_expect_close(&peer);
    peer_close(&peer);
    end();
}

TEST(stopping_lets_open_exchanges_end)
{
    struct peer busy, idle, late;
    struct sockaddr_in to = {.sin_family = AF_INET};

    start((kp_server_config){0});
    busy = dial();
    idle = dial();
    peer_send(&idle, GET("/"));
    peer_expect(&idle, "hello");
    peer_send(&busy, GET("/later"));
    PEER_WAIT(n_held == 1, -1, 0);
    http_server_stop(server);
    http_server_stop(server);
    peer_expect_close(&idle);
    late.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_port = htons((uint16_t)http_server_port(server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    YES(connect(late.fd, (struct sockaddr *)&to, sizeof to) && errno == ECONNREFUSED);
    close(late.fd);
    NO(busy.closed);
    answer(held[0], 200, "done");
    peer_expect(&busy, "Connection: close\r\n\r\ndone");
    peer_expect_close(&busy);
    peer_close(&busy);
    peer_close(&idle);
    end();
}

TEST(aborting_cuts_the_connection_without_an_answer)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/") GET("/abort"));
    peer_expect(&peer, "hello");
    PEER_WAIT((peer_pull(&peer), peer.closed), peer.fd, POLLIN);
    EQ_INT(peer.len, 0);
    peer_close(&peer);
    end();
}

TEST(an_answer_that_would_split_is_not_sent)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/split"));
    peer_expect(&peer, "HTTP/1.1 500 Internal Server Error\r\n");
    peer_expect_close(&peer);
    EQ_INT(peer_count(&peer, "Y: b"), 0);
    peer_close(&peer);
    end();
}

TEST(a_server_may_be_closed_from_its_handler)
{
    struct peer peer;

    start((kp_server_config){0});
    peer = dial();
    peer_send(&peer, GET("/close") GET("/"));
    PEER_WAIT((peer_pull(&peer), peer.closed), peer.fd, POLLIN);
    EQ_INT(peer.len, 0);
    EQ_INT(n_seen, 1);
    peer_close(&peer);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
}

static void check_listen_error(const char *listen, const char *text)
{
    kp_server_config config = {.size = sizeof config, .listen = listen};
    struct error err = ERROR_INIT;

    YES(!http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err));
    EQ_STR(err.text, text);
}

TEST(why_it_cannot_listen_is_said_clearly)
{
    char listen[60], text[100];

    start((kp_server_config){0});
    snprintf(listen, sizeof listen, "127.0.0.1:%u", http_server_port(server));
    snprintf(text, sizeof text, "%s is in use by another program", listen);
    check_listen_error(listen, text);
    check_listen_error("192.0.2.1:0", "192.0.2.1:0 is not an address of this machine");
#define NONE_OF(x) "'" x "' is not an address such as 127.0.0.1:8080 or [::1]:8080"
    check_listen_error("", NONE_OF(""));
    check_listen_error("8080", NONE_OF("8080"));
    check_listen_error(":8080", NONE_OF(":8080"));
    check_listen_error("127.0.0.1", NONE_OF("127.0.0.1"));
    check_listen_error("127.0.0.1:", NONE_OF("127.0.0.1:"));
    check_listen_error("127.0.0.1:65536", NONE_OF("127.0.0.1:65536"));
    check_listen_error("127.0.0.1:8o", NONE_OF("127.0.0.1:8o"));
    check_listen_error("::1:80", NONE_OF("::1:80"));
    check_listen_error("[::1:80", NONE_OF("[::1:80"));
    check_listen_error("example.com:80", NONE_OF("example.com:80"));
    end();
}

TEST(two_servers_share_a_port_when_asked_to)
{
    kp_server_config config = {.size = sizeof config, .reuse_port = true};
    struct error err = ERROR_INIT;
    char listen[60];
    kp_server *other;
    struct peer peer;

    start((kp_server_config){.reuse_port = true});
    snprintf(listen, sizeof listen, "127.0.0.1:%u", http_server_port(server));
    config.listen = listen;
    other = http_server_listen(&peer_loop, (kp_node *)&server, &config, on_request, &n_seen, &err);
    REQUIRE(other != NULL);
    EQ_INT(http_server_port(other), http_server_port(server));
    for (int i = 0; i < 20; i++) {
        peer = dial();
        peer_send(&peer, GET("/"));
        peer_expect(&peer, "hello");
        peer_close(&peer);
    }
    http_server_close(other);
    end();
}

TEST(a_server_listens_on_ipv6)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct peer peer = {.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    bool has_ipv6 = peer.fd >= 0 && !bind(peer.fd, (struct sockaddr *)&to, sizeof to);

    if (!has_ipv6) { /* a machine without it has nothing to test */
        if (peer.fd >= 0)
            close(peer.fd);
        return;
    }
    start((kp_server_config){.listen = "[::1]:0"});
    to.sin6_port = htons((uint16_t)http_server_port(server));
    REQUIRE(!connect(peer.fd, (struct sockaddr *)&to, sizeof to));
    peer_send(&peer, GET("/"));
    peer_expect(&peer, "hello");
    YES(!strncmp(last_peer, "[::1]:", 6));
    peer_close(&peer);
    end();
}
