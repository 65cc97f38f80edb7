/* fuzz_ddb_item.c - DynamoDB's items and requests in JSON: values made canonical, and what the
 * service's model says of a request.
 *
 * The first byte chooses: 0 an item, else the operation a request is for; the rest is its JSON.
 */
#define is_digit num_is_digit
#define take     num_take
#include "plugins/local-aws/dynamodb/num.c"
#undef is_digit
#undef take
#include "plugins/local-aws/dynamodb/value.c"
/* A name that is static in more than one file. */
#define is_type    rules_is_type
#define wrong_type rules_wrong_type
#include "plugins/local-aws/dynamodb/rules.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const operations[] = {
    "CreateTable", "UpdateTable",    "PutItem",          "UpdateItem",         "Query",
    "Scan",        "BatchWriteItem", "UpdateTimeToLive", "TransactWriteItems", "TagResource"};

/* What every canonical value must hold. */
static void check_canonical(json_t *value)
{
    json_t *again = json_deep_copy(value);
    struct ddb_bytes bytes = {NULL, 0};
    enum ddb_type type = ddb_type_of(value);
    int order = 1;

    if (!ddb_value_check(again, NULL) || !json_equal(value, again) || !ddb_equal(value, again))
        abort();
    if (ddb_order(value, again, &order) && order != 0)
        abort();
    if (type == DDB_S || type == DDB_N || type == DDB_B) {
        if (!ddb_key_bytes(value, &bytes))
            abort();
        free(bytes.at);
    }
    ddb_size_function(value);
    json_decref(again);
}

static void run_item(json_t *item)
{
    struct ddb_error err = {0};
    const char *name;
    json_t *value;

    if (!ddb_item_check(item, &err)) {
        if (!err.type)
            abort();
        ddb_error_fini(&err);
        return;
    }
    ddb_item_size(item);
    json_object_foreach(item, name, value)
    {
        check_canonical(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ddb_error err = {0};
    json_t *document;

    if (size < 1)
        return 0;
    document = json_loadb((const char *)data + 1, size - 1, JSON_ALLOW_NUL, NULL);
    if (json_is_object(document) && data[0] % 16 == 0)
        run_item(document);
    else if (json_is_object(document) &&
             !ddb_rules_check(operations[data[0] % 10], document, &err) && !err.type)
        abort();
    ddb_error_fini(&err);
    json_decref(document);
    return 0;
}
