/* my-plugin_test.c - starts the source, moves the clock, looks at what it submitted. */
#include "sdk/harness/harness.h"
#include "tests/kptest.h"

TEST(records_come_one_per_interval_until_the_count_is_reached)
{
    struct harness *h = harness_new("my-plugin", KP_SOURCE, "{ count = 3, every = '2s' }");

    harness_start(h);
    EQ_INT(harness_out_count(h), 0);
    harness_advance(h, 4000);
    EQ_INT(harness_out_count(h), 2);
    NO(harness_has_ended(h));
    harness_advance(h, 2000);
    REQUIRE(harness_out_count(h) == 3);
    EQ_STR(harness_out(h, 2)->data, "3");
    YES(harness_has_ended(h));
    EQ_STR(harness_position(h, "my-plugin"), "3");
    harness_free(h); /* checks that nothing leaked */
}

TEST(a_restart_goes_on_behind_the_checkpoint)
{
    struct harness *h = harness_new("my-plugin", KP_SOURCE, "{ count = 3 }");

    harness_checkpoint(h, "my-plugin", "2", 0);
    harness_start(h);
    harness_advance(h, 5000);
    REQUIRE(harness_out_count(h) == 1);
    EQ_STR(harness_out(h, 0)->data, "3");
    harness_free(h);
}

TEST(nothing_is_submitted_while_there_is_no_room)
{
    struct harness *h = harness_new("my-plugin", KP_SOURCE, "{ count = 1 }");

    harness_set_room(h, false);
    harness_start(h);
    harness_advance(h, 5000);
    EQ_INT(harness_out_count(h), 0);
    harness_set_room(h, true);
    harness_advance(h, 1000);
    EQ_INT(harness_out_count(h), 1);
    harness_free(h);
}
