/* lease_local.h - a lease table in the embedded AWS, which a child process serves: `kpipe local`
 * beside the test program. It is gone at the end, also when a test is broken off.
 */
#ifndef KPIPE_TESTS_LEASE_LOCAL_H
#define KPIPE_TESTS_LEASE_LOCAL_H

#include <jansson.h>

#include "core/lease/io.h"
#include "tests/unit/aws_world.h"

/* A world, the child, and a handle on the table "app", which is not opened yet. */
void local_begin(void);
void local_end(void);

/* What a call was answered. */
struct local_heard {
    bool is_there;
    enum lease_status status;
    struct lease row;     /* [owned] key NULL: none */
    struct lease *leases; /* [owned] of a scan, as the rest */
    size_t n_leases, n_workers, n_strange;
    bool has_items, has_tables;
    char lock[100]; /* "owner version released" */
    char cpu[100];  /* of the first worker: "id updated cpu limit failed" */
};
void local_call(const struct lease_call *call, struct local_heard *ret);
void local_forget(struct local_heard *heard);
/* The same without what it says. */
enum lease_status local_status(const struct lease_call *call);

/* Opens the table: what that came to, or "ready". [static buffer] */
const char *local_open(void);

/* A request of DynamoDB itself; single quotes stand for double ones. [owned by caller] */
json_t *local_ask(const char *operation, const char *text);
json_t *local_ask_json(const char *operation, json_t *input); /* [consumes input] */

#endif
