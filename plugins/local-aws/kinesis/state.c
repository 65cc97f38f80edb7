/* state.c - streams and shards in memory and in state.db.
 *
 * The database is written first, memory follows. A folder without a row is what a crash left over:
 * it is removed at the next start, and before a stream of that name is made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/kinesis/consumers.h"
#include "plugins/local-aws/kinesis/folder.h"
#include "plugins/local-aws/sql.h"

enum { FILES = 16384 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS kinesis_streams(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, retention INTEGER NOT NULL,"
    " max_kib INTEGER NOT NULL, on_demand INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS kinesis_shards(stream INTEGER NOT NULL REFERENCES"
    " kinesis_streams(id) ON DELETE CASCADE, number INTEGER NOT NULL, created_s INTEGER NOT NULL,"
    " closed_s INTEGER NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL, parent INTEGER NOT NULL,"
    " adjacent INTEGER NOT NULL, PRIMARY KEY(stream, number)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS kinesis_tags(stream INTEGER NOT NULL REFERENCES"
    " kinesis_streams(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(stream, key)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS kinesis_keys(key BLOB NOT NULL);";

/* ---- statements: the control plane is rare, so they are prepared per use */

/* ---- memory */

static void free_stream(struct kinesis_stream *stream)
{
    for (size_t i = 0; i < stream->n_shards; i++) {
        if (!stream->shards[i])
            continue;
        log_close(&stream->shards[i]->log);
        free(stream->shards[i]);
    }
    kinesis_life_fini(&stream->life);
    free(stream->shards);
    free(stream->open);
    free(stream);
}

void kinesis_stream_unref(struct kinesis_stream *stream)
{
    if (--stream->refs == 0)
        free_stream(stream);
}

/* Where a name is, or would be. */
static size_t position_of(const struct kinesis *k, struct kpw_slice name)
{
    size_t low = 0, high = k->n_streams;

    while (low < high) {
        size_t middle = (low + high) / 2, len = strlen(k->streams[middle]->name);
        size_t n = len < name.len ? len : name.len;
        int diff = memcmp(k->streams[middle]->name, name.ptr, n);

        if (diff < 0 || (diff == 0 && len < name.len))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct kinesis_stream *kinesis_stream_named(struct kinesis *k, struct kpw_slice name)
{
    size_t i = position_of(k, name);

    return i < k->n_streams && kpw_slice_is(name, k->streams[i]->name) ? k->streams[i] : NULL;
}

struct kinesis_stream *kinesis_stream_by_id(struct kinesis *k, int64_t id)
{
    for (size_t i = 0; i < k->n_streams; i++)
        if (k->streams[i]->id == id)
            return k->streams[i];
    return NULL;
}

static bool insert_stream(struct kinesis *k, struct kinesis_stream *stream)
{
    size_t at = position_of(k, kpw_slice_cstr(stream->name));

    if (k->n_streams == k->streams_cap) {
        size_t cap = k->streams_cap ? k->streams_cap * 2 : 8;
        struct kinesis_stream **more = reallocarray(k->streams, cap, sizeof(void *));

        if (!more)
            return false;
        k->streams = more;
        k->streams_cap = cap;
    }
    memmove(k->streams + at + 1, k->streams + at, (k->n_streams++ - at) * sizeof(void *));
    k->streams[at] = stream;
    return true;
}

static void take_out(struct kinesis *k, const struct kinesis_stream *stream)
{
    size_t at = position_of(k, kpw_slice_cstr(stream->name));

    memmove(k->streams + at, k->streams + at + 1, (--k->n_streams - at) * sizeof(void *));
}

size_t kinesis_open_shards(const struct kinesis *k)
{
    size_t n = 0;

    for (size_t i = 0; i < k->n_streams; i++)
        n += k->streams[i]->n_open;
    return n;
}

static int by_low(const void *a, const void *b)
{
    const struct kinesis_shard *x = *(struct kinesis_shard *const *)a;
    const struct kinesis_shard *y = *(struct kinesis_shard *const *)b;

    return x->low < y->low ? -1 : x->low > y->low;
}

static void list_open(struct kinesis_stream *stream)
{
    stream->n_open = 0;
    for (size_t i = 0; i < stream->n_shards; i++)
        if (stream->shards[i] && !stream->shards[i]->closed_s)
            stream->open[stream->n_open++] = stream->shards[i];
    if (stream->n_open)
        qsort(stream->open, stream->n_open, sizeof(void *), by_low);
}

struct kinesis_shard *kinesis_shard_of(const struct kinesis_stream *stream, kpw_u128 hash)
{
    size_t low = 0, high = stream->n_open;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (stream->open[middle]->high < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return stream->open[low]; /* the ranges cover everything */
}

struct kinesis_shard *kinesis_shard_numbered(const struct kinesis_stream *stream, uint32_t number)
{
    return number < stream->n_shards ? stream->shards[number] : NULL;
}

/* Room for shards up to `number`. */
static bool room_for(struct kinesis_stream *stream, size_t n)
{
    struct kinesis_shard **more;

    if (n <= stream->n_shards)
        return true;
    more = reallocarray(stream->open, n, sizeof(void *));
    if (!more)
        return false;
    stream->open = more;
    more = reallocarray(stream->shards, n, sizeof(void *));
    if (!more)
        return false;
    stream->shards = more;
    memset(more + stream->n_shards, 0, (n - stream->n_shards) * sizeof(void *));
    stream->n_shards = n;
    return true;
}

/* Takes a copy of the shard into the stream and opens its log. */
static bool adopt_shard(struct kinesis *k, struct kinesis_stream *stream,
                        const struct kinesis_shard *like, char *why, size_t cap)
{
    struct kinesis_shard *shard;
    uint64_t cut;

    snprintf(why, cap, "out of memory");
    if (!room_for(stream, like->number + 1) || !(shard = calloc(1, sizeof *shard)))
        return false;
    *shard = *like;
    shard->stream = stream;
    shard->log = (struct log){
        .root = k->root,
        .path = folder_of_shard(stream->name, shard->number),
        .shard = shard->number,
        .created_s = shard->created_s,
        .stream = (uint64_t)stream->id,
        .sync = k->local->durability == LOCAL_FSYNC,
        .spares = &k->spares,
        .fd = -1,
        .old_fd = -1,
    };
    stream->shards[shard->number] = shard;
    if (!shard->log.path || !log_open(&shard->log, &cut, why, cap))
        return false;
    if (cut) {
        kp->log(k->local->node, KP_LOG_WARN, "kinesis.tail-cut", "shard=%s bytes=%llu",
                shard->log.path, (unsigned long long)cut);
        k->tail_cut_bytes += cut;
        kp->count(k->local->node, "kinesis_tail_cut_bytes", (int64_t)cut);
    }
    return true;
}

/* ---- reading the database */

static bool load_shards(struct kinesis *k, struct kinesis_stream *stream, char *why, size_t cap)
{
    sqlite3_stmt *st =
        sql_once(k->local->db, "SELECT number, created_s, closed_s, low, high, parent, adjacent"
                               " FROM kinesis_shards WHERE stream = ? ORDER BY number");
    bool ok = st != NULL;

    sql_bind_int(st, 1, stream->id);
    while (ok && sqlite3_step(st) == SQLITE_ROW) {
        struct kinesis_shard shard = {
            .number = (uint32_t)sqlite3_column_int64(st, 0),
            .created_s = (uint64_t)sqlite3_column_int64(st, 1),
            .closed_s = (uint64_t)sqlite3_column_int64(st, 2),
            .parent = sqlite3_column_int64(st, 5),
            .adjacent = sqlite3_column_int64(st, 6),
        };

        ok = kpw_u128_parse(kpw_slice_cstr(sql_text(st, 3)), &shard.low) &&
             kpw_u128_parse(kpw_slice_cstr(sql_text(st, 4)), &shard.high);
        if (!ok)
            snprintf(why, cap, "state.db has a broken row of stream %s", stream->name);
        ok = ok && folder_make_shard(k->root, stream->name, shard.number) &&
             adopt_shard(k, stream, &shard, why, cap);
    }
    sqlite3_finalize(st);
    list_open(stream);
    return ok && stream->n_open;
}

static bool load_streams(struct kinesis *k, char *why, size_t cap)
{
    sqlite3_stmt *st =
        sql_once(k->local->db, "SELECT id, name, created_ms, retention, max_kib, on_demand"
                               " FROM kinesis_streams");
    bool ok = st != NULL;

    while (ok && sqlite3_step(st) == SQLITE_ROW) {
        struct kinesis_stream *stream = calloc(1, sizeof *stream);

        snprintf(why, cap, "cannot open the streams of state.db");
        if (!(ok = stream != NULL))
            break;
        stream->refs = 1;
        stream->id = sqlite3_column_int64(st, 0);
        snprintf(stream->name, sizeof stream->name, "%s", sql_text(st, 1));
        stream->created_ms = sqlite3_column_int64(st, 2);
        stream->retention_hours = sqlite3_column_int64(st, 3);
        stream->max_record_kib = sqlite3_column_int64(st, 4);
        stream->on_demand = sqlite3_column_int64(st, 5) != 0;
        ok = kinesis_life_load(k, stream) && load_shards(k, stream, why, cap) &&
             insert_stream(k, stream);
        if (!ok)
            free_stream(stream);
    }
    sqlite3_finalize(st);
    return ok;
}

/* The key of iterators is made once per folder. */
static bool load_key(struct kinesis *k)
{
    sqlite3_stmt *st = sql_once(k->local->db, "SELECT key FROM kinesis_keys");
    bool found =
        st && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == KINESIS_KEY_SIZE;

    if (found)
        memcpy(k->key, sqlite3_column_blob(st, 0), KINESIS_KEY_SIZE);
    sqlite3_finalize(st);
    if (found)
        return true;
    kpw_random_secret(k->key, sizeof k->key);
    st = sql_once(k->local->db, "INSERT INTO kinesis_keys(key) VALUES(?)");
    sql_bind_bytes(st, 1, k->key, sizeof k->key);
    return sql_finish(st);
}

static bool is_known_folder(void *arg, const char *folder)
{
    struct kinesis *k = arg;
    char known[FOLDER_NAME_SIZE];

    for (size_t i = 0; i < k->n_streams; i++) {
        folder_name(k->streams[i]->name, known);
        if (!strcmp(known, folder))
            return true;
    }
    return false;
}

/* A shard in use has one or two files open, and the usual limit is for programs of select(). */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= FILES)
        return;
    limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
    setrlimit(RLIMIT_NOFILE, &limit); /* else it stays: shards fail one by one, with a message */
}

bool kinesis_state_open(struct kinesis *k, char *why, size_t cap)
{
    k->root = -1;
    raise_file_limit();
    if ((mkdirat(k->local->dir_fd, "kinesis", 0700) && errno != EEXIST) ||
        (k->root = openat(k->local->dir_fd, "kinesis", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        snprintf(why, cap, "cannot use %s/kinesis: %s", k->local->dir, strerror(errno));
        return false;
    }
    snprintf(why, cap, "cannot read %s/state.db: %s", k->local->dir, "disk or memory");
    if (!sql_exec(k->local->db, schema) || !kinesis_life_open(k) || !load_key(k) ||
        !load_streams(k, why, cap) || !kinesis_consumers_load(k))
        return false;
    folder_sweep(k->root, is_known_folder, k);
    return true;
}

void kinesis_state_close(struct kinesis *k)
{
    for (size_t i = 0; i < k->n_streams; i++)
        kinesis_stream_unref(k->streams[i]);
    free(k->streams);
    if (k->root >= 0)
        close(k->root);
}

/* ---- changing */

static bool sync_folders(struct kinesis *k, const struct kinesis_stream *stream)
{
    return k->local->durability != LOCAL_FSYNC || folder_sync(k->root, stream->name);
}

static bool write_shard(struct kinesis *k, int64_t stream, const struct kinesis_shard *shard)
{
    sqlite3_stmt *st =
        sql_once(k->local->db, "INSERT OR REPLACE INTO kinesis_shards"
                               "(stream, number, created_s, closed_s, low, high, parent,"
                               " adjacent) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    char low[KPW_U128_SIZE], high[KPW_U128_SIZE];

    kpw_u128_format(shard->low, low);
    kpw_u128_format(shard->high, high);
    sql_bind_int(st, 1, stream);
    sql_bind_int(st, 2, shard->number);
    sql_bind_int(st, 3, (long long)shard->created_s);
    sql_bind_int(st, 4, (long long)shard->closed_s);
    sql_bind_text(st, 5, low);
    sql_bind_text(st, 6, high);
    sql_bind_int(st, 7, shard->parent);
    sql_bind_int(st, 8, shard->adjacent);
    return sql_finish(st);
}

static bool write_stream(struct kinesis *k, struct kinesis_stream *stream)
{
    sqlite3_stmt *st =
        sql_once(k->local->db, "INSERT INTO kinesis_streams(name, created_ms, retention,"
                               " max_kib, on_demand) VALUES(?, ?, ?, ?, ?)");

    sql_bind_text(st, 1, stream->name);
    sql_bind_int(st, 2, stream->created_ms);
    sql_bind_int(st, 3, stream->retention_hours);
    sql_bind_int(st, 4, stream->max_record_kib);
    sql_bind_int(st, 5, stream->on_demand);
    if (!sql_finish(st))
        return false;
    stream->id = sqlite3_last_insert_rowid(k->local->db);
    return true;
}

static bool write_tags(struct kinesis *k, int64_t stream, const struct kpw_slice *tags, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sqlite3_stmt *st =
            sql_once(k->local->db, "INSERT OR REPLACE INTO kinesis_tags(stream, key, value)"
                                   " VALUES(?, ?, ?)");

        sql_bind_int(st, 1, stream);
        if (st) {
            sqlite3_bind_text(st, 2, tags[2 * i].ptr, (int)tags[2 * i].len, SQLITE_STATIC);
            sqlite3_bind_text(st, 3, tags[2 * i + 1].len ? tags[2 * i + 1].ptr : "",
                              (int)tags[2 * i + 1].len, SQLITE_STATIC);
        }
        if (!sql_finish(st))
            return false;
    }
    return true;
}

bool kinesis_stream_add(struct kinesis *k, const struct kinesis_stream *like, size_t n,
                        const struct kpw_slice *tags, size_t n_tags)
{
    struct kinesis_stream *stream = calloc(1, sizeof *stream);
    kpw_u128 width =
        n > 1 ? (((kpw_u128)1 << 127) / n << 1) + ((((kpw_u128)1 << 127) % n << 1) / n) : 0;
    char why[300];
    bool ok, inserted;

    if (!stream)
        return false;
    *stream = *like;
    stream->refs = 1;
    folder_drop(k->root, stream->name);
    ok = sql_begin(k->local->db) && write_stream(k, stream) && kinesis_life_write(k, stream) &&
         write_tags(k, stream->id, tags, n_tags);
    for (size_t i = 0; ok && i < n; i++) {
        struct kinesis_shard shard = {
            .number = (uint32_t)i,
            .created_s = (uint64_t)(stream->created_ms / 1000),
            .low = width * i,
            .high = i + 1 == n ? KPW_U128_MAX : width * (i + 1) - 1,
            .parent = -1,
            .adjacent = -1,
        };

        ok = folder_make_shard(k->root, stream->name, shard.number) &&
             write_shard(k, stream->id, &shard) && adopt_shard(k, stream, &shard, why, sizeof why);
    }
    inserted = ok && sync_folders(k, stream) && insert_stream(k, stream);
    if (!sql_end(k->local->db, inserted)) {
        if (inserted)
            take_out(k, stream);
        free_stream(stream);
        return false;
    }
    list_open(stream);
    return true;
}

bool kinesis_stream_remove(struct kinesis *k, struct kinesis_stream *stream)
{
    sqlite3_stmt *st = sql_once(k->local->db, "DELETE FROM kinesis_streams WHERE id = ?");

    sql_bind_int(st, 1, stream->id);
    if (!sql_finish(st))
        return false;
    kinesis_feed_end_stream(k, stream);
    kinesis_consumers_drop(stream);
    folder_drop(k->root, stream->name);
    take_out(k, stream);
    stream->is_deleted = true;
    kinesis_stream_unref(stream);
    return true;
}

bool kinesis_stream_change(struct kinesis *k, const struct kinesis_stream *stream)
{
    sqlite3_stmt *st =
        sql_once(k->local->db, "UPDATE kinesis_streams SET retention = ?, max_kib = ?,"
                               " on_demand = ? WHERE id = ?");

    sql_bind_int(st, 1, stream->retention_hours);
    sql_bind_int(st, 2, stream->max_record_kib);
    sql_bind_int(st, 3, stream->on_demand);
    sql_bind_int(st, 4, stream->id);
    return sql_finish(st);
}

/* When the shards end: now, or when their last record came. */
static uint64_t end_of(const struct kinesis_reshard *reshard, int64_t now_ms)
{
    int64_t end_ms = now_ms;

    for (size_t i = 0; i < reshard->n_from; i++)
        if (reshard->from[i]->log.last_arrival_ms > end_ms)
            end_ms = reshard->from[i]->log.last_arrival_ms;
    return (uint64_t)end_ms / 1000;
}

/* Takes shards from number `first` on out again. */
static void drop_shards(struct kinesis_stream *stream, size_t first)
{
    for (size_t i = first; i < stream->n_shards; i++) {
        if (stream->shards[i])
            log_close(&stream->shards[i]->log);
        free(stream->shards[i]);
        stream->shards[i] = NULL;
    }
    stream->n_shards = first;
}

static bool open_children(struct kinesis *k, const struct kinesis_reshard *reshard, size_t first,
                          uint64_t created_s)
{
    struct kinesis_stream *stream = reshard->from[0]->stream;
    char why[300];

    for (size_t i = 0; i < reshard->n_to; i++) {
        struct kinesis_shard shard = {
            .number = (uint32_t)(first + i),
            .created_s = created_s,
            .low = reshard->to[i].low,
            .high = reshard->to[i].high,
            .parent = reshard->from[0]->number,
            .adjacent = reshard->n_from == 2 ? (int64_t)reshard->from[1]->number : -1,
        };

        if (!write_shard(k, stream->id, &shard) ||
            !folder_make_shard(k->root, stream->name, shard.number) ||
            !adopt_shard(k, stream, &shard, why, sizeof why))
            return false;
    }
    return sync_folders(k, stream);
}

bool kinesis_reshard(struct kinesis *k, const struct kinesis_reshard *reshard, int64_t now_ms)
{
    struct kinesis_stream *stream = reshard->from[0]->stream;
    uint64_t end_s = end_of(reshard, now_ms);
    size_t first = stream->n_shards;
    bool ok = sql_begin(k->local->db);

    for (size_t i = 0; ok && i < reshard->n_from; i++) {
        struct kinesis_shard closed = *reshard->from[i];

        closed.closed_s = end_s;
        ok = write_shard(k, stream->id, &closed);
    }
    ok = ok && open_children(k, reshard, first, end_s + 1);
    if (!sql_end(k->local->db, ok)) {
        drop_shards(stream, first);
        return false;
    }
    for (size_t i = 0; i < reshard->n_from; i++)
        reshard->from[i]->closed_s = end_s;
    list_open(stream);
    for (size_t i = 0; k->on_readable && i < reshard->n_from; i++)
        k->on_readable(k, reshard->from[i]);
    return true;
}

/* ---- retention */

/* A closed shard whose records have all expired disappears. */
static void expire_shard(struct kinesis *k, struct kinesis_stream *stream, size_t i,
                         int64_t horizon_ms)
{
    struct kinesis_shard *shard = stream->shards[i];
    sqlite3_stmt *st;

    log_expire(&shard->log, horizon_ms);
    if (!shard->closed_s || (int64_t)shard->closed_s * 1000 >= horizon_ms ||
        shard->log.is_writing || shard->log.pending.len)
        return;
    st = sql_once(k->local->db, "DELETE FROM kinesis_shards WHERE stream = ? AND number = ?");
    sql_bind_int(st, 1, stream->id);
    sql_bind_int(st, 2, shard->number);
    if (!sql_finish(st))
        return;
    kinesis_feed_end_shard(k, shard);
    folder_drop_shard(k->root, stream->name, shard->number);
    log_close(&shard->log);
    free(shard);
    stream->shards[i] = NULL;
}

void kinesis_expire(struct kinesis *k)
{
    int64_t now_ms = local_now_ms(k->local);

    for (size_t i = 0; i < k->n_streams; i++) {
        struct kinesis_stream *stream = k->streams[i];

        for (size_t s = 0; s < stream->n_shards; s++)
            if (stream->shards[s])
                expire_shard(k, stream, s, now_ms - stream->retention_hours * 3600000);
    }
}
