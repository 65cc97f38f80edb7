/* test_net_client.c - the HTTP client against core's own server, and against raw bytes. */
#include "core/base/error.h"
#include "core/base/slab.h"
#include "core/net/http_client.h"
#include "core/net/http_server.h"
#include "tests/unit/net_cert.h"
#include "tests/unit/net_peer.h"

#define MANY 120

static struct http_client *client;
static kp_server *server;
static char url[100];

/* ---- the server's side */

static kp_exchange *held[MANY];
static size_t n_held, n_requests;
static uint64_t first_number, last_number; /* of connections */
static char seen[2000]; /* the last request: "METHOD target name=value ... body" */

static void see(const kp_server_request *r)
{
    size_t n = (size_t)snprintf(seen, sizeof seen, "%.*s %.*s", (int)r->method.len, r->method.ptr,
                                (int)r->target.len, r->target.ptr);

    for (size_t i = 0; i < r->n_headers && n < sizeof seen; i++)
        if (r->headers[i].name.len != 4) /* Host has a port that changes */
            n += (size_t)snprintf(seen + n, sizeof seen - n, " %.*s=%.*s",
                                  (int)r->headers[i].name.len, r->headers[i].name.ptr,
                                  (int)r->headers[i].value.len, r->headers[i].value.ptr);
    if (r->body.len && r->body.len < 100 && n < sizeof seen)
        snprintf(seen + n, sizeof seen - n, " %.*s", (int)r->body.len, r->body.ptr);
    n_requests++;
    if (!first_number)
        first_number = r->connection;
    if (r->connection > last_number)
        last_number = r->connection;
}

static void on_request(kp_node *node, void *arg, kp_exchange *exchange, const kp_server_request *r)
{
    static const kp_http_header headers[] = {{{"X-One", 5}, {"a", 1}},
                                             {{"Set-Cookie", 10}, {"b=c", 3}},
                                             {{"set-cookie", 10}, {"d=e", 3}},
                                             {{"Location", 8}, {"/elsewhere", 10}}};

    (void)node, (void)arg;
    see(r);
    if (r->path.len >= 6 && !memcmp(r->path.ptr, "/later", 6))
        held[n_held++] = exchange;
    else if (r->path.len == 9 && !memcmp(r->path.ptr, "/redirect", 9))
        http_server_respond(exchange, 302, headers, 4, (kp_slice){NULL, 0}, NULL);
    else if (r->path.len == 6 && !memcmp(r->path.ptr, "/abort", 6))
        http_server_abort(exchange);
    else if (r->body.len)
        http_server_respond(exchange, 200, NULL, 0, r->body, NULL);
    else
        http_server_respond(exchange, 200, headers, 3, (kp_slice){"hello", 5}, NULL);
}

static void release_all(void)
{
    while (n_held)
        http_server_respond(held[--n_held], 200, NULL, 0, (kp_slice){"late", 4}, NULL);
}

/* ---- the client's side */

static struct answer {
    int n; /* answers so far */
    int status;
    bool timed_out, connected;
    char error[300], body[300], headers[600];
    size_t body_len;
    const char *body_at;
} got;
static bool is_sending;
static kp_http_call *to_cancel;

static void on_answer(kp_node *node, void *arg, const kp_http_response *r)
{
    size_t n = 0;

    NO(is_sending);
    YES(node == (kp_node *)&client && arg == &got);
    got.n++;
    got.status = r->status;
    got.timed_out = r->timed_out;
    got.connected = r->connected;
    got.body_len = r->body.len;
    got.body_at = r->body.ptr;
    snprintf(got.error, sizeof got.error, "%s", r->error ? r->error : "");
    snprintf(got.body, sizeof got.body, "%.*s", (int)r->body.len, r->body.ptr ? r->body.ptr : "");
    got.headers[0] = '\0';
    for (size_t i = 0; i < r->n_headers; i++)
        if (r->headers[i].name.len != 4) /* date */
            n += (size_t)snprintf(got.headers + n, sizeof got.headers - n, "%.*s=%.*s;",
                                  (int)r->headers[i].name.len, r->headers[i].name.ptr,
                                  (int)r->headers[i].value.len, r->headers[i].value.ptr);
    YES(r->took_ms >= 0);
    if (to_cancel)
        http_client_cancel(to_cancel);
    to_cancel = NULL;
}

static kp_http_call *send_request(kp_http_request request)
{
    kp_http_call *call;

    request.size = sizeof request;
    if (!request.method)
        request.method = "GET";
    if (!request.url)
        request.url = url;
    is_sending = true;
    call = http_client_send(client, (kp_node *)&client, &request, on_answer, &got);
    is_sending = false;
    REQUIRE(call != NULL);
    return call;
}

static void ask(kp_http_request request)
{
    int n = got.n;

    send_request(request);
    EQ_INT(got.n, n);
    PEER_WAIT(got.n > n, -1, 0);
    EQ_INT(got.n, n + 1);
}

static const char *at(const char *path)
{
    static char text[120];

    snprintf(text, sizeof text, "%s%s", url, path + 1);
    return text;
}

static void start(kp_server_config config)
{
    struct error err = ERROR_INIT;

    uv_loop_init(&peer_loop);
    memset(&got, 0, sizeof got);
    n_held = n_requests = 0;
    first_number = last_number = 0;
    config.size = sizeof config;
    config.listen = "127.0.0.1:0";
    server = http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err);
    client = http_client_new(&peer_loop, &err);
    REQUIRE(server && client);
    snprintf(url, sizeof url, "%s://127.0.0.1:%u/", config.tls_cert ? "https" : "http",
             http_server_port(server));
}

static void end(void)
{
    http_client_free(client);
    release_all();
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
}

/* ---- requests and answers */

TEST(a_request_is_sent_as_it_was_given)
{
    kp_http_header headers[] = {{{"X-One", 5}, {"a b", 3}},
                                {{"X-Empty", 7}, {"", 0}},
                                {{"Content-Length", 14}, {"99", 2}},
                                {{"User-Agent", 10}, {"me", 2}}};

    start((kp_server_config){0});
    ask((kp_http_request){.url = at("/a/../b?c=%20")});
    EQ_STR(seen, "GET /a/../b?c=%20 user-agent=kpipe/" KPIPE_VERSION " accept=*/*");
    ask((kp_http_request){
        .method = "POST", .body = {"text", 4}, .headers = headers, .n_headers = 4});
    EQ_STR(seen, "POST / accept=*/* x-one=a b x-empty= user-agent=me content-length=4 text");
    EQ_STR(got.body, "text");
    ask((kp_http_request){.method = "PUT"});
    EQ_STR(seen, "PUT / user-agent=kpipe/" KPIPE_VERSION " accept=*/* content-length=0");
    ask((kp_http_request){.method = "HEAD"});
    EQ_STR(seen, "HEAD / user-agent=kpipe/" KPIPE_VERSION " accept=*/*");
    EQ_INT(got.status, 200);
    EQ_INT(got.body_len, 0);
    ask((kp_http_request){.method = "DELETE"});
    EQ_STR(seen, "DELETE / user-agent=kpipe/" KPIPE_VERSION " accept=*/*");
    EQ_STR(got.body, "hello");
    ask((kp_http_request){.body = {"q", 1}});
    EQ_STR(seen, "GET / user-agent=kpipe/" KPIPE_VERSION " accept=*/* content-length=1 q");
    ask((kp_http_request){0});
    EQ_STR(seen, "GET / user-agent=kpipe/" KPIPE_VERSION " accept=*/*");
    EQ_INT(last_number, first_number); /* one connection for all of them */
    end();
}

TEST(an_answer_has_lower_case_headers)
{
    start((kp_server_config){0});
    ask((kp_http_request){0});
    EQ_INT(got.status, 200);
    EQ_STR(got.body, "hello");
    EQ_STR(got.headers, "x-one=a;set-cookie=b=c;set-cookie=d=e;content-length=5;");
    EQ_STR(got.error, "");
    YES(got.connected);
    NO(got.timed_out);
    end();
}

TEST(a_redirect_is_not_followed)
{
    start((kp_server_config){0});
    ask((kp_http_request){.url = at("/redirect")});
    EQ_INT(got.status, 302);
    YES(strstr(got.headers, "location=/elsewhere;") != NULL);
    EQ_INT(n_requests, 1);
    end();
}

TEST(a_large_body_is_sent_without_asking_first)
{
    size_t n = (size_t)2 << 20;
    char *body = malloc(n);

    memset(body, 'x', n);
    start((kp_server_config){0});
    ask((kp_http_request){.method = "POST", .body = {body, n}});
    EQ_INT(got.status, 200);
    EQ_INT(got.body_len, n);
    YES(!strstr(seen, "expect"));
    free(body);
    end();
}

TEST(an_answer_goes_into_the_given_slab)
{
    struct kp_slab *slab = slab_new(NULL, 10);

    start((kp_server_config){0});
    ask((kp_http_request){.into = slab, .into_capacity = 5});
    EQ_INT(got.status, 200);
    YES(got.body_at == slab->data && got.body_len == 5);
    YES(!memcmp(slab->data, "hello", 5));
    ask((kp_http_request){.into = slab, .into_capacity = 4});
    EQ_INT(got.status, 0);
    EQ_STR(got.error, "the answer's body is longer than 4 bytes");
    YES(got.connected);
    slab_unref(slab);
    end();
}

TEST(an_answer_that_is_too_long_is_an_error)
{
    start((kp_server_config){0});
    ask((kp_http_request){.max_body = 5});
    EQ_INT(got.status, 200);
    ask((kp_http_request){.max_body = 4});
    EQ_INT(got.status, 0);
    EQ_STR(got.error, "the answer's body is longer than 4 bytes");
    ask((kp_http_request){0});
    EQ_INT(got.status, 200);
    end();
}

TEST(what_cannot_be_sent_is_answered_with_an_error)
{
    kp_http_header split = {{"X", 1}, {"a\r\nY: b", 7}}, nameless = {{"", 0}, {"a", 1}};

    start((kp_server_config){0});
    ask((kp_http_request){.headers = &split, .n_headers = 1});
    EQ_STR(got.error, "header 'X' has bad characters");
    ask((kp_http_request){.headers = &nameless, .n_headers = 1});
    EQ_STR(got.error, "header '' has bad characters");
    ask((kp_http_request){.method = "G T"});
    EQ_STR(got.error, "the request has no URL or no valid method");
    ask((kp_http_request){.url = "ftp://127.0.0.1/"});
    YES(strstr(got.error, "ftp") != NULL);
    ask((kp_http_request){.url = "http://127.0.0.1:99999/"});
    EQ_INT(got.status, 0);
    YES(got.error[0] && !got.connected && !got.timed_out);
    EQ_INT(n_requests, 0);
    end();
}

/* ---- connections */

TEST(many_calls_at_once_use_connections_again)
{
    uint64_t n_connections;

    start((kp_server_config){0});
    for (int round = 0; round < 3; round++) {
        int before = got.n;

        for (int i = 0; i < MANY; i++)
            send_request((kp_http_request){.url = at("/later")});
        PEER_WAIT(n_held == MANY, -1, 0); /* all of them are under way at the same time */
        EQ_INT(got.n, before);
        release_all();
        PEER_WAIT(got.n == before + MANY, -1, 0);
        EQ_INT(got.status, 200);
        n_connections = last_number - first_number + 1;
        EQ_INT(n_connections, MANY);
    }
    end();
}

TEST(a_connection_closed_by_the_server_is_replaced)
{
    struct peer watch;

    start((kp_server_config){.idle_timeout_ms = 500}); /* longer than a busy machine stalls */
    for (uint64_t i = 1; i < 4; i++) {
        ask((kp_http_request){0});
        EQ_INT(got.status, 200);
        EQ_INT(last_number - first_number + 1, i * 2 - 1);
        watch = peer_connect(http_server_port(server), 0); /* as idle as the client's, and later */
        peer_expect_close(&watch);
        peer_close(&watch);
    }
    end();
}

TEST(a_refused_connection_is_safe_to_try_again)
{
    char dead[100];

    start((kp_server_config){0});
    ask((kp_http_request){0});
    YES(got.connected);
    snprintf(dead, sizeof dead, "%s", url);
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_NOWAIT);
    ask((kp_http_request){.url = dead});
    EQ_INT(got.status, 0);
    NO(got.connected);
    NO(got.timed_out);
    YES(strstr(got.error, "Failed to connect") != NULL);
    server = NULL;
    end();
}

TEST(a_cut_connection_is_not_safe_to_try_again)
{
    start((kp_server_config){0});
    ask((kp_http_request){.method = "POST", .url = at("/abort")});
    EQ_INT(got.status, 0);
    YES(got.connected);
    YES(got.error[0]);
    end();
}

TEST(a_call_ends_at_its_time_out)
{
    start((kp_server_config){0});
    ask((kp_http_request){.url = at("/later"), .timeout_ms = 30});
    EQ_INT(got.status, 0);
    YES(got.timed_out);
    YES(got.connected);
    YES(got.error[0]);
    end();
}

/* ---- cancelling */

TEST(a_cancelled_call_has_no_answer)
{
    kp_http_call *call;

    start((kp_server_config){0});
    call = send_request((kp_http_request){.url = at("/later")});
    http_client_cancel(call); /* before anything was sent */
    call = send_request((kp_http_request){.url = at("/later")});
    PEER_WAIT(n_held == 1, -1, 0);
    http_client_cancel(call);
    release_all();
    call = send_request((kp_http_request){.method = "G T"});
    http_client_cancel(call);
    ask((kp_http_request){0});
    EQ_INT(got.n, 1);
    EQ_STR(got.body, "hello");
    end();
}

TEST(a_call_may_be_cancelled_from_the_answer_of_another)
{
    start((kp_server_config){0});
    to_cancel = send_request((kp_http_request){.url = at("/later")});
    PEER_WAIT(n_held == 1, -1, 0);
    ask((kp_http_request){0});
    release_all();
    ask((kp_http_request){0});
    EQ_INT(got.n, 2);
    to_cancel = send_request((kp_http_request){0}); /* its own: it has been answered already */
    PEER_WAIT(got.n == 3, -1, 0);
    ask((kp_http_request){0});
    EQ_INT(got.n, 4);
    end();
}

static void never(kp_node *node, void *arg, const kp_http_response *r)
{
    (void)node, (void)arg, (void)r;
    CU_FAIL("an answer to a node that was forgotten");
}

TEST(all_calls_of_one_node_are_forgotten)
{
    kp_http_request request = {.size = sizeof request, .method = "GET", .url = url};
    kp_node *other = (kp_node *)&server;

    start((kp_server_config){0});
    for (int i = 0; i < 10; i++)
        http_client_send(client, other, &request, never, NULL);
    send_request((kp_http_request){0});
    http_client_forget(client, other);
    PEER_WAIT(got.n == 1, -1, 0);
    ask((kp_http_request){0});
    http_client_send(client, other, &request, never, NULL); /* by http_client_free() */
    end();
}

static int chained;

static void on_chain(kp_node *node, void *arg, const kp_http_response *r)
{
    kp_http_request request = {.size = sizeof request, .method = "GET", .url = url};

    EQ_INT(r->status, 200);
    if (++chained < 50)
        http_client_send(client, node, &request, on_chain, arg);
}

TEST(a_call_may_be_made_from_an_answer)
{
    kp_http_request request = {.size = sizeof request, .method = "GET", .url = url};

    start((kp_server_config){0});
    chained = 0;
    http_client_send(client, NULL, &request, on_chain, NULL);
    PEER_WAIT(chained == 50, -1, 0);
    EQ_INT(last_number - first_number + 1, 1);
    end();
}

/* ---- proxies */

TEST(a_proxy_of_the_environment_is_used_and_its_exceptions_hold)
{
    start((kp_server_config){0});
    setenv("http_proxy", url, 1);
    ask((kp_http_request){.url = "http://example.invalid/x"});
    EQ_INT(got.status, 200); /* our own server plays the proxy */
    YES(!strncmp(seen, "GET http://example.invalid/x ", 29));
    setenv("no_proxy", "127.0.0.1", 1);
    ask((kp_http_request){0});
    EQ_STR(seen, "GET / user-agent=kpipe/" KPIPE_VERSION " accept=*/*");
    EQ_INT(got.status, 200);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
    end();
}

/* ---- answers of other servers */

/* One answer, as bytes, of a server that then closes. */
static void ask_raw(const char *bytes)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t len = sizeof own;
    struct peer peer = {0};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), n = got.n;
    char raw[100];

    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(!bind(listener, (struct sockaddr *)&own, sizeof own) && !listen(listener, 1));
    REQUIRE(!getsockname(listener, (struct sockaddr *)&own, &len));
    snprintf(raw, sizeof raw, "http://127.0.0.1:%u/", ntohs(own.sin_port));
    send_request((kp_http_request){.url = raw});
    for (struct pollfd ready = {.fd = listener, .events = POLLIN}; poll(&ready, 1, 0) != 1;)
        peer_turn(listener, POLLIN);
    peer.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    REQUIRE(peer.fd >= 0);
    peer_expect(&peer, "\r\n\r\n");
    peer_send(&peer, bytes);
    peer_close(&peer);
    close(listener);
    PEER_WAIT(got.n > n, -1, 0);
}

TEST(interim_answers_and_trailers_are_left_out)
{
    start((kp_server_config){0});
    ask_raw("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            "HTTP/1.1 200 OK\r\nA:\t b \r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n0\r\nC: d\r\n\r\n");
    EQ_INT(got.status, 200);
    EQ_STR(got.headers, "a=b;transfer-encoding=chunked;");
    EQ_STR(got.body, "abc");
    ask_raw("HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nC: d\r\n\r\n");
    EQ_INT(got.status, 200);
    EQ_STR(got.headers, "a=b;transfer-encoding=chunked;");
    end();
}

TEST(half_an_answer_is_an_error)
{
    start((kp_server_config){0});
    ask_raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    EQ_INT(got.status, 0);
    YES(got.connected && got.error[0]);
    ask_raw("rubbish\r\n\r\n");
    EQ_INT(got.status, 0);
    YES(got.connected && got.error[0]);
    end();
}

/* With a certificate of its own, as the file at `cert`. */
static void start_tls(char cert[300])
{
    char key[300];

    snprintf(cert, 300, "%s/c.pem", kptest_dir());
    snprintf(key, sizeof key, "%s/c.key", kptest_dir());
    cert_write(cert, key);
    start((kp_server_config){.tls_cert = cert, .tls_key = key});
}

TEST(a_certificate_of_the_trusted_file_is_taken)
{
    char cert[300];

    start_tls(cert);
    http_client_trust(client, cert);
    ask((kp_http_request){0});
    EQ_INT(got.status, 200);
    EQ_STR(got.error, "");
    end();
}

TEST(a_certificate_that_nobody_vouches_for_is_refused)
{
    char cert[300];

    start_tls(cert);
    ask((kp_http_request){0});
    EQ_INT(got.status, 0);
    NO(got.connected);
    YES(strstr(got.error, "certificate") != NULL);
    EQ_INT(n_requests, 0);
    end();
}
