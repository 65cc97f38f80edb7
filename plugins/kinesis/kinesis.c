/* kinesis.c - the plugin "kinesis": source and sink of the same name. */
#include "plugins/kinesis/elements.h"

KP_PLUGIN("kinesis", KPIPE_VERSION, "Apache-2.0", &kinesis_source, &kinesis_sink)
