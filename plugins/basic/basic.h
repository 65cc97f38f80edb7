/* basic.h - private to plugins/basic: its elements, and the writer that three sinks share. */
#ifndef KPIPE_PLUGINS_BASIC_H
#define KPIPE_PLUGINS_BASIC_H

#include <kpipe/plugin.h>

#include "sdk/wire/slice.h"

extern const kp_element basic_lua, basic_filter, basic_meter;
extern const kp_element basic_file_source, basic_generate, basic_list;
extern const kp_element basic_file_sink, basic_stdout, basic_null, basic_collect;

/* A group commit: the batches that come while one group is being written make the next group.
 * Zeroed memory is a closed writer. Threads: [worker]; the writing itself runs on the pool. */
struct basic_group;
struct basic_writer {
    kp_node *node;
    const char *path; /* [borrowed] for messages */
    int fd;
    bool sync, is_open;
    bool has_complained; /* of a write that failed; until one succeeds */
    void (*format)(struct kpw_buf *out, const kp_record *record, const kp_batch *b);
    struct basic_group *waiting, *writing; /* [owned] */
};

void basic_writer_init(struct basic_writer *w, kp_node *node, const char *path, int fd, bool sync);
/* [consumes b] Delivers it once it is written, and synced with `sync`. */
kp_status basic_writer_add(struct basic_writer *w, kp_batch *b);
void basic_writer_close(struct basic_writer *w);
/* Opens for appending; a line that a crash tore is ended first. -1: kp->fail() was called. */
int basic_open_append(kp_node *node, const char *path);

#endif
