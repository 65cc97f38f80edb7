/* aws_credentials.h - private to core/aws: the credentials that all workers share.
 *
 * A store holds the identity in use and is filled by whichever worker notices first that it is
 * missing or old: that worker fetches on its own loop while the others go on with the old one, or
 * wait when there is none. Refreshed at 80 % of the lifetime, and when a service says that it
 * has expired. A failed fetch is tried again after 1 s, 2 s ... 60 s.
 *
 * Owned by: the AWS configuration (store), an AWS client (user).
 * Threads: store [any], a user its worker only.   Not here: where they come from (aws_fetch.h).
 */
#ifndef KPIPE_AWS_AWS_CREDENTIALS_H
#define KPIPE_AWS_AWS_CREDENTIALS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct aws_config;
struct aws_fetch;
struct aws_store;
struct error;
struct http_client;

#define AWS_NEVER_MS INT64_MAX

struct aws_identity {
    _Atomic unsigned refs;
    char *key_id, *secret;                /* [owned] */
    char *token;                          /* [owned] NULL: none */
    int64_t refresh_at_ms, expires_at_ms; /* wall clock; AWS_NEVER_MS: never */
};

/* One reference [owned by the caller]; texts are copied. */
struct aws_identity *aws_identity_new(const char *key_id, const char *secret, const char *token);
/* Sets when it expires and with it when it is refreshed. */
void aws_identity_set_expiry(struct aws_identity *identity, int64_t expires_at_ms);
void aws_identity_unref(struct aws_identity *identity); /* NULL is fine */

struct aws_store *aws_store_new(void);
void aws_store_free(struct aws_store *store); /* no users any more */

/* The view of one worker. */
struct aws_user {
    struct aws_config *config; /* [borrowed] */
    struct http_client *http;  /* [borrowed] */
    uv_async_t async;          /* rings when a fetch that this one waits for has ended */
    void (*wake)(void *arg);   /* then, on the loop */
    void (*closed)(void *arg); /* the user's memory may go */
    void *arg;
    struct aws_identity *identity; /* [owned] the last one given */
    uint64_t number;               /* of the store when it was given */
    struct aws_fetch *fetch;       /* [owned] under way on this loop */
    bool is_waiting;               /* in the store's list */
    struct aws_user *next;
};

enum aws_ready { AWS_READY, AWS_PENDING, AWS_NONE };

/* config, http, wake, closed and arg are set by the caller. */
void aws_user_open(struct aws_user *user, uv_loop_t *loop);
/* Stops a fetch of its own; another worker takes it over. `closed` comes from the loop. */
void aws_user_close(struct aws_user *user);

/* READY: user->identity is fit for use. PENDING: wake() will come. NONE: err says why, and
 * *ret_may_pass whether it may go by itself. */
enum aws_ready aws_user_get(struct aws_user *user, struct error *err, bool *ret_may_pass);
/* A service refused user->identity as expired: the next get fetches another one, unless that has
 * happened already. */
void aws_user_refused(struct aws_user *user);

#endif
