/* elements.h - the two elements of this plugin: the source (source.c) and the sink (sink.c). */
#ifndef KPIPE_KINESIS_ELEMENTS_H
#define KPIPE_KINESIS_ELEMENTS_H

#include <kpipe/plugin.h>

extern const kp_element kinesis_source;
extern const kp_element kinesis_sink;

#endif
