/* report.c - SQS's part of /_kpipe/state. */
#include "plugins/local-aws/sqs/report.h"

void sqs_report(struct local *local, struct kpw_buf *out)
{
    static const char *const names[] = {"messages", "visible",    "in_flight",
                                        "delayed",  "characters", NULL};
    static const struct local_report report = {
        "queues",
        "SELECT q.name, count(m.id), coalesce(sum(m.visible <= ?1), 0),"
        " coalesce(sum(m.visible > ?1 AND m.receives > 0), 0),"
        " coalesce(sum(m.visible > ?1 AND m.receives = 0), 0), coalesce(sum(length(m.body)), 0)"
        " FROM sqs_queue q LEFT JOIN sqs_message m ON m.queue = q.id GROUP BY q.id ORDER BY q.name",
        names};

    local_report_rows(local, out, &report);
}
