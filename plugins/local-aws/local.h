/* local.h - the embedded local AWS: what its front end and its services share.
 *
 * One node listens on one port; dispatch.c finds out which service a request is for and auth.c
 * proves its signature, then the service answers the exchange, at once or later (kp->work, timers).
 * Durable state: DIR/state.db (SQLite, all services but Kinesis' records), DIR/kinesis/ (segments),
 * DIR/s3/ (objects). DIR/lock is held by the process that uses DIR.
 *
 *   local-aws.c  element rows              dispatch.c   which service, which operation
 *   local.c      folder, database, serve   auth.c       signatures
 *   answer.c     answers, JSON errors      refuse.c     errors in any form
 *   services.c   the rows of LOCAL_SERVICES flight.c     requests under way, counts
 *   faults.c     faults on demand          faults_read.c  their rules
 *   control.c    /_kpipe/...
 *   and one folder per service
 *
 * A new service is a folder with a `struct local_row` in it, and its name in LOCAL_SERVICES.
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
#define LOCAL_BODY_SLACK    (16u << 20) /* above that: chunks' frames, bodies refused by name */
#define LOCAL_OPERATION_MAX 64          /* with the NUL */

/* Every service, in the order they are opened; this line is all the front end knows of one. X(NAME,
 * name): its state is local->state[LOCAL_NAME], its row `local_name`, in a file of its folder. */
#define LOCAL_SERVICES(X) \
    X(KINESIS, kinesis)   \
    X(S3, s3) X(DYNAMODB, dynamodb) X(SQS, sqs) X(STS, sts) X(CLOUDWATCH, cloudwatch)

#define LOCAL_SERVICE_ID(NAME, name) LOCAL_##NAME,
enum local_service { LOCAL_NONE = 0, LOCAL_SERVICES(LOCAL_SERVICE_ID) LOCAL_N_SERVICES };
#undef LOCAL_SERVICE_ID

struct auth;
struct faults;
struct flights;

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
    int64_t transition_ms;               /* how long a stream or consumer is not ACTIVE */
    bool tls;                            /* TLS on the same port; plain stays */
    const char *tls_cert, *tls_key;      /* PEM files; without them one is made in DIR */
    int faults;                          /* enum local_faults */
};

enum local_faults {
    LOCAL_FAULTS_AUTO = 0, /* when only this machine can reach the endpoint */
    LOCAL_FAULTS_ON = 1,
    LOCAL_FAULTS_OFF = 2
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

    int64_t started_ms;  /* kp->now_ms() of local_listen() */
    uint64_t n_unserved; /* requests for services that are not here */
    bool has_faults;     /* POST /_kpipe/faults is allowed */
    char *tls_cert;      /* path of the certificate in use; NULL: no TLS [owned] */
    char *tls_key;       /* [owned] */

    int64_t clock_ms;              /* how far local_now_ms() is ahead of the machine's clock */
    void *state[LOCAL_N_SERVICES]; /* [owned by each service: its open() and close()] */
    struct auth *auth;             /* [owned] */
    struct flights *flights;       /* [owned] */
    struct faults *faults;         /* [owned] */
};

/* The time as the services see it, Unix, milliseconds: all they do goes by it and not by
 * kp->wall_ms(), for a fault may move it. */
static inline int64_t local_now_ms(const struct local *local)
{
    return kp->wall_ms() + local->clock_ms;
}

/* How a request came and its answer goes: what an error looks like. */
enum local_form {
    LOCAL_FORM_JSON_11, /* X-Amz-Target; errors are {"__type":...} */
    LOCAL_FORM_JSON_10,
    LOCAL_FORM_QUERY,     /* Action in a form or the URL; XML */
    LOCAL_FORM_S3,        /* REST; XML, <Error> at the top */
    LOCAL_FORM_REST_JSON, /* REST; errors are {"message":...} and x-amzn-ErrorType */
    LOCAL_FORM_REST_XML,  /* REST; XML as in LOCAL_FORM_QUERY */
    LOCAL_FORM_CBOR_11,   /* X-Amz-Target with CBOR for JSON */
    LOCAL_FORM_RPC_CBOR,  /* smithy's rpc-v2-cbor: POST /service/NAME/operation/OPERATION */
};

/* Where a request goes. Slices are [borrowed from the request]. */
struct local_target {
    enum local_service service;
    enum local_form form;
    char operation[LOCAL_OPERATION_MAX]; /* "PutRecords" of X-Amz-Target or Action; "" for S3 and
                                            when there is none or it is too long */
    bool is_query;                       /* form is LOCAL_FORM_QUERY */
    kp_slice region;                     /* of the credential scope; empty: not signed */
    char asked[LOCAL_OPERATION_MAX];     /* LOCAL_NONE: the service that was asked for, as the
                                            request names it, or "" */
};

/* A service: what it is known by and what it does. Words are parted by blanks; NULL: none. */
struct local_row {
    const char *name;     /* "kinesis": in rules of faults, states and logs, a label of its hosts */
    const char *scope;    /* its name in the credential scope and another label; NULL: name */
    const char *label;    /* "Kinesis": for people */
    const char *hosts;    /* further labels of its hosts: "data-kinesis control-kinesis" */
    const char *targets;  /* what is before the dot of X-Amz-Target; NAME of rpc-v2-cbor */
    const char *version;  /* "2012-11-05": the Version of its query protocol */
    const char *xmlns;    /* of its query protocol */
    const char *prefix;   /* of its own errors' __type: "com.amazonaws.sqs#" */
    enum local_form form; /* of what carries no mark of another one */
    bool has_rpc;         /* it speaks rpc-v2-cbor too */

    /* Fills `why` on failure. NULL: nothing to open. */
    bool (*open)(struct local *local, char *why, size_t cap);
    /* What the service asks of a request before its signature is proven; false: it has answered.
     * NULL: nothing. */
    bool (*admit)(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target);
    /* Answers the exchange exactly once, now or later. */
    void (*serve)(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target);
    /* Fine with a service that never opened. The exchanges still open then are gone: do not answer
     * them. Work given to kp->work() may still be under way. NULL: nothing to close. */
    void (*close)(struct local *local);
    /* Names the operation where the protocol does not (S3). NULL: it does. */
    void (*classify)(const kp_server_request *request, struct local_target *target);
    /* Appends members of its object in GET /_kpipe/state, each with kpw_json_put_key() or the like,
     * which set the commas. NULL: none. */
    void (*report)(struct local *local, struct kpw_buf *out);
    /* How it throttles: the first row whose operations have the one in hand. NULL: Throttling. */
    const struct local_throttle *throttles;
};

/* An error that says "slow down". Ended by a row that is for all operations. */
struct local_throttle {
    const char *operations; /* words; NULL: all others */
    int status;
    const char *code, *query_code; /* query_code NULL: the same */
    const char *message;
};

#define LOCAL_SERVICE_ROW(NAME, name) extern const struct local_row local_##name;
LOCAL_SERVICES(LOCAL_SERVICE_ROW)
#undef LOCAL_SERVICE_ROW

/* services.c: by enum local_service; NULL for LOCAL_NONE. */
extern const struct local_row *const local_rows[LOCAL_N_SERVICES];

static inline const char *local_scope(enum local_service service)
{
    return local_rows[service]->scope ? local_rows[service]->scope : local_rows[service]->name;
}

/* ---- local.c ---- */

bool local_open(struct local *local, char *why, size_t cap);
bool local_listen(struct local *local); /* false: kp->fail() was called */
void local_close(struct local *local);

/* ---- certificate.c ---- */

/* Sets local->tls_cert and tls_key: as configured, or DIR/tls.crt and DIR/tls.key, which are made
 * when they are not there or about to expire: self-signed, for localhost and its addresses. */
bool certificate_find(struct local *local, char *why, size_t cap);

/* ---- report.c */

/* A list of /_kpipe/state: objects of a name, which is the query's first column, and numbers, which
 * are the others. ?1 of the query is the time. */
struct local_report {
    const char *key, *query;
    const char *const *names; /* ended by NULL */
};
void local_report_rows(struct local *local, struct kpw_buf *out, const struct local_report *report);

/* ---- dispatch.c ---- */

void local_dispatch(const kp_server_request *request, struct local_target *ret);
/* Is `name` among the words of a row? NULL has none. */
bool local_has_word(const char *words, const char *name);

/* ---- auth.c: proves the signature; false: it has answered ---- */

bool auth_open(struct local *local);
void auth_close(struct local *local);
bool auth_check(struct local *local, kp_exchange *x, const kp_server_request *request,
                const struct local_target *target);
/* Where the signatures of an aws-chunked body begin; only while a service's serve() has not
 * returned. False: signatures are not verified, or the request is not signed. */
struct kpw_sigv4_chunks;
bool auth_chunks(struct local *local, const kp_server_request *request,
                 struct kpw_sigv4_chunks *ret);

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

/* An answer's parts as the server takes them. */
struct local_body {
    const kp_http_header *headers;
    size_t n_headers;
    kp_slice bytes; /* copied, unless `keep` */
    kp_slab *keep;  /* [consumes] the bytes live in it; NULL: none */
};

/* Every answer goes out through here, so that it is counted and faults can spoil it. */
void local_respond(struct local *local, kp_exchange *x, int status, const struct local_body *body);
/* The same with a part of a file [consumes its fd] as the body; `body` has the headers. */
void local_respond_file(struct local *local, kp_exchange *x, int status,
                        const struct local_body *body, const kp_server_file *file);
/* For answers by server_ext->start(): ask first. False: a fault has reset the connection; the
 * exchange is over. */
bool local_begin_answer(struct local *local, kp_exchange *x, int status);
/* The exchange is over without an answer: aborted, or its peer has gone. */
void local_drop(struct local *local, kp_exchange *x);

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

/* ---- faults.c: what a service asks while it works on a request. Quick when there are no faults.
 *      Only while its serve() has not returned. ---- */

/* Shall this entry of a batch fail? Asked once per entry, in order; the services' answer is the one
 * they have for trouble of their own. */
bool local_fault_entry(struct local *local, const kp_exchange *x);
/* Shall the records of this request go to another shard than theirs? */
bool local_fault_wrong_shard(struct local *local, const kp_exchange *x);

/* ---- control.c: /_kpipe/...; see README.md ---- */

bool control_is(const kp_server_request *request);
void control_serve(struct local *local, kp_exchange *x, const kp_server_request *request);

/* ---- refuse.c: an error in the form that a request came in */

struct local_refusal {
    int status;
    const char *code; /* without a prefix */
    const char
        *query_code;     /* what the query protocol calls it, for JSON and CBOR; NULL: the same */
    const char *prefix;  /* of __type in JSON 1.0; NULL: none */
    const char *message; /* NULL: none */
    const char *extra;   /* further elements of S3's <Error>, XML; NULL: none */
};
void local_refuse(struct local *local, kp_exchange *x, const struct local_target *target,
                  const struct local_refusal *refusal);

/* The request is for a service or an operation that is not here: UnknownOperation, and what is. */
void local_refuse_unknown(struct local *local, kp_exchange *x, const struct local_target *target);

#endif
