/* test_net_curl.c - the server as libcurl sees it: HTTP/1.1 and HTTP/2, plain and TLS, on one port.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <openssl/ssl.h>

#include "core/base/error.h"
#include "core/net/http_server.h"
#include "tests/unit/net_cert.h"
#include "tests/unit/net_peer.h"

#define BIG ((size_t)3 << 20)

static kp_server *server;
static char cert[300], key[300];
static size_t n_seen;
static uint64_t connections[64];
static int last_version;
static bool last_tls;

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    (void)node, (void)arg;
    connections[n_seen++ % 64] = request->connection;
    last_version = request->http_version;
    last_tls = request->is_tls;
    if (request->path.len == 7) { /* "/pieces" */
        http_server_start(exchange, 200, NULL, 0, NULL);
        http_server_write(exchange, (kp_slice){"first ", 6}, NULL);
        http_server_write(exchange, (kp_slice){"second", 6}, NULL);
        http_server_finish(exchange);
    } else if (request->path.len == 4) { /* "/cut" */
        http_server_respond_cut(exchange, 200, NULL, 0, (kp_slice){"0123456789", 10});
    } else {
        http_server_respond(exchange, 200, NULL, 0, request->body, NULL);
    }
}

static void start(kp_server_config config)
{
    struct error err = ERROR_INIT;

    snprintf(cert, sizeof cert, "%s/cert.pem", kptest_dir());
    snprintf(key, sizeof key, "%s/key.pem", kptest_dir());
    cert_write(cert, key);
    uv_loop_init(&peer_loop);
    n_seen = 0;
    config.size = sizeof config;
    config.listen = "127.0.0.1:0";
    config.tls_cert = cert;
    config.tls_key = key;
    server = http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err);
    REQUIRE(server != NULL);
}

static void end(void)
{
    http_server_close(server);
    uv_run(&peer_loop, UV_RUN_DEFAULT);
    EQ_INT(uv_loop_close(&peer_loop), 0);
}

/* ---- libcurl, which takes its turns with the loop */

struct call {
    CURL *easy;
    char *in; /* [owned] */
    size_t len;
    bool done;
    CURLcode code;
    long version, status;
};

static size_t on_bytes(char *p, size_t size, size_t n, void *arg)
{
    struct call *call = arg;

    (void)size;
    call->in = realloc(call->in, call->len + n + 1);
    memcpy(call->in + call->len, p, n);
    call->len += n;
    call->in[call->len] = '\0';
    return n;
}

static void call_begin(CURLM *multi, struct call *call, const char *scheme, const char *path,
                       long version)
{
    char url[200];

    memset(call, 0, sizeof *call);
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", scheme, http_server_port(server), path);
    call->easy = curl_easy_init();
    curl_easy_setopt(call->easy, CURLOPT_URL, url);
    curl_easy_setopt(call->easy, CURLOPT_CAINFO, cert);
    curl_easy_setopt(call->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, version);
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, 1L);
    /* libcurl 7.88 cannot use such a connection again. */
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT,
                     (long)(version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
    curl_multi_add_handle(multi, call->easy);
}

static void call_body(struct call *call, const char *p, size_t n)
{
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, p);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
}

static bool multi_step(CURLM *multi)
{
    int running, left;
    CURLMsg *message;

    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &left))) {
        struct call *call = NULL;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        call->done = true;
        call->code = message->data.result;
        curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &call->version);
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
    }
    return !running;
}

/* Until all calls of it have ended. Sleeps until one side has something to do. */
static void multi_wait(CURLM *multi)
{
    struct curl_waitfd loop = {.fd = uv_backend_fd(&peer_loop), .events = CURL_WAIT_POLLIN};

    for (int64_t until = clock_mono_ms() + 10000; !multi_step(multi);) {
        REQUIRE(clock_mono_ms() < until);
        curl_multi_poll(multi, &loop, 1, 100, NULL);
        uv_run(&peer_loop, UV_RUN_NOWAIT);
    }
}

static void call_end(CURLM *multi, struct call *call)
{
    curl_multi_remove_handle(multi, call->easy);
    curl_easy_cleanup(call->easy);
    free(call->in);
}

static void check_call(const char *scheme, long asked, long got)
{
    CURLM *multi = curl_multi_init();
    char *big = malloc(BIG);
    struct call calls[3];

    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + (i >> 10));
    call_begin(multi, &calls[0], scheme, "/echo", asked);
    call_body(&calls[0], big, BIG);
    multi_wait(multi);
    EQ_INT(last_version, got == CURL_HTTP_VERSION_2_0 ? 20 : 11);
    EQ_INT(last_tls, !strcmp(scheme, "https"));
    call_begin(multi, &calls[1], scheme, "/pieces", asked);
    multi_wait(multi);
    call_begin(multi, &calls[2], scheme, "/cut", asked);
    multi_wait(multi);
    for (int i = 0; i < 2; i++) { /* of the third it may not have seen the head */
        EQ_INT(calls[i].version, got);
        EQ_INT(calls[i].status, 200);
    }
    EQ_INT(calls[0].code, CURLE_OK);
    EQ_INT(calls[0].len, BIG);
    YES(calls[0].len == BIG && !memcmp(calls[0].in, big, BIG));
    EQ_INT(calls[1].code, CURLE_OK);
    EQ_STR(calls[1].in ? calls[1].in : "", "first second");
    YES(calls[2].code != CURLE_OK);
    YES(asked == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE ||
        connections[(n_seen - 3) % 64] == connections[(n_seen - 2) % 64]);
    for (int i = 0; i < 3; i++)
        call_end(multi, &calls[i]);
    curl_multi_cleanup(multi);
    free(big);
}

TEST(curl_speaks_http_2_by_alpn)
{
    start((kp_server_config){.http2 = true});
    check_call("https", CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_2_0);
    check_call("https", CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_1_1);
    end();
}

TEST(curl_is_not_offered_http_2_where_it_is_off)
{
    start((kp_server_config){0});
    check_call("https", CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_1_1);
    end();
}

TEST(curl_finds_plain_and_tls_and_both_versions_on_one_port)
{
    start((kp_server_config){.http2 = true, .tls_sniff = true});
    check_call("http", CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_1_1);
    check_call("http", CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, CURL_HTTP_VERSION_2_0);
    check_call("https", CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_1_1);
    check_call("https", CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_2_0);
    end();
}

TEST(curl_has_many_streams_in_one_connection)
{
    CURLM *multi = curl_multi_init();
    struct call calls[50];
    char *body = malloc(100000);

    memset(body, 'x', 100000);
    start((kp_server_config){.http2 = true, .tls_sniff = true});
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    for (int i = 0; i < 50; i++) {
        call_begin(multi, &calls[i], "https", "/echo", CURL_HTTP_VERSION_2TLS);
        call_body(&calls[i], body, 50000 + 1000 * (size_t)i);
    }
    multi_wait(multi);
    EQ_INT(n_seen, 50);
    for (int i = 0; i < 50; i++) {
        EQ_INT(calls[i].code, CURLE_OK);
        EQ_INT(calls[i].len, 50000 + 1000 * i);
        EQ_INT(connections[i], connections[0]);
        call_end(multi, &calls[i]);
    }
    curl_multi_cleanup(multi);
    free(body);
    end();
}

/* ---- which of the two it is */

TEST(the_first_byte_tells_plain_from_tls)
{
    struct peer plain, silent;

    start((kp_server_config){.tls_sniff = true, .read_timeout_ms = 40, .idle_timeout_ms = 40});
    plain = peer_connect(http_server_port(server), 0);
    peer_send(&plain, "G");
    peer_turn(-1, 0);
    peer_send(&plain, "ET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&plain, "Content-Length: 0\r\n\r\n");
    peer_expect(&plain, "Content-Length: 0\r\n\r\n");
    NO(last_tls);
    peer_close(&plain);
    silent = peer_connect(http_server_port(server), 0);
    peer_expect_close(&silent);
    EQ_INT(silent.len, 0);
    peer_close(&silent);
    silent = peer_connect(http_server_port(server), 0);
    peer_send(&silent, "\x16"); /* and then no handshake */
    PEER_WAIT((peer_pull(&silent), silent.closed), silent.fd, POLLIN);
    EQ_INT(silent.len, 0);
    peer_close(&silent);
    end();
}

TEST(who_chose_http_2_must_speak_it)
{
    static const unsigned char protocols[] = "\x02h2";
    struct peer peer;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    bool sent = false, ended = false;
    char byte;

    start((kp_server_config){.http2 = true});
    peer = peer_connect(http_server_port(server), 0);
    SSL_set_alpn_protos(ssl, protocols, sizeof protocols - 1);
    SSL_set_fd(ssl, peer.fd);
    SSL_set_connect_state(ssl);
    REQUIRE(!fcntl(peer.fd, F_SETFL, O_NONBLOCK));
    while (!ended) {
        int n = sent ? SSL_read(ssl, &byte, 1) : SSL_write(ssl, "GET / HTTP/1.1\r\n\r\n", 18);

        sent |= n == 18;
        ended = n <= 0 && SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ;
        peer_turn(peer.fd, POLLIN);
    }
    YES(sent);
    EQ_INT(n_seen, 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    peer_close(&peer);
    end();
}
