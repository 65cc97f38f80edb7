/* dynamodb_open.c - the lease table before it is used: there, ACTIVE, and a lease table. */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/lease/dynamodb_send.h"

enum { TABLE_WAIT_MS = 120000, FIRST_PAUSE_MS = 20, MAX_PAUSE_MS = 2000 };

struct opening {
    struct dynamodb_io *db;
    void (*fn)(void *arg, const struct error *err);
    void *arg;
    int64_t until_ms, pause_ms;
};

static void dropped(void *arg)
{
    free(arg);
}

/* err NULL: ready. [consumes opening] */
static void end(struct opening *opening, const struct error *err)
{
    opening->fn(opening->arg, err);
    free(opening);
}

static void end_with(struct opening *opening, const char *text)
{
    struct error err = ERROR_INIT;

    error_set(&err, ERROR_FAILED, "the lease table %s cannot be used: %s", opening->db->table,
              text);
    end(opening, &err);
}

/* ---- its shape */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "?";
}

static const char *type_of(const json_t *table, const char *attribute)
{
    const json_t *definition;
    size_t i;

    json_array_foreach(json_object_get(table, "AttributeDefinitions"), i, definition)
    {
        if (!strcmp(text_of(definition, "AttributeName"), attribute))
            return text_of(definition, "AttributeType");
    }
    return "?";
}

/* "HASH StreamID (S), RANGE ShardID (S)" [owned by caller] */
static char *key_of(const json_t *table)
{
    char *key = mem_dup("");
    const json_t *part;
    size_t i;

    json_array_foreach(json_object_get(table, "KeySchema"), i, part)
    {
        const char *name = text_of(part, "AttributeName");
        char *longer = mem_fmt("%s%s%s %s (%s)", key, *key ? ", " : "", text_of(part, "KeyType"),
                               name, type_of(table, name));

        free(key);
        key = longer;
    }
    return key;
}

#define LEASE_KEY "HASH leaseKey (S)"

/* False with err. */
static bool is_lease_table(const struct opening *opening, const json_t *table, struct error *err)
{
    char *key = key_of(table);
    bool ok = !strcmp(key, LEASE_KEY);

    if (!ok)
        error_set(err, ERROR_CONFIG,
                  "the table %s is no lease table: its key is %s, a lease table has " LEASE_KEY
                  "; give the pipeline another `application`",
                  opening->db->table, *key ? key : "not told");
    free(key);
    return ok;
}

/* ---- until it is there */

static void describe(struct opening *opening);

static void waited(void *arg, const struct dynamodb_answer *answer)
{
    (void)answer;
    describe(arg);
}

static void look_again(struct opening *opening)
{
    struct dynamodb_asker asker = {waited, dropped, opening};

    if (clock_mono_ms() >= opening->until_ms) {
        end_with(opening, "it did not become ACTIVE within 2 minutes");
        return;
    }
    dynamodb_wait(opening->db, opening->pause_ms, &asker);
    if (opening->pause_ms < MAX_PAUSE_MS)
        opening->pause_ms *= 2;
}

static void made(void *arg, const struct dynamodb_answer *answer)
{
    struct opening *opening = arg;

    if (answer->error && !dynamodb_is(answer, "ResourceInUseException")) {
        end_with(opening, answer->message);
        return;
    }
    if (!answer->error)
        log_info("leases.created", "table=%s", opening->db->table);
    look_again(opening);
}

static void make(struct opening *opening)
{
    struct dynamodb_asker asker = {made, dropped, opening};
    struct request request;

    request_create_table(&request, opening->db->table, "leaseKey");
    dynamodb_send(opening->db, &request, &asker);
}

static void described(void *arg, const struct dynamodb_answer *answer)
{
    struct opening *opening = arg;
    const json_t *table = json_object_get(answer->body, "Table");
    struct error err = ERROR_INIT;

    if (dynamodb_is(answer, "ResourceNotFoundException")) {
        make(opening);
        return;
    }
    if (answer->error) {
        end_with(opening, answer->message);
        return;
    }
    if (!is_lease_table(opening, table, &err)) {
        end(opening, &err);
        return;
    }
    if (strcmp(text_of(table, "TableStatus"), "ACTIVE") != 0 &&
        strcmp(text_of(table, "TableStatus"), "UPDATING") != 0) {
        look_again(opening);
        return;
    }
    free(opening->db->arn);
    opening->db->arn = mem_dup(json_string_value(json_object_get(table, "TableArn")));
    end(opening, NULL);
}

static void describe(struct opening *opening)
{
    struct dynamodb_asker asker = {described, dropped, opening};
    struct request request;

    request_describe_table(&request, opening->db->table);
    dynamodb_send(opening->db, &request, &asker);
}

void dynamodb_io_open(struct lease_io *io, void (*fn)(void *arg, const struct error *err),
                      void *arg)
{
    struct opening *opening = mem_new(sizeof *opening);

    *opening = (struct opening){.db = (struct dynamodb_io *)io,
                                .fn = fn,
                                .arg = arg,
                                .until_ms = clock_mono_ms() + TABLE_WAIT_MS,
                                .pause_ms = FIRST_PAUSE_MS};
    describe(opening);
}
