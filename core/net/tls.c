/* tls.c - see tls.h. */
#include "core/net/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/net/http_reply.h"

struct tls_context {
    SSL_CTX *ssl;
    bool offers_http2;
};

struct tls {
    SSL *ssl;  /* [owned] */
    BIO *in;   /* [owned by ssl] */
    BIO *sent; /* [owned by ssl] */
};

/* ---- context */

/* A server cannot ask a person for the password of its key. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    const struct tls_context *context = arg;
    size_t from = context->offers_http2 ? 0 : 3;
    unsigned char *chosen = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, ours + from, (unsigned)(sizeof ours - 1 - from), in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void set_tls_error(struct error *err, const char *what, const char *path)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    if (access(path, R_OK))
        error_sys(err, errno, "cannot read %s %s", what, path);
    else
        error_set(err, ERROR_CONFIG, "%s %s cannot be used: %s", what, path,
                  reason ? reason : "not a PEM file");
    ERR_clear_error();
}

static bool load_files(SSL_CTX *ssl, const char *cert, const char *key, struct error *err)
{
    if (SSL_CTX_use_certificate_chain_file(ssl, cert) != 1) {
        set_tls_error(err, "the certificate", cert);
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1) {
        set_tls_error(err, "the key", key);
        return false;
    }
    return true;
}

struct tls_context *tls_context_new(const char *cert, const char *key, struct error *err)
{
    struct tls_context *context = NULL;
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());

    ERR_clear_error();
    if (!ssl || !SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20")) {
        error_set(err, ERROR_FAILED, "OpenSSL gives no TLS context");
        goto out;
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    if (!load_files(ssl, cert, key, err))
        goto out;
    context = mem_new(sizeof *context);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, context);
    context->ssl = ssl;
    ssl = NULL; /* moved */
out:
    SSL_CTX_free(ssl);
    return context;
}

void tls_context_offer_http2(struct tls_context *context)
{
    context->offers_http2 = true;
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

/* ---- one connection */

struct tls *tls_new(struct tls_context *context)
{
    struct tls *tls = mem_new(sizeof *tls);

    tls->ssl = SSL_new(context->ssl);
    tls->in = BIO_new(BIO_s_mem());
    tls->sent = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->sent)
        bug("OpenSSL is out of memory");
    SSL_set_bio(tls->ssl, tls->in, tls->sent);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

void tls_feed(struct tls *tls, const char *p, size_t n)
{
    size_t written;

    if (n && BIO_write_ex(tls->in, p, n, &written) != 1)
        bug("OpenSSL is out of memory");
}

bool tls_chose_http2(const struct tls *tls)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
    return len == 2 && !memcmp(protocol, "h2", 2);
}

size_t tls_backlog(const struct tls *tls)
{
    return BIO_ctrl_pending(tls->in);
}

enum tls_result tls_read(struct tls *tls, char *p, size_t cap, size_t *ret_n)
{
    *ret_n = 0;
    ERR_clear_error();
    if (SSL_read_ex(tls->ssl, p, cap, ret_n) == 1)
        return TLS_OK;
    switch (SSL_get_error(tls->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return TLS_NOTHING;
    case SSL_ERROR_ZERO_RETURN: return TLS_ENDED;
    default: ERR_clear_error(); return TLS_BROKEN;
    }
}

bool tls_write(struct tls *tls, const char *p, size_t n)
{
    size_t written;

    ERR_clear_error();
    while (n) {
        if (SSL_write_ex(tls->ssl, p, n, &written) != 1) {
            ERR_clear_error();
            return false;
        }
        p += written;
        n -= written;
    }
    return true;
}

void tls_shutdown(struct tls *tls)
{
    ERR_clear_error();
    if (SSL_is_init_finished(tls->ssl))
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

void tls_take_output(struct tls *tls, struct http_out *out)
{
    char *data = NULL;
    long n = BIO_get_mem_data(tls->sent, &data);

    if (n > 0) {
        http_out_add(out, data, (size_t)n);
        (void)BIO_reset(tls->sent);
    }
}
