/* memory_table.c - the table of memory.h: conditions and effects of every operation.
 *
 * Rows are an array in the order of their making; a hash beside each pointer makes
 * looking one up a walk through numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/memory_table.h"
#include "core/lease/scan.h"

struct row {
    uint64_t hash;
    struct lease *lease; /* [owned] */
};

struct member {
    struct lease_worker worker;
    enum scan_place place;
};

struct memory_table {
    struct memory_queue queue; /* first: memory.c knows it alone */
    char *name;
    struct row *rows;
    size_t n_rows, cap_rows;
    struct member *members; /* metrics items */
    size_t n_members, cap_members;
    struct lease_lock locks[SCAN_PLACES];
    char *client_version[SCAN_PLACES], *table_migration[SCAN_PLACES];
    bool has_kcl3_tables;
};

struct memory_table *memory_table_new(const char *name)
{
    struct memory_table *table = mem_new(sizeof *table);

    table->name = mem_dup(name);
    TAILQ_INIT(&table->queue.requests);
    return table;
}

void memory_table_free(struct memory_table *table)
{
    if (!table)
        return;
    memory_queue_fini(&table->queue);
    for (size_t i = 0; i < table->n_rows; i++) {
        lease_fini(table->rows[i].lease);
        free(table->rows[i].lease);
    }
    for (size_t i = 0; i < table->n_members; i++)
        free(table->members[i].worker.id);
    for (int i = 0; i < SCAN_PLACES; i++) {
        free(table->locks[i].owner);
        free(table->locks[i].version);
        free(table->client_version[i]);
        free(table->table_migration[i]);
    }
    free(table->members);
    free(table->rows);
    free(table->name);
    free(table);
}

const char *memory_table_name(const struct memory_table *table)
{
    return table->name;
}

struct memory_queue *memory_table_queue(struct memory_table *table)
{
    return &table->queue;
}

/* ---- rows */

static uint64_t hash_of(const char *key)
{
    uint64_t hash = UINT64_C(1469598103934665603); /* FNV-1a */

    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * UINT64_C(1099511628211);
    return hash;
}

static struct row *find(const struct memory_table *table, const char *key)
{
    uint64_t hash = hash_of(key);

    for (size_t i = 0; i < table->n_rows; i++)
        if (table->rows[i].hash == hash && !strcmp(table->rows[i].lease->key, key))
            return &table->rows[i];
    return NULL;
}

const struct lease *memory_table_find(const struct memory_table *table, const char *key)
{
    const struct row *row = find(table, key);

    return row ? row->lease : NULL;
}

size_t memory_table_count(const struct memory_table *table)
{
    return table->n_rows;
}

const struct lease *memory_table_at(const struct memory_table *table, size_t i)
{
    return table->rows[i].lease;
}

void memory_table_put(struct memory_table *table, const struct lease *lease)
{
    struct row *row = find(table, lease->key);
    struct lease copy;

    lease_copy(&copy, lease);
    if (!row) {
        mem_room(&table->rows, &table->cap_rows, table->n_rows, sizeof *table->rows);
        row = &table->rows[table->n_rows++];
        row->hash = hash_of(lease->key);
        row->lease = mem_new(sizeof *row->lease);
    }
    lease_fini(row->lease);
    *row->lease = copy;
}

static void delete_row(struct memory_table *table, struct row *row)
{
    size_t i = (size_t)(row - table->rows);

    lease_fini(row->lease);
    free(row->lease);
    memmove(row, row + 1, (--table->n_rows - i) * sizeof *row);
}

/* ---- fields */

static bool is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void set_text(char **at, const char *text)
{
    char *copy = mem_dup(text);

    free(*at);
    *at = copy;
}

static void set_pair(char *at[2], char *const texts[2])
{
    if (!texts[0] && !texts[1])
        return;
    set_text(&at[0], texts[0]);
    set_text(&at[1], texts[1]);
}

static void set_relations(struct lease *row, const struct lease *to)
{
    set_pair(row->parents, to->parents);
    set_pair(row->children, to->children);
    if (to->low && to->high) {
        set_text(&row->low, to->low);
        set_text(&row->high, to->high);
    }
}

static void set_pending(struct lease *row, const struct lease *to)
{
    set_text(&row->pending, to->pending);
    row->pending_sub = to->pending ? to->pending_sub : 0;
}

static void set_throughput(struct lease *row, const struct lease *to)
{
    if (to->throughput >= 0)
        row->throughput = to->throughput;
}

static void set_owner(struct lease *row, const char *owner, const char *before)
{
    if (before && strcmp(before, owner) != 0)
        row->switches++;
    set_text(&row->owner, owner);
    set_text(&row->checkpoint_owner, NULL);
    row->counter++;
}

/* ---- conditions and effects of the writes to a row that is there */

static bool may_write(const struct lease *row, const struct lease_call *call)
{
    const struct lease *was = &call->was;

    switch (call->op) {
    case LEASE_RENEW:
        return row->counter == was->counter && !(call->checks_hand_off && row->checkpoint_owner);
    case LEASE_TAKE:
    case LEASE_CHECKPOINT:
    case LEASE_PREPARE: return row->counter == was->counter;
    case LEASE_ASSIGN:
    case LEASE_TAKE_BACK:
    case LEASE_EVICT:
        return is_same(row->owner, was->owner) &&
               is_same(row->checkpoint_owner, was->checkpoint_owner);
    case LEASE_HAND_OFF: return is_same(row->owner, was->owner) && !row->checkpoint_owner;
    case LEASE_DELETE: return is_same(row->checkpoint, was->checkpoint);
    default: return call->op == LEASE_META;
    }
}

static void checkpoint(struct lease *row, const struct lease_call *call)
{
    row->counter++;
    set_text(&row->checkpoint, call->to.checkpoint);
    row->sub = call->to.sub;
    row->switches = 0;
    set_pending(row, &call->to);
    set_relations(row, &call->to);
    set_throughput(row, &call->to);
    if (!call->gives_up)
        return;
    set_text(&row->owner, NULL);
    set_text(&row->checkpoint_owner, NULL);
}

static void evict(struct lease *row)
{
    row->counter++;
    if (!row->checkpoint_owner)
        set_text(&row->owner, NULL);
    set_text(&row->checkpoint_owner, NULL);
}

static void write_row(struct lease *row, const struct lease_call *call)
{
    switch (call->op) {
    case LEASE_RENEW:
        row->counter++;
        set_throughput(row, &call->to);
        break;
    case LEASE_TAKE:
    case LEASE_ASSIGN: set_owner(row, call->to.owner, call->was.owner); break;
    case LEASE_HAND_OFF:
        set_text(&row->checkpoint_owner, call->was.owner);
        set_text(&row->owner, call->to.owner);
        break;
    case LEASE_TAKE_BACK:
        set_text(&row->owner, call->was.checkpoint_owner);
        set_text(&row->checkpoint_owner, NULL);
        break;
    case LEASE_CHECKPOINT: checkpoint(row, call); break;
    case LEASE_EVICT: evict(row); break;
    case LEASE_PREPARE:
        row->counter++;
        set_pending(row, &call->to);
        break;
    default: set_relations(row, &call->to); /* LEASE_META */
    }
}

/* ---- calls on rows */

static void refuse(struct memory_answer *ret, const struct row *row)
{
    ret->status = LEASE_REFUSED;
    if (row)
        lease_copy(&ret->row, row->lease);
}

static void create(struct memory_table *table, const struct lease_call *call)
{
    const struct lease *to = &call->to;
    struct lease fresh = {.key = call->was.key,
                          .checkpoint = to->checkpoint,
                          .sub = to->sub,
                          .parents = {to->parents[0], to->parents[1]},
                          .throughput = -1};

    if (to->low && to->high) {
        fresh.low = to->low;
        fresh.high = to->high;
    }
    memory_table_put(table, &fresh);
}

static void do_row(struct memory_table *table, const struct lease_call *call,
                   struct memory_answer *ret)
{
    struct row *row = find(table, call->was.key);

    if (call->op == LEASE_GET) {
        if (row)
            lease_copy(&ret->row, row->lease);
        return;
    }
    if (call->op == LEASE_CREATE ? row != NULL
        : row                    ? !may_write(row->lease, call)
                                 : call->op != LEASE_DELETE) {
        refuse(ret, row);
        return;
    }
    ret->has_changed = row || call->op == LEASE_CREATE;
    if (call->op == LEASE_CREATE)
        create(table, call);
    else if (call->op != LEASE_DELETE)
        write_row(row->lease, call);
    else if (row)
        delete_row(table, row);
}

/* ---- metrics and lock */

static enum scan_place place_of(enum lease_layout layout)
{
    return layout == LEASE_LAYOUT_KCL3_TABLES ? SCAN_KCL3_TABLES : SCAN_LEASE_TABLE;
}

static struct member *find_member(const struct memory_table *table, const char *id,
                                  enum scan_place place)
{
    for (size_t i = 0; i < table->n_members; i++)
        if (table->members[i].place == place && !strcmp(table->members[i].worker.id, id))
            return &table->members[i];
    return NULL;
}

static void put_metrics(struct memory_table *table, const struct lease_call *call)
{
    struct lease_worker worker = call->worker;
    enum scan_place place = place_of(call->layout);
    struct member *member = find_member(table, worker.id, place);

    worker.id = mem_dup(worker.id);
    if (member) {
        free(member->worker.id);
        member->worker = worker;
    } else {
        mem_room(&table->members, &table->cap_members, table->n_members, sizeof *table->members);
        table->members[table->n_members++] = (struct member){worker, place};
    }
    table->has_kcl3_tables |= place == SCAN_KCL3_TABLES;
}

/* False: refused. */
static bool drop_metrics(struct memory_table *table, const struct lease_call *call)
{
    struct member *member = find_member(table, call->worker.id, place_of(call->layout));

    if (!member || member->worker.updated_s != call->worker.updated_s)
        return false;
    free(member->worker.id);
    *member = table->members[--table->n_members];
    return true;
}

static void set_lock(struct lease_lock *at, const struct lease_lock *lock)
{
    set_text(&at->owner, lock->owner);
    set_text(&at->version, lock->version);
    at->duration_ms = lock->duration_ms;
    at->is_released = false;
}

/* False: refused. */
static bool take_lock(struct lease_lock *at, const struct lease_call *call)
{
    const struct lease_lock *was = call->lock_was;

    if (!was ? at->owner != NULL
             : !at->owner ||
                   (was->is_released ? !at->is_released : !is_same(at->version, was->version)))
        return false;
    set_lock(at, &call->lock);
    return true;
}

static bool change_lock(struct lease_lock *at, const struct lease_call *call)
{
    if (!at->owner || !is_same(at->owner, call->lock_was->owner) ||
        !is_same(at->version, call->lock_was->version))
        return false;
    if (call->op == LEASE_LOCK_BEAT)
        set_text(&at->version, call->lock.version);
    else
        at->is_released = true;
    return true;
}

static void do_kcl3(struct memory_table *table, const struct lease_call *call,
                    struct memory_answer *ret)
{
    struct lease_lock *lock = &table->locks[place_of(call->layout)];
    bool ok = true;

    if (call->op == LEASE_METRICS)
        put_metrics(table, call);
    else if (call->op == LEASE_METRICS_DROP)
        ok = drop_metrics(table, call);
    else
        ok = call->op == LEASE_LOCK_TAKE ? take_lock(lock, call) : change_lock(lock, call);
    table->has_kcl3_tables |= ok && call->layout == LEASE_LAYOUT_KCL3_TABLES;
    ret->has_changed = ok;
    if (!ok)
        ret->status = LEASE_REFUSED;
}

/* ---- scans */

static void scan_states(const struct memory_table *table, struct scan *scan)
{
    for (int i = 0; i < SCAN_PLACES; i++) {
        const struct lease_lock *lock = &table->locks[i];
        struct lease_lock copy = *lock;

        copy.owner = mem_dup(lock->owner);
        copy.version = mem_dup(lock->version);
        scan_lock(scan, (enum scan_place)i, &copy);
        scan_text(&scan->places[i].client_version, mem_dup(table->client_version[i]));
        scan_text(&scan->places[i].table_migration, mem_dup(table->table_migration[i]));
    }
    scan->out.has_kcl3_tables = table->has_kcl3_tables;
    scan->out.has_kcl3_items |= table->locks[SCAN_LEASE_TABLE].owner ||
                                table->client_version[SCAN_LEASE_TABLE] ||
                                table->table_migration[SCAN_LEASE_TABLE];
}

static void scan_all(const struct memory_table *table, enum lease_layout layout,
                     struct lease_scan *ret)
{
    struct scan scan = {0};

    for (size_t i = 0; i < table->n_rows; i++) {
        struct lease copy;

        lease_copy(&copy, table->rows[i].lease);
        scan_lease(&scan, &copy);
    }
    for (size_t i = 0; i < table->n_members; i++) {
        struct lease_worker copy = table->members[i].worker;

        copy.id = mem_dup(copy.id);
        scan_worker(&scan, &copy);
        scan.out.has_kcl3_items |= table->members[i].place == SCAN_LEASE_TABLE;
    }
    scan_states(table, &scan);
    scan_finish(&scan, layout, ret);
}

void memory_table_do(struct memory_table *table, const struct lease_call *call,
                     struct memory_answer *ret)
{
    *ret = (struct memory_answer){.status = LEASE_DONE};
    if (call->op == LEASE_SCAN)
        scan_all(table, call->layout, &ret->scan);
    else if (call->op < LEASE_METRICS)
        do_row(table, call, ret);
    else
        do_kcl3(table, call, ret);
}

void memory_answer_fini(struct memory_answer *answer)
{
    lease_fini(&answer->row);
    lease_scan_fini(&answer->scan);
}

/* ---- a test's stage */

void memory_table_set_version(struct memory_table *table, enum lease_layout layout,
                              const char *client_version, const char *table_migration)
{
    enum scan_place place = place_of(layout);

    set_text(&table->client_version[place], client_version);
    set_text(&table->table_migration[place], table_migration);
    table->has_kcl3_tables |= place == SCAN_KCL3_TABLES;
}

const struct lease_worker *memory_table_worker(const struct memory_table *table, const char *id)
{
    const struct member *member = find_member(table, id, SCAN_LEASE_TABLE);

    if (!member)
        member = find_member(table, id, SCAN_KCL3_TABLES);
    return member ? &member->worker : NULL;
}

const struct lease_lock *memory_table_lock(const struct memory_table *table)
{
    for (int i = 0; i < SCAN_PLACES; i++)
        if (table->locks[i].owner)
            return &table->locks[i];
    return NULL;
}
