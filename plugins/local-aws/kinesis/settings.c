/* settings.c - settings of the account: the commitment to a minimum throughput.
 *
 * It can be given up a day after it began; until then it shows ENABLED_UNTIL_EARLIEST_ALLOWED_END.
 */
#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/sql.h"

/* Milliseconds; 0: never. */
struct commitment {
    int64_t started_ms;
    int64_t ended_ms; /* when it ends or ended */
};

static int64_t read_setting(struct kinesis *k, const char *name)
{
    sqlite3_stmt *st = NULL;
    int64_t value = 0;

    sqlite3_prepare_v2(k->local->db, "SELECT value FROM kinesis_settings WHERE name = ?", -1, &st,
                       NULL);
    sql_bind_text(st, 1, name);
    if (st && sqlite3_step(st) == SQLITE_ROW)
        value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

static bool write_setting(struct kinesis *k, const char *name, int64_t value)
{
    sqlite3_stmt *st = NULL;
    bool ok;

    sqlite3_prepare_v2(k->local->db,
                       "INSERT OR REPLACE INTO kinesis_settings(name, value) VALUES(?, ?)", -1, &st,
                       NULL);
    sql_bind_text(st, 1, name);
    sql_bind_int(st, 2, value);
    ok = sql_run(st);
    sqlite3_finalize(st);
    return ok;
}

static struct commitment read_commitment(struct kinesis *k)
{
    return (struct commitment){read_setting(k, "commitment_started"),
                               read_setting(k, "commitment_ended")};
}

static bool write_commitment(struct kinesis *k, const struct commitment *c)
{
    return sql_end(k->local->db, sql_begin(k->local->db) &&
                                     write_setting(k, "commitment_started", c->started_ms) &&
                                     write_setting(k, "commitment_ended", c->ended_ms));
}

static bool is_enabled(const struct commitment *c, int64_t now_ms)
{
    return c->started_ms && (!c->ended_ms || c->ended_ms > now_ms);
}

bool kinesis_has_commitment(struct kinesis *k, int64_t now_ms)
{
    struct commitment c = read_commitment(k);

    return is_enabled(&c, now_ms);
}

static void answer(struct kinesis_call *call, const struct commitment *c)
{
    struct write *w = kinesis_write(call);
    bool on = is_enabled(c, call->now_ms);

    write_object(w);
    write_key(w, "MinimumThroughputBillingCommitment");
    write_object(w);
    write_member(w, "Status",
                 !on           ? "DISABLED"
                 : c->ended_ms ? "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
                               : "ENABLED");
    if (c->started_ms)
        write_member_time(w, "StartedAt", c->started_ms);
    if (c->started_ms && !on)
        write_member_time(w, "EndedAt", c->ended_ms);
    if (on)
        write_member_time(w, "EarliestAllowedEndAt", c->started_ms + KINESIS_DAY_MS);
    write_object_end(w);
    write_object_end(w);
    kinesis_answer(call);
}

void kinesis_describe_settings(struct kinesis_call *call)
{
    struct commitment c = read_commitment(call->k);

    answer(call, &c);
}

void kinesis_update_settings(struct kinesis_call *call)
{
    struct commitment c = read_commitment(call->k);
    bool want = kpw_slice_is(
        check_inner(call->check, "MinimumThroughputBillingCommitment", "Status")->text, "ENABLED");
    bool on = is_enabled(&c, call->now_ms);

    if (want && !on)
        c = (struct commitment){.started_ms = call->now_ms};
    else if (want)
        c.ended_ms = 0;
    else if (on && !c.ended_ms)
        c.ended_ms = call->now_ms > c.started_ms + KINESIS_DAY_MS ? call->now_ms
                                                                  : c.started_ms + KINESIS_DAY_MS;
    if (write_commitment(call->k, &c))
        answer(call, &c);
    else
        kinesis_trouble(call, "state.db cannot be written");
}
