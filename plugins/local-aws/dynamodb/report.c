/* report.c - DynamoDB's part of /_kpipe/state. */
#include "plugins/local-aws/dynamodb/report.h"

void dynamodb_report(struct local *local, struct kpw_buf *out)
{
    static const char *const names[] = {"items", "bytes", NULL};
    static const struct local_report report = {
        "tables",
        "SELECT t.name, count(i.size), coalesce(sum(i.size), 0) FROM ddb_table t"
        " LEFT JOIN ddb_item i ON i.tbl = t.id GROUP BY t.id ORDER BY t.name",
        names};

    local_report_rows(local, out, &report);
}
