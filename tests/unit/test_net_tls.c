/* test_net_tls.c - the HTTP server behind TLS, asked by OpenSSL's client. */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/base/error.h"
#include "core/net/http_server.h"
#include "tests/unit/net_cert.h"
#include "tests/unit/net_peer.h"

#define BIG ((size_t)3 << 20)

static kp_server *server;
static char cert[300], key[300];
static kp_exchange *held;
static char *big; /* [owned] */

static void on_request(kp_node *node, void *arg, kp_exchange *exchange,
                       const kp_server_request *request)
{
    (void)node, (void)arg;
    if (request->path.len == 4 && !memcmp(request->path.ptr, "/big", 4))
        http_server_respond(exchange, 200, NULL, 0, (kp_slice){big, BIG}, NULL);
    else if (request->path.len == 6 && !memcmp(request->path.ptr, "/later", 6))
        held = exchange;
    else if (request->body.len)
        http_server_respond(exchange, 200, NULL, 0, request->body, NULL);
    else
        http_server_respond(exchange, 200, NULL, 0, (kp_slice){"hello", 5}, NULL);
}

static void start(kp_server_config config)
{
    struct error err = ERROR_INIT;
    const char *dir = kptest_dir();

    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    cert_write(cert, key);
    uv_loop_init(&peer_loop);
    held = NULL;
    big = malloc(BIG);
    memset(big, 'b', BIG);
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
    free(big);
}

/* ---- a TLS client on a peer's socket */

struct client {
    struct peer peer;
    SSL_CTX *context;
    SSL *ssl;
    char *in; /* [owned] */
    size_t len, cap;
    bool is_up, has_failed, has_ended;
};

static struct client client_new(int newest_version)
{
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    struct client c = {.peer = peer_connect(http_server_port(server), 0)};

    c.context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c.context, 0);
    REQUIRE(SSL_CTX_load_verify_locations(c.context, cert, NULL) == 1);
    SSL_CTX_set_verify(c.context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_proto_version(c.context, newest_version);
    c.ssl = SSL_new(c.context);
    SSL_set_alpn_protos(c.ssl, protocols, sizeof protocols - 1);
    SSL_set_fd(c.ssl, c.peer.fd);
    REQUIRE(!fcntl(c.peer.fd, F_SETFL, O_NONBLOCK));
    return c;
}

static void client_free(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    free(c->in);
    peer_close(&c->peer);
}

/* Does what can be done now: the handshake, then reading. */
static void client_step(struct client *c)
{
    int n;

    ERR_clear_error();
    if (!c->is_up && !c->has_failed) {
        n = SSL_connect(c->ssl);
        c->is_up = n == 1;
        c->has_failed = n != 1 && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ;
    }
    while (c->is_up && !c->has_ended && !c->has_failed) {
        if (c->cap - c->len < 65536)
            c->in = realloc(c->in, c->cap = c->cap * 2 + 131072);
        n = SSL_read(c->ssl, c->in + c->len, (int)(c->cap - c->len - 1));
        if (n <= 0) {
            int why = SSL_get_error(c->ssl, n);

            c->has_ended = why == SSL_ERROR_ZERO_RETURN;
            c->has_failed = !c->has_ended && why != SSL_ERROR_WANT_READ;
            break;
        }
        c->len += (size_t)n;
    }
    if (c->in)
        c->in[c->len] = '\0';
}

#define CLIENT_WAIT(c, condition)                                                           \
    do {                                                                                    \
        PEER_WAIT((client_step(&(c)), (condition) || (c).has_failed), (c).peer.fd, POLLIN); \
        YES(condition);                                                                     \
    } while (0)

static void client_send(struct client *c, const char *p, size_t n)
{
    while (n) {
        int sent = SSL_write(c->ssl, p, n > 1000 ? 1000 : (int)n);

        if (sent <= 0) {
            REQUIRE(SSL_get_error(c->ssl, sent) == SSL_ERROR_WANT_WRITE);
            peer_turn(c->peer.fd, POLLOUT);
            continue;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

static bool client_has(struct client *c, const char *text)
{
    return c->in && strstr(c->in, text);
}

#define GET(path)     "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define SEND(c, text) client_send(&(c), text, strlen(text))

static void check_exchange(int newest_version)
{
    const unsigned char *protocol;
    unsigned len;
    struct client c;

    start((kp_server_config){0});
    c = client_new(newest_version);
    CLIENT_WAIT(c, c.is_up);
    EQ_INT(SSL_version(c.ssl), newest_version);
    EQ_INT(SSL_get_verify_result(c.ssl), X509_V_OK);
    SSL_get0_alpn_selected(c.ssl, &protocol, &len);
    YES(len == 8 && !memcmp(protocol, "http/1.1", 8));
    SEND(c, GET("/") GET("/later") GET("/"));
    CLIENT_WAIT(c, client_has(&c, "\r\n\r\nhello") && held);
    http_server_respond(held, 200, NULL, 0, (kp_slice){"second", 6}, NULL);
    CLIENT_WAIT(c, client_has(&c, "secondHTTP/1.1 200 OK\r\n") && client_has(&c, "hello"));
    c.len = 0;
    SEND(c, "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CLIENT_WAIT(c, c.has_ended); /* by a proper close_notify */
    YES(c.len > BIG && c.len < BIG + 300);
    YES(!memcmp(c.in + c.len - BIG, big, BIG));
    client_free(&c);
    end();
}

TEST(requests_are_answered_over_tls_1_3)
{
    check_exchange(TLS1_3_VERSION);
}

TEST(requests_are_answered_over_tls_1_2)
{
    check_exchange(TLS1_2_VERSION);
}

TEST(a_large_body_arrives_over_tls)
{
    struct client c;
    char head[100];

    start((kp_server_config){0});
    c = client_new(TLS1_3_VERSION);
    CLIENT_WAIT(c, c.is_up);
    snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", BIG);
    SEND(c, head);
    client_send(&c, big, BIG);
    CLIENT_WAIT(c, c.len > BIG);
    YES(!memcmp(c.in + c.len - BIG, big, BIG));
    client_free(&c);
    end();
}

/* More than the server's block and its backlog hold, sent while it cannot take any of it. */
TEST(what_was_sent_ahead_over_tls_is_not_lost)
{
    size_t n = 10000, seen = 0;
    struct client c;

    start((kp_server_config){0});
    c = client_new(TLS1_3_VERSION);
    CLIENT_WAIT(c, c.is_up);
    SEND(c, GET("/later"));
    PEER_WAIT(held, -1, 0);
    for (size_t i = 0; i < n; i++) {
        SEND(c, GET("/"));
        if (i == n / 2)
            http_server_respond(held, 200, NULL, 0, (kp_slice){"first", 5}, NULL);
    }
    while (seen < n) {
        CLIENT_WAIT(c, client_has(&c, "hello"));
        for (char *p; (p = strstr(c.in, "hello")); seen++)
            memmove(c.in, p + 5, (c.len -= (size_t)(p + 5 - c.in)) + 1);
    }
    EQ_INT(seen, n);
    client_free(&c);
    end();
}

TEST(tls_1_1_is_refused)
{
    struct client c;

    start((kp_server_config){0});
    c = client_new(TLS1_1_VERSION);
    PEER_WAIT((client_step(&c), c.is_up || c.has_failed), c.peer.fd, POLLIN);
    YES(c.has_failed);
    NO(c.is_up);
    client_free(&c);
    end();
}

TEST(what_is_no_tls_is_cut)
{
    struct peer plain;

    start((kp_server_config){0});
    plain = peer_connect(http_server_port(server), 0);
    peer_send(&plain, GET("/"));
    PEER_WAIT((peer_pull(&plain), plain.closed), plain.fd, POLLIN);
    EQ_INT(peer_count(&plain, "hello"), 0);
    peer_close(&plain);
    end();
}

TEST(a_handshake_that_does_not_come_is_not_waited_for)
{
    struct peer silent;

    start((kp_server_config){.read_timeout_ms = 20});
    silent = peer_connect(http_server_port(server), 0);
    peer_expect_close(&silent);
    EQ_INT(silent.len, 0);
    peer_close(&silent);
    end();
}

TEST(a_certificate_that_cannot_be_used_is_named)
{
    kp_server_config config = {.size = sizeof config, .listen = "127.0.0.1:0"};
    struct error err = ERROR_INIT;
    char other[300], other_key[300], text[700];

    start((kp_server_config){0});
    snprintf(other, sizeof other, "%s/missing.pem", kptest_dir());
    config.tls_cert = other;
    YES(!http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err));
    EQ_STR(err.text, "TLS needs both a certificate and a key");
    config.tls_key = key;
    YES(!http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err));
    snprintf(text, sizeof text, "cannot read the certificate %s: No such file or directory", other);
    EQ_STR(err.text, text);
    snprintf(other_key, sizeof other_key, "%s/other.key", kptest_dir());
    cert_write(other, other_key);
    YES(!http_server_listen(&peer_loop, NULL, &config, on_request, NULL, &err));
    snprintf(text, sizeof text, "the key %s cannot be used: key values mismatch", key);
    EQ_STR(err.text, text);
    end();
}
