/* report.c - DynamoDB's part of /_kpipe/state. */
#include "plugins/local-aws/dynamodb/report.h"

#include "plugins/local-aws/sql.h"
#include "sdk/wire/json.h"

void dynamodb_report(struct local *local, struct kpw_buf *out)
{
    static const char text[] =
        "SELECT t.name, count(i.size), coalesce(sum(i.size), 0) FROM ddb_table t"
        " LEFT JOIN ddb_item i ON i.tbl = t.id GROUP BY t.id ORDER BY t.name";
    sqlite3_stmt *st = NULL;
    bool is_first = true;

    (void)sql_use(local->db, &st, text);
    kpw_json_put_key(out, "tables");
    kpw_buf_putc(out, '[');
    while (sql_row(st)) {
        if (!is_first)
            kpw_buf_putc(out, ',');
        is_first = false;
        kpw_buf_putc(out, '{');
        kpw_json_put_member_cstr(out, "name", sql_text(st, 0));
        kpw_json_put_member_int(out, "items", sqlite3_column_int64(st, 1));
        kpw_json_put_member_int(out, "bytes", sqlite3_column_int64(st, 2));
        kpw_buf_putc(out, '}');
    }
    kpw_buf_putc(out, ']');
    sqlite3_finalize(st);
}
