/* test_lease_sync.c - which rows a table lacks, over the life of a stream: first starts, splits,
 * merges, rows that are cleaned up or lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/lease/sync.h"
#include "sdk/wire/random.h"
#include "sdk/wire/u128.h"
#include "tests/kptest.h"

#define MAX_LANES 1500

/* A stream in words, one per lane: name:parent+parent[low-high]. A closed lane's name ends in '.'.
 * Ranges are in 16ths of the hash space. A table likewise: name=checkpoint[:parent+parent]. */
struct world {
    struct listing *listing;
    struct lease rows[64];
    size_t n_rows;
    struct sync_row plan[64];
    size_t n_plan;
    char text[1000];
};

static char *hash_key(unsigned sixteenth, bool is_high)
{
    char text[KPW_U128_SIZE];
    kpw_u128 n = (kpw_u128)sixteenth << 124;

    kpw_u128_format(is_high ? n + (((kpw_u128)1 << 124) - 1) : n, text);
    return mem_dup(text);
}

static void read_parents(char *text, char *parents[2])
{
    for (int p = 0; text && p < 2; p++) {
        char *next = strchr(text, '+');

        if (next)
            *next++ = '\0';
        parents[p] = mem_dup(text);
        text = next;
    }
}

static struct listed_lane read_lane(char *word)
{
    struct listed_lane lane = {0};
    char *range = strchr(word, '['), *parents;
    unsigned low, high;

    if (range && sscanf(range, "[%x-%x]", &low, &high) == 2) {
        lane.low = hash_key(low, false);
        lane.high = hash_key(high, true);
        *range = '\0';
    }
    parents = strchr(word, ':');
    if (parents)
        *parents++ = '\0';
    read_parents(parents, lane.parents);
    lane.is_closed = word[strlen(word) - 1] == '.';
    if (lane.is_closed)
        word[strlen(word) - 1] = '\0';
    lane.key = mem_dup(word);
    return lane;
}

static struct world *world_of(const char *begin, const char *lanes)
{
    struct world *world = mem_new(sizeof *world);
    char *text = mem_dup(lanes), *at = text, *word;

    world->listing = mem_new(sizeof *world->listing);
    world->listing->begin = mem_dup(begin);
    world->listing->lanes = mem_new(64 * sizeof *world->listing->lanes);
    while ((word = strsep(&at, " ")))
        if (*word)
            world->listing->lanes[world->listing->n++] = read_lane(word);
    free(text);
    return world;
}

static void add_rows(struct world *world, const char *rows)
{
    char *text = mem_dup(rows), *at = text, *word;

    while ((word = strsep(&at, " "))) {
        struct lease *row = &world->rows[world->n_rows];
        char *checkpoint, *parents;

        if (!*word)
            continue;
        checkpoint = strchr(word, '=');
        REQUIRE(checkpoint != NULL);
        *checkpoint++ = '\0';
        parents = strchr(checkpoint, ':');
        if (parents)
            *parents++ = '\0';
        read_parents(parents, row->parents);
        row->key = mem_dup(word);
        row->checkpoint = mem_dup(checkpoint);
        world->n_rows++;
    }
    free(text);
}

static void world_free(struct world *world)
{
    listing_free(world->listing);
    for (size_t i = 0; i < world->n_rows; i++)
        lease_fini(&world->rows[i]);
    free(world);
}

/* The plan in words: name=checkpoint ... */
static const char *planned(struct world *world)
{
    size_t len = 0;

    world->n_plan = sync_plan(world->listing, world->rows, world->n_rows, world->plan);
    world->text[0] = '\0';
    for (size_t i = 0; i < world->n_plan; i++)
        len += (size_t)snprintf(world->text + len, sizeof world->text - len, "%s%s=%s",
                                i ? " " : "", world->plan[i].lane->key, world->plan[i].checkpoint);
    return world->text;
}

static void create(struct world *world)
{
    char *text = mem_dup(planned(world));

    add_rows(world, text);
    free(text);
}

static const char *finished(struct world *world)
{
    size_t rows[64], n = sync_finished(world->listing, world->rows, world->n_rows, rows), len = 0;

    world->text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(world->text + len, sizeof world->text - len, "%s%s", i ? " " : "",
                                world->rows[rows[i]].key);
    return world->text;
}

/* What a table lacks that has these rows. */
#define PLAN(begin, lanes, rows, want)                 \
    do {                                               \
        struct world *world_ = world_of(begin, lanes); \
        add_rows(world_, rows);                        \
        EQ_STR(planned(world_), want);                 \
        world_free(world_);                            \
    } while (0)

#define FINISHED(lanes, rows, want)                             \
    do {                                                        \
        struct world *world_ = world_of("TRIM_HORIZON", lanes); \
        add_rows(world_, rows);                                 \
        EQ_STR(finished(world_), want);                         \
        world_free(world_);                                     \
    } while (0)

/* 1 was split into 3 and 4, 2 and 3 were merged into 5, 5 was split into 6 and 7. */
#define STREAM "1. 2. 3.:1 4:1 5.:2+3 6:5 7:5"

TEST(a_listing_is_found_and_freed)
{
    struct world *world = world_of(NULL, STREAM);

    EQ_STR(listing_find(world->listing, "5")->parents[1], "3");
    YES(listing_find(world->listing, "5")->is_closed);
    NO(listing_find(world->listing, "6")->is_closed);
    YES(listing_find(world->listing, "8") == NULL);
    world_free(world);
    listing_free(NULL);
}

TEST(from_latest_a_first_start_takes_the_open_lanes)
{
    PLAN("LATEST", STREAM, "", "4=LATEST 6=LATEST 7=LATEST");
    PLAN("LATEST", "", "", "");
    PLAN("LATEST", STREAM, "4=LATEST 6=LATEST", "7=LATEST"); /* it was interrupted */
}

TEST(from_the_horizon_a_first_start_takes_the_oldest_lanes_and_then_level_by_level)
{
    struct world *world = world_of("TRIM_HORIZON", STREAM);

    create(world);
    EQ_STR(world->text, "1=TRIM_HORIZON 2=TRIM_HORIZON");
    create(world);
    EQ_STR(world->text, "3=TRIM_HORIZON 4=TRIM_HORIZON");
    create(world);
    EQ_STR(world->text, "5=TRIM_HORIZON");
    create(world);
    EQ_STR(world->text, "6=TRIM_HORIZON 7=TRIM_HORIZON");
    create(world);
    EQ_STR(world->text, "");
    world_free(world);
    PLAN("TRIM_HORIZON", "5.:2+3 6:5 7:5", "", "5=TRIM_HORIZON"); /* its parents are forgotten */
    PLAN(NULL, "5:2+3", "", "5=TRIM_HORIZON");
}

TEST(from_a_time_on_lanes_begin_there_until_one_is_known_to_have_begun)
{
    struct world *world = world_of("AT_TIMESTAMP", STREAM);

    create(world);
    EQ_STR(world->text, "1=AT_TIMESTAMP 2=AT_TIMESTAMP");
    create(world); /* both may have ended before that time */
    EQ_STR(world->text, "3=AT_TIMESTAMP 4=AT_TIMESTAMP");
    world_free(world);
    PLAN("AT_TIMESTAMP", "1. 3:1", "1=77", "3=TRIM_HORIZON");
    PLAN("AT_TIMESTAMP", "1. 3:1", "1=SHARD_END", "3=AT_TIMESTAMP");
    PLAN("AT_TIMESTAMP", "1. 2. 3:1+2", "1=AT_TIMESTAMP 2=5", "3=TRIM_HORIZON");
}

TEST(lanes_below_a_leased_one_begin_at_their_beginning)
{
    PLAN("LATEST", "1. 3:1 4:1", "1=99", "3=TRIM_HORIZON 4=TRIM_HORIZON");
    PLAN("LATEST", "1. 3:1 4:1", "1=LATEST", "3=TRIM_HORIZON 4=TRIM_HORIZON");
    PLAN("LATEST", "1. 3:1 4:1", "1=SHARD_END", "3=TRIM_HORIZON 4=TRIM_HORIZON");
    PLAN("LATEST", "1. 3.:1 4:1 5:3", "1=99", "3=TRIM_HORIZON 4=TRIM_HORIZON"); /* 5 follows */
    PLAN("LATEST", "3:1 4:1", "1=99",
         "3=TRIM_HORIZON 4=TRIM_HORIZON"); /* 1 is not listed any more */
    PLAN("LATEST", "1. 3:1 4:1 9", "1=99 3=TRIM_HORIZON", "4=TRIM_HORIZON 9=LATEST");
    PLAN("TRIM_HORIZON", "1. 3:1 4:1 9", "1=99", "3=TRIM_HORIZON 4=TRIM_HORIZON 9=TRIM_HORIZON");
}

TEST(a_merged_lane_waits_until_both_parents_have_rows)
{
    PLAN("TRIM_HORIZON", "2. 3. 5:2+3", "2=9", "3=TRIM_HORIZON");
    PLAN("TRIM_HORIZON", "2. 3. 5:2+3", "2=9 3=8", "5=TRIM_HORIZON");
    PLAN("TRIM_HORIZON", "2. 3. 5:2+3", "2=SHARD_END 3=8", "5=TRIM_HORIZON");
    PLAN("TRIM_HORIZON", "3. 5:2+3", "3=8", "5=TRIM_HORIZON"); /* 2 is gone for good */
    PLAN("TRIM_HORIZON", "5:2+3", "", "5=TRIM_HORIZON");
    PLAN("LATEST", "2. 3. 5:2+3", "2=9", "3=TRIM_HORIZON"); /* its row was lost while in work */
    PLAN("LATEST", "2. 3.:1 1. 5:2+3", "2=9", "3=TRIM_HORIZON"); /* but not what was before */
    PLAN("AT_TIMESTAMP", "2. 3. 5:2+3", "2=9", "3=AT_TIMESTAMP");
}

TEST(what_was_cleaned_up_is_not_made_again)
{
    PLAN("TRIM_HORIZON", "1. 3:1 4:1", "3=5 4=6", "");
    PLAN("TRIM_HORIZON", "1. 3:1 4:1", "3=5 4=TRIM_HORIZON", ""); /* one child tells */
    PLAN("TRIM_HORIZON", "1. 3:1 4:1", "3=SHARD_END 4=TRIM_HORIZON", "");
    PLAN("TRIM_HORIZON", STREAM, "4=1 6=2 7=3", "");
    PLAN("LATEST", STREAM, "4=1 6=2 7=3", "");
    PLAN("TRIM_HORIZON", STREAM, "4=LATEST 6=LATEST 7=LATEST", ""); /* begun from LATEST once */
    PLAN("TRIM_HORIZON", "1. 3:1", "3=5 4=6:1",
         "");                                     /* a child that the listing does not know yet */
    PLAN("TRIM_HORIZON", "1", "3=5:1 4=6:1", ""); /* nor that its parent was closed */
}

TEST(a_lost_row_is_made_again)
{
    PLAN("TRIM_HORIZON", STREAM, "4=1 6=2", "7=TRIM_HORIZON"); /* and not its ancestors */
    PLAN("LATEST", STREAM, "4=1 6=2", "7=LATEST");
    PLAN("AT_TIMESTAMP", STREAM, "4=1 6=2", "7=AT_TIMESTAMP");
    /* lost while in work: its children's rows were made, but none has begun */
    PLAN("TRIM_HORIZON", "1. 3:1 4:1", "3=TRIM_HORIZON 4=TRIM_HORIZON", "1=TRIM_HORIZON");
    PLAN("LATEST", "1. 3:1 4:1", "3=TRIM_HORIZON 4=TRIM_HORIZON", "1=TRIM_HORIZON");
    PLAN("AT_TIMESTAMP", "1. 3:1 4:1", "3=AT_TIMESTAMP 4=AT_TIMESTAMP", "1=AT_TIMESTAMP");
    PLAN("LATEST", "1. 3:1 4:1", "3=TRIM_HORIZON", "1=TRIM_HORIZON"); /* 4 follows */
}

TEST(of_a_listing_read_during_a_reshard_the_open_parent_comes_first)
{
    PLAN("LATEST", "1 3:1 4:1", "", "1=LATEST"); /* the children's beginnings are not skipped */
    PLAN("LATEST", "1 3:1 4:1", "1=LATEST", "3=TRIM_HORIZON 4=TRIM_HORIZON");
    PLAN("TRIM_HORIZON", "1 3:1 4:1", "", "1=TRIM_HORIZON");
}

TEST(fixed_lanes_and_no_others_are_made)
{
    struct world *world = world_of("LATEST", "6:5 5.:2+3 9. 4:1");

    world->listing->is_fixed = true;
    EQ_STR(planned(world), "5=LATEST 9=LATEST 4=LATEST 6=LATEST"); /* parents first */
    add_rows(world, "5=SHARD_END 6=7");
    EQ_STR(planned(world), "9=LATEST 4=LATEST");
    EQ_STR(finished(world), ""); /* or it would be made again */
    world_free(world);
}

TEST(sources_without_relatives_get_a_row_per_lane)
{
    PLAN(NULL, "a b c", "b=17/x", "a=TRIM_HORIZON c=TRIM_HORIZON");
}

TEST(nonsense_in_a_listing_does_no_harm)
{
    struct world *world = world_of("TRIM_HORIZON", "a:b b:a c:c d d:a e:zz");

    EQ_STR(planned(world), "c=TRIM_HORIZON d=TRIM_HORIZON e=TRIM_HORIZON");
    world->listing->is_fixed = true;
    planned(world);
    EQ_INT(world->n_plan, 5);
    add_rows(world, "a=5:b b=SHARD_END:a");
    finished(world);
    world_free(world);
}

TEST(a_finished_row_goes_when_all_children_have_begun)
{
    FINISHED("1. 3:1 4:1", "1=SHARD_END 3=5 4=6", "1");
    FINISHED("1. 3:1 4:1", "1=SHARD_END 3=5 4=TRIM_HORIZON", "");
    FINISHED("1. 3:1 4:1", "1=SHARD_END 3=5 4=AT_TIMESTAMP", "");
    FINISHED("1. 3:1 4:1", "1=SHARD_END 3=5 4=LATEST", "1");
    FINISHED("1. 3:1 4:1", "1=SHARD_END 3=5", "");
    FINISHED("1. 3:1 4:1", "1=9 3=5 4=6", ""); /* it has not ended */
    FINISHED("1.", "1=SHARD_END", "");         /* its children are not known yet */
    FINISHED("1. 3:1", "1=SHARD_END 3=5 4=TRIM_HORIZON:1", "");
    FINISHED("1. 3.:1 4:1 5:3", "1=SHARD_END 4=6 5=1", "1"); /* 3 was cleaned up */
}

TEST(finished_rows_go_from_the_oldest_on)
{
    FINISHED("1. 2. 3.:1+2 4:3", "1=SHARD_END 2=SHARD_END 3=SHARD_END 4=7", "1 2");
    FINISHED("1. 2. 3.:1+2 4:3", "2=SHARD_END 3=SHARD_END 4=7", "2");
    FINISHED("1. 2. 3.:1+2 4:3", "3=SHARD_END 4=7", "3");
    FINISHED("2. 3.:1+2 4:3", "1=5 2=SHARD_END 3=SHARD_END 4=7", "2"); /* 1 is still in work */
}

TEST(children_that_do_not_take_over_the_whole_range_are_not_all)
{
    FINISHED("1.[0-f] 3:1[0-7]", "1=SHARD_END 3=5", "");
    FINISHED("1.[0-f] 3:1[0-7] 4:1[8-f]", "1=SHARD_END 3=5 4=5", "1");
    FINISHED("1.[0-7] 2.[8-f] 3:1+2[0-f]", "1=SHARD_END 2=SHARD_END 3=5", "1 2");
}

TEST(ended_rows_of_lanes_that_are_gone_go)
{
    FINISHED("3 4", "1=SHARD_END 2=77 3=5 4=5", "1");
    FINISHED("", "1=SHARD_END", ""); /* nothing was listed at all */
}

TEST(rows_of_other_streams_in_the_table_are_left_alone)
{
    struct world *world = world_of("TRIM_HORIZON", "3[0-f]");
    static const char *const keys[] = {"1:s:7:1", "1:t:7:1", "1", "1:s:7:0"};
    char *text = NULL;

    add_rows(world, "a=SHARD_END b=SHARD_END c=SHARD_END d=SHARD_END e=5");
    free(world->listing->lanes[0].key);
    world->listing->lanes[0].key = mem_dup("1:s:7:3");
    for (size_t i = 0; i < 4; i++) {
        free(world->rows[i].key);
        world->rows[i].key = mem_dup(keys[i]);
    }
    EQ_STR(finished(world), "1:s:7:1 1:s:7:0");
    NO(sync_is_whole(world->listing, world->rows, world->n_rows, &text)); /* e is not of it */
    free(text);
    world_free(world);
}

/* Is a table of these rows whole? The text in brackets goes to ret. */
static bool is_whole(const char *lanes, const char *rows)
{
    struct world *world = world_of("TRIM_HORIZON", lanes);
    char *text = NULL;
    bool ok;

    add_rows(world, rows);
    ok = sync_is_whole(world->listing, world->rows, world->n_rows, &text);
    EQ_INT(ok, text == NULL);
    if (text)
        YES(strstr(text, "hash keys") != NULL);
    free(text);
    world_free(world);
    return ok;
}

TEST(rows_that_have_not_ended_cover_all_hash_keys_or_there_is_a_hole)
{
    const char *lanes = "1.[0-7] 2[8-f] 3:1[0-3] 4:1[4-7]";

    YES(is_whole(lanes, "1=5 2=6"));
    YES(is_whole(lanes, "3=5 4=6 2=7"));
    YES(is_whole(lanes, "1=SHARD_END 3=5 4=6 2=7"));
    YES(is_whole(lanes, "1=9 3=TRIM_HORIZON 4=TRIM_HORIZON 2=7")); /* ranges may overlap */
    NO(is_whole(lanes, "1=5"));
    NO(is_whole(lanes, "2=5"));
    NO(is_whole(lanes, "1=SHARD_END 2=7 3=5"));
    NO(is_whole(lanes, "1=SHARD_END 2=7 4=5"));
    NO(is_whole(lanes, ""));
    YES(is_whole(lanes, "1=5 9=7"));  /* what 9 covers is not known */
    YES(is_whole("1. 2 3:1", "2=5")); /* nor any */
    YES(is_whole("", "2=5"));
}

TEST(a_hole_is_named)
{
    struct world *world = world_of("TRIM_HORIZON", "1[0-7] 2[8-f]");
    char *text = NULL;

    add_rows(world, "1=5");
    NO(sync_is_whole(world->listing, world->rows, world->n_rows, &text));
    EQ_STR(text, "no lease covers the hash keys 170141183460469231731687303715884105728 to "
                 "340282366920938463463374607431768211455");
    free(text);
    world->rows[0].low = mem_dup("0"); /* the row's own range comes first */
    world->rows[0].high = mem_dup("340282366920938463463374607431768211455");
    YES(sync_is_whole(world->listing, world->rows, world->n_rows, &text));
    world_free(world);
}

/* ---- the life of a stream */

static struct kpw_random dice;

static uint64_t roll(uint64_t n)
{
    return kpw_random_below(&dice, n);
}

struct life_lane {
    char key[24];
    size_t parents[2], children[2]; /* SIZE_MAX: none */
    kpw_u128 low, high;
    bool is_closed, is_listed, was_done;
    unsigned n_leased;
    bool is_excused; /* its row, or one of a descendant, was lost while it was needed */
    bool is_old;     /* closed before a start from LATEST */
};

struct life {
    uint64_t run;
    struct life_lane lanes[MAX_LANES];
    size_t n;
    struct lease rows[MAX_LANES];
    size_t n_rows;
    const char *begin;
    unsigned generations;
};

static struct lease *row_of(struct life *life, size_t lane)
{
    for (size_t i = 0; i < life->n_rows; i++)
        if (!strcmp(life->rows[i].key, life->lanes[lane].key))
            return &life->rows[i];
    return NULL;
}

static size_t lane_named(const struct life *life, const char *key)
{
    size_t at = strtoul(key + strlen("shardId-"), NULL, 10);

    REQUIRE(at < life->n && !strcmp(life->lanes[at].key, key));
    return at;
}

static size_t bear(struct life *life, size_t a, size_t b, kpw_u128 low, kpw_u128 high)
{
    struct life_lane *lane = &life->lanes[life->n];

    REQUIRE(life->n < MAX_LANES);
    *lane = (struct life_lane){.parents = {a, b},
                               .children = {SIZE_MAX, SIZE_MAX},
                               .low = low,
                               .high = high,
                               .is_listed = true};
    snprintf(lane->key, sizeof lane->key, "shardId-%012zu", life->n);
    return life->n++;
}

static void split(struct life *life, size_t at)
{
    struct life_lane *lane = &life->lanes[at];
    kpw_u128 middle = lane->low + (lane->high - lane->low) / 2;

    lane->is_closed = true;
    lane->children[0] = bear(life, at, SIZE_MAX, lane->low, middle);
    lane->children[1] = bear(life, at, SIZE_MAX, middle + 1, lane->high);
}

static void merge(struct life *life, size_t at)
{
    struct life_lane *lane = &life->lanes[at];

    for (size_t i = 0; i < life->n; i++) {
        struct life_lane *other = &life->lanes[i];

        if (other->is_closed || i == at || lane->high == KPW_U128_MAX ||
            other->low != lane->high + 1)
            continue;
        lane->is_closed = other->is_closed = true;
        lane->children[0] = other->children[0] =
            bear(life, roll(2) ? at : i, SIZE_MAX, lane->low, other->high);
        life->lanes[life->n - 1].parents[0] = at;
        life->lanes[life->n - 1].parents[1] = i;
        return;
    }
}

static void reshard(struct life *life)
{
    size_t open[MAX_LANES] = {0}, n = 0, at;

    for (size_t i = 0; i < life->n; i++)
        if (!life->lanes[i].is_closed)
            open[n++] = i;
    at = open[roll(n)];
    if (n < 2 || (n < 7 && roll(2)))
        split(life, at);
    else
        merge(life, at);
    life->generations++;
}

static char *u128_text(kpw_u128 n)
{
    char text[KPW_U128_SIZE];

    kpw_u128_format(n, text);
    return mem_dup(text);
}

static struct listing *listing_of(const struct life *life)
{
    struct listing *listing = mem_new(sizeof *listing);

    listing->begin = mem_dup(life->begin);
    listing->lanes = mem_new((life->n + 1) * sizeof *listing->lanes);
    for (size_t i = 0; i < life->n; i++) {
        const struct life_lane *lane = &life->lanes[i];

        if (!lane->is_listed)
            continue;
        listing->lanes[listing->n] = (struct listed_lane){.key = mem_dup(lane->key),
                                                          .low = u128_text(lane->low),
                                                          .high = u128_text(lane->high),
                                                          .is_closed = lane->is_closed};
        for (int p = 0; p < 2; p++)
            if (lane->parents[p] != SIZE_MAX)
                listing->lanes[listing->n].parents[p] = mem_dup(life->lanes[lane->parents[p]].key);
        listing->n++;
    }
    return listing;
}

static void remove_row(struct life *life, size_t i)
{
    lease_fini(&life->rows[i]);
    life->rows[i] = life->rows[--life->n_rows];
}

/* Makes one level of rows; each has its parents' rows, or they are needed no more. */
static size_t make_rows(struct life *life, const struct listing *listing)
{
    struct sync_row *plan = mem_new((listing->n + 1) * sizeof *plan);
    size_t n = sync_plan(listing, life->rows, life->n_rows, plan);

    for (size_t i = 0; i < n; i++) {
        size_t at = lane_named(life, plan[i].lane->key);
        struct life_lane *lane = &life->lanes[at];
        struct lease *row;

        YES(row_of(life, at) == NULL);
        lane->n_leased++;
        if (lane->n_leased > 1 && !lane->is_excused)
            printf("%s was leased again: run %llu\n", lane->key, (unsigned long long)life->run);
        YES(lane->n_leased == 1 || lane->is_excused);
        NO(lane->is_old);
        row = &life->rows[life->n_rows++];
        *row = (struct lease){.key = mem_dup(lane->key), .checkpoint = mem_dup(plan[i].checkpoint)};
        for (int p = 0; p < 2; p++)
            row->parents[p] = mem_dup(plan[i].lane->parents[p]);
    }
    free(plan);
    return n;
}

static void set_checkpoint(struct lease *row, const char *text)
{
    free(row->checkpoint);
    row->checkpoint = mem_dup(text);
}

static bool may_begin(struct life *life, const struct life_lane *lane)
{
    for (int p = 0; p < 2; p++) {
        const struct lease *parent =
            lane->parents[p] == SIZE_MAX ? NULL : row_of(life, lane->parents[p]);

        if (parent && !lease_has_ended(parent))
            return false;
    }
    return true;
}

/* A closed lane ends once its children's rows exist. */
static bool may_end(struct life *life, const struct life_lane *lane)
{
    if (!lane->is_closed)
        return false;
    for (int c = 0; c < 2; c++)
        if (lane->children[c] != SIZE_MAX && !row_of(life, lane->children[c]) &&
            !life->lanes[lane->children[c]].was_done)
            return false;
    return true;
}

static void work(struct life *life)
{
    for (size_t i = 0; i < life->n_rows; i++) {
        struct lease *row = &life->rows[i];
        struct life_lane *lane = &life->lanes[lane_named(life, row->key)];

        if (lease_has_ended(row) || !may_begin(life, lane) || roll(3) == 0)
            continue;
        if (may_end(life, lane) && roll(2)) {
            set_checkpoint(row, LEASE_SHARD_END);
            lane->was_done = true;
        } else {
            set_checkpoint(row, "4960000");
        }
    }
}

static void clean_up(struct life *life, const struct listing *listing)
{
    size_t *rows = mem_new((life->n_rows + 1) * sizeof *rows);
    size_t n = sync_finished(listing, life->rows, life->n_rows, rows);

    for (size_t i = n; i-- > 0;) { /* from the end: the last row takes the place */
        YES(lease_has_ended(&life->rows[rows[i]]));
        remove_row(life, rows[i]);
    }
    free(rows);
}

static void excuse(struct life *life, size_t at)
{
    if (at == SIZE_MAX || life->lanes[at].is_excused)
        return;
    life->lanes[at].is_excused = true;
    excuse(life, life->lanes[at].parents[0]);
    excuse(life, life->lanes[at].parents[1]);
}

static bool has_begun_child(struct life *life, const struct life_lane *lane)
{
    for (int c = 0; c < 2; c++) {
        const struct lease *row =
            lane->children[c] == SIZE_MAX ? NULL : row_of(life, lane->children[c]);

        if (row && strcmp(row->checkpoint, LEASE_TRIM_HORIZON) != 0 &&
            strcmp(row->checkpoint, LEASE_AT_TIMESTAMP) != 0)
            return true;
    }
    return false;
}

/* Somebody deletes a row by hand: what it takes to finish it has to be done again, unless it is
 * known to have been finished. From LATEST only lanes that are open: what is closed is past. */
static void lose_row(struct life *life)
{
    size_t i = roll(life->n_rows), at = lane_named(life, life->rows[i].key);

    if (!has_begun_child(life, &life->lanes[at])) {
        if (!strcmp(life->begin, LEASE_LATEST) && life->lanes[at].is_closed)
            return;
        excuse(life, at);
    }
    remove_row(life, i);
}

/* Closed lanes that are done are forgotten after some time, oldest first. */
static void forget_lanes(struct life *life)
{
    for (size_t i = 0; i + 60 < life->n; i++)
        if (life->lanes[i].is_closed && life->lanes[i].was_done)
            life->lanes[i].is_listed = false;
}

static void sync_all(struct life *life, bool until_still)
{
    struct listing *listing = listing_of(life);
    char *text = NULL;

    do {
        work(life);
    } while (make_rows(life, listing) && until_still);
    if (until_still) {
        bool ok = sync_is_whole(listing, life->rows, life->n_rows, &text);

        if (!ok)
            printf("%s\n", text);
        YES(ok);
        free(text);
    }
    if (roll(2))
        clean_up(life, listing);
    listing_free(listing);
}

static struct life *be_born(uint64_t run)
{
    static const char *const begins[] = {LEASE_TRIM_HORIZON, LEASE_LATEST, LEASE_AT_TIMESTAMP};
    struct life *life = mem_new(sizeof *life);

    kpw_random_init_from(&dice, run);
    life->run = run;
    life->begin = begins[run % 3];
    bear(life, SIZE_MAX, SIZE_MAX, 0, KPW_U128_MAX);
    for (size_t i = roll(20); i-- > 0;)
        reshard(life);
    for (size_t i = 0; i < life->n; i++)
        life->lanes[i].is_old = run % 3 == 1 && life->lanes[i].is_closed;
    return life;
}

static void live(uint64_t run, bool loses_rows)
{
    struct life *life = be_born(run);

    sync_all(life, true);
    while (life->generations < 120) {
        if (roll(2))
            reshard(life);
        if (loses_rows && life->n_rows && roll(15) == 0) {
            struct listing *listing = listing_of(life);

            lose_row(life);
            while (make_rows(life, listing)) /* before its children begin without it */
                ;
            listing_free(listing);
        }
        sync_all(life, roll(3) == 0);
        forget_lanes(life);
    }
    for (int i = 0; i < 160; i++)
        sync_all(life, i > 130);
    for (size_t i = 0; i < life->n; i++) {
        const struct life_lane *lane = &life->lanes[i];

        EQ_INT(lane->n_leased > 0, !lane->is_old);
        if (lane->is_closed) {
            EQ_INT(lane->was_done, !lane->is_old);
        } else {
            YES(row_of(life, i) != NULL);
        }
    }
    YES(life->n_rows < 60); /* what is done was cleaned up */
    while (life->n_rows)
        remove_row(life, 0);
    free(life);
}

TEST(over_a_hundred_generations_every_lane_is_leased_once)
{
    for (uint64_t run = 1; run <= 6; run++)
        live(run, false);
}

TEST(a_row_that_is_lost_in_a_hundred_generations_is_made_again_and_no_other)
{
    for (uint64_t run = 1; run <= 12; run++)
        live(run, true);
}
