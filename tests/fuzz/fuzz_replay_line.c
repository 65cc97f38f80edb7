/* fuzz_replay_line.c - what the replay source reads of each line: its time stamp and its key. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/replay/line.c"

#define KEY_ROOM 11 /* what line.h promises */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1), *key = malloc(KEY_ROOM);
    kp_slice line = {text, size};
    int64_t ms;
    size_t len;

    memcpy(text, data, size);
    (void)replay_time_of(line, "$['dropoff_datetime']", &ms);
    (void)replay_time(line, &ms);
    len = replay_hash_key(text, size, key);
    if (len == 0 || len > KEY_ROOM)
        abort();
    free(key);
    free(text);
    return 0;
}
