/* http_call.h - one exchange of the HTTP client: its request for curl and the answer read so far.
 *
 * A call owns an easy handle and the memory for headers and body; both are used
 * again by the next call, so that a request costs no allocation of ours.
 *
 * Owned by: an HTTP client.   Threads: its only.   Not here: when it runs (http_client.c).
 */
#ifndef KPIPE_NET_HTTP_CALL_H
#define KPIPE_NET_HTTP_CALL_H

#include <curl/curl.h>
#include <kpipe/ext/http.h>

struct http_client;
struct curl_lane;

struct http_bytes {
    char *ptr; /* [owned] */
    size_t len, cap;
};

/* A header of the answer, as offsets into `head`, which moves while it grows. */
struct http_pair {
    size_t name, name_len, value, value_len;
};

enum http_call_state { HTTP_CALL_FREE, HTTP_CALL_FAILED, HTTP_CALL_RUNNING, HTTP_CALL_ANSWERING };

struct kp_http_call {
    struct http_client *client; /* [borrowed] */
    struct kp_http_call *prev, *next;
    enum http_call_state state;
    struct curl_lane *lane; /* [borrowed] while running */
    kp_node *node;          /* [borrowed] */
    kp_http_fn fn;
    void *arg;        /* [borrowed] */
    int64_t began_ns; /* monotonic */

    CURL *easy;               /* [owned] NULL before http_call_open() */
    struct curl_slist *lines; /* [owned] an array, linked; texts are in `text` */
    size_t lines_cap;
    struct http_bytes text;             /* header lines of the request, NUL after each */
    char problem[CURL_ERROR_SIZE];      /* ours, if any */
    char curl_problem[CURL_ERROR_SIZE]; /* what curl says of a failure, also of ours */

    struct http_bytes head;  /* header lines of the answer, names in lower case */
    struct http_pair *pairs; /* [owned] */
    size_t n_pairs, pairs_cap;
    kp_http_header *headers; /* [owned] made of pairs for the answer */
    size_t headers_cap;
    struct http_bytes body; /* unless `into` is given */
    kp_slab *into;          /* [borrowed] */
    size_t body_len, body_max;
    size_t read_size; /* curl takes so many bytes at a time */
    bool head_done;
    bool is_http2;                                       /* on a connection that carries many */
    bool (*piece)(kp_node *, void *arg, kp_slice piece); /* NULL: the body is collected */
};

struct kp_http_call *http_call_new(struct http_client *client);
/* Gets the easy handle, without which nothing can be prepared; false: curl gives none. */
bool http_call_open(struct kp_http_call *call);
void http_call_free(struct kp_http_call *call);

/* `request` has all members of this version, those its caller did not know zeroed. Fills the easy
 * handle; false: `problem` says what is wrong with the request. */
bool http_call_prepare(struct kp_http_call *call, const kp_http_request *request);

/* Instead of http_call_prepare(): the answer will be this problem. */
void http_call_refuse(struct kp_http_call *call, const char *problem);

/* The answer as the caller sees it [borrowed until the call is prepared again]. */
kp_http_response http_call_response(struct kp_http_call *call, CURLcode result);

/* Pieces are wanted again. */
void http_call_resume(struct kp_http_call *call);

/* Gives back memory that an unusually large answer took. */
void http_call_trim(struct kp_http_call *call);

#endif
