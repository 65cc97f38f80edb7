/* partition.h - the folder that a JSON record belongs into.
 *
 * A template is text with ${member} in it: "ticker=${ticker}/dt=${event_time:date}".
 * Behind the colon stands date, hour, year, month, day, minute or a pattern of
 * datetime.h; the member is then a time stamp: text in ISO form (blank or T), or a
 * number of seconds or milliseconds since 1970. Values are escaped as Flink does;
 * null, missing and empty ones become __DEFAULT_PARTITION__.
 *
 * Owned by: who made it.   Threads: one at a time.
 */
#ifndef KPIPE_SDK_OBJECTS_PARTITION_H
#define KPIPE_SDK_OBJECTS_PARTITION_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>

struct kpo_partition;

/* A text without ${} is the name of a member: "ticker" means "ticker=${ticker}". With `is_path`,
 * text is a JSON path, "$.order.country". NULL: `err` says what is wrong. */
struct kpo_partition *kpo_partition_new(const char *text, bool is_path, char *err, size_t err_size);
void kpo_partition_free(struct kpo_partition *partition); /* NULL is fine */

/* Writes the folder of a record, without a slash at its end. False: `err` says why there is none:
 * the record is no JSON object, the folder is longer than cap or has a part "." or "..". */
bool kpo_partition_path(const struct kpo_partition *partition, kp_slice json, char *out, size_t cap,
                        size_t *ret_len, char *err, size_t err_size);

/* Reads a time stamp: "2020-08-01 12:00:00.000", "2018-01-01T00:12:08Z", "+02:00". */
bool kpo_time_parse(kp_slice text, int64_t *ret_ms);

#endif
