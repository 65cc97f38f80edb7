/* source.h - the two elements of this plugin: replay (source.c) and ticker (ticker.c). */
#ifndef KPIPE_REPLAY_SOURCE_H
#define KPIPE_REPLAY_SOURCE_H

#include <kpipe/plugin.h>

extern const kp_element replay_element;
extern const kp_element ticker_element;

#endif
