/* extensions.h - the host's extensions: http/1, aws/1, server/1, timer/1, lua/1, json/1.
 *
 * Thin rows over the worker's clients; what a node opened through them is closed
 * with the node at the latest.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_RUN_EXTENSIONS_H
#define KPIPE_RUN_EXTENSIONS_H

#include <kpipe/plugin.h>

/* The table of an extension, or NULL. */
const void *extensions_find(const char *name);
/* Stops the node's timers, descriptors and calls and closes its servers. */
void extensions_forget(kp_node *node);

extern const struct kp_json_ext json_extension;
extern const struct kp_timer_ext timer_extension;
void timer_extension_forget(kp_node *node);

#endif
