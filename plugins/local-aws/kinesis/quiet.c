/* quiet.c - gives memory back after a burst.
 *
 * Buffers keep what the largest request needed, so that the next one finds it. When nothing was put
 * or read for a while, they are freed and the allocator returns its pages.
 */
#include <malloc.h>

#include "plugins/local-aws/kinesis/kinesis.h"

enum { QUIET_MS = 1000, KEEP_BYTES = 64 << 10 };

static void shrink(struct kpw_buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        kpw_buf_fini(buf);
}

static void look(kp_node *node, void *arg)
{
    struct kinesis *k = arg;

    (void)node;
    if (k->is_busy) {
        k->is_busy = false;
        k->local->timer_ext->start(k->quiet_timer, QUIET_MS, 0);
        return;
    }
    log_spares_clear(&k->spares);
    shrink(&k->raw);
    shrink(&k->out);
    shrink(&k->check.texts);
    malloc_trim(0);
}

void kinesis_busy(struct kinesis *k)
{
    k->is_busy = true;
    if (!k->local->timer_ext->active(k->quiet_timer))
        k->local->timer_ext->start(k->quiet_timer, QUIET_MS, 0);
}

bool kinesis_quiet_open(struct kinesis *k)
{
    k->quiet_timer = k->local->timer_ext->create(k->local->node, look, k);
    return k->quiet_timer != NULL;
}

void kinesis_quiet_close(struct kinesis *k)
{
    if (k->quiet_timer)
        k->local->timer_ext->destroy(k->quiet_timer);
    log_spares_clear(&k->spares);
}
