/* server.h - extension "server/1": a strict HTTP/1.1 and HTTP/2 server on the worker's loop.
 * [worker]
 *
 * Keep-alive, pipelining, chunked bodies, TLS; HTTP/2 (RFC 9113) by ALPN or with prior knowledge.
 * Requests of one HTTP/1.1 connection are handed over one after the other: the next only after the
 * last was answered. Those of an HTTP/2 connection come as they come. Bodies are complete when the
 * handler runs, bounded by max_body.
 */
#ifndef KPIPE_EXT_SERVER_H
#define KPIPE_EXT_SERVER_H

#include <kpipe/ext/http.h>
#include <kpipe/plugin.h>

typedef struct kp_server kp_server;     /* [owned by node]: closed with it at the latest */
typedef struct kp_exchange kp_exchange; /* a request on its way to an answer */

typedef struct kp_server_request {
    uint32_t size;
    kp_slice method;               /* as sent */
    kp_slice target;               /* as sent: path?query */
    kp_slice path;                 /* undecoded */
    kp_slice query;                /* undecoded, without '?' */
    const kp_http_header *headers; /* names in lower case; values trimmed */
    size_t n_headers;
    kp_slice body;
    kp_slice peer;       /* "127.0.0.1:40000" */
    uint64_t connection; /* number of the connection, never used again */
    bool head_only;      /* HEAD: the answer's body is not sent */
    /* appended in 1.1: there if size reaches them */
    uint8_t reserved[7]; /* what was padding in 1.0 */
    bool is_tls;
    uint8_t http_version; /* 10, 11 or 20 */
} kp_server_request;

/* All slices of the request are valid until the exchange is answered. The handler answers now or
 * later; if the peer has gone meanwhile, the answer is thrown away. */
typedef void (*kp_server_fn)(kp_node *, void *arg, kp_exchange *, const kp_server_request *);

typedef struct kp_server_config {
    uint32_t size;
    const char *listen;             /* "127.0.0.1:8080", "[::1]:0"; port 0 = any free one */
    size_t max_header;              /* request line and headers, bytes; 0 = 64 KiB */
    size_t max_body;                /* bytes; 0 = 10 MiB; more is answered 413 */
    int64_t idle_timeout_ms;        /* keep-alive; 0 = 60 s */
    int64_t read_timeout_ms;        /* one whole request; 0 = 30 s */
    uint32_t max_connections;       /* 0 = 10,000; more are refused with 503 */
    const char *tls_cert, *tls_key; /* PEM files; NULL = plain */
    bool reuse_port;                /* every worker listens on the same port (SO_REUSEPORT) */
    /* appended in 1.1; zero is what was before */
    uint8_t reserved[7]; /* what was padding in 1.0 */
    bool http2;          /* h2 by ALPN, and a connection that begins with HTTP/2's preface */
    bool tls_sniff; /* with tls_cert: a connection whose first byte is no TLS record is plain */
} kp_server_config;

/* How an answer in pieces goes. [worker] */
typedef struct kp_server_stream {
    uint32_t size;
    /* What was written has gone out to the last byte (again room). NULL: not wanted. */
    void (*drained)(kp_node *, void *arg, kp_exchange *);
    /* The peer has gone before finish(): the exchange is over, do not use it again. NULL: not
     * wanted; what is written then goes nowhere until finish(). Neither is called inside of a
     * row of kp_server_ext for this exchange, nor after close(). */
    void (*gone)(kp_node *, void *arg, kp_exchange *);
    void *arg;
} kp_server_stream;

/* A part of an open file as the body of an answer. */
typedef struct kp_server_file {
    uint32_t size;
    int fd; /* [consumed]: closed when sent, or when the peer has gone */
    uint64_t offset, len;
} kp_server_file;

typedef struct kp_server_ext {
    uint32_t size;
    /* NULL: kp->fail() was called with the reason ("127.0.0.1:8080 is in use ..."). */
    kp_server *(*listen)(kp_node *, const kp_server_config *, kp_server_fn fn, void *arg);
    uint32_t (*port)(const kp_server *);
    /* Answers; headers and body are copied unless `keep` is given: then body stays valid and
     * keep's reference [consumed] is given up when it has been sent. Content-Length, Date and
     * Connection are the server's. */
    void (*respond)(kp_exchange *, int status, const kp_http_header *headers, size_t n_headers,
                    kp_slice body, kp_slab *keep);
    /* Cuts the connection (HTTP/2: the stream) without an answer, or in its middle. */
    void (*abort)(kp_exchange *);
    /* Takes no new connections; open exchanges may still be answered. */
    void (*stop)(kp_server *);
    void (*close)(kp_server *); /* closes all; NULL is fine */

    /* ---- appended in 1.1: present if ext->size reaches them */

    /* Begins an answer in pieces: status and headers go out now, without Content-Length (HTTP/1.1:
     * chunked; HTTP/1.0: until the connection ends). Then write() as often as wanted and one
     * finish(), or abort(). */
    void (*start)(kp_exchange *, int status, const kp_http_header *headers, size_t n_headers,
                  const kp_server_stream *);
    /* One piece; copied unless `keep` [consumed] is given. Returns the bytes that wait to be sent,
     * for the caller to hold back by. */
    size_t (*write)(kp_exchange *, kp_slice piece, kp_slab *keep);
    void (*finish)(kp_exchange *);
    /* Answers with Content-Length and the bytes of a file; the file is read on the pool, never
     * whole. */
    void (*respond_file)(kp_exchange *, int status, const kp_http_header *headers, size_t n_headers,
                         const kp_server_file *);
    /* `gone` is called if the peer goes before the exchange is answered: then the exchange is over,
     * do not use it again. For answers that wait long: an HTTP/1.1 peer that closes its side of
     * the connection has gone then. */
    void (*watch)(kp_exchange *, void (*gone)(kp_node *, void *arg, kp_exchange *), void *arg);
    /* The peer's bytes of this exchange's answer are cut in the middle: the headers and half of
     * `body` are sent, then the connection (HTTP/2: the stream) is reset. For fault injection. */
    void (*respond_cut)(kp_exchange *, int status, const kp_http_header *headers, size_t n_headers,
                        kp_slice body);
} kp_server_ext;

#endif
