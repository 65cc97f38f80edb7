/* records.h - the records of a fetch as GetRecords and the events of subscriptions carry them.
 *
 * They are written at once into memory of records_size() bytes: in JSON with base64, in CBOR as
 * they are.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_RECORDS_H
#define KPIPE_LOCAL_AWS_KINESIS_RECORDS_H

#include "plugins/local-aws/kinesis/kinesis.h"

/* The bytes that records_put() needs at most. */
size_t records_size(const struct kinesis_fetch *f, bool is_cbor);
/* Writes the items of the list without its brackets; returns the end. */
char *records_put(const struct kinesis_fetch *f, bool is_cbor, char *to);
/* "Records" and the whole list, on w->out. */
void records_write(const struct kinesis_fetch *f, struct write *w);

/* "ChildShards" of a shard that ended. */
void records_write_children(const struct kinesis_shard *shard, struct write *w);

#endif
