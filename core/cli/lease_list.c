/* lease_list.c - see lease_list.h. Names come from a table that others write: nothing in them
 * reaches the terminal as a control character. */
#include "core/cli/lease_list.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

enum {
    COLUMNS = 9,
    SHORT = 24,   /* longer numbers are cut in the middle ... */
    HEAD = 6,     /* ... down to this */
    TAIL = 14,    /* ... and this */
    STALE_S = 60, /* KCL 3 takes a worker whose metrics are older for gone */
};

/* ---- a table of texts */

struct grid {
    const char *const *heads; /* COLUMNS of them; NULL: not printed. '>' in front: to the right */
    char *(*rows)[COLUMNS];   /* [owned] NULL: "-" */
    size_t n, cap;
};

static char **grid_row(struct grid *grid)
{
    mem_room(&grid->rows, &grid->cap, grid->n, sizeof *grid->rows);
    memset(grid->rows[grid->n], 0, sizeof *grid->rows);
    return grid->rows[grid->n++];
}

static void put_cell(FILE *out, const char *text, int width)
{
    int pad = abs(width) - (int)strlen(text);

    if (width > 0)
        fprintf(out, "%*s", pad > 0 ? pad : 0, "");
    for (; *text; text++)
        fputc(iscntrl((unsigned char)*text) ? '?' : *text, out);
    if (width < 0)
        fprintf(out, "%*s", pad > 0 ? pad : 0, "");
}

/* `row` NULL: the headings. */
static void put_row(FILE *out, const struct grid *grid, char **row, const int *widths, int last)
{
    for (int i = 0; i <= last; i++) {
        const char *head = grid->heads[i];
        bool is_right = head && *head == '>';
        const char *text = row ? row[i] ? row[i] : "-" : head ? head + is_right : "";

        if (head)
            put_cell(out, text, is_right ? widths[i] : i < last ? -widths[i] : 0);
        if (head && i < last)
            fputs("  ", out);
    }
    fputc('\n', out);
}

/* Prints and empties it. */
static void grid_print(struct grid *grid, FILE *out)
{
    int widths[COLUMNS] = {0}, last = 0;

    for (int i = 0; i < COLUMNS; i++) {
        if (!grid->heads[i])
            continue;
        last = i;
        widths[i] = (int)strlen(grid->heads[i]) - (*grid->heads[i] == '>');
        for (size_t k = 0; k < grid->n; k++) {
            int len = grid->rows[k][i] ? (int)strlen(grid->rows[k][i]) : 1;

            widths[i] = len > widths[i] ? len : widths[i];
        }
    }
    put_row(out, grid, NULL, widths, last);
    for (size_t k = 0; k < grid->n; k++)
        put_row(out, grid, grid->rows[k], widths, last);
    for (size_t k = 0; k < grid->n; k++)
        for (int i = 0; i < COLUMNS; i++)
            free(grid->rows[k][i]);
    free(grid->rows);
    *grid = (struct grid){0};
}

/* ---- leases */

/* Who a lease is on its way to; NULL: it stays. */
static const char *next_owner(const struct lease *lease)
{
    return lease->checkpoint_owner ? lease->owner ? lease->owner : "?" : NULL;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct lease *const *)a)->key, (*(const struct lease *const *)b)->key);
}

/* The leases in the order of their keys [owned by caller]. */
static const struct lease **sorted(const struct lease_scan *scan)
{
    const struct lease **leases = mem_new((scan->n_leases + 1) * sizeof *leases);

    for (size_t i = 0; i < scan->n_leases; i++)
        leases[i] = &scan->leases[i];
    qsort(leases, scan->n_leases, sizeof *leases, by_key);
    return leases;
}

static char *show_position(const struct lease_view *view, const char *text, uint64_t sub)
{
    size_t len = text ? strlen(text) : 0;
    char inside[30] = "";

    if (!text)
        return NULL;
    if (sub)
        snprintf(inside, sizeof inside, "+%llu", (unsigned long long)sub);
    if (view->is_wide || len <= SHORT || !isdigit((unsigned char)*text))
        return mem_fmt("%s%s", text, inside);
    return mem_fmt("%.*s...%s%s", HEAD, text, text + len - TAIL, inside);
}

static char *show_pair(char *const pair[2])
{
    return pair[0] && pair[1] ? mem_fmt("%s,%s", pair[0], pair[1])
                              : mem_dup(pair[0] ? pair[0] : pair[1]);
}

static void put_leases(const struct lease_view *view, FILE *out)
{
    bool has_owners = !view->is_file; /* a file is one process's */
    const char *const heads[COLUMNS] = {view->is_stream ? "SHARD" : "LANE",
                                        has_owners ? "OWNER" : NULL,
                                        view->is_live ? "LIVE" : NULL,
                                        has_owners ? "HANDING TO" : NULL,
                                        "CHECKPOINT",
                                        "PENDING",
                                        has_owners ? ">SWITCHES" : NULL,
                                        has_owners ? ">COUNTER" : NULL,
                                        "PARENTS"};
    const struct lease **leases = sorted(view->scan);
    struct grid grid = {.heads = heads};

    for (size_t i = 0; i < view->scan->n_leases; i++) {
        const struct lease *lease = leases[i];
        char **row = grid_row(&grid);

        row[0] = mem_dup(lease->key);
        row[1] = mem_dup(lease_worker(lease));
        if (view->is_live && row[1] && !lease_has_ended(lease))
            row[2] = mem_dup(view->is_live[lease - view->scan->leases] ? "yes" : "no");
        row[3] = mem_dup(next_owner(lease));
        row[4] = show_position(view, lease->checkpoint, lease->sub);
        row[5] = show_position(view, lease->pending, lease->pending_sub);
        row[6] = mem_fmt("%llu", (unsigned long long)lease->switches);
        row[7] = mem_fmt("%llu", (unsigned long long)lease->counter);
        row[8] = show_pair(lease->parents);
    }
    grid_print(&grid, out);
    free(leases);
}

/* ---- what is beside them */

static size_t leases_of(const struct lease_scan *scan, const char *worker)
{
    size_t n = 0;

    for (size_t i = 0; i < scan->n_leases; i++) {
        const char *at = lease_worker(&scan->leases[i]);

        n += at && !lease_has_ended(&scan->leases[i]) && !strcmp(at, worker);
    }
    return n;
}

static const struct lease_worker *metrics_of(const struct lease_scan *scan, const char *id)
{
    for (size_t i = 0; i < scan->n_workers; i++)
        if (!strcmp(scan->workers[i].id, id))
            return &scan->workers[i];
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Everybody who has metrics or works on a lease, each once, sorted [owned by caller, the names by
 * the scan]. */
static const char **all_workers(const struct lease_scan *scan, size_t *ret_n)
{
    const char **ids = mem_new((scan->n_leases + scan->n_workers + 1) * sizeof *ids);
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < scan->n_workers; i++)
        ids[n++] = scan->workers[i].id;
    for (size_t i = 0; i < scan->n_leases; i++)
        if (lease_worker(&scan->leases[i]))
            ids[n++] = lease_worker(&scan->leases[i]);
    qsort(ids, n, sizeof *ids, by_text);
    for (size_t i = 0; i < n; i++)
        if (!kept || strcmp(ids[kept - 1], ids[i]) != 0)
            ids[kept++] = ids[i];
    *ret_n = kept;
    return ids;
}

static char *show_age(const struct lease_worker *worker, int64_t wall_s)
{
    int64_t age = worker ? wall_s - worker->updated_s : 0;

    if (!worker)
        return NULL;
    if (worker->has_failed)
        return mem_dup("unusable metrics");
    return mem_fmt("%lld s ago%s", (long long)(age > 0 ? age : 0), age > STALE_S ? ", gone" : "");
}

static void put_workers(const struct lease_view *view, FILE *out)
{
    static const char *const heads[COLUMNS] = {"WORKER", ">LEASES", ">CPU", "REPORTED"};
    struct grid grid = {.heads = heads};
    size_t n;
    const char **ids = all_workers(view->scan, &n);

    for (size_t i = 0; i < n; i++) {
        const struct lease_worker *worker = metrics_of(view->scan, ids[i]);
        char **row = grid_row(&grid);

        row[0] = mem_dup(ids[i]);
        row[1] = mem_fmt("%zu", leases_of(view->scan, ids[i]));
        if (worker && worker->cpu >= 0)
            row[2] = mem_fmt("%.0f%%", worker->cpu);
        row[3] = show_age(worker, view->wall_s);
    }
    if (n) {
        fputc('\n', out);
        grid_print(&grid, out);
    }
    free(ids);
}

static enum plan_layout found_layout(const struct lease_scan *scan)
{
    bool has_moved = scan->table_migration && !strcmp(scan->table_migration, "COMPLETE");

    if (scan->has_kcl3_tables && !has_moved)
        return PLAN_LAYOUT_KCL3_TABLES;
    if (scan->has_kcl3_items || has_moved)
        return PLAN_LAYOUT_KCL3_SINGLE;
    return PLAN_LAYOUT_KCL2;
}

static const char *layout_name(enum plan_layout layout)
{
    static const char *const names[] = {"auto", "kcl2", "kcl3-tables", "kcl3-single"};

    return names[layout];
}

static const char *layout_meaning(enum plan_layout layout)
{
    static const char *const texts[] = {
        "",
        "leases and nothing beside them, as kpipe alone, KCL 1.x and 2.x have it",
        "metrics and state in tables of their own, as KCL 3.0 to 3.4 have it",
        "metrics and state beside the leases, as KCL 3.5 has it",
    };

    return texts[layout];
}

static void put_counts(const struct lease_view *view, FILE *out)
{
    const struct lease_scan *scan = view->scan;
    size_t n_ended = 0, n_free = 0;

    for (size_t i = 0; i < scan->n_leases; i++) {
        bool has_ended = lease_has_ended(&scan->leases[i]);

        n_ended += has_ended;
        n_free += !has_ended && !lease_worker(&scan->leases[i]);
    }
    if (view->is_file)
        fprintf(out, "\nleases  %zu: %zu open, %zu ended\n", scan->n_leases,
                scan->n_leases - n_ended, n_ended);
    else
        fprintf(out, "\nleases  %zu: %zu owned, %zu free, %zu ended\n", scan->n_leases,
                scan->n_leases - n_ended - n_free, n_free, n_ended);
}

static void put_layout(const struct lease_view *view, FILE *out)
{
    enum plan_layout layout = found_layout(view->scan);

    if (!view->scan->n_leases && layout == PLAN_LAYOUT_KCL2)
        return; /* an empty table is nothing yet */
    fprintf(out, "layout  %s: %s\n", layout_name(layout), layout_meaning(layout));
    if (view->layout != PLAN_LAYOUT_AUTO && view->layout != layout)
        fprintf(out, "        the pipeline says coordination.layout = \"%s\"\n",
                layout_name(view->layout));
}

static void put_state(const struct lease_view *view, FILE *out)
{
    const struct lease_scan *scan = view->scan;

    if (scan->client_version || scan->table_migration)
        fprintf(out, "state   %s%s%s\n", scan->client_version ? scan->client_version : "",
                scan->client_version && scan->table_migration ? ", " : "",
                scan->table_migration ? scan->table_migration : "");
    if (scan->lock.owner)
        fprintf(out, "leader  %s%s\n", scan->lock.owner,
                scan->lock.is_released ? " (has stepped down)" : "");
    if (scan->n_strange)
        fprintf(out, "other   %zu item%s of no known kind; KCL before 3.5 stops at them\n",
                scan->n_strange, scan->n_strange == 1 ? "" : "s");
}

void lease_list_text(const struct lease_view *view, FILE *out)
{
    const char *what = view->is_file ? "file" : "table";

    fprintf(out, "flow %s, %s %s\n", view->flow, what, view->table);
    if (!view->scan) {
        fprintf(out, "The %s does not exist: nothing has been read yet, or it was removed.\n",
                what);
        return;
    }
    if (!view->scan->n_leases)
        fprintf(out, "There are no leases in it.\n");
    else
        put_leases(view, out);
    put_counts(view, out);
    if (view->is_file)
        return;
    put_layout(view, out);
    put_state(view, out);
    put_workers(view, out);
}

/* ---- as JSON */

static json_t *json_text(const char *text)
{
    json_t *value = text ? json_string(text) : json_null();

    return value ? value : json_string("?"); /* no UTF-8 */
}

static json_t *json_pair(char *const pair[2])
{
    json_t *list = json_array();

    for (int i = 0; i < 2; i++)
        if (pair[i])
            json_array_append_new(list, json_text(pair[i]));
    return list;
}

static json_t *json_position(const char *text, uint64_t sub)
{
    return text ? json_pack("{s:o, s:I}", "sequence", json_text(text), "sub", (json_int_t)sub)
                : json_null();
}

static json_t *json_lease(const struct lease_view *view, const struct lease *lease)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:b}", "key",
        json_text(lease->key), "owner", json_text(lease_worker(lease)), "handing_to",
        json_text(next_owner(lease)), "checkpoint", json_position(lease->checkpoint, lease->sub),
        "pending", json_position(lease->pending, lease->pending_sub), "switches",
        (json_int_t)lease->switches, "counter", (json_int_t)lease->counter, "parents",
        json_pair(lease->parents), "children", json_pair(lease->children), "starting_hash_key",
        json_text(lease->low), "ending_hash_key", json_text(lease->high), "has_ended",
        lease_has_ended(lease));

    if (lease->throughput >= 0)
        json_object_set_new(object, "throughput_kbps", json_real(lease->throughput));
    if (view->is_live)
        json_object_set_new(object, "is_live",
                            json_boolean(view->is_live[lease - view->scan->leases]));
    return object;
}

static json_t *json_worker(const struct lease_view *view, const char *id)
{
    const struct lease_worker *worker = metrics_of(view->scan, id);
    json_t *object = json_pack("{s:o, s:I}", "id", json_text(id), "leases",
                               (json_int_t)leases_of(view->scan, id));

    if (!worker)
        return object;
    json_object_set_new(object, "reported_s", json_integer(worker->updated_s));
    json_object_set_new(
        object, "is_active",
        json_boolean(!worker->has_failed && view->wall_s - worker->updated_s <= STALE_S));
    if (worker->cpu >= 0) {
        json_object_set_new(object, "cpu", json_real(worker->cpu));
        json_object_set_new(object, "cpu_limit", json_real(worker->cpu_limit));
    }
    return object;
}

static void put_coordination(const struct lease_view *view, json_t *object)
{
    const struct lease_scan *scan = view->scan;
    json_t *workers = json_array(), *leader = json_null();
    size_t n;
    const char **ids = all_workers(scan, &n);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(workers, json_worker(view, ids[i]));
    free(ids);
    if (scan->lock.owner)
        leader =
            json_pack("{s:o, s:I, s:b}", "worker", json_text(scan->lock.owner), "lock_ms",
                      (json_int_t)scan->lock.duration_ms, "is_released", scan->lock.is_released);
    json_object_set_new(object, "workers", workers);
    json_object_set_new(object, "layout", json_text(layout_name(found_layout(scan))));
    json_object_set_new(object, "client_version", json_text(scan->client_version));
    json_object_set_new(object, "table_migration", json_text(scan->table_migration));
    json_object_set_new(object, "leader", leader);
    json_object_set_new(object, "other_items", json_integer((json_int_t)scan->n_strange));
}

json_t *lease_list_json(const struct lease_view *view)
{
    json_t *leases = json_array();
    json_t *object = json_pack("{s:o, s:o, s:b, s:o}", "flow", json_text(view->flow),
                               view->is_file ? "file" : "table", json_text(view->table), "exists",
                               view->scan != NULL, "leases", leases);
    const struct lease **rows;

    if (!view->scan)
        return object;
    rows = sorted(view->scan);
    for (size_t i = 0; i < view->scan->n_leases; i++)
        json_array_append_new(leases, json_lease(view, rows[i]));
    free(rows);
    if (!view->is_file)
        put_coordination(view, object);
    return object;
}
