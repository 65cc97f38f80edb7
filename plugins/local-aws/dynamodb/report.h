/* report.h - what DynamoDB tells judges in tests. Threads: the service's worker. */
#ifndef KPIPE_LOCAL_AWS_DYNAMODB_REPORT_H
#define KPIPE_LOCAL_AWS_DYNAMODB_REPORT_H

#include "plugins/local-aws/local.h"

/* Appends the members of its object in GET /_kpipe/state. */
void dynamodb_report(struct local *local, struct kpw_buf *out);

#endif
