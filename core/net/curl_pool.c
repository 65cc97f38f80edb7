/* curl_pool.c - see curl_pool.h.
 *
 * curl gives up its interest in a socket after each answer and takes it up again
 * with the next request. The watch of an idle connection is therefore left as it
 * is until the connection closes: a request on a kept connection costs no
 * epoll_ctl(). Sockets are found by their number.
 */
#include "core/net/curl_pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/mem.h"

#define MAX_LANES 64 /* beyond that transfers wait inside curl for a connection */

struct curl_lane {
    struct curl_pool *pool; /* [borrowed] */
    CURLM *multi;           /* [owned] */
    uv_timer_t timer;
    unsigned n_active;
    bool is_http2;
};

struct watch {
    uv_poll_t poll;
    struct curl_pool *pool; /* [borrowed] */
    struct curl_lane *lane; /* [borrowed] the last one that was interested */
    int fd;
    int events; /* being watched for, UV_READABLE | UV_WRITABLE; 0: stopped */
    bool wanted;
};

struct curl_pool {
    uv_loop_t *loop; /* [borrowed] */
    curl_pool_fn fn;
    void *arg;                          /* [borrowed] */
    CURLSH *share;                      /* [owned] names and TLS sessions */
    struct curl_lane *lanes[MAX_LANES]; /* [owned] */
    unsigned n_lanes;
    struct watch **watches; /* [owned] by socket number */
    size_t n_watches;
    unsigned n_handles; /* of libuv, not closed yet */
    bool is_closing;
};

/* ---- end of life */

static void pool_handle_gone(struct curl_pool *pool)
{
    if (--pool->n_handles || !pool->is_closing)
        return;
    for (unsigned i = 0; i < pool->n_lanes; i++)
        free(pool->lanes[i]);
    free(pool->watches);
    free(pool);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct curl_lane *lane = handle->data;

    pool_handle_gone(lane->pool);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct curl_pool *pool = watch->pool;

    free(watch);
    pool_handle_gone(pool);
}

/* ---- what has ended */

static void lane_collect(struct curl_lane *lane)
{
    struct curl_pool *pool = lane->pool;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(lane->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_pool_remove(lane, easy);
        pool->fn(pool->arg, easy, result);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct curl_lane *lane = timer->data;
    int running;

    curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    lane_collect(lane);
}

static int on_timeout_changed(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_lane *lane = arg;

    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&lane->timer);
    else
        uv_timer_start(&lane->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- sockets */

static void watch_stop(struct watch *watch)
{
    if (watch->events)
        uv_poll_stop(&watch->poll);
    watch->events = 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct curl_lane *lane = watch->lane;
    int flags = 0, running;

    if (!watch->wanted) { /* the peer of an idle connection has closed it: curl sees that later */
        watch_stop(watch);
        return;
    }
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(lane->multi, watch->fd, flags, &running);
    lane_collect(lane);
}

static struct watch *watch_of(struct curl_pool *pool, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < pool->n_watches ? pool->watches[fd] : NULL;
}

static void watch_close(struct watch *watch)
{
    watch_stop(watch);
    watch->pool->watches[watch->fd] = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct watch *watch_new(struct curl_pool *pool, curl_socket_t fd)
{
    struct watch *watch = mem_new(sizeof *watch), *old = watch_of(pool, fd);

    if (old) /* somebody closed that socket without a word: its number is another's now */
        watch_close(old);
    if (uv_poll_init(pool->loop, &watch->poll, fd)) {
        free(watch);
        return NULL;
    }
    pool->n_handles++;
    watch->poll.data = watch;
    watch->pool = pool;
    watch->fd = fd;
    if ((size_t)fd >= pool->n_watches) {
        size_t n = (size_t)fd + 64;

        pool->watches = mem_grow(pool->watches, n * sizeof(struct watch *));
        while (pool->n_watches < n)
            pool->watches[pool->n_watches++] = NULL;
    }
    pool->watches[fd] = watch;
    return watch;
}

/* Connections are opened by open_socket() and stay watched; any other socket (the resolver's) is
 * dropped as soon as curl has no interest in it. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *is_other)
{
    struct curl_lane *lane = arg;
    struct watch *watch = watch_of(lane->pool, fd);
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            watch->wanted = false;
            if (is_other)
                watch_close(watch);
        }
        return 0;
    }
    if (!watch) {
        watch = watch_new(lane->pool, fd);
        if (!watch)
            return -1;
        curl_multi_assign(lane->multi, fd, watch);
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    watch->lane = lane;
    watch->wanted = events != 0;
    if (!events)
        watch_stop(watch);
    else if (events != watch->events && !uv_poll_start(&watch->poll, events, on_poll))
        watch->events = events;
    return 0;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_pool *pool = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);

    (void)purpose;
    if (fd >= 0 && !watch_new(pool, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    struct watch *watch = watch_of(arg, fd);

    if (watch)
        watch_close(watch);
    return close(fd);
}

/* ---- lanes */

static struct curl_lane *lane_new(struct curl_pool *pool, bool is_http2)
{
    struct curl_lane *lane = mem_new(sizeof *lane);

    lane->pool = pool;
    lane->is_http2 = is_http2;
    lane->multi = curl_multi_init();
    if (!lane->multi || uv_timer_init(pool->loop, &lane->timer)) {
        curl_multi_cleanup(lane->multi);
        free(lane);
        return NULL;
    }
    lane->timer.data = lane;
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, on_timeout_changed);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING,
                      (long)(is_http2 ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING));
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, (long)CURL_POOL_CONNECTIONS);
    curl_multi_setopt(lane->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CURL_POOL_CONNECTIONS);
    pool->n_handles++;
    pool->lanes[pool->n_lanes++] = lane;
    return lane;
}

/* The first lane of its kind with a free connection, so that few connections are used again and
 * again. One lane is left for HTTP/2, whose connections carry many transfers each. */
static struct curl_lane *lane_choose(struct curl_pool *pool, bool is_http2)
{
    unsigned most = is_http2 ? CURL_POOL_STREAMS : CURL_POOL_CONNECTIONS;
    struct curl_lane *least = NULL, *lane;

    for (unsigned i = 0; i < pool->n_lanes; i++) {
        lane = pool->lanes[i];
        if (lane->is_http2 != is_http2)
            continue;
        if (lane->n_active < most)
            return lane;
        if (!least || lane->n_active < least->n_active)
            least = lane;
    }
    lane = pool->n_lanes < MAX_LANES - (is_http2 ? 0u : 1u) ? lane_new(pool, is_http2) : NULL;
    return lane ? lane : least;
}

struct curl_lane *curl_pool_add(struct curl_pool *pool, CURL *easy, bool is_http2)
{
    struct curl_lane *lane = lane_choose(pool, is_http2);

    if (!lane || curl_multi_add_handle(lane->multi, easy) != CURLM_OK)
        return NULL;
    lane->n_active++;
    return lane;
}

void curl_pool_remove(struct curl_lane *lane, CURL *easy)
{
    curl_multi_remove_handle(lane->multi, easy);
    lane->n_active--;
}

void curl_pool_adopt(struct curl_pool *pool, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, pool);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, pool);
    curl_easy_setopt(easy, CURLOPT_SHARE, pool->share);
}

struct curl_pool *curl_pool_new(uv_loop_t *loop, curl_pool_fn fn, void *arg, struct error *err)
{
    struct curl_pool *pool = mem_new(sizeof *pool);

    pool->loop = loop;
    pool->fn = fn;
    pool->arg = arg;
    pool->share = curl_share_init();
    if (!pool->share || !lane_new(pool, false)) {
        error_set(err, ERROR_FAILED, "libcurl does not give a handle");
        curl_share_cleanup(pool->share);
        free(pool);
        return NULL;
    }
    curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return pool;
}

void curl_pool_free(struct curl_pool *pool)
{
    if (!pool)
        return;
    pool->is_closing = true;
    for (unsigned i = 0; i < pool->n_lanes; i++) { /* closes the connections and their watches */
        curl_multi_cleanup(pool->lanes[i]->multi);
        uv_close((uv_handle_t *)&pool->lanes[i]->timer, on_timer_closed);
    }
    for (size_t i = 0; i < pool->n_watches; i++)
        if (pool->watches[i])
            watch_close(pool->watches[i]);
    curl_share_cleanup(pool->share);
}
