/* sync.c - see sync.h.
 *
 * Lanes, rows and what they name as relatives become the nodes of one graph, sorted by key. Two
 * walks mark it:
 *
 *   passed  up from every row that has begun: nobody begins a lane before its parents have
 *           ended, so a lane above it that has no row is done and was cleaned up; it is not to
 *           be made again, though the stream lists it for as long as it keeps its records
 *   below   down from every row, over lanes that are missing: what comes after a leased lane
 *
 * A lane is missing when it is listed, has no row and is not passed.
 */
#include "core/lease/sync.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "sdk/wire/u128.h"

static const size_t none = SIZE_MAX;

struct node {
    const char *key;
    const struct listed_lane *lane; /* NULL: not listed */
    const struct lease *row;        /* NULL: there is none */
    size_t parents[2];              /* nodes */
    size_t children;                /* first link: 2 * child + which of its parents we are */
    size_t next[2];                 /* link after ours in the list of that parent */
    bool passed, below;
};

struct graph {
    struct node *nodes; /* [owned] by key */
    size_t n;
    size_t *stack; /* [owned] */
    size_t n_stack;
    bool from_latest; /* lanes begin with what comes from now on */
};

void listing_free(struct listing *listing)
{
    if (!listing)
        return;
    for (size_t i = 0; i < listing->n; i++) {
        struct listed_lane *lane = &listing->lanes[i];

        free(lane->key);
        free(lane->parents[0]);
        free(lane->parents[1]);
        free(lane->low);
        free(lane->high);
    }
    free(listing->lanes);
    free(listing->begin);
    free(listing);
}

const struct listed_lane *listing_find(const struct listing *listing, const char *key)
{
    for (size_t i = 0; i < listing->n; i++)
        if (!strcmp(listing->lanes[i].key, key))
            return &listing->lanes[i];
    return NULL;
}

static const char *begin_of(const struct listing *listing)
{
    return listing->begin ? listing->begin : LEASE_TRIM_HORIZON;
}

/* ---- the graph */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->key, ((const struct node *)b)->key);
}

static struct node *find(const struct graph *graph, const char *key)
{
    struct node want = {.key = key};

    return key && graph->n ? bsearch(&want, graph->nodes, graph->n, sizeof want, by_key) : NULL;
}

static void add_key(struct graph *graph, const char *key)
{
    if (key)
        graph->nodes[graph->n++] = (struct node){
            .key = key, .parents = {none, none}, .children = none, .next = {none, none}};
}

static void add_keys(struct graph *graph, const struct listing *listing, const struct lease *leases,
                     size_t n_leases)
{
    size_t n = 0;

    for (size_t i = 0; i < listing->n; i++) {
        add_key(graph, listing->lanes[i].key);
        add_key(graph, listing->lanes[i].parents[0]);
        add_key(graph, listing->lanes[i].parents[1]);
    }
    for (size_t i = 0; i < n_leases; i++) {
        add_key(graph, leases[i].key);
        for (int p = 0; p < 2; p++) {
            add_key(graph, leases[i].parents[p]);
            add_key(graph, leases[i].children[p]);
        }
    }
    if (graph->n)
        qsort(graph->nodes, graph->n, sizeof *graph->nodes, by_key);
    for (size_t i = 0; i < graph->n; i++)
        if (!n || strcmp(graph->nodes[n - 1].key, graph->nodes[i].key) != 0)
            graph->nodes[n++] = graph->nodes[i];
    graph->n = n;
}

static void link_parents(struct graph *graph, size_t at)
{
    struct node *node = &graph->nodes[at];
    char *const *parents = node->lane ? node->lane->parents : NULL;

    if (node->row && (!parents || (!parents[0] && !parents[1])))
        parents = node->row->parents;
    for (size_t p = 0; parents && p < 2; p++) {
        struct node *parent = find(graph, parents[p]);

        if (!parent || parent == node)
            continue;
        node->parents[p] = (size_t)(parent - graph->nodes);
        node->next[p] = parent->children;
        parent->children = 2 * at + p;
    }
}

static bool has_begun(const struct lease *row)
{
    return row->checkpoint &&
           lease_compare_checkpoints(row->checkpoint, 0, LEASE_TRIM_HORIZON, 0) > 0;
}

static bool is_missing(const struct node *node)
{
    return node->lane && !node->row && !node->passed;
}

static void push(struct graph *graph, const struct node *node)
{
    graph->stack[graph->n_stack++] = (size_t)(node - graph->nodes);
}

static struct node *parent_of(const struct graph *graph, const struct node *node, int which)
{
    return node->parents[which] == none ? NULL : &graph->nodes[node->parents[which]];
}

/* Iterates over the children: start with node->children, ends with NULL. */
static struct node *child_at(const struct graph *graph, size_t *link)
{
    struct node *child;

    if (*link == none)
        return NULL;
    child = &graph->nodes[*link / 2];
    *link = child->next[*link % 2];
    return child;
}

static void mark_passed(struct graph *graph)
{
    for (size_t i = 0; i < graph->n; i++)
        if (graph->nodes[i].row && has_begun(graph->nodes[i].row))
            push(graph, &graph->nodes[i]);
    while (graph->n_stack) {
        const struct node *node = &graph->nodes[graph->stack[--graph->n_stack]];

        for (int p = 0; p < 2; p++) {
            struct node *parent = parent_of(graph, node, p);

            if (!parent || parent->passed)
                continue;
            parent->passed = true;
            if (!parent->row || !has_begun(parent->row)) /* the others were pushed */
                push(graph, parent);
        }
    }
}

static void mark_below(struct graph *graph)
{
    for (size_t i = 0; i < graph->n; i++)
        if (graph->nodes[i].row)
            push(graph, &graph->nodes[i]);
    while (graph->n_stack) {
        size_t link = graph->nodes[graph->stack[--graph->n_stack]].children;
        struct node *child;

        while ((child = child_at(graph, &link)))
            if (is_missing(child) && !child->below) {
                child->below = true;
                push(graph, child);
            }
    }
}

static void graph_init(struct graph *graph, const struct listing *listing,
                       const struct lease *leases, size_t n_leases)
{
    *graph = (struct graph){0};
    graph->nodes = mem_new((3 * listing->n + 5 * n_leases + 1) * sizeof *graph->nodes);
    graph->from_latest = !strcmp(begin_of(listing), LEASE_LATEST);
    add_keys(graph, listing, leases, n_leases);
    graph->stack = mem_new((graph->n + 1) * sizeof *graph->stack);
    for (size_t i = listing->n; i-- > 0;)
        find(graph, listing->lanes[i].key)->lane = &listing->lanes[i];
    for (size_t i = 0; i < n_leases; i++)
        find(graph, leases[i].key)->row = &leases[i];
    for (size_t i = 0; i < graph->n; i++)
        link_parents(graph, i);
    mark_passed(graph);
    mark_below(graph);
}

static void graph_fini(struct graph *graph)
{
    free(graph->nodes);
    free(graph->stack);
}

/* ---- rows to create */

/* Has it a child that waits for it? A row that has not begun, or one that will be made because its
 * other parent is leased. */
static bool is_waited_for(const struct graph *graph, const struct node *node)
{
    size_t link = node->children;
    const struct node *child;

    while ((child = child_at(graph, &link)))
        if (child->row ? !has_begun(child->row) : child->below)
            return true;
    return false;
}

/* From LATEST on, the closed lanes of the past are left out: all but those that somebody had begun
 * to work through. */
static bool is_needed(const struct graph *graph, const struct node *node)
{
    if (!is_missing(node))
        return false;
    return !graph->from_latest || !node->lane->is_closed || node->below ||
           is_waited_for(graph, node);
}

/* Parents come first. */
static bool is_due(const struct graph *graph, const struct node *node)
{
    if (!is_needed(graph, node))
        return false;
    for (int p = 0; p < 2; p++) {
        const struct node *parent = parent_of(graph, node, p);

        if (parent && is_needed(graph, parent))
            return false;
    }
    return true;
}

/* What comes after a leased lane is read from its beginning, unless that may lie before the time to
 * begin at: the parent's checkpoint tells, as long as it is not just an end. */
static const char *checkpoint_for(const struct graph *graph, const struct listing *listing,
                                  const struct node *node)
{
    const char *begin = begin_of(listing), *checkpoint = begin;

    if (graph->from_latest && node->lane->is_closed)
        checkpoint = LEASE_TRIM_HORIZON; /* it was in work once: rather twice than never */
    for (int p = 0; p < 2; p++) {
        const struct node *parent = parent_of(graph, node, p);

        if (!parent || !parent->row)
            continue;
        if (strcmp(begin, LEASE_AT_TIMESTAMP) != 0 ||
            (parent->row->checkpoint && strcmp(parent->row->checkpoint, LEASE_AT_TIMESTAMP) != 0 &&
             !lease_has_ended(parent->row)))
            checkpoint = LEASE_TRIM_HORIZON;
    }
    return checkpoint;
}

/* All that have no row yet, parents first as far as they are listed too. */
static size_t plan_fixed(struct graph *graph, const struct listing *listing, struct sync_row *ret)
{
    size_t n = 0, before;
    bool is_circle = false; /* of parents: nonsense, but then in any order */

    do {
        before = n;
        for (size_t i = 0; i < listing->n; i++) {
            struct node *node = find(graph, listing->lanes[i].key);
            bool waits = false;

            if (node->row || node->lane != &listing->lanes[i] || node->below)
                continue;
            for (int p = 0; p < 2; p++) {
                const struct node *parent = parent_of(graph, node, p);

                waits |= parent && parent->lane && !parent->row && !parent->below;
            }
            if (waits && !is_circle)
                continue;
            ret[n++] = (struct sync_row){node->lane, begin_of(listing)};
            node->below = true; /* it is in the plan */
        }
        is_circle = n == before && !is_circle;
    } while (n != before || is_circle);
    return n;
}

size_t sync_plan(const struct listing *listing, const struct lease *leases, size_t n_leases,
                 struct sync_row *ret)
{
    struct graph graph;
    size_t n = 0;

    graph_init(&graph, listing, leases, n_leases);
    if (listing->is_fixed) {
        for (size_t i = 0; i < graph.n; i++)
            graph.nodes[i].below = false;
        n = plan_fixed(&graph, listing, ret);
    } else {
        for (size_t i = 0; i < listing->n; i++) {
            const struct node *node = find(&graph, listing->lanes[i].key);

            if (node->lane == &listing->lanes[i] && is_due(&graph, node))
                ret[n++] = (struct sync_row){node->lane, checkpoint_for(&graph, listing, node)};
        }
    }
    graph_fini(&graph);
    return n;
}

/* ---- hash ranges */

struct range {
    kpw_u128 low, high; /* inclusive */
};

static bool range_parse(const char *low, const char *high, struct range *ret)
{
    return low && high && kpw_u128_parse(kpw_slice_cstr(low), &ret->low) &&
           kpw_u128_parse(kpw_slice_cstr(high), &ret->high) && ret->low <= ret->high;
}

static bool range_of(const struct node *node, struct range *ret)
{
    if (node->row && range_parse(node->row->low, node->row->high, ret))
        return true;
    return node->lane && range_parse(node->lane->low, node->lane->high, ret);
}

static int by_low(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return x->low < y->low ? -1 : x->low > y->low;
}

/* Do the ranges (they are sorted here) cover `all`? False: *ret_hole is the first that they do not.
 */
static bool covers(struct range *ranges, size_t n, struct range all, struct range *ret_hole)
{
    kpw_u128 next = all.low; /* all before it is covered */

    if (n)
        qsort(ranges, n, sizeof *ranges, by_low);
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].high < next)
            continue;
        if (ranges[i].low > next) {
            *ret_hole =
                (struct range){next, ranges[i].low - 1 < all.high ? ranges[i].low - 1 : all.high};
            return false;
        }
        if (ranges[i].high >= all.high)
            return true;
        next = ranges[i].high + 1;
    }
    *ret_hole = (struct range){next, all.high};
    return false;
}

/* ---- finished rows */

/* Is the key of this stream? In tables of several streams it begins with which one, up to a colon.
 */
static bool is_of_stream(const struct listing *listing, const char *key)
{
    const char *other = listing->lanes[0].key;
    const char *end = strrchr(key, ':'), *other_end = strrchr(other, ':');
    size_t len = end ? (size_t)(end - key) : 0,
           other_len = other_end ? (size_t)(other_end - other) : 0;

    return !end == !other_end && len == other_len && !memcmp(key, other, len);
}

static bool child_has_begun(const struct node *child)
{
    return child->row ? has_begun(child->row) : child->passed;
}

/* Every child has begun, and it is all of them: they take the whole range over. */
static bool have_children_begun(const struct graph *graph, const struct node *node)
{
    size_t link = node->children, n = 0, n_ranges = 0;
    struct range *ranges, all, hole;
    const struct node *child;
    bool ok = true;

    while (child_at(graph, &link))
        n++;
    ranges = mem_new((n + 1) * sizeof *ranges);
    n = 0;
    link = node->children;
    while (ok && (child = child_at(graph, &link))) {
        ok = child_has_begun(child);
        n_ranges += range_of(child, &ranges[n_ranges]);
        n++;
    }
    for (int c = 0; c < 2; c++)
        if ((child = find(graph, node->row->children[c])))
            ok &= child_has_begun(child);
    if (ok && n && n_ranges == n && range_of(node, &all))
        ok = covers(ranges, n, all, &hole);
    free(ranges);
    return ok && n > 0;
}

static bool is_finished(const struct graph *graph, const struct listing *listing,
                        const struct node *node)
{
    if (!node->lane)
        return is_of_stream(listing, node->key);
    for (int p = 0; p < 2; p++) {
        const struct node *parent = parent_of(graph, node, p);

        if (parent && parent->row)
            return false;
    }
    return have_children_begun(graph, node);
}

size_t sync_finished(const struct listing *listing, const struct lease *leases, size_t n_leases,
                     size_t *ret)
{
    struct graph graph;
    size_t n = 0;

    if (!listing->n || listing->is_fixed)
        return 0;
    graph_init(&graph, listing, leases, n_leases);
    for (size_t i = 0; i < n_leases; i++)
        if (lease_has_ended(&leases[i]) &&
            is_finished(&graph, listing, find(&graph, leases[i].key)))
            ret[n++] = i;
    graph_fini(&graph);
    return n;
}

/* ---- holes */

static char *describe(struct range hole)
{
    char low[KPW_U128_SIZE], high[KPW_U128_SIZE];

    kpw_u128_format(hole.low, low);
    kpw_u128_format(hole.high, high);
    return mem_fmt("no lease covers the hash keys %s to %s", low, high);
}

bool sync_is_whole(const struct listing *listing, const struct lease *leases, size_t n_leases,
                   char **ret_text)
{
    struct range *ranges = mem_new((n_leases + 1) * sizeof *ranges), hole, of_lane;
    struct graph graph;
    size_t n = 0;
    bool is_known = listing->n && !listing->is_fixed &&
                    range_parse(listing->lanes[0].low, listing->lanes[0].high, &of_lane);
    bool is_whole = true;

    graph_init(&graph, listing, leases, n_leases);
    for (size_t i = 0; i < n_leases && is_known; i++)
        if (!lease_has_ended(&leases[i]) && is_of_stream(listing, leases[i].key))
            is_known = range_of(find(&graph, leases[i].key), &ranges[n++]);
    if (is_known && !covers(ranges, n, (struct range){0, KPW_U128_MAX}, &hole)) {
        *ret_text = describe(hole);
        is_whole = false;
    }
    graph_fini(&graph);
    free(ranges);
    return is_whole;
}
