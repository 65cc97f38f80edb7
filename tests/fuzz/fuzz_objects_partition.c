/* fuzz_objects_partition.c - what the s3 sink reads of each record: the folder of a JSON object,
 * and the time stamps in it.
 *
 * The record is a block of its exact size, and the folder must keep to its room, for the address
 * sanitizer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define put put_into_date /* both files have a put() of their own */
#include "sdk/objects/datetime.c"
#undef put
#include "sdk/objects/partition.c"

#define ROOM 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_template(const char *text, bool is_path, kp_slice json)
{
    char problem[160], *folder = malloc(ROOM);
    struct kpo_partition *partition = kpo_partition_new(text, is_path, problem, sizeof problem);
    size_t len;

    if (!partition || !folder)
        abort(); /* they are right */
    if (kpo_partition_path(partition, json, folder, ROOM, &len, problem, sizeof problem)) {
        if (len > ROOM)
            abort();
        for (size_t i = 0; i < len; i++)
            if (!folder[i])
                abort(); /* a key with a NUL would be cut short */
    }
    kpo_partition_free(partition);
    free(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    kp_slice json = {text, size};
    int64_t ms;

    memcpy(text, data, size);
    check_template("ticker=${ticker}/dt=${event_time:date}/hr=${event_time:hour}", false, json);
    check_template("ticker", false, json);
    check_template("$.order['country']", true, json);
    (void)kpo_time_parse(json, &ms);
    free(text);
    return 0;
}
