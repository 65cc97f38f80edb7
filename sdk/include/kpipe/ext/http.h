/* http.h - extension "http/1": asynchronous HTTP client on the worker's connections. [worker]
 *
 * Connections are kept and shared by all nodes of the worker (libcurl, HTTP/1.1, and HTTP/2 where
 * it is asked for; TLS verified against the system's store). Redirects are not followed.
 */
#ifndef KPIPE_EXT_HTTP_H
#define KPIPE_EXT_HTTP_H

#include <kpipe/plugin.h>
#include <stdbool.h>

typedef struct kp_http_header {
    kp_slice name, value;
} kp_http_header;

typedef struct kp_http_request {
    uint32_t size;
    const char *method;            /* "GET" */
    const char *url;               /* absolute, http or https */
    const kp_http_header *headers; /* copied */
    size_t n_headers;
    kp_slice body;        /* [borrowed until the answer] not copied */
    int64_t timeout_ms;   /* whole exchange; 0 = 60 s */
    size_t max_body;      /* answer's body, bytes; 0 = 16 MiB; longer is an error */
    kp_slab *into;        /* answer's body goes here instead [borrowed until the answer] */
    size_t into_capacity; /* bytes of `into` */
    /* ---- appended in 1.1 */
    /* The body of a 2xx answer in pieces, as it comes; max_body and `into` are for other answers
     * then, and timeout_ms 0 means none. False: not now, the same piece comes again after resume().
     * `arg` is that of send(). No call of this table may be made from inside it. NULL: whole. */
    bool (*piece)(kp_node *, void *arg, kp_slice piece);
    bool http2; /* over HTTP/2: by ALPN, or with prior knowledge where there is no TLS */
    /* ---- appended in 1.2 */
    /* About so long will the answer's body be, bytes; 0: unknown. The memory it is read through is
     * chosen by it: many small answers at a time need little, a longer one costs some more reads.
     */
    size_t expected_body;
} kp_http_request;

typedef struct kp_http_response {
    uint32_t size;
    int32_t status;                /* 0 when there was no answer: see error */
    kp_slice body;                 /* [borrowed for the call], or inside request.into */
    const kp_http_header *headers; /* [borrowed for the call] names in lower case */
    size_t n_headers;
    const char *error; /* what went wrong with the exchange, NULL if nothing */
    bool timed_out;
    bool connected; /* false: the request never reached the peer, safe to send again */
    int64_t took_ms;
} kp_http_response;

typedef struct kp_http_call kp_http_call; /* valid until its answer or cancel() */
typedef void (*kp_http_fn)(kp_node *, void *arg, const kp_http_response *);

typedef struct kp_http_ext {
    uint32_t size;
    /* fn is called exactly once, never from inside send(), unless cancelled. NULL is never
     * returned: what cannot be sent is answered with status 0 and an error. */
    kp_http_call *(*send)(kp_node *, const kp_http_request *, kp_http_fn fn, void *arg);
    void (*cancel)(kp_http_call *); /* no answer will come */
    /* ---- appended in 1.1 */
    void (*resume)(kp_http_call *); /* pieces are wanted again; piece() may be called at once */
} kp_http_ext;

/* The value of a header (name in lower case), or an empty slice. */
static inline kp_slice kp_http_header_get(const kp_http_response *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        size_t n = 0;
        const kp_slice *h = &r->headers[i].name;

        while (n < h->len && name[n] && h->ptr[n] == name[n])
            n++;
        if (n == h->len && !name[n])
            return r->headers[i].value;
    }
    return (kp_slice){NULL, 0};
}

#endif
