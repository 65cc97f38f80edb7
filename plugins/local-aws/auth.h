/* auth.h - a request whose signature is being proven; shared by auth.c and auth_refuse.c.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_AUTH_H
#define KPIPE_LOCAL_AWS_AUTH_H

#include "plugins/local-aws/local.h"
#include "sdk/wire/sigv4.h"

#define AUTH_WINDOW_S 900 /* how far the clocks may be apart */

/* Everything is [borrowed] for the call. */
struct auth_case {
    struct local *local;
    const kp_server_request *request;
    const struct local_target *target;
    const struct kpw_sigv4_auth *auth;   /* what was read so far */
    const struct kpw_sigv4_cache *cache; /* the canonical texts of KPW_SIGV4_WRONG_SIGNATURE */
    int64_t now_s;
    enum kpw_sigv4_reason reason;
    bool is_token_old; /* the key is a temporary one that has expired */
};

/* The secret and the token that belong to an access key id, for a signature that is not the
 * request's own (S3's forms). False: the key is unknown, or a temporary one that has expired.
 * [borrowed until the next request] */
bool auth_secret(struct local *local, kp_slice key_id, struct kpw_sigv4_credentials *ret);

/* auth_refuse.c: answers with the error of the reason. */
void auth_refuse(const struct auth_case *c, kp_exchange *x);

#endif
