/* random.c - xoshiro256** 1.0 by Blackman and Vigna, seeded through splitmix64; bounded numbers by
 * Lemire's multiplication, which divides only when a result may be biased. */
#include "sdk/wire/random.h"
#include "sdk/wire/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void kpw_random_secret(void *out, size_t len)
{
    char *to = out;

    while (len) {
        ssize_t n = getrandom(to, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            /* going on with guessable numbers would be worse than stopping */
            fputs("the system has no random numbers (getrandom failed)\n", stderr);
            abort();
        }
        to += n;
        len -= (size_t)n;
    }
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void kpw_random_init_from(struct kpw_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        random->s[i] = splitmix(&seed);
}

void kpw_random_init(struct kpw_random *random)
{
    kpw_random_secret(random->s, sizeof random->s);
    if (!(random->s[0] | random->s[1] | random->s[2] | random->s[3]))
        random->s[0] = 1; /* the one state that the generator cannot leave */
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

uint64_t kpw_random_next(struct kpw_random *random)
{
    uint64_t *s = random->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t kpw_random_below(struct kpw_random *random, uint64_t n)
{
    __extension__ unsigned __int128 product = kpw_random_next(random);
    uint64_t least;

    product *= n;
    if ((uint64_t)product < n) {
        least = (0 - n) % n; /* 2^64 mod n */
        while ((uint64_t)product < least) {
            product = kpw_random_next(random);
            product *= n;
        }
    }
    return (uint64_t)(product >> 64);
}

double kpw_random_unit(struct kpw_random *random)
{
    return (double)(kpw_random_next(random) >> 11) * 0x1p-53;
}

size_t kpw_random_uuid(struct kpw_random *random, char out[KPW_UUID_SIZE])
{
    static const uint8_t lengths[] = {4, 2, 2, 2, 6};
    uint64_t words[2] = {kpw_random_next(random), kpw_random_next(random)};
    uint8_t bytes[16], *from = bytes;
    char *to = out;

    memcpy(bytes, words, sizeof bytes);
    bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0f));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
    for (size_t i = 0; i < sizeof lengths; i++) {
        if (i)
            *to++ = '-';
        to += kpw_hex(from, lengths[i], to);
        from += lengths[i];
    }
    *to = '\0';
    return (size_t)(to - out);
}
