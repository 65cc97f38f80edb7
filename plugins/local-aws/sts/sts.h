/* sts.h - temporary credentials: who holds them, and how their signatures are proven.
 *
 * AssumeRole and its like write a row of state.db, so credentials outlive a restart; a row goes a
 * day after it expired, so that until then the answer is "expired" and not "unknown".
 *
 *   sts.c        the operations       sessions.c   the rows
 *   request.c    reading parameters, and what is wrong with them
 *
 * Threads: the service's worker.   Not here: proving a signature (auth.c).
 */
#ifndef KPIPE_LOCAL_AWS_STS_STS_H
#define KPIPE_LOCAL_AWS_STS_STS_H

#include <stdbool.h>
#include <stdint.h>

#include "plugins/local-aws/local.h"
#include "sdk/wire/slice.h"

#define STS_KEY_ID_SIZE  21 /* "ASIA" and 16 more, with the NUL, as all of these */
#define STS_SECRET_SIZE  41
#define STS_TOKEN_SIZE   281
#define STS_ACCOUNT_SIZE 13
#define STS_ARN_SIZE     2200 /* a role's ARN has 2,048 characters at most */
#define STS_USER_ID_SIZE 100  /* "AROA...:SESSION" */

struct sts_session {
    char key_id[STS_KEY_ID_SIZE];
    char secret[STS_SECRET_SIZE];
    char token[STS_TOKEN_SIZE];
    int64_t expires_s; /* Unix time */
    char account[STS_ACCOUNT_SIZE];
    char arn[STS_ARN_SIZE]; /* of whoever signs with them */
    char user_id[STS_USER_ID_SIZE];
};

/* The credentials of an access key id, also expired ones (compare expires_s). False: this service
 * never gave such a key out. For auth.c: a signature is proven with `secret`, and `token` must be
 * the request's session token. */
bool sts_session_find(struct local *local, kp_slice key_id, struct sts_session *ret);

/* The operations that nobody signs: AssumeRoleWithWebIdentity. */
bool sts_is_unsigned(const struct local_target *target);

/* ---- private to the folder ---- */

bool sts_sessions_open(struct local *local, char *why, size_t cap);
void sts_sessions_close(struct local *local);
/* Makes up key, secret and token of a session whose other members are set, and keeps it. */
bool sts_session_issue(struct local *local, struct sts_session *session);

/* ---- request.c ---- */

/* A request being read: parameters, and the constraints they failed. */
struct sts_request {
    struct kpw_slice form; /* [borrowed] body or query */
    struct kpw_buf faults; /* "Value ... at '...' failed to satisfy constraint: ..." [owned] */
    unsigned n_faults;
};

/* A text with the limits the service model gives it. */
struct sts_text_rule {
    const char *name;    /* "RoleArn"; in texts with a small first letter */
    size_t min, max;     /* characters */
    const char *pattern; /* as texts show it; NULL: any */
    const char *marks;   /* allowed beside letters, digits and '_', if there is a pattern */
    bool required;
};

/* Reads a parameter into `out`, which stays empty when it is absent or wrong. */
void sts_read_text(struct sts_request *r, const struct sts_text_rule *rule, struct kpw_buf *out);
/* DurationSeconds. */
int64_t sts_read_duration(struct sts_request *r, int64_t fallback, int64_t max);
/* "2 validation errors detected: ...; ...". NULL: nothing is wrong. [borrowed until fini] */
const char *sts_request_faults(struct sts_request *r, struct kpw_buf *out);
void sts_request_fini(struct sts_request *r);

#endif
