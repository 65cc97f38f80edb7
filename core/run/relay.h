/* relay.h - batches for a node that lives on another worker.
 *
 * The batch goes over whole; its tickets stay here and are settled here once all
 * of its records have ended over there.
 *
 * Threads: relay_send() the sender's worker; the rest happens on both.
 */
#ifndef KPIPE_RUN_RELAY_H
#define KPIPE_RUN_RELAY_H

#include <kpipe/plugin.h>

/* [consumes b] For the node at `index` of the flow's instance on its home worker. b->lane is set.
 */
void relay_send(kp_node *from, uint32_t index, kp_batch *b);

#endif
