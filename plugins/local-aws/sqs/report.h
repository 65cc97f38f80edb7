/* report.h - what SQS tells judges in tests. Threads: the service's worker. */
#ifndef KPIPE_LOCAL_AWS_SQS_REPORT_H
#define KPIPE_LOCAL_AWS_SQS_REPORT_H

#include "plugins/local-aws/local.h"

/* Appends the members of its object in GET /_kpipe/state. */
void sqs_report(struct local *local, struct kpw_buf *out);

#endif
