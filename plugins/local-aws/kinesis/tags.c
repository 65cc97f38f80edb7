/* tags.c - tags and retention of a stream. */
#include <string.h>

#include "plugins/local-aws/kinesis/kinesis.h"
#include "plugins/local-aws/kinesis/life.h"
#include "plugins/local-aws/sql.h"
#include "sdk/wire/utf8.h"

/* ---- retention */

static bool set_retention(struct kinesis_call *call, struct kinesis_stream *stream, int64_t hours)
{
    int64_t before = stream->retention_hours;

    stream->retention_hours = hours;
    kinesis_updating(call, stream);
    if (kinesis_stream_change(call->k, stream)) {
        kinesis_answer_empty(call);
        return true;
    }
    stream->retention_hours = before;
    return kinesis_trouble(call, "state.db cannot be written");
}

static void change_retention(struct kinesis_call *call, bool up)
{
    struct kinesis_stream *stream = kinesis_find_active(call);
    int64_t hours = check_get(call->check, "RetentionPeriodHours")->number;

    if (!stream)
        return;
    if (hours < 24) {
        kinesis_fail(call, "InvalidArgumentException",
                     "Minimum allowed retention period is 24 hours. Requested retention period "
                     "(%lld hours) is too short.",
                     (long long)hours);
    } else if (up ? hours < stream->retention_hours : hours > stream->retention_hours) {
        kinesis_fail(call, "InvalidArgumentException",
                     "Requested retention period (%lld hours) for stream %s can not be %s than "
                     "existing retention period (%lld hours). Use %sRetentionPeriod API.",
                     (long long)hours, stream->name, up ? "shorter" : "longer",
                     (long long)stream->retention_hours, up ? "Decrease" : "Increase");
    } else {
        set_retention(call, stream, hours);
    }
}

void kinesis_increase_retention(struct kinesis_call *call)
{
    change_retention(call, true);
}

void kinesis_decrease_retention(struct kinesis_call *call)
{
    change_retention(call, false);
}

/* ---- characters */

/* The character at *at as a code point; moves on. */
static uint32_t next_char(const char **at, const char *end)
{
    uint32_t c;
    size_t n = kpw_utf8_decode(*at, end, &c);

    *at += n ? n : 1; /* 0 cannot be: the body was read as UTF-8 */
    return c;
}

static bool is_tag_char(uint32_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c < 0x80 ? c && strchr("_./-=+ @%:", (int)c) != NULL
                    : (c >= 0xc0 && c <= 0x1fff) || (c >= 0x2c00 && c <= 0xd7ff);
}

bool kinesis_check_tags(struct kinesis_call *call, const char *owner, const struct check_value *v,
                        size_t n, const char *what)
{
    const struct kpw_slice *items = call->check->items + v->first;
    bool percent = false;

    for (size_t i = 0; i < n; i++) {
        const char *at = items[i].ptr, *end = at + items[i].len;

        while (at < end) {
            uint32_t c = next_char(&at, end);

            percent |= c == '%';
            if (!is_tag_char(c))
                return kinesis_fail(call, "InvalidArgumentException",
                                    "Some tags contain invalid characters. Valid characters: "
                                    "Unicode letters, digits, white space, _ . / = + - %% @.");
        }
    }
    if (percent)
        return kinesis_fail(call, "InvalidArgumentException",
                            "Failed to %s %s under account %s because some tags contained illegal "
                            "characters. The allowed characters are Unicode letters, "
                            "white-spaces, '_',',','/','=','+','-','@'.",
                            what, owner, call->k->local->account);
    return true;
}

bool kinesis_too_many_tags(struct kinesis_call *call, const char *owner)
{
    return kinesis_fail(call, "InvalidArgumentException",
                        "Failed to add tags to %s under account %s because a given stream cannot "
                        "have more than 10 tags associated with it.",
                        owner, call->k->local->account);
}

/* ---- operations: a stream by its name has the tags that it has as a resource */

void kinesis_add_tags(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);

    if (stream)
        kinesis_tag(call, &(struct kinesis_resource){.stream = stream});
}

void kinesis_remove_tags(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);

    if (stream)
        kinesis_untag(call, &(struct kinesis_resource){.stream = stream});
}

void kinesis_list_tags(struct kinesis_call *call)
{
    struct kinesis_stream *stream = kinesis_find(call);
    const struct check_value *limit = check_get(call->check, "Limit");
    const struct check_value *after = check_get(call->check, "ExclusiveStartTagKey");
    int64_t most = limit->is_given ? limit->number : KINESIS_TAGS_MAX, n = 0;
    struct write *w = kinesis_write(call);
    sqlite3_stmt *st;
    bool more;

    if (!stream)
        return;
    st = sql_once_of(call->k->local->db,
                     "SELECT key, value FROM kinesis_tags WHERE stream = ?"
                     " AND key > ? ORDER BY key",
                     stream->id);
    sql_bind_slice(st, 2, after->text);
    write_object(w);
    write_key(w, "Tags");
    write_list(w);
    for (; (more = st && sqlite3_step(st) == SQLITE_ROW) && n < most; n++)
        kinesis_write_tag(w, st);
    write_list_end(w);
    write_member_bool(w, "HasMoreTags", more);
    write_object_end(w);
    sqlite3_finalize(st);
    if (st)
        kinesis_answer(call);
    else
        kinesis_trouble(call, "state.db cannot be read");
}
