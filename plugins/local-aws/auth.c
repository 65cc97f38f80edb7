/* auth.c - proving SigV4 signatures (verify_signatures): with the one long-lived key pair of the
 * configuration, or with temporary credentials that STS gave out.
 *
 * The region of a scope may be any, the service must be the one that is asked. Secrets, tokens,
 * signatures and hashes are compared in constant time (sdk/wire/sigv4_verify.c).
 */
#include "plugins/local-aws/auth.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/v2.h"
#include "plugins/local-aws/sts/sts.h"

struct auth {
    struct kpw_sigv4_cache cache;
    struct kpw_sigv4_credentials credentials; /* [borrowed from config] */
    struct sts_session session;               /* of the last request that was signed with one */
};

bool auth_open(struct local *local)
{
    const struct local_config *config = local->config;
    const char *secret = config->secret_key && *config->secret_key ? config->secret_key : "test";
    struct auth *auth = calloc(1, sizeof *auth);

    if (!auth)
        return false;
    auth->credentials.key_id = kpw_slice_cstr(config->access_key);
    auth->credentials.secret = kpw_slice_cstr(secret);
    local->auth = auth;
    return true;
}

void auth_close(struct local *local)
{
    struct auth *auth = local->auth;

    if (!auth)
        return;
    kpw_sigv4_cache_fini(&auth->cache);
    kpw_wipe(&auth->session, sizeof auth->session);
    free(auth);
    local->auth = NULL;
}

/* What a signature of this key must be made with: of an unknown key the configured ones, which it
 * will not match. */
static struct kpw_sigv4_credentials credentials_of(struct local *local, struct auth_case *c)
{
    struct auth *auth = local->auth;
    kp_slice key_id = {c->auth->key_id.ptr, c->auth->key_id.len};

    if (kpw_slice_eq(c->auth->key_id, auth->credentials.key_id) ||
        !sts_session_find(local, key_id, &auth->session))
        return auth->credentials;
    c->is_token_old = auth->session.expires_s <= c->now_s;
    return (struct kpw_sigv4_credentials){c->auth->key_id, kpw_slice_cstr(auth->session.secret),
                                          kpw_slice_cstr(auth->session.token)};
}

static enum kpw_sigv4_reason prove(struct auth_case *c, const struct kpw_sigv4_request *plain)
{
    struct local *local = c->local;
    bool is_s3 = c->target->service == LOCAL_S3;
    struct kpw_sigv4_credentials credentials = credentials_of(local, c);
    struct kpw_sigv4_options options = {
        .service = kpw_slice_cstr(local_scope(c->target->service)),
        .now_s = c->now_s,
        /* S3 proves bodies while it takes them in: one pass, and on the pool. */
        .flags = is_s3 ? KPW_SIGV4_S3 | KPW_SIGV4_BODY_LATER : 0,
        .window_s = AUTH_WINDOW_S,
    };
    enum kpw_sigv4_reason reason =
        kpw_sigv4_verify(&local->auth->cache, plain, c->auth, &credentials, &options);

    return reason == KPW_SIGV4_OK && c->is_token_old ? KPW_SIGV4_WRONG_TOKEN : reason;
}

static bool read_request(const kp_server_request *request, struct kpw_sigv4_header *headers,
                         struct kpw_sigv4_request *ret)
{
    *ret = (struct kpw_sigv4_request){
        .method = {request->method.ptr, request->method.len},
        .path = {request->path.ptr, request->path.len},
        .query = {request->query.ptr, request->query.len},
        .headers = headers,
        .body = {request->body.ptr, request->body.len},
    };
    if (request->n_headers > KPW_SIGV4_MAX_HEADERS)
        return false;
    for (size_t i = 0; i < request->n_headers; i++) {
        const kp_http_header *h = &request->headers[i];

        headers[ret->n_headers++] =
            (struct kpw_sigv4_header){{h->name.ptr, h->name.len}, {h->value.ptr, h->value.len}};
    }
    return true;
}

/* What is not signed by version 4: a browser's question whether it may, asking for first
 * credentials, and what S3 proves itself (forms, version 2). */
static bool is_open(const kp_server_request *request, const struct local_target *target)
{
    return kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), "OPTIONS") ||
           sts_is_unsigned(target) || (target->service == LOCAL_S3 && s3_proves_itself(request));
}

bool auth_check(struct local *local, kp_exchange *x, const kp_server_request *request,
                const struct local_target *target)
{
    struct kpw_sigv4_header headers[KPW_SIGV4_MAX_HEADERS];
    struct kpw_sigv4_request plain;
    struct kpw_sigv4_auth auth = {0};
    struct auth_case c = {.local = local,
                          .request = request,
                          .target = target,
                          .auth = &auth,
                          .cache = &local->auth->cache,
                          .now_s = local_now_ms(local) / 1000,
                          .reason = KPW_SIGV4_BAD_REQUEST};

    if (is_open(request, target))
        return true;
    if (read_request(request, headers, &plain))
        c.reason = kpw_sigv4_parse(&plain, &auth);
    if (c.reason == KPW_SIGV4_OK)
        c.reason = prove(&c, &plain);
    if (c.reason != KPW_SIGV4_OK)
        auth_refuse(&c, x);
    kpw_sigv4_auth_fini(&auth);
    return c.reason == KPW_SIGV4_OK;
}

bool auth_chunks(struct local *local, const kp_server_request *request,
                 struct kpw_sigv4_chunks *ret)
{
    struct kpw_sigv4_header headers[KPW_SIGV4_MAX_HEADERS];
    struct kpw_sigv4_request plain;
    struct kpw_sigv4_auth auth = {0};
    bool ok = local->verify_signatures && read_request(request, headers, &plain) &&
              kpw_sigv4_parse(&plain, &auth) == KPW_SIGV4_OK &&
              kpw_sigv4_chunks_init(ret, &local->auth->cache, auth.signature);

    kpw_sigv4_auth_fini(&auth);
    return ok;
}

bool auth_secret(struct local *local, kp_slice key_id, struct kpw_sigv4_credentials *ret)
{
    struct auth *auth = local->auth;

    *ret = auth->credentials;
    if (kpw_slice_eq(kpw_slice(key_id.ptr, key_id.len), auth->credentials.key_id))
        return true;
    if (!sts_session_find(local, key_id, &auth->session))
        return false;
    ret->key_id = kpw_slice_cstr(auth->session.key_id);
    ret->secret = kpw_slice_cstr(auth->session.secret);
    ret->token = kpw_slice_cstr(auth->session.token);
    return auth->session.expires_s > local_now_ms(local) / 1000;
}
