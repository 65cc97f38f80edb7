/* boundary.h - boundaries of exactly-once sinks: rows of kp_host.
 *
 * A sink that builds objects writes where one will end before it writes the
 * object. Whoever reads the lane after a crash finds the boundary, ends the same object
 * there, and so writes the same bytes under the same key.
 *
 * Threads: the lane's worker.
 */
#ifndef KPIPE_RUN_BOUNDARY_H
#define KPIPE_RUN_BOUNDARY_H

#include <kpipe/plugin.h>

void boundary_prepare(kp_node *node, kp_lane *lane, const kp_position *boundary,
                      void (*fn)(kp_node *node, void *arg, bool ok), void *arg);
bool boundary_pending(kp_lane *lane, kp_position *ret);

#endif
