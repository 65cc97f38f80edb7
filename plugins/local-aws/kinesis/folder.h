/* folder.h - the folders of streams and shards below DIR/kinesis.
 *
 * A folder has the stream's name; a leading '.' of a name becomes "%2E", since "." and ".." are
 * names that a stream may have.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_KINESIS_FOLDER_H
#define KPIPE_LOCAL_AWS_KINESIS_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#define FOLDER_NAME_SIZE 160

void folder_name(const char *stream, char out[FOLDER_NAME_SIZE]);
/* "STREAM/shardId-000000000000" [owned by caller]; NULL: out of memory. */
char *folder_of_shard(const char *stream, uint32_t shard);
/* True also when it is there already. */
bool folder_make_shard(int root, const char *stream, uint32_t shard);
/* The folders themselves reach the disk. */
bool folder_sync(int root, const char *stream);
/* Removes with all that is inside; nothing there is fine. */
void folder_drop(int root, const char *stream);
void folder_drop_shard(int root, const char *stream, uint32_t shard);
/* Removes the folders that fn does not know. */
void folder_sweep(int root, bool (*fn)(void *arg, const char *folder), void *arg);

#endif
