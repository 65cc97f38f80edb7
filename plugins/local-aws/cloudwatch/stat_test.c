/* Sums and percentiles of samples. */
#include "plugins/local-aws/cloudwatch/stat.h"

#include <math.h>
#include <stdint.h>

#include "sdk/wire/random.h"
#include "tests/kptest.h"

static double value(const struct cw_stat *stat, const char *name)
{
    double n = NAN;

    YES(cw_stat_value(stat, name, &n));
    return n;
}

TEST(percentiles_lie_between_the_nearest_ranks)
{
    struct cw_stat stat = {0};

    for (int i = 1; i <= 4; i++)
        REQUIRE(cw_stat_add(&stat, i * 10, 1));
    EQ_INT(value(&stat, "p0"), 10);
    EQ_INT(value(&stat, "p100"), 40);
    EQ_INT(value(&stat, "p50"), 25);
    YES(fabs(value(&stat, "p99.9") - 39.97) < 1e-9);
    REQUIRE(cw_stat_add(&stat, 40, 96));
    EQ_INT(value(&stat, "p10"), 40);
    EQ_INT(value(&stat, "SampleCount"), 100);
    cw_stat_fini(&stat);
}

TEST(a_statistic_set_has_no_percentiles_unless_all_are_equal)
{
    struct cw_stat stat = {0}, equal = {.count = 3, .sum = 6, .min = 2, .max = 2};
    struct cw_stat spread = {.count = 3, .sum = 9, .min = 2, .max = 4};
    double n;

    REQUIRE(cw_stat_add_set(&stat, &equal));
    EQ_INT(value(&stat, "p90"), 2);
    REQUIRE(cw_stat_add_set(&stat, &spread));
    NO(cw_stat_value(&stat, "p90", &n));
    EQ_INT(value(&stat, "Sum"), 15);
    EQ_INT(value(&stat, "Maximum"), 4);
    cw_stat_fini(&stat);
    NO(cw_stat_value(&stat, "Sum", &n));
}

TEST(many_values_stay_bounded_and_close)
{
    struct cw_stat stat = {0}, merged = {0};
    struct kpw_random random;

    kpw_random_init_from(&random, 1);
    for (int i = 0; i < 100000; i++)
        REQUIRE(cw_stat_add(&stat, kpw_random_unit(&random), 1));
    YES(stat.n_pairs <= CW_PAIRS_MAX);
    YES(fabs(value(&stat, "p50") - 0.5) < 0.02);
    YES(fabs(value(&stat, "p99") - 0.99) < 0.02);
    REQUIRE(cw_stat_merge(&merged, &stat));
    REQUIRE(cw_stat_merge(&merged, &stat));
    EQ_INT(value(&merged, "SampleCount"), 200000);
    YES(merged.n_pairs <= CW_PAIRS_MAX);
    cw_stat_fini(&merged);
    cw_stat_fini(&stat);
}

TEST(names_of_statistics_are_known)
{
    static const char *const bad[] = {"",    "sum",  "p",   "p-1", "p101", "p1e1",
                                      "p..", "p 50", "px9", "P50", "p1.",  "p0x1"};

    YES(cw_stat_is_name("Average"));
    YES(cw_stat_is_name("p99.99"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(cw_stat_is_name(bad[i]));
}
