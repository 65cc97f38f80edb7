/* test_wire_random.c - the generator's known sequence, ranges and forms. */
#include "sdk/wire/random.h"
#include "tests/kptest.h"

/* The reference code of the authors gives these from the state {1, 2, 3, 4}. */
TEST(the_sequence_is_that_of_xoshiro256starstar)
{
    static const uint64_t want[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
    };
    struct kpw_random random = {{1, 2, 3, 4}};

    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        CU_ASSERT_EQUAL(kpw_random_next(&random), want[i]);
}

/* splitmix64 from the seed 1234567, as its reference code gives it */
TEST(a_seed_fills_the_state_by_splitmix64)
{
    struct kpw_random random;

    kpw_random_init_from(&random, 1234567);
    YES(random.s[0] == UINT64_C(6457827717110365317));
    YES(random.s[1] == UINT64_C(3203168211198807973));
    YES(random.s[2] == UINT64_C(9817491932198370423));
    YES(random.s[3] == UINT64_C(4593380528125082431));
}

TEST(the_same_seed_gives_the_same_numbers)
{
    struct kpw_random a, b, c;
    bool differs = false;

    kpw_random_init_from(&a, 5);
    kpw_random_init_from(&b, 5);
    kpw_random_init_from(&c, 6);
    for (int i = 0; i < 100; i++) {
        uint64_t n = kpw_random_next(&a);

        YES(n == kpw_random_next(&b));
        differs |= n != kpw_random_next(&c);
    }
    YES(differs);
}

TEST(bounded_numbers_stay_below_and_reach_everything)
{
    static const uint64_t bounds[] = {
        1, 2, 3, 7, 1000, UINT64_C(1) << 63, UINT64_MAX, (UINT64_C(1) << 63) + 1};
    uint32_t counts[7] = {0};
    struct kpw_random random;

    kpw_random_init_from(&random, 11);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        for (int n = 0; n < 1000; n++)
            CU_ASSERT_TRUE(kpw_random_below(&random, bounds[i]) < bounds[i]);
    }
    for (int i = 0; i < 70000; i++)
        counts[kpw_random_below(&random, 7)]++;
    for (int i = 0; i < 7; i++)
        YES(counts[i] > 9500 && counts[i] < 10500); /* five standard deviations */
}

/* With a bound of 3/4 of 2^64 four numbers fall on three results: without rejection every other
 * result would be a multiple of three. */
TEST(a_large_bound_has_no_bias)
{
    uint64_t bound = UINT64_C(3) << 62;
    struct kpw_random random;
    uint32_t low = 0;

    kpw_random_init_from(&random, 12);
    for (int i = 0; i < 30000; i++)
        low += kpw_random_below(&random, bound) % 3 == 0;
    YES(low > 9600 && low < 10400);
}

TEST(units_lie_between_zero_and_one)
{
    struct kpw_random random;
    double sum = 0;

    kpw_random_init_from(&random, 13);
    for (int i = 0; i < 10000; i++) {
        double d = kpw_random_unit(&random);

        YES(d >= 0 && d < 1);
        sum += d;
    }
    YES(sum > 4850 && sum < 5150);
    random = (struct kpw_random){{0, UINT64_MAX, 0, 0}}; /* a state whose next number is large */
    YES(kpw_random_unit(&random) < 1);
}

TEST(a_uuid_has_the_form_of_version_4)
{
    char text[KPW_UUID_SIZE], other[KPW_UUID_SIZE];
    struct kpw_random random;

    kpw_random_init(&random);
    for (int round = 0; round < 200; round++) {
        EQ_INT(kpw_random_uuid(&random, text), 36);
        EQ_INT(strlen(text), 36);
        for (int i = 0; i < 36; i++) {
            bool dash = i == 8 || i == 13 || i == 18 || i == 23;

            YES(dash ? text[i] == '-' : strchr("0123456789abcdef", text[i]) != NULL);
        }
        YES(text[14] == '4');
        YES(strchr("89ab", text[19]) != NULL);
    }
    kpw_random_uuid(&random, other);
    YES(strcmp(text, other) != 0);
}

TEST(the_system_seeds_differently_each_time)
{
    struct kpw_random a, b;
    uint8_t secret[32] = {0}, other[32] = {0}, large[1000] = {0};
    size_t zeros = 0;

    kpw_random_init(&a);
    kpw_random_init(&b);
    YES(memcmp(&a, &b, sizeof a) != 0);
    kpw_random_secret(secret, sizeof secret);
    kpw_random_secret(other, sizeof other);
    YES(memcmp(secret, other, sizeof secret) != 0);
    kpw_random_secret(large, sizeof large); /* longer than what one call must give */
    for (size_t i = 0; i < sizeof large; i++)
        zeros += large[i] == 0;
    YES(zeros < 30);
    kpw_random_secret(NULL, 0);
}
