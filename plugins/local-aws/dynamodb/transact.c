/* transact.c - TransactWriteItems and TransactGetItems.
 *
 * All happens in one transaction of the store, so nothing is seen of it before it is whole, and no
 * other request can come between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/call.h"
#include "plugins/local-aws/dynamodb/eval.h"
#include "sdk/wire/hash.h"

enum { TRANSACTION_BYTES_MAX = 4 * 1024 * 1024 };

/* ---- why it was cancelled ---- */

static json_t *reason_of(const struct ddb_error *err)
{
    bool failed = err->type && strcmp(err->type, "ConditionalCheckFailedException") == 0;
    json_t *reason = err->type ? json_pack("{s:s,s:s}", "Code",
                                           failed ? "ConditionalCheckFailed" : "ValidationError",
                                           "Message", err->text)
                               : json_pack("{s:s}", "Code", "None");

    if (err->item)
        json_object_set(reason, "Item", err->item);
    return reason;
}

/* Cancels with the reasons, one per entry. */
static bool cancel(struct ddb_call *call, json_t *reasons)
{
    char codes[900] = "";
    size_t at = 0;

    for (size_t i = 0; i < json_array_size(reasons) && at < sizeof(codes); i++)
        at += (size_t)snprintf(codes + at, sizeof(codes) - at, "%s%s", i ? ", " : "",
                               ddb_text(json_array_get(reasons, i), "Code"));
    ddb_refuse(call->err, "TransactionCanceledException",
               "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]",
               codes);
    json_decref(call->err->reasons);
    call->err->reasons = json_incref(reasons);
    return false;
}

/* ---- TransactWriteItems ---- */

static enum ddb_write_kind action_of(json_t *entry, json_t **ret_request)
{
    static const struct {
        const char *name;
        enum ddb_write_kind kind;
    } kinds[] = {{"Put", DDB_WRITE_PUT},
                 {"Update", DDB_WRITE_UPDATE},
                 {"Delete", DDB_WRITE_DELETE},
                 {"ConditionCheck", DDB_WRITE_CHECK}};
    enum ddb_write_kind found = 0;

    for (size_t i = 0; i < 4; i++) {
        json_t *request = ddb_member(entry, kinds[i].name);

        if (!request)
            continue;
        if (found)
            return 0;
        found = kinds[i].kind;
        *ret_request = request;
    }
    return found;
}

static bool prepare_all(struct ddb_call *call, const json_t *items, struct ddb_write *writes)
{
    json_t *seen = json_object();
    bool ok = true;

    for (size_t i = 0; ok && i < json_array_size(items); i++) {
        json_t *request = NULL;
        enum ddb_write_kind kind = action_of(json_array_get(items, i), &request);

        if (!kind)
            ok = ddb_invalid(call->err, "TransactItems can only contain one of Check, Put, Update "
                                        "or Delete");
        else
            ok = ddb_write_prepare(call, &writes[i], kind, request, call->err);
        if (ok && !ddb_first_time(seen, &writes[i].table, writes[i].key))
            ok = ddb_invalid(call->err,
                             "Transaction request cannot include multiple operations on one item");
    }
    json_decref(seen);
    return ok;
}

static bool check_size(struct ddb_call *call, const struct ddb_write *writes, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ddb_item_size(writes[i].item ? writes[i].item : writes[i].key);
    return sum <= TRANSACTION_BYTES_MAX ||
           ddb_invalid(call->err, "Transaction payload size exceeded: the items of a transaction "
                                  "can be 4 MB at most");
}

/* Decides all; true when every one may be done. */
static bool decide_all(struct ddb_call *call, struct ddb_write *writes, size_t n)
{
    json_t *reasons = json_array();
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        struct ddb_error err = {0};

        if (!ddb_write_fits(&writes[i], &err) || !ddb_write_decide(call, &writes[i], &err))
            ok = false;
        json_array_append_new(reasons, reason_of(&err));
        ddb_error_fini(&err);
    }
    if (!ok)
        cancel(call, reasons);
    json_decref(reasons);
    return ok;
}

/* Adds to the use of the table, one in the list per table. */
static void add_use(struct ddb_use *uses, size_t n, const struct ddb_schema *schema,
                    const struct ddb_write *write, size_t bytes)
{
    size_t at = 0;

    while (at < n && uses[at].schema && strcmp(uses[at].schema->name, schema->name) != 0)
        at++;
    uses[at].is_transaction = true;
    uses[at].schema = schema;
    if (write)
        ddb_use_write(&uses[at], write);
    else
        ddb_use_read(&uses[at], NULL, bytes, true);
}

static void answer_uses(struct ddb_call *call, const struct ddb_use *uses, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n && uses[i].schema; i++) {
        json_t *one = ddb_use_json(call->in, &uses[i]);

        if (one)
            json_array_append_new(list, one);
    }
    if (json_array_size(list) > 0)
        json_object_set(call->out, "ConsumedCapacity", list);
    json_decref(list);
}

static void answer_writes(struct ddb_call *call, const struct ddb_write *writes, size_t n)
{
    struct ddb_use *uses = calloc(n + 1, sizeof(*uses));
    json_t *metrics = json_object();

    for (size_t i = 0; uses && i < n; i++) {
        const char *name = writes[i].table.schema.name;
        json_t *one = ddb_write_metrics(call, &writes[i]);

        add_use(uses, n, &writes[i].table.schema, &writes[i], 0);
        if (one && !json_object_get(metrics, name))
            json_object_set_new(metrics, name, json_array());
        if (one)
            json_array_append_new(json_object_get(metrics, name), one);
    }
    if (uses)
        answer_uses(call, uses, n);
    if (json_object_size(metrics) > 0)
        json_object_set(call->out, "ItemCollectionMetrics", metrics);
    json_decref(metrics);
    free(uses);
}

/* 1: the same was done before; 0: go on; -1: refused. `digest` is set when there is a token. */
static int check_token(struct ddb_call *call, const json_t *items, char digest[KPW_SHA256_HEX + 1])
{
    const char *token = ddb_text(call->in, "ClientRequestToken");
    char *text;
    int known;

    digest[0] = '\0';
    if (!token)
        return 0;
    text = json_dumps(items, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) {
        ddb_trouble(call->err);
        return -1;
    }
    kpw_sha256_hex(text, strlen(text), digest);
    free(text);
    known = ddb_store_token(call->store, call->scope, token, digest, call->place.now);
    if (known < 0)
        ddb_refuse(
            call->err, "IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request. "
            "Do not reuse a client token with different requests, unless the requests are "
            "identical");
    return known;
}

static bool apply_all(struct ddb_call *call, struct ddb_write *writes, size_t n, const char *digest)
{
    for (size_t i = 0; i < n; i++)
        if (!ddb_write_apply(call, &writes[i], call->err))
            return false;
    return !digest[0] ||
           ddb_store_add_token(call->store, call->scope, ddb_text(call->in, "ClientRequestToken"),
                               digest, call->place.now + DDB_TOKEN_SECONDS) ||
           ddb_trouble(call->err);
}

bool ddb_transact_write(struct ddb_call *call)
{
    const json_t *items = ddb_member(call->in, "TransactItems");
    size_t n = json_array_size(items);
    char digest[KPW_SHA256_HEX + 1];
    int known = check_token(call, items, digest);
    struct ddb_write *writes;
    bool ok;

    if (known)
        return known > 0;
    writes = calloc(n, sizeof(*writes));
    if (!writes)
        return ddb_trouble(call->err);
    ok = prepare_all(call, items, writes) && decide_all(call, writes, n) &&
         check_size(call, writes, n) && apply_all(call, writes, n, digest);
    if (ok)
        answer_writes(call, writes, n);
    for (size_t i = 0; i < n; i++)
        ddb_write_fini(&writes[i]);
    free(writes);
    return ok;
}

/* ---- TransactGetItems ---- */

struct get {
    struct ddb_table table;
    struct ddb_parsed parsed;
    json_t *key;  /* [borrowed] */
    json_t *item; /* [owned] NULL: there is none */
};

static bool prepare_gets(struct ddb_call *call, const json_t *items, struct get *gets)
{
    static const struct ddb_parameters parameters = {.projects = true};
    json_t *seen = json_object();
    bool ok = true;

    for (size_t i = 0; ok && i < json_array_size(items); i++) {
        json_t *request = ddb_member(json_array_get(items, i), "Get");

        gets[i].key = ddb_member(request, "Key");
        ok = ddb_item_check(gets[i].key, call->err) &&
             ddb_parse(request, &parameters, &gets[i].parsed, call->err) &&
             ddb_find_table(call, request, &gets[i].table);
        if (ok && !ddb_first_time(seen, &gets[i].table, gets[i].key))
            ok = ddb_invalid(call->err,
                             "Transaction request cannot include multiple operations on one item");
    }
    json_decref(seen);
    return ok;
}

static bool get_all(struct ddb_call *call, struct get *gets, size_t n)
{
    json_t *reasons = json_array();
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        struct ddb_error err = {0};

        if (ddb_schema_is_key(&gets[i].table.schema, gets[i].key, &err))
            gets[i].item = ddb_store_get(call->store, &gets[i].table, gets[i].key);
        else
            ok = false;
        json_array_append_new(reasons, reason_of(&err));
        ddb_error_fini(&err);
    }
    if (!ok)
        cancel(call, reasons);
    json_decref(reasons);
    return ok;
}

static void answer_gets(struct ddb_call *call, const struct get *gets, size_t n)
{
    struct ddb_use *uses = calloc(n + 1, sizeof(*uses));
    json_t *responses = json_array();

    for (size_t i = 0; uses && i < n; i++) {
        const struct ddb_expression *projection = &gets[i].parsed.projection;
        json_t *item = gets[i].item, *one = json_object();

        add_use(uses, n, &gets[i].table.schema, NULL, item ? ddb_item_size(item) : 0);
        if (item)
            json_object_set_new(one, "Item",
                                gets[i].parsed.has_projection
                                    ? ddb_project(item, projection->paths, projection->n_paths)
                                    : json_incref(item));
        json_array_append_new(responses, one);
    }
    json_object_set_new(call->out, "Responses", responses);
    if (uses)
        answer_uses(call, uses, n);
    free(uses);
}

bool ddb_transact_get(struct ddb_call *call)
{
    const json_t *items = ddb_member(call->in, "TransactItems");
    size_t n = json_array_size(items);
    struct get *gets = calloc(n, sizeof(*gets));
    bool ok;

    if (!gets)
        return ddb_trouble(call->err);
    ok = prepare_gets(call, items, gets) && get_all(call, gets, n);
    if (ok)
        answer_gets(call, gets, n);
    for (size_t i = 0; i < n; i++) {
        json_decref(gets[i].item);
        ddb_parsed_fini(&gets[i].parsed);
        ddb_table_fini(&gets[i].table);
    }
    free(gets);
    return ok;
}
