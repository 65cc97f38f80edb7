/* aws_credentials.c - see aws_credentials.h. The store's number changes with each identity, so
 * that a user whose number is still the same needs no lock. */
#include "core/aws/aws_credentials.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_config.h"
#include "core/aws/aws_fetch.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define FIRST_PAUSE_MS 1000
#define LAST_PAUSE_MS  60000

struct aws_store {
    pthread_mutex_t lock;
    _Atomic uint64_t number;       /* changes with the identity */
    struct aws_identity *identity; /* [owned] */
    bool is_refused;               /* a service said that it has expired */
    bool is_fetching;
    struct aws_user *waiting; /* [borrowed] */
    int64_t next_try_ms;      /* monotonic */
    int64_t pause_ms;
    struct error err; /* of the last fetch */
    bool may_pass;
};

/* ---- identities */

struct aws_identity *aws_identity_new(const char *key_id, const char *secret, const char *token)
{
    struct aws_identity *identity = mem_new(sizeof *identity);

    identity->refs = 1;
    identity->key_id = mem_dup(key_id);
    identity->secret = mem_dup(secret);
    identity->token = token && *token ? mem_dup(token) : NULL;
    identity->refresh_at_ms = identity->expires_at_ms = AWS_NEVER_MS;
    return identity;
}

void aws_identity_set_expiry(struct aws_identity *identity, int64_t expires_at_ms)
{
    int64_t now_ms = clock_wall_ms();

    identity->expires_at_ms = expires_at_ms;
    identity->refresh_at_ms = now_ms + (expires_at_ms - now_ms) / 5 * 4;
}

static void wipe_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void aws_identity_unref(struct aws_identity *identity)
{
    if (!identity || atomic_fetch_sub(&identity->refs, 1) > 1)
        return;
    wipe_free(identity->secret);
    wipe_free(identity->token);
    free(identity->key_id);
    free(identity);
}

/* ---- the store */

struct aws_store *aws_store_new(void)
{
    struct aws_store *store = mem_new(sizeof *store);

    pthread_mutex_init(&store->lock, NULL);
    store->number = 1;
    return store;
}

void aws_store_free(struct aws_store *store)
{
    if (!store)
        return;
    aws_identity_unref(store->identity);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* Rings everybody who waits; under the lock, so that none of them can close meanwhile. */
static void wake_all(struct aws_store *store)
{
    while (store->waiting) {
        struct aws_user *user = store->waiting;

        store->waiting = user->next;
        user->is_waiting = false;
        uv_async_send(&user->async);
    }
}

static void wait_for(struct aws_store *store, struct aws_user *user)
{
    if (user->is_waiting)
        return;
    user->is_waiting = true;
    user->next = store->waiting;
    store->waiting = user;
    uv_ref((uv_handle_t *)&user->async); /* the loop must go on until the answer */
}

static void on_fetched(void *arg, struct aws_identity *identity, const struct error *err,
                       bool may_pass)
{
    struct aws_user *user = arg;
    struct aws_store *store = user->config->store;
    bool is_kept;

    user->fetch = NULL;
    pthread_mutex_lock(&store->lock);
    store->is_fetching = false;
    if (identity) {
        aws_identity_unref(store->identity);
        store->identity = identity;
        store->is_refused = false;
        store->pause_ms = 0;
        store->number++;
    } else {
        store->err = *err;
        store->may_pass = may_pass || store->identity; /* what worked once may work again */
        store->pause_ms = store->pause_ms ? store->pause_ms * 2 : FIRST_PAUSE_MS;
        if (store->pause_ms > LAST_PAUSE_MS)
            store->pause_ms = LAST_PAUSE_MS;
        store->next_try_ms = clock_mono_ms() + store->pause_ms;
    }
    is_kept = !identity && store->identity;
    wake_all(store);
    pthread_mutex_unlock(&store->lock);
    if (is_kept)
        log_warn("credentials.kept", "reason=\"%s\"", err->text);
}

/* ---- users */

static void on_async(uv_async_t *async)
{
    struct aws_user *user = async->data;

    uv_unref((uv_handle_t *)async);
    user->wake(user->arg);
}

void aws_user_open(struct aws_user *user, uv_loop_t *loop)
{
    if (uv_async_init(loop, &user->async, on_async))
        bug("no event descriptor for credentials");
    user->async.data = user;
    uv_unref((uv_handle_t *)&user->async);
}

static void on_closed(uv_handle_t *handle)
{
    struct aws_user *user = handle->data;

    user->closed(user->arg);
}

void aws_user_close(struct aws_user *user)
{
    struct aws_store *store = user->config->store;
    struct aws_user **at = &store->waiting;

    pthread_mutex_lock(&store->lock);
    while (*at && *at != user)
        at = &(*at)->next;
    if (*at)
        *at = user->next;
    if (user->fetch) {
        store->is_fetching = false;
        wake_all(store);
    }
    pthread_mutex_unlock(&store->lock);
    aws_fetch_cancel(user->fetch);
    user->fetch = NULL;
    aws_identity_unref(user->identity);
    user->identity = NULL;
    uv_close((uv_handle_t *)&user->async, on_closed);
}

static void take_identity(struct aws_user *user, struct aws_store *store)
{
    aws_identity_unref(user->identity);
    user->identity = store->identity;
    atomic_fetch_add(&store->identity->refs, 1);
    user->number = store->number;
}

/* What the store says now. *ret_fetch: the caller must fetch and ask again. */
static enum aws_ready look(struct aws_user *user, bool *ret_fetch, struct error *err,
                           bool *ret_may_pass)
{
    struct aws_store *store = user->config->store;
    int64_t now_ms = clock_wall_ms();
    bool is_usable =
        store->identity && !store->is_refused && now_ms < store->identity->expires_at_ms;
    bool is_fresh = is_usable && now_ms < store->identity->refresh_at_ms;

    *ret_fetch = !is_fresh && !store->is_fetching && clock_mono_ms() >= store->next_try_ms;
    if (*ret_fetch) {
        store->is_fetching = true;
        return AWS_PENDING;
    }
    if (is_usable) {
        take_identity(user, store);
        return AWS_READY;
    }
    if (store->is_fetching) {
        wait_for(store, user);
        return AWS_PENDING;
    }
    *err = store->err;
    *ret_may_pass = store->may_pass;
    return AWS_NONE;
}

enum aws_ready aws_user_get(struct aws_user *user, struct error *err, bool *ret_may_pass)
{
    struct aws_store *store = user->config->store;
    enum aws_ready ready;
    bool fetch;

    if (user->identity && user->number == atomic_load(&store->number) &&
        clock_wall_ms() < user->identity->refresh_at_ms)
        return AWS_READY;
    do {
        pthread_mutex_lock(&store->lock);
        ready = look(user, &fetch, err, ret_may_pass);
        pthread_mutex_unlock(&store->lock);
        /* May end at once: then there is something in the store, or the next try is later. */
        if (fetch)
            aws_fetch_start(user->async.loop, user->http, user->config,
                            &(struct aws_fetch_end){on_fetched, user, &user->fetch});
    } while (fetch);
    return ready;
}

void aws_user_refused(struct aws_user *user)
{
    struct aws_store *store = user->config->store;

    pthread_mutex_lock(&store->lock);
    if (user->identity == store->identity && !store->is_refused) {
        store->is_refused = true;
        store->next_try_ms = 0;
        store->number++; /* nobody goes on with it without asking */
    }
    pthread_mutex_unlock(&store->lock);
}
