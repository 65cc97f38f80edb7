/* offer.h - what a source says its lanes are: rows of kp_host.
 *
 * Threads: the worker of the source's instance on worker 0.
 */
#ifndef KPIPE_RUN_OFFER_H
#define KPIPE_RUN_OFFER_H

#include <kpipe/plugin.h>

void offer_lane(kp_node *node, const char *name, const kp_lane_about *about);
void offer_end(kp_node *node, const kp_offer *offer);

#endif
