/* boundary.c - see boundary.h. */
#include "core/run/boundary.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/lease/fleet.h"
#include "core/run/host.h"
#include "core/run/lane.h"
#include "core/run/leases.h"
#include "core/run/node.h"
#include "core/run/worker.h"

struct boundary {
    struct post post; /* must be first */
    struct leases *leases;
    kp_node *node; /* gone when the leases are silent */
    void (*fn)(kp_node *node, void *arg, bool ok);
    void *arg;
    bool ok;
};

static void do_tell(struct post *post)
{
    struct boundary *boundary = (struct boundary *)(void *)post;

    if (boundary->node->is_open)
        boundary->fn(boundary->node, boundary->arg, boundary->ok);
    free(boundary);
}

static void tell(struct boundary *boundary, bool ok)
{
    boundary->ok = ok;
    inbox_post(&boundary->node->worker->inbox, &boundary->post);
}

/* [lease thread] */
static void prepared(void *arg, bool ok)
{
    struct boundary *boundary = arg;

    if (leases_are_silent(boundary->leases))
        free(boundary);
    else
        tell(boundary, ok);
}

void boundary_prepare(kp_node *node, kp_lane *lane, const kp_position *at,
                      void (*fn)(kp_node *node, void *arg, bool ok), void *arg)
{
    struct boundary *boundary = mem_new(sizeof *boundary);
    char text[KP_POSITION_MAX + 1];

    *boundary = (struct boundary){.post.run = do_tell,
                                  .leases = node->worker->host->leases,
                                  .node = node,
                                  .fn = fn,
                                  .arg = arg};
    if (at->text.len > KP_POSITION_MAX)
        bug("%s: a boundary of %zu bytes, at most %d are allowed", node->who, at->text.len,
            KP_POSITION_MAX);
    memcpy(text, at->text.ptr, at->text.len);
    text[at->text.len] = '\0';
    if (!lane->lease || lane_is_stale(lane)) {
        tell(boundary, false);
        return;
    }
    lease_row_prepare(lane->lease, text, at->sub, prepared, boundary);
    leases_wake(node);
}

bool boundary_pending(kp_lane *lane, kp_position *ret)
{
    if (!lane->pending)
        lane->pending = mem_new(KP_POSITION_MAX + 1);
    if (!lane->lease || !lease_row_pending(lane->lease, lane->pending, &ret->sub))
        return false;
    ret->text = (kp_slice){lane->pending, strlen(lane->pending)};
    return true;
}
