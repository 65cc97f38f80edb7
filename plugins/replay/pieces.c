/* pieces.c - a ring of two pieces and one job.
 *
 * The job owns the reader and the slab while it runs; the worker does not touch them until
 * after_job(). If the source is closed meanwhile, the job is only marked and frees all at its end.
 */
#include "plugins/replay/pieces.h"

#include "plugins/replay/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (256 * 1024)
#define AHEAD       2

struct pieces {
    kp_node *node;                 /* [borrowed] */
    struct replay_objects objects; /* [owned] */
    void (*wake)(kp_node *, void *);
    void *arg;
    struct piece ring[AHEAD];
    size_t head, count;
    char *rest; /* the begun line behind the last piece [owned] */
    size_t rest_len, rest_room;
    size_t object; /* the one being read */
    bool opened, over, is_working, is_orphan;
    /* of the job */
    struct replay_reader *reader; /* [owned] */
    kp_slab *slab;                /* [owned] */
    char *data;
    size_t cap, used;
    enum replay_read result;
};

static void dispose(struct pieces *p)
{
    replay_objects_fini(&p->objects);
    replay_reader_free(p->reader);
    free(p->rest);
    free(p);
}

struct pieces *pieces_new(kp_node *node, struct replay_objects *objects, size_t first,
                          void (*wake)(kp_node *, void *), void *arg)
{
    struct pieces *p = calloc(1, sizeof(*p));

    if (!p) {
        replay_objects_fini(objects);
        return NULL;
    }
    p->node = node;
    p->objects = *objects;
    *objects = (struct replay_objects){0}; /* moved */
    p->object = first;
    p->over = first >= p->objects.count;
    p->wake = wake;
    p->arg = arg;
    p->reader = replay_reader_new();
    if (!p->reader) {
        dispose(p);
        return NULL;
    }
    return p;
}

void pieces_free(struct pieces *p)
{
    if (!p)
        return;
    while (p->count)
        pieces_drop(p);
    p->is_orphan = true;
    if (!p->is_working)
        dispose(p);
}

struct piece *pieces_head(struct pieces *p)
{
    return p->count ? &p->ring[p->head] : NULL;
}

void pieces_drop(struct pieces *p)
{
    kp->slab_unref(p->ring[p->head].slab);
    p->ring[p->head] = (struct piece){0};
    p->head = (p->head + 1) % AHEAD;
    p->count--;
}

const char *pieces_object(const struct pieces *p, size_t object)
{
    return p->objects.items[object].name;
}

bool pieces_at_end(const struct pieces *p)
{
    return p->over && p->count == 0 && !p->is_working;
}

/* [any] */
static void run_job(void *arg)
{
    struct pieces *p = arg;

    p->result = replay_reader_fill(p->reader, p->data, p->cap - 1, &p->used);
}

static bool keep_rest(struct pieces *p, const char *from, size_t len)
{
    if (len > p->rest_room) {
        char *rest = realloc(p->rest, len);

        if (!rest)
            return false;
        p->rest = rest;
        p->rest_room = len;
    }
    if (len)
        memcpy(p->rest, from, len);
    p->rest_len = len;
    return true;
}

/* Cuts what was decoded behind its last whole line. */
static void cut(struct pieces *p, struct piece *piece)
{
    char *end = p->data + p->used;
    char *line_end = memrchr(p->data, '\n', p->used);
    const char *path = p->objects.items[p->object].path;

    piece->pos = p->data;
    piece->end = line_end ? line_end + 1 : p->data;
    p->rest_len = 0;
    if (p->result == REPLAY_BROKEN) {
        snprintf(piece->why, sizeof(piece->why), "%s", replay_reader_why(p->reader));
    } else if (p->result == REPLAY_END) {
        if (piece->end < end) { /* the last line lacks its '\n': room was left for it */
            *end = '\n';
            piece->end = end + 1;
        }
        piece->last = true;
    } else if ((size_t)(end - piece->end) > PIECES_LINE_MAX) {
        snprintf(piece->why, sizeof(piece->why), "%s has a line of more than %d MiB", path,
                 PIECES_LINE_MAX / (1024 * 1024));
    } else if (!keep_rest(p, piece->end, (size_t)(end - piece->end))) {
        snprintf(piece->why, sizeof(piece->why), "out of memory reading %s", path);
    }
}

static void after_job(kp_node *node, void *arg)
{
    struct pieces *p = arg;
    struct piece *piece = &p->ring[(p->head + p->count) % AHEAD];

    p->is_working = false;
    if (p->is_orphan) {
        kp->slab_unref(p->slab);
        dispose(p);
        return;
    }
    *piece = (struct piece){.slab = p->slab, .object = p->object};
    p->slab = NULL; /* moved */
    p->count++;
    cut(p, piece);
    if (piece->last) {
        p->object++;
        p->opened = false;
    }
    p->over = piece->why[0] || p->object == p->objects.count;
    p->wake(node, p->arg);
}

bool pieces_fetch(struct pieces *p)
{
    size_t cap = PIECE_BYTES;

    if (p->over || p->is_working || p->count == AHEAD)
        return true;
    while (cap < p->rest_len * 2)
        cap *= 2;
    if (!kp->reserve(p->node, cap))
        return true;
    p->slab = kp->slab_new(p->node, cap);
    if (!p->slab) {
        kp->unreserve(p->node, cap);
        return false;
    }
    if (!p->opened)
        replay_reader_open(p->reader, p->objects.items[p->object].path);
    p->opened = true;
    p->data = kp->slab_data(p->slab);
    p->cap = cap;
    p->used = p->rest_len;
    if (p->rest_len)
        memcpy(p->data, p->rest, p->rest_len);
    p->is_working = true;
    kp->work(p->node, run_job, after_job, p);
    return true;
}
