/* aws_fetch.h - private to core/aws: where credentials come from, and getting them once.
 *
 * aws_source_choose() walks the chain: environment, role, web identity, shared files, a process,
 * the container's endpoint, the instance's metadata. The first that is configured is the one; when
 * it then fails, that is an error and not a reason to go on. Source: lambda-apigw sections 5.1
 * and 5.3 of the specification.
 *
 * Owned by: an AWS user.   Threads: its worker only.
 */
#ifndef KPIPE_AWS_AWS_FETCH_H
#define KPIPE_AWS_AWS_FETCH_H

#include <kpipe/ext/http.h>
#include <uv.h>

#include "core/aws/aws_credentials.h"
#include "core/base/error.h"
#include "sdk/wire/slice.h"

/* The key pair of the embedded AWS. */
#define AWS_LOCAL_KEY_ID "test"
#define AWS_LOCAL_SECRET "test"

/* False: the environment or the profile asks for something that cannot be. */
bool aws_source_check(const struct aws_config *config, struct error *err);

/* Called exactly once unless cancelled. identity: [consumes] by the callee; NULL: err says why. */
typedef void (*aws_fetch_fn)(void *arg, struct aws_identity *identity, const struct error *err,
                             bool may_pass);
struct aws_fetch_end {
    aws_fetch_fn fn;
    void *arg;
    struct aws_fetch **place; /* holds the fetch while it is under way */
};
/* fn may be called before this returns; *place is then left alone. */
void aws_fetch_start(uv_loop_t *loop, struct http_client *http, struct aws_config *config,
                     const struct aws_fetch_end *end);
void aws_fetch_cancel(struct aws_fetch *fetch); /* NULL is fine */

/* ---- between the files of the fetch */

enum aws_source {
    AWS_SOURCE_NONE,
    AWS_SOURCE_LOCAL,
    AWS_SOURCE_ENVIRONMENT,
    AWS_SOURCE_ROLE,
    AWS_SOURCE_WEB_IDENTITY,
    AWS_SOURCE_CREDENTIALS_FILE,
    AWS_SOURCE_PROCESS,
    AWS_SOURCE_CONFIG_FILE,
    AWS_SOURCE_CONTAINER,
    AWS_SOURCE_INSTANCE,
};
enum aws_source aws_source_choose(const struct aws_config *config);

struct aws_fetch {
    struct aws_config *config; /* [borrowed] */
    struct http_client *http;  /* [borrowed] */
    struct aws_fetch_end end;
    uv_timer_t timer;
    int n_open; /* handles not closed yet */
    bool is_over;
    /* container, instance, web identity */
    kp_http_call *call;
    int attempt;
    struct kpw_buf url, text; /* [owned] text: a token, a role, a form */
    bool has_token;
    struct aws_sts *sts; /* [owned] of a role that is assumed with keys */
    /* process */
    uv_process_t process;
    uv_pipe_t out, complaints;
    struct kpw_buf out_text, complaints_text;
    char room[4096];
    bool has_pipes, has_process, has_exited;
    int n_streams; /* of the process, not at their end */
    int64_t exit_status;
    int exit_signal;
};

/* Ends the fetch; one of identity [consumes] and err. */
void aws_fetch_done(struct aws_fetch *fetch, struct aws_identity *identity, const struct error *err,
                    bool may_pass);
/* Reads {"AccessKeyId":..., "SecretAccessKey":..., "Token" or "SessionToken", "Expiration"}. */
struct aws_identity *aws_identity_parse(struct kpw_slice doc, struct error *err);
/* A file of at most 64 KiB without line ends around its text. [owned by caller] */
char *aws_read_small_file(const char *path, struct error *err);

void aws_fetch_container(struct aws_fetch *fetch);
void aws_fetch_instance(struct aws_fetch *fetch);
void aws_fetch_web_identity(struct aws_fetch *fetch);
void aws_fetch_role(struct aws_fetch *fetch);
void aws_fetch_sts_free(struct aws_sts *sts); /* NULL is fine */
/* Sends a small exchange of the fetch. */
void aws_fetch_ask(struct aws_fetch *fetch, kp_http_request *request, kp_http_fn fn);
/* "status 404", "Connection refused". Returns `room`, filled. */
const char *aws_fetch_wrong(const kp_http_response *response, char *room, size_t cap);
void aws_fetch_process(struct aws_fetch *fetch, const char *command);
/* The process of a fetch that is over has been waited for. */
void aws_fetch_process_gone(struct aws_fetch *fetch);
/* Shell-like words without a shell: blanks separate, quotes and backslash protect. NULL-terminated
 * [owned by caller, aws_words_free()]; NULL: a quote is open, or there is no word. */
char **aws_words_split(const char *command);
void aws_words_free(char **words);
/* May the container's endpoint be asked over plain HTTP? */
bool aws_container_host_is_allowed(const char *url);

#endif
