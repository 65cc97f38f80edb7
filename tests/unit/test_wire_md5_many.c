/* test_wire_md5_many.c - digests side by side are those of libcrypto, in every way they are made.
 */
#include <stdlib.h>

#include "sdk/wire/hash.h"
#include "sdk/wire/random.h"
#include "tests/kptest.h"

/* A second copy without AVX2: what other processors run. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define kpw_md5_many md5_many_plain
#define KPW_MD5_PLAIN
#include "sdk/wire/md5_many.c" /* NOLINT */
#undef kpw_md5_many
#pragma GCC diagnostic pop

typedef void (*many_fn)(const struct kpw_slice *, size_t, uint8_t (*)[KPW_MD5_SIZE]);

static const many_fn ways[] = {kpw_md5_many, md5_many_plain};

static void check(const struct kpw_slice *texts, size_t n)
{
    uint8_t(*got)[KPW_MD5_SIZE] = malloc((n + 1) * sizeof *got);
    uint8_t want[KPW_MD5_SIZE];

    REQUIRE(got != NULL);
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        memset(got, 0xee, (n + 1) * sizeof *got);
        ways[way](texts, n, got);
        for (size_t i = 0; i < n; i++) {
            kpw_md5(texts[i].ptr, texts[i].len, want);
            YES(!memcmp(got[i], want, sizeof want));
        }
        EQ_INT(got[n][0], 0xee);
    }
    free(got);
}

TEST(texts_of_every_length_have_their_digests)
{
    struct kpw_slice texts[300];
    char bytes[300];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 31 + 7);
    for (size_t i = 0; i < 300; i++)
        texts[i] = kpw_slice(bytes, i);
    check(texts, 300);
    for (size_t i = 0; i < 300; i++)
        texts[i] = kpw_slice(bytes + i, 300 - i); /* at every alignment */
    check(texts, 300);
}

TEST(any_number_of_texts_may_be_hashed_together)
{
    struct kpw_slice texts[40];
    char text[64];

    for (size_t i = 0; i < 40; i++)
        texts[i] = kpw_slice(text + i % 8, 20 + i);
    memset(text, 'k', sizeof text);
    for (size_t i = 0; i < 40; i++)
        texts[i].len = texts[i].len > 56 ? 56 : texts[i].len;
    for (size_t n = 0; n <= 40; n++)
        check(texts, n);
}

TEST(long_texts_and_short_ones_keep_apart)
{
    struct kpw_random random;
    struct kpw_slice texts[50];
    char *bytes = malloc(200000);

    REQUIRE(bytes != NULL);
    kpw_random_init_from(&random, 3);
    for (size_t i = 0; i < 200000; i++)
        bytes[i] = (char)kpw_random_next(&random);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 50; i++)
            texts[i] = kpw_slice(bytes + kpw_random_below(&random, 1000),
                                 kpw_random_below(&random, i % 7 ? 200 : 150000));
        check(texts, 50);
    }
    free(bytes);
}
