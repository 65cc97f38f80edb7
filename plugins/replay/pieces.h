/* pieces.h - decoded text in slabs, one piece read ahead on the work pool.
 *
 * A piece is one slab of whole lines: what was left of the line before, then
 * freshly decoded bytes. While the source sends one piece, the next is decoded
 * by the pool. A piece is 256 KiB unless one line is longer; a line of more than
 * PIECES_LINE_MAX ends the replay.
 *
 * Owned by: the replay source.   Threads: its worker; decoding on the pool.
 * Not here: lines, keys and time (source.c).
 */
#ifndef KPIPE_REPLAY_PIECES_H
#define KPIPE_REPLAY_PIECES_H

#include "plugins/replay/objects.h"

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define PIECES_LINE_MAX (10 * 1024 * 1024)

struct pieces;

struct piece {
    kp_slab *slab;   /* [owned] */
    char *pos, *end; /* whole lines, each with its '\n' */
    size_t object;   /* index of the object they are of */
    bool last;       /* the object ends here */
    char why[640];   /* not empty: reading failed behind these lines */
};

/* Takes the objects over (also when it fails) and begins with the one at index `first`. `wake` is
 * called on the worker when a piece is there. NULL: out of memory. */
struct pieces *pieces_new(kp_node *node, struct replay_objects *objects, size_t first,
                          void (*wake)(kp_node *, void *), void *arg);
/* May be called while the pool is at work: the rest is freed when that ends. */
void pieces_free(struct pieces *p);
/* Starts reading ahead if there is room in the budget (else the source's wake() comes). False: the
 * system has no memory now, nobody will call. */
bool pieces_fetch(struct pieces *p);
/* The oldest piece that is there, or NULL. [borrowed until pieces_drop()] */
struct piece *pieces_head(struct pieces *p);
void pieces_drop(struct pieces *p);
const char *pieces_object(const struct pieces *p, size_t object); /* its name */
bool pieces_at_end(const struct pieces *p);                       /* nothing more will come */

#endif
