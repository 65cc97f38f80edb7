/* basic.c - the stages every pipeline may want: see README.md. */
#include "plugins/basic/basic.h"

KP_PLUGIN("basic", "1.0.0", "Apache-2.0", &basic_lua, &basic_filter, &basic_meter,
          &basic_file_source, &basic_generate, &basic_list, &basic_file_sink, &basic_stdout,
          &basic_null, &basic_collect)
