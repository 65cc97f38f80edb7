/* local.h - the embedded local AWS: what its front end and its services share.
 *
 * One node listens on one port; dispatch.c finds out which service a request is for and auth.c
 * proves its signature, then the service answers the exchange, at once or later (kp->work, timers).
 * Durable state: DIR/state.db (SQLite, all services but Kinesis' records), DIR/kinesis/ (segments),
 * DIR/s3/ (objects). DIR/lock is held by the process that uses DIR.
 *
 *   local-aws.c  element rows              dispatch.c   which service, which operation
 *   local.c      folder, database, serve   auth.c       signatures
 *   answer.c     answers and errors        one folder per service
 *
 * Threads: the service's worker; nothing here is called from elsewhere.
 */
#ifndef KPIPE_LOCAL_AWS_LOCAL_H
#define KPIPE_LOCAL_AWS_LOCAL_H

#include <kpipe/ext/server.h>
#include <kpipe/ext/timer.h>
#include <kpipe/plugin.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/wire/random.h"
#include "sdk/wire/slice.h"

#define LOCAL_REGION  "us-east-1"
#define LOCAL_ACCOUNT "000000000000"

#define LOCAL_BODY_MAX      (64u << 20) /* bytes of one request, above S3's single parts */
#define LOCAL_OPERATION_MAX 64          /* with the NUL */

struct auth;
struct kinesis;
struct s3_service;
struct ddb_service;
struct sqs_service;

/* When a write counts as done and may be answered. */
enum local_durability {
    LOCAL_FSYNC = 0, /* it is on the disk: survives a power cut */
    LOCAL_OS = 1,    /* the kernel has it: survives kill -9 (default) */
    LOCAL_MEMORY = 2 /* the process has it: may be written a little later */
};

struct local_config {
    const char *listen;
    const char *dir; /* "" or NULL: the run's own folder (info->local_dir) */
    bool no_limits;
    bool verify_signatures;
    int durability;                      /* enum local_durability */
    const char *access_key, *secret_key; /* what signatures are verified with */
};

struct local {
    kp_node *node;                     /* [borrowed] */
    const struct local_config *config; /* [borrowed] */
    const kp_server_ext *server_ext;
    const kp_timer_ext *timer_ext;
    kp_server *server; /* [owned] */
    char url[80];      /* "http://127.0.0.1:4566" once it listens */

    char *dir;   /* absolute path of DIR [owned] */
    int dir_fd;  /* DIR itself [owned] */
    int lock_fd; /* DIR/lock, locked [owned] */
    sqlite3 *db; /* DIR/state.db, WAL [owned] */

    const char *region, *account; /* LOCAL_REGION, LOCAL_ACCOUNT */
    bool no_limits;
    bool verify_signatures;
    enum local_durability durability;
    struct kpw_random random;

    struct auth *auth;       /* [owned] */
    struct kinesis *kinesis; /* [owned by its kinesis_service_*] like the next ones */
    struct s3_service *s3;
    struct ddb_service *ddb;
    struct sqs_service *sqs;
};

enum local_service {
    LOCAL_NONE = 0,
    LOCAL_KINESIS,
    LOCAL_DYNAMODB,
    LOCAL_SQS,
    LOCAL_S3,
    LOCAL_STS,
};

/* Where a request goes. Slices are [borrowed from the request]. */
struct local_target {
    enum local_service service;
    char operation[LOCAL_OPERATION_MAX]; /* "PutRecords" of X-Amz-Target or Action; "" for S3 and
                                            when there is none or it is too long */
    bool is_query;                       /* query protocol: Action in the URL or in a form body */
    kp_slice region;                     /* of the credential scope; empty: not signed */
};

/* ---- services: open() fills `why` on failure; serve() answers the exchange exactly once, now or
 *      later; close() is fine with a service that never opened. The exchanges still open then are
 *      gone: do not answer them. Work given to kp->work() may still be under way. */

bool kinesis_service_open(struct local *local, char *why, size_t cap);
void kinesis_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                           const struct local_target *target);
void kinesis_service_close(struct local *local);

bool s3_service_open(struct local *local, char *why, size_t cap);
void s3_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                      const struct local_target *target);
void s3_service_close(struct local *local);

bool ddb_service_open(struct local *local, char *why, size_t cap);
void ddb_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                       const struct local_target *target);
void ddb_service_close(struct local *local);

bool sqs_service_open(struct local *local, char *why, size_t cap);
void sqs_service_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                       const struct local_target *target);
void sqs_service_close(struct local *local);

/* sts/sts.c: GetCallerIdentity. */
void sts_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
               const struct local_target *target);

/* ---- local.c ---- */

bool local_open(struct local *local, char *why, size_t cap);
bool local_listen(struct local *local); /* false: kp->fail() was called */
void local_close(struct local *local);

/* ---- dispatch.c ---- */

void local_dispatch(const kp_server_request *request, struct local_target *ret);

/* ---- auth.c: proves the signature; false: it has answered ---- */

bool auth_open(struct local *local);
void auth_close(struct local *local);
bool auth_check(struct local *local, kp_exchange *x, const kp_server_request *request,
                const struct local_target *target);

/* ---- answer.c ---- */

/* The value of a request header (name in lower case), or an empty slice. */
kp_slice local_header(const kp_server_request *request, const char *name);

/* A new request id, a UUID. */
void local_request_id(struct local *local, char out[KPW_UUID_SIZE]);

enum { LOCAL_HEADERS_MAX = 16 };

struct local_answer {
    int status;
    const char *content_type;      /* NULL: none */
    kp_slice body;                 /* copied, unless `keep` */
    const char *request_id;        /* NULL: a fresh one */
    const kp_http_header *headers; /* further ones, LOCAL_HEADERS_MAX at most */
    size_t n_headers;
    kp_slab *keep; /* [consumes] the body lives in it */
};

/* Answers with x-amzn-RequestId and x-amz-id-2. */
void local_answer(struct local *local, kp_exchange *x, const struct local_answer *answer);

#define LOCAL_JSON_10 "application/x-amz-json-1.0"
#define LOCAL_JSON_11 "application/x-amz-json-1.1"

void local_answer_json(struct local *local, kp_exchange *x, int status, const char *content_type,
                       kp_slice body);

/* {"__type": prefix + type, "message": message}; without a message only the type. With the header
 * x-amzn-ErrorType. */
struct local_error {
    int status;
    const char *content_type;
    const char *prefix;  /* "com.amazonaws.dynamodb.v20120810#", or NULL */
    const char *type;    /* "ValidationException" */
    const char *message; /* NULL: none */
    const char *member;  /* name of the message's member; NULL: "message" */
};
void local_error_json(struct local *local, kp_exchange *x, const struct local_error *error);

#endif
