/* cloudwatch.h - CloudWatch's metrics: what a program published can be read back.
 *
 *   cloudwatch.c  protocols, operations, answers   put.c    PutMetricData
 *   input.c       form and CBOR as JSON values     query.c  GetMetricData, GetMetricStatistics
 *   read.c        members with their constraints   list.c   ListMetrics
 *   output.c      one answer in three forms        alarm.c  alarms, stored and not evaluated
 *   store.c       rows of state.db                 stat.c   sums and percentiles of samples
 *
 * Facts: API version 2010-08-01. Every operation is written once: input is a JSON value whichever
 * protocol it came in, output goes through output.h.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_CLOUDWATCH_H
#define KPIPE_LOCAL_AWS_CLOUDWATCH_H

#include <jansson.h>

#include "plugins/local-aws/cloudwatch/output.h"
#include "plugins/local-aws/cloudwatch/store.h"
#include "plugins/local-aws/commit.h"
#include "plugins/local-aws/local.h"

enum {
    CW_BODY_MAX = 4 << 20, /* bytes of a request, inflated; the service itself takes 1 MB */
    CW_TEXT_MAX = 2048,    /* of an error's text */
    CW_DIMENSIONS_MAX = 30,
    CW_SWEEP_MS = 600000,
};

struct cloudwatch {
    struct local *local; /* [borrowed] */
    struct cw_store store;
    struct commit commit;
    kp_timer *sweep; /* [owned] */
};

/* An error of the service. All zero: none. */
struct cw_error {
    int status;        /* 0: none */
    const char *shape; /* "InvalidParameterValueException" */
    const char *code;  /* "InvalidParameterValue", in the query protocol */
    char text[CW_TEXT_MAX];
};

struct cw_call {
    struct cloudwatch *cw;
    json_t *in;         /* [borrowed] an object */
    bool is_query;      /* numbers, times and booleans are texts */
    struct cw_out *out; /* the members of the result */
    struct cw_error err;
    int64_t now_ms;
};

/* ---- cloudwatch.c: refusals; always false ---- */

bool cw_missing(struct cw_call *call, const char *parameter);
bool cw_invalid(struct cw_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool cw_conflict(struct cw_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool cw_validation(struct cw_call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool cw_bad_token(struct cw_call *call);
bool cw_trouble(struct cw_call *call); /* the disk or memory */

/* ---- input.c ---- */

/* [new reference] An object; NULL: malformed. */
json_t *cw_read_json(struct kpw_slice body);
json_t *cw_read_cbor(struct kpw_slice body);
/* Parameters of a body and a URL: "MetricData.member.1.Value" is MetricData[0].Value. */
json_t *cw_read_form(struct kpw_slice body, struct kpw_slice query);

/* ---- read.c: members; false: call->err is set. `path` is how texts name them. ---- */

/* A member that is there and not null, or NULL. [borrowed] */
const json_t *cw_member(const json_t *object, const char *name);
/* A string of min to max characters; *ret NULL when it is absent. */
struct cw_text_rule {
    const char *name, *path;
    size_t min, max;
    bool required;
};
bool cw_text(struct cw_call *call, const json_t *object, const struct cw_text_rule *rule,
             const char **ret);
/* *ret is left alone when the member is absent. */
bool cw_real(struct cw_call *call, const json_t *value, const char *path, double *ret);
bool cw_integer(struct cw_call *call, const json_t *value, const char *path, int64_t *ret);
bool cw_time(struct cw_call *call, const json_t *value, const char *path, int64_t *ret_ms);
bool cw_bool(const json_t *value, bool fallback);
/* An array of min to max items, or NULL when it is absent (and min is 0). */
bool cw_list(struct cw_call *call, const json_t *object, const char *name, size_t max,
             const json_t **ret);
/* Dimensions in canonical form: a JSON text of pairs sorted by name. `out` is cleared. */
bool cw_dimensions(struct cw_call *call, const json_t *object, const char *path,
                   struct kpw_buf *out);
bool cw_is_unit(const char *text);
/* The text of a token, opened; false: err. */
bool cw_token_read(struct cw_call *call, int64_t *ret, size_t n);
void cw_token_write(struct cw_out *out, const int64_t *numbers, size_t n);
/* Writes the member Dimensions of a canonical text. */
void cw_put_dimensions(struct cw_out *out, const char *dimensions);

/* ---- operations; false: call->err is set ---- */

bool cw_put_metric_data(struct cw_call *call);
bool cw_get_metric_data(struct cw_call *call);
bool cw_get_metric_statistics(struct cw_call *call);
bool cw_list_metrics(struct cw_call *call);
bool cw_put_metric_alarm(struct cw_call *call);
bool cw_describe_alarms(struct cw_call *call);
bool cw_delete_alarms(struct cw_call *call);

/* ---- report.c ---- */

void cw_report(struct local *local, struct kpw_buf *out);

#endif
