/* yardstick.c - what this machine can do: copies records of 1 KB and hashes them.
 *
 * The least a program does that takes records from one place to another and looks at each byte
 * once. Its MB per CPU second stand beside those of kpipe, so that figures of different machines,
 * or of one machine at different loads, can be told apart. The source is 64 MiB, more than the
 * caches hold; the copy goes to a block of 1 MiB, as records in a slab do.
 *
 * usage: yardstick [SECONDS]    prints MB per CPU second.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD      1024
#define SOURCE      ((size_t)64 << 20)
#define DESTINATION ((size_t)1 << 20)

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* Four independent lanes of multiply and rotate, the shape of xxHash64. */
static uint64_t hash_record(const char *p)
{
    static const uint64_t prime1 = 0x9E3779B185EBCA87U, prime2 = 0xC2B2AE3D27D4EB4FU;
    uint64_t lane[4] = {prime1 + prime2, prime2, 0, -prime1}, word[4];

    for (size_t at = 0; at < RECORD; at += sizeof word) {
        memcpy(word, p + at, sizeof word);
        for (int i = 0; i < 4; i++)
            lane[i] = rotate(lane[i] + word[i] * prime2, 31) * prime1;
    }
    return rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
}

static uint64_t copy_all(char *to, const char *from)
{
    uint64_t sum = 0;

    for (size_t at = 0; at < SOURCE; at += RECORD) {
        char *record = to + at % DESTINATION;

        memcpy(record, from + at, RECORD);
        sum ^= hash_record(record);
    }
    return sum;
}

int main(int argc, char **argv)
{
    double wanted = argc > 1 ? atof(argv[1]) : 1, begin, spent;
    char *from = malloc(SOURCE), *to = malloc(DESTINATION);
    uint64_t sum = 0, state = 1;
    size_t bytes = 0;

    if (!from || !to)
        return 1;
    for (size_t i = 0; i < SOURCE; i += sizeof state) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        memcpy(from + i, &state, sizeof state);
    }
    copy_all(to, from); /* the pages are there, the clock is up */
    begin = cpu_seconds();
    do {
        sum += copy_all(to, from);
        bytes += SOURCE;
        spent = cpu_seconds() - begin;
    } while (spent < wanted);
    printf("%.0f\n", (double)bytes / 1e6 / spent);
    fprintf(stderr, "hash %016llx\n", (unsigned long long)sum); /* so that it is not left out */
    free(from);
    free(to);
    return 0;
}
