/* aws_call.h - private to core/aws: one call, its texts and its requests.
 *
 * The texts of the plugin's request are copied once, into memory that the next call uses again; an
 * attempt adds date, signature and attempt number. The body is never copied.
 *
 * Owned by: an AWS client.   Threads: its worker only.   Not here: when it is sent (aws_client.c).
 */
#ifndef KPIPE_AWS_AWS_CALL_H
#define KPIPE_AWS_AWS_CALL_H

#include <kpipe/ext/aws.h>

#include "core/aws/aws_answer.h"
#include "core/aws/aws_config.h"
#include "sdk/wire/random.h"
#include "sdk/wire/sigv4.h"

/* A service as one worker knows it. */
struct aws_service {
    char *name;                          /* [owned] */
    const struct aws_endpoint *endpoint; /* [borrowed] */
    struct kpw_slice origin;             /* "https://host:port" of its url */
    struct kpw_slice host;               /* value of Host */
    struct kpw_slice prefix;             /* path of its url, without '/' at the end */
    bool is_https, is_s3, is_dynamodb;
    int64_t skew_ms; /* their clock minus ours */
    struct aws_retry_bucket bucket;
    struct kpw_sigv4_cache cache; /* [owned] one key per service: it stays derived */
    struct aws_service *next;
};

enum aws_call_state {
    AWS_CALL_FREE,
    AWS_CALL_WAITING, /* for its time, or for credentials */
    AWS_CALL_SENT,
    AWS_CALL_ANSWERING,
};

struct kp_aws_call {
    struct aws_client *client; /* [borrowed] */
    struct kp_aws_call *prev, *next, **list;
    enum aws_call_state state;
    kp_node *node; /* [borrowed] */
    kp_aws_fn fn;
    void *arg;          /* [borrowed] */
    kp_http_call *http; /* while sent */
    int64_t due_ms;     /* while waiting: monotonic */
    bool is_answered;   /* while waiting: `answer` only waits to be handed over */
    bool needs_identity;

    struct aws_service *service; /* [owned by client] */
    kp_aws_request request;      /* texts: into `texts`; body and into: [borrowed] */
    struct kpw_buf texts;        /* everything of the request that had to be copied */
    struct kpw_buf signed_;      /* struct kpw_sigv4_header: what is signed, Host first */
    struct kpw_buf sent;         /* kp_http_header: what is sent */
    struct kpw_buf url;
    size_t path_at, path_len, query_len; /* in url */
    struct kpw_sigv4_signed made;        /* by the last signing */
    char payload[KPW_SIGV4_HEX];         /* hash of the body once it is known */
    char id[KPW_UUID_SIZE];              /* amz-sdk-invocation-id */
    char attempt_text[48];               /* amz-sdk-request */
    int attempt, max_attempts;
    int paid; /* tokens for the last retry */
    bool was_renewed, was_skewed;
    uint64_t identity; /* number of the one it was signed with */
    int64_t skew_ms;   /* it was signed with */
    struct aws_answer answer;
};

void aws_service_init(struct aws_service *service, struct aws_config *config, const char *name);
void aws_service_fini(struct aws_service *service);

/* Copies the request. False: call->answer says what is wrong with it. */
bool aws_call_take(struct kp_aws_call *call, const struct aws_config *config,
                   const kp_aws_request *request);
/* Signs the next attempt and fills *ret [borrowed from the call until the next]. */
bool aws_call_sign(struct kp_aws_call *call, const struct aws_config *config,
                   const struct aws_identity *identity, kp_http_request *ret);
void aws_call_fini(struct kp_aws_call *call);

/* Runs what is due by clock_mono_ms() now: for a clock that is moved by hand. */
void aws_client_tick(struct aws_client *client);

#endif
