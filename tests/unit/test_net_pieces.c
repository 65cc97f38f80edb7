/* test_net_pieces.c - answers that the HTTP client hands on in pieces, over HTTP/1.1 and HTTP/2. */
#include "core/base/error.h"
#include "core/net/http_client.h"
#include "core/net/http_server.h"
#include "tests/unit/net_peer.h"

#define MANY 70 /* more than one handle of libcurl has connections */

static struct http_client *client;
static kp_server *server;
static char url[100];

/* ---- the server's side: answers begin and go on as the test says */

static kp_exchange *held[MANY];
static size_t n_held;
static int last_version;
static int n_gone;

static void peer_went(kp_node *node, void *arg, kp_exchange *exchange)
{
    (void)node, (void)arg, (void)exchange;
    n_gone++;
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange, const kp_server_request *r)
{
    static const kp_server_stream stream = {.size = sizeof stream, .gone = peer_went};

    (void)node, (void)arg;
    last_version = r->http_version;
    if (r->path.len > 1) { /* /refused */
        http_server_respond(exchange, 400, NULL, 0, (kp_slice){"not so", 6}, NULL);
        return;
    }
    http_server_start(exchange, 200, NULL, 0, &stream);
    held[n_held++] = exchange;
}

static void tell(size_t i, const char *text)
{
    http_server_write(held[i], (kp_slice){text, strlen(text)}, NULL);
}

/* ---- the client's side */

struct hearing {
    char text[200];
    size_t len, n_pieces;
    bool is_full; /* pieces are not taken */
    int n_answers, status;
    char error[200], body[100];
};

static bool on_piece(kp_node *node, void *arg, kp_slice piece)
{
    struct hearing *h = arg;

    (void)node;
    if (h->is_full)
        return false;
    REQUIRE(h->len + piece.len < sizeof h->text);
    memcpy(h->text + h->len, piece.ptr, piece.len);
    h->text[h->len += piece.len] = '\0';
    h->n_pieces++;
    return true;
}

static void on_answer(kp_node *node, void *arg, const kp_http_response *r)
{
    struct hearing *h = arg;

    (void)node;
    h->n_answers++;
    h->status = r->status;
    snprintf(h->error, sizeof h->error, "%s", r->error ? r->error : "");
    snprintf(h->body, sizeof h->body, "%.*s", (int)r->body.len, r->body.ptr ? r->body.ptr : "");
}

static kp_http_call *ask(struct hearing *h, bool http2, const char *path)
{
    char to[120];
    kp_http_request request = {
        .size = sizeof request, .method = "GET", .piece = on_piece, .http2 = http2};

    snprintf(to, sizeof to, "%s%s", url, path);
    request.url = to;
    return http_client_send(client, NULL, &request, on_answer, h);
}

static void start(void)
{
    struct error err = ERROR_INIT;
    kp_server_config config = {.size = sizeof config, .listen = "127.0.0.1:0", .http2 = true};

    uv_loop_init(&peer_loop);
    n_held = 0;
    n_gone = 0;
    server = http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err);
    client = http_client_new(&peer_loop, &err);
    REQUIRE(server && client);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", http_server_port(server));
}

static void end(void)
{
    http_client_free(client);
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
}

static void in_pieces(bool http2)
{
    struct hearing h = {0};

    start();
    ask(&h, http2, "");
    PEER_WAIT(n_held == 1, -1, 0);
    EQ_INT(last_version, http2 ? 20 : 11);
    tell(0, "one ");
    PEER_WAIT(h.len == 4, -1, 0);
    EQ_INT(h.n_answers, 0);
    tell(0, "two");
    PEER_WAIT(h.len == 7, -1, 0);
    EQ_STR(h.text, "one two");
    http_server_finish(held[0]);
    PEER_WAIT(h.n_answers, -1, 0);
    EQ_INT(h.n_answers, 1);
    EQ_INT(h.status, 200);
    EQ_STR(h.error, "");
    EQ_STR(h.body, "");
    end();
}

TEST(pieces_come_as_they_are_written)
{
    in_pieces(false);
    in_pieces(true);
}

static void held_back(bool http2)
{
    struct hearing h = {.is_full = true}, other = {0};
    kp_http_call *call;

    start();
    call = ask(&h, http2, "");
    PEER_WAIT(n_held == 1, -1, 0);
    tell(0, "one ");
    ask(&other, http2, ""); /* goes on meanwhile */
    PEER_WAIT(n_held == 2, -1, 0);
    tell(1, "x");
    PEER_WAIT(other.len == 1, -1, 0);
    EQ_INT(h.len, 0);
    tell(0, "two");
    http_server_finish(held[0]);
    http_server_finish(held[1]);
    PEER_WAIT(other.n_answers, -1, 0);
    EQ_INT(h.n_answers, 0);
    h.is_full = false;
    http_client_resume(call);
    PEER_WAIT(h.n_answers, -1, 0);
    EQ_STR(h.text, "one two");
    EQ_INT(h.status, 200);
    end();
}

TEST(what_is_not_taken_comes_again_after_resume)
{
    held_back(false);
    held_back(true);
}

TEST(an_answer_that_is_no_success_comes_whole)
{
    struct hearing h = {0};

    start();
    for (int http2 = 0; http2 < 2; http2++) {
        h = (struct hearing){0};
        ask(&h, http2, "refused");
        PEER_WAIT(h.n_answers, -1, 0);
        EQ_INT(h.status, 400);
        EQ_STR(h.body, "not so");
        EQ_INT(h.n_pieces, 0);
    }
    end();
}

TEST(a_cancelled_answer_is_seen_by_the_server)
{
    for (int http2 = 0; http2 < 2; http2++) {
        struct hearing h = {0};
        kp_http_call *call;

        start();
        call = ask(&h, http2, "");
        PEER_WAIT(n_held == 1, -1, 0);
        tell(0, "one");
        PEER_WAIT(h.len == 3, -1, 0);
        http_client_cancel(call);
        PEER_WAIT(n_gone == 1, -1, 0);
        EQ_INT(h.n_answers, 0);
        end();
    }
}

TEST(an_answer_that_breaks_off_is_an_error)
{
    for (int http2 = 0; http2 < 2; http2++) {
        struct hearing h = {0};

        start();
        ask(&h, http2, "");
        PEER_WAIT(n_held == 1, -1, 0);
        tell(0, "one");
        PEER_WAIT(h.len == 3, -1, 0);
        http_server_abort(held[0]);
        PEER_WAIT(h.n_answers, -1, 0);
        EQ_INT(h.status, 0);
        YES(*h.error != '\0');
        end();
    }
}

TEST(many_answers_in_pieces_may_be_under_way)
{
    static struct hearing all[MANY];

    start();
    memset(all, 0, sizeof all);
    for (int i = 0; i < MANY; i++)
        ask(&all[i], true, "");
    PEER_WAIT(n_held == MANY, -1, 0);
    for (size_t i = 0; i < MANY; i++) {
        tell(i, "z");
        http_server_finish(held[i]);
    }
    for (int i = 0; i < MANY; i++) {
        PEER_WAIT(all[i].n_answers, -1, 0);
        EQ_STR(all[i].text, "z");
        EQ_INT(all[i].status, 200);
    }
    end();
}

/* ---- how an answer is read follows from what is expected of it */

struct measured {
    size_t len, longest;
    int n_answers, status;
};

static bool on_measured(kp_node *node, void *arg, kp_slice piece)
{
    struct measured *m = arg;

    (void)node;
    m->len += piece.len;
    if (m->longest < piece.len)
        m->longest = piece.len;
    return true;
}

static void on_measured_answer(kp_node *node, void *arg, const kp_http_response *r)
{
    struct measured *m = arg;

    (void)node;
    m->n_answers++;
    m->status = r->status;
}

/* Calls use the same handle of libcurl one after the other. */
static size_t longest_piece(size_t expected, size_t len)
{
    struct measured m = {0};
    kp_http_request request = {.size = sizeof request,
                               .method = "GET",
                               .url = url,
                               .piece = on_measured,
                               .expected_body = expected};
    char *body = calloc(1, len);

    REQUIRE(body != NULL);
    n_held = 0;
    http_client_send(client, NULL, &request, on_measured_answer, &m);
    PEER_WAIT(n_held == 1, -1, 0);
    http_server_write(held[0], (kp_slice){body, len}, NULL);
    http_server_finish(held[0]);
    PEER_WAIT(m.n_answers, -1, 0);
    EQ_INT(m.status, 200);
    EQ_INT(m.len, len);
    free(body);
    return m.longest;
}

TEST(an_answer_is_read_through_memory_of_the_size_that_is_expected)
{
    size_t len = 2 << 20; /* whatever is expected, all of it comes */

    start();
    YES(longest_piece(100, len) <= 4 << 10);
    YES(longest_piece(0, len) > 4 << 10);
    YES(longest_piece(10000, len) <= 16 << 10);
    YES(longest_piece(100, len) <= 4 << 10);
    YES(longest_piece(len, len) > 4 << 10);
    end();
}
