/* report.c - CloudWatch's part of /_kpipe/state. */
#include "plugins/local-aws/cloudwatch/cloudwatch.h"
#include "sdk/wire/json.h"

void cw_report(struct local *local, struct kpw_buf *out)
{
    struct cloudwatch *cw = local->state[LOCAL_CLOUDWATCH];
    int64_t metrics, points;

    cw_store_count(&cw->store, &metrics, &points);
    kpw_json_put_member_int(out, "metrics", metrics);
    kpw_json_put_member_int(out, "datapoints", points);
}
