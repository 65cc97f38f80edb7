/* flight.c - requests under way, the counts of operations, and the way an answer takes out.
 *
 * The table is linear probing; a place is given up by moving later ones of its run back, so that
 * there are no tombstones.
 */
#include "plugins/local-aws/flight.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool flights_open(struct local *local)
{
    struct flights *flights = calloc(1, sizeof *flights);

    local->flights = flights;
    if (!flights)
        return false;
    flights->n_places = 64;
    flights->places = calloc(flights->n_places, sizeof *flights->places);
    flights->counters = calloc(FLIGHT_COUNTERS_MAX, sizeof *flights->counters);
    return flights->places && flights->counters;
}

void flights_close(struct local *local)
{
    if (!local->flights)
        return;
    free(local->flights->places);
    free(local->flights->counters);
    free(local->flights);
    local->flights = NULL;
}

/* ---- the table */

static size_t home_of(const struct flights *flights, const kp_exchange *x)
{
    uint64_t hash = (uint64_t)(uintptr_t)x * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(hash >> 32) & (flights->n_places - 1);
}

/* The place of x, or the free one where it belongs. */
static size_t place_of(const struct flights *flights, const kp_exchange *x)
{
    size_t at = home_of(flights, x);

    while (flights->places[at].x && flights->places[at].x != x)
        at = (at + 1) & (flights->n_places - 1);
    return at;
}

static bool grow(struct flights *flights)
{
    struct flight *old = flights->places;
    size_t n = flights->n_places;
    struct flight *places = calloc(2 * n, sizeof *places);

    if (!places)
        return false;
    flights->places = places;
    flights->n_places = 2 * n;
    for (size_t i = 0; i < n; i++)
        if (old[i].x)
            places[place_of(flights, old[i].x)] = old[i];
    free(old);
    return true;
}

static void give_up(struct flights *flights, size_t at)
{
    size_t mask = flights->n_places - 1;

    flights->n_open--;
    for (size_t next = (at + 1) & mask; flights->places[next].x; next = (next + 1) & mask) {
        size_t home = home_of(flights, flights->places[next].x);

        /* May it stand at `at`? Only if its home is not behind that. */
        if (((next - home) & mask) < ((next - at) & mask))
            continue;
        flights->places[at] = flights->places[next];
        at = next;
    }
    flights->places[at] = (struct flight){0};
}

struct flight *flight_of(const struct local *local, const kp_exchange *x)
{
    const struct flights *flights = local->flights;
    size_t at = place_of(flights, x);

    return flights->places[at].x ? &flights->places[at] : NULL;
}

/* ---- counting */

static bool is_counter(const struct flight_counter *c, enum local_service service, const char *name)
{
    return c->service == service && !strcmp(c->operation, name);
}

static uint32_t counter_of(struct flights *flights, const struct local_target *target)
{
    const char *name = target->operation[0] ? target->operation : "unknown";

    if (is_counter(&flights->counters[flights->last], target->service, name))
        return flights->last;
    for (uint32_t i = 0; i < flights->n_counters; i++)
        if (is_counter(&flights->counters[i], target->service, name))
            return flights->last = i;
    if (flights->n_counters == FLIGHT_COUNTERS_MAX - 1) { /* the last one is for all the others */
        strcpy(flights->counters[FLIGHT_COUNTERS_MAX - 1].operation, "other");
        return FLIGHT_COUNTERS_MAX - 1;
    }
    flights->counters[flights->n_counters].service = target->service;
    strcpy(flights->counters[flights->n_counters].operation, name);
    return flights->last = flights->n_counters++;
}

struct flight *flight_begin(struct local *local, kp_exchange *x, const struct local_target *target)
{
    struct flights *flights = local->flights;
    struct flight *flight;
    uint32_t counter = counter_of(flights, target);

    flights->counters[counter].requests++;
    if (4 * (flights->n_open + 1) > 3 * flights->n_places && !grow(flights))
        return NULL;
    flight = &flights->places[place_of(flights, x)];
    if (!flight->x)
        flights->n_open++;
    *flight = (struct flight){.x = x, .counter = counter};
    return flight;
}

/* Ends a flight; returns what becomes of the answer. */
static enum flight_end land(struct local *local, kp_exchange *x, int status)
{
    struct flights *flights = local->flights;
    size_t at = place_of(flights, x);
    enum flight_end end = flights->places[at].end;

    if (!flights->places[at].x)
        return FLIGHT_ANSWERED;
    if (status >= 400 || end != FLIGHT_ANSWERED)
        flights->counters[flights->places[at].counter].errors++;
    give_up(flights, at);
    return end;
}

/* ---- the way out */

static bool can_cut(const kp_server_ext *ext)
{
    return ext->size >= offsetof(kp_server_ext, respond_cut) + sizeof ext->respond_cut &&
           ext->respond_cut;
}

void local_respond(struct local *local, kp_exchange *x, int status, const struct local_body *body)
{
    const kp_server_ext *ext = local->server_ext;

    switch (land(local, x, status)) {
    case FLIGHT_ANSWERED:
        ext->respond(x, status, body->headers, body->n_headers, body->bytes, body->keep);
        return;
    case FLIGHT_CUT:
        if (can_cut(ext) && body->bytes.len > 1) /* an empty answer has no middle */
            ext->respond_cut(x, status, body->headers, body->n_headers, body->bytes);
        else
            ext->abort(x);
        break;
    case FLIGHT_RESET: ext->abort(x); break;
    }
    if (body->keep)
        kp->slab_unref(body->keep);
}

/* A file's first bytes stand for all of it: more than that nobody gets to see. */
static void cut_file(struct local *local, kp_exchange *x, int status, const struct local_body *body,
                     const kp_server_file *file)
{
    char bytes[4096];
    size_t len = file->len < sizeof bytes ? (size_t)file->len : sizeof bytes;
    ssize_t n = pread(file->fd, bytes, len, (off_t)file->offset);

    if (n > 0 && can_cut(local->server_ext))
        local->server_ext->respond_cut(x, status, body->headers, body->n_headers,
                                       (kp_slice){bytes, (size_t)n});
    else
        local->server_ext->abort(x);
}

void local_respond_file(struct local *local, kp_exchange *x, int status,
                        const struct local_body *body, const kp_server_file *file)
{
    enum flight_end end = land(local, x, status);

    if (end == FLIGHT_ANSWERED) {
        local->server_ext->respond_file(x, status, body->headers, body->n_headers, file);
        return;
    }
    if (end == FLIGHT_CUT)
        cut_file(local, x, status, body, file);
    else
        local->server_ext->abort(x);
    close(file->fd);
}

bool local_begin_answer(struct local *local, kp_exchange *x, int status)
{
    if (land(local, x, status) == FLIGHT_ANSWERED)
        return true;
    local->server_ext->abort(x);
    return false;
}

void local_drop(struct local *local, kp_exchange *x)
{
    (void)land(local, x, 0);
}
