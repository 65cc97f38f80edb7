/* report.c - SQS's part of /_kpipe/state. */
#include "plugins/local-aws/sqs/report.h"

#include "plugins/local-aws/sql.h"
#include "sdk/wire/json.h"

void sqs_report(struct local *local, struct kpw_buf *out)
{
    static const char text[] =
        "SELECT q.name, count(m.id), coalesce(sum(m.visible <= ?1), 0),"
        " coalesce(sum(m.visible > ?1 AND m.receives > 0), 0),"
        " coalesce(sum(m.visible > ?1 AND m.receives = 0), 0), coalesce(sum(length(m.body)), 0)"
        " FROM sqs_queue q LEFT JOIN sqs_message m ON m.queue = q.id GROUP BY q.id ORDER BY q.name";
    static const char *const names[] = {"messages", "visible", "in_flight", "delayed",
                                        "characters"};
    sqlite3_stmt *st = NULL;
    bool is_first = true;

    sql_bind_int(sql_use(local->db, &st, text), 1, local_now_ms(local));
    kpw_json_put_key(out, "queues");
    kpw_buf_putc(out, '[');
    while (sql_row(st)) {
        if (!is_first)
            kpw_buf_putc(out, ',');
        is_first = false;
        kpw_buf_putc(out, '{');
        kpw_json_put_member_cstr(out, "name", sql_text(st, 0));
        for (int i = 0; i < 5; i++)
            kpw_json_put_member_int(out, names[i], sqlite3_column_int64(st, i + 1));
        kpw_buf_putc(out, '}');
    }
    kpw_buf_putc(out, ']');
    sqlite3_finalize(st);
}
