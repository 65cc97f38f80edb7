/* random.h - fast random numbers from a state that the caller keeps.
 *
 * xoshiro256**, seeded by getrandom(2): good for jitter, sampling, ids; not for keys or tokens,
 * which must come from getrandom itself (kpw_random_secret).
 *
 * Threads: [any]; one state belongs to one thread.
 */
#ifndef KPIPE_WIRE_RANDOM_H
#define KPIPE_WIRE_RANDOM_H

#include "sdk/wire/slice.h"

#define KPW_UUID_SIZE 37 /* 36 characters and a NUL */

struct kpw_random {
    uint64_t s[4];
};

/* Seeds from the system; aborts the process if the system has no random numbers. */
void kpw_random_init(struct kpw_random *random);
/* Seeds from a number: the same sequence each time, for tests and replays. */
void kpw_random_init_from(struct kpw_random *random, uint64_t seed);
uint64_t kpw_random_next(struct kpw_random *random);
/* 0 <= result < n, without bias; n must not be 0. */
uint64_t kpw_random_below(struct kpw_random *random, uint64_t n);
/* 0 <= result < 1. */
double kpw_random_unit(struct kpw_random *random);
/* Version 4, lower case (RFC 4122). Returns the length without the NUL. */
size_t kpw_random_uuid(struct kpw_random *random, char out[KPW_UUID_SIZE]);
/* Bytes fit for secrets; aborts like kpw_random_init(). */
void kpw_random_secret(void *out, size_t len);

#endif
