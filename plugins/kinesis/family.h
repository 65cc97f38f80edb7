/* family.h - which shards are finished, known to all workers of one stage.
 *
 * A child shard must not begin before its parents' records have ended, but a
 * parent may be read by another worker of this process. Workers join the family
 * of their stage; the only state shared between them is this list, touched once
 * per finished shard.
 *
 * Owned by: counted, by the sources that joined.   Threads: any.
 */
#ifndef KPIPE_KINESIS_FAMILY_H
#define KPIPE_KINESIS_FAMILY_H

#include <stdbool.h>

struct family;

/* The family of that name, made when it is the first to join. NULL: out of memory. */
struct family *family_join(const char *pipeline, const char *flow, const char *stage);
void family_leave(struct family *family); /* NULL is fine */

/* `was_followed`: what the shard held was read from its beginning or from a checkpoint. */
bool family_finished(struct family *family, const char *shard, bool was_followed);
bool family_is_finished(struct family *family, const char *shard, bool *ret_was_followed);

#endif
