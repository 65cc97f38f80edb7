/* report.h - what S3 tells judges in tests, and what its requests are called.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_S3_REPORT_H
#define KPIPE_LOCAL_AWS_S3_REPORT_H

#include "plugins/local-aws/local.h"

/* Appends the members of its object in GET /_kpipe/state. */
void s3_report(struct local *local, struct kpw_buf *out);

/* Names the operation of a request as AWS does ("PutObject"), for rules of faults and counts; the
 * request itself is routed by route.c. */
void s3_classify(const kp_server_request *request, struct local_target *target);

#endif
