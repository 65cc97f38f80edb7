/* replay.c - the plugin "replay": elements replay (files again, at their own pace) and ticker
 * (pattern 2's random prices).
 */
#include "plugins/replay/source.h"

KP_PLUGIN("replay", KPIPE_VERSION, "Apache-2.0", &replay_element, &ticker_element)
