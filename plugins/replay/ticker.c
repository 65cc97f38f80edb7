/* ticker.c - source "ticker": the random stock prices of the solution's demo producer.
 *
 * Records look like {"event_time": "2020-08-01 12:00:00.0","ticker": "AMZN","price": 50.1}: the
 * time as java.sql.Timestamp prints it (UTC, zeros at the end of the fraction cut, at least one
 * digit), one of five tickers, a price of full precision in [0,100). A timer asks every few
 * milliseconds how many records are due since the start, so a pause is made up for and the total is
 * exact. The position is the number of records made; with a seed a restart goes on with the same
 * values.
 *
 * Owned by: the source node, singleton.   Threads: its worker.
 */
#include "plugins/replay/source.h"

#include "sdk/wire/json.h"
#include "sdk/wire/random.h"
#include "sdk/wire/time.h"

#include <kpipe/ext/timer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST          500 /* records of one batch at most */
#define LINE_MAX_BYTES 128 /* of a record; the longest has 95 */

struct ticker_config {
    double rate;
    int64_t count;
    int64_t seed;
};

struct ticker {
    const struct ticker_config *config;
    kp_lane *lane;
    kp_timer *timer; /* [owned by node] */
    const kp_timer_ext *timers;
    struct kpw_random random;
    struct kpw_buf text; /* of one record */
    uint64_t made;       /* records since the first start of this pipeline */
    uint64_t made_here;  /* since start() of this process */
    int64_t started_at;  /* monotonic */
    bool over;
};

static const char *const tickers[] = {"AAPL", "AMZN", "MSFT", "INTC", "TBV"};

/* As java.sql.Timestamp prints it. */
static void print_time(char out[KPW_ISO8601_SIZE], int64_t wall_ms)
{
    size_t n = kpw_iso8601_format(wall_ms, out) - 1; /* without the Z */

    out[10] = ' ';
    while (out[n - 1] == '0' && out[n - 2] != '.')
        n--;
    out[n] = 0;
}

/* Draws the values of one record; what a restart has to skip. */
static const char *draw(struct ticker *t, double *ret_price)
{
    const char *name = tickers[kpw_random_below(&t->random, 5)];

    *ret_price = kpw_random_unit(&t->random) * 100;
    return name;
}

/* Into the text; it is copied into the batch before the next one. */
static void print_record(struct ticker *t, const char *time_text)
{
    double price;
    const char *name = draw(t, &price);

    kpw_buf_clear(&t->text);
    kpw_buf_appendf(&t->text, "{\"event_time\":\"%s\",\"ticker\":\"%s\",\"price\":", time_text,
                    name);
    kpw_json_put_double(&t->text, price);
    kpw_buf_putc(&t->text, '}');
}

/* False: no memory now, tried again at the next tick. */
static bool submit(kp_node *node, struct ticker *t, uint32_t n)
{
    int64_t now = kp->wall_ms();
    char time_text[KPW_ISO8601_SIZE], position[24];
    kp_batch *b = kp->batch_new(node, n);
    kp_record *records = b ? kp->append(b, n) : NULL;
    char *memory = records ? kp->alloc(b, (size_t)n * LINE_MAX_BYTES) : NULL;
    kp_position end = {.text = {position, 0}};

    if (!memory || !kpw_buf_reserve(&t->text, LINE_MAX_BYTES)) {
        kpw_buf_fini(&t->text);
        if (b)
            kp->release(node, b);
        return false;
    }
    print_time(time_text, now);
    for (uint32_t i = 0; i < n; i++) {
        kp_record *r = (kp_record *)(void *)kp_at(b, i);

        print_record(t, time_text);
        memcpy(memory, t->text.ptr, t->text.len);
        r->data = memory;
        r->data_len = (uint32_t)t->text.len;
        r->type = "application/json";
        r->arrival_ms = now;
        memory += r->data_len;
    }
    t->made += n;
    t->made_here += n;
    end.text.len =
        (size_t)snprintf(position, sizeof(position), "%llu", (unsigned long long)t->made);
    kp->submit(t->lane, b, &end, NULL);
    return true;
}

static void finish(kp_node *node, struct ticker *t)
{
    t->over = true;
    t->timers->stop(t->timer);
    kp->lane_close(t->lane);
    kp->ended(node);
}

static void tick(kp_node *node, void *arg)
{
    struct ticker *t = arg;
    uint64_t count = (uint64_t)t->config->count;

    while (!t->over) {
        double elapsed_s = (double)(kp->now_ms() - t->started_at) / 1000;
        uint64_t due = (uint64_t)(elapsed_s * t->config->rate + 1e-9);
        uint64_t n = due > t->made_here ? due - t->made_here : 0;

        if (count && t->made >= count) {
            finish(node, t);
            return;
        }
        if (count && n > count - t->made)
            n = count - t->made;
        if (n == 0 || !kp->lane_ready(t->lane))
            return;
        if (!submit(node, t, n > BURST ? BURST : (uint32_t)n))
            return;
    }
}

static kp_status ticker_open(kp_node *node, const void *config, void *state)
{
    struct ticker *t = state;

    t->config = config;
    t->timers = kp->extension("timer/1");
    if (!t->timers)
        return kp->fail(node, "this host has no timer/1");
    t->timer = t->timers->create(node, tick, t);
    return t->timer ? KP_OK : kp->fail(node, "out of memory");
}

static kp_status ticker_start(kp_node *node, void *state)
{
    struct ticker *t = state;
    kp_position at = {0};
    double gap_ms = 1000 / t->config->rate, price;
    char text[24] = "";

    t->lane = kp->lane_open(node, "ticker", t, &at);
    if (!t->lane)
        return kp->fail(node, "cannot open the lane");
    if (at.text.len && at.text.len < sizeof(text)) {
        memcpy(text, at.text.ptr, at.text.len);
        t->made = strtoull(text, NULL, 10);
    }
    if (t->config->seed)
        kpw_random_init_from(&t->random, (uint64_t)t->config->seed);
    else
        kpw_random_init(&t->random);
    for (uint64_t i = 0; t->config->seed && i < t->made; i++)
        (void)draw(t, &price);
    t->started_at = kp->now_ms();
    gap_ms = gap_ms < 10 ? 10 : gap_ms > 1000 ? 1000 : gap_ms;
    t->timers->start(t->timer, (int64_t)gap_ms, (int64_t)gap_ms);
    if (t->config->count && t->made >= (uint64_t)t->config->count)
        finish(node, t);
    return KP_OK;
}

static void ticker_wake(kp_node *node, void *state, kp_lane *lane, void *lane_state)
{
    (void)lane;
    (void)lane_state;
    tick(node, state);
}

static void ticker_stop(kp_node *node, void *state)
{
    struct ticker *t = state;

    (void)node;
    t->over = true;
    t->timers->stop(t->timer);
}

static void ticker_close(kp_node *node, void *state)
{
    struct ticker *t = state;

    (void)node;
    if (t->timer)
        t->timers->destroy(t->timer);
    t->timer = NULL;
    kpw_buf_fini(&t->text);
}

static const kp_option ticker_options[] = {
    {"rate", KP_T_NUMBER, offsetof(struct ticker_config, rate), "100", "0.001..1000000",
     "records per second", NULL},
    {"count", KP_T_INT, offsetof(struct ticker_config, count), "0", "0..9000000000000000",
     "end after so many records; 0 = never", NULL},
    {"seed", KP_T_INT, offsetof(struct ticker_config, seed), "0", "0..9000000000000000",
     "start of the random numbers, for the same values every time; 0 = from the system", NULL},
    {0},
};

const kp_element ticker_element = {
    .size = sizeof(kp_element),
    .kind = KP_SOURCE,
    .flags = KP_BOUNDED | KP_SINGLETON,
    .name = "ticker",
    .help = "random stock prices, as the demo producer of the AWS solution makes them",
    .options = ticker_options,
    .config_size = sizeof(struct ticker_config),
    .state_size = sizeof(struct ticker),
    .open = ticker_open,
    .start = ticker_start,
    .wake = ticker_wake,
    .stop = ticker_stop,
    .close = ticker_close,
};
