/* rest.c - see rest.h. */
#include "core/run/rest.h"

#include <malloc.h>

bool rest_is_due(struct rest *rest, uint64_t activity, int64_t now_ms)
{
    if (activity != rest->activity || !rest->moved_ms) {
        rest->activity = activity;
        rest->moved_ms = now_ms;
        rest->gave_ms = 0;
    }
    if (now_ms - rest->moved_ms < REST_MS ||
        (rest->gave_ms && now_ms - rest->gave_ms < REST_AGAIN_MS))
        return false;
    rest->gave_ms = now_ms;
    return true;
}

void rest_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
