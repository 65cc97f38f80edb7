/* report.c - what several services' parts of /_kpipe/state have in common. */
#include "plugins/local-aws/local.h"
#include "plugins/local-aws/sql.h"
#include "sdk/wire/json.h"

void local_report_rows(struct local *local, struct kpw_buf *out, const struct local_report *report)
{
    sqlite3_stmt *st = NULL;
    bool is_first = true;

    sql_bind_int(sql_use(local->db, &st, report->query), 1, local_now_ms(local));
    kpw_json_put_key(out, report->key);
    kpw_buf_putc(out, '[');
    while (sql_row(st)) {
        if (!is_first)
            kpw_buf_putc(out, ',');
        is_first = false;
        kpw_buf_putc(out, '{');
        kpw_json_put_member_cstr(out, "name", sql_text(st, 0));
        for (int i = 0; report->names[i]; i++)
            kpw_json_put_member_int(out, report->names[i], sqlite3_column_int64(st, i + 1));
        kpw_buf_putc(out, '}');
    }
    kpw_buf_putc(out, ']');
    sqlite3_finalize(st);
}
