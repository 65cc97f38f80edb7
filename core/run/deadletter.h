/* deadletter.h - rejected records on their way to the flow's on_failure sink.
 *
 * A sink that declares KP_TAKES_FAILURES gets the record as it was, with
 * kp_record.failure; any other gets a JSON envelope as the payload. Where a flow
 * has no on_failure, a request's record is answered as rejected, and any other
 * source's flow fails: nothing is dropped.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_RUN_DEADLETTER_H
#define KPIPE_RUN_DEADLETTER_H

#include <kpipe/plugin.h>

struct deadletter {
    uint32_t attempts;         /* deliveries tried, this one counted */
    const char *condition;     /* machine-readable, may be empty */
    const char *reason;        /* for a person, NULL for none */
    const kp_failure *failure; /* what reject_with() said, or NULL */
};

/* Takes record i of b, whose stage is `node`, into *failed (made when NULL). */
void deadletter_add(kp_node *node, kp_batch **failed, kp_batch *b, uint32_t i,
                    const struct deadletter *letter);
/* [consumes failed] On to the on_failure sink. */
void deadletter_send(kp_node *node, kp_batch *failed);

#endif
