/* fuzz_ddb_expression.c - DynamoDB's expressions: parsed, checked, and run on an item.
 *
 * The first byte chooses the kind of expression, the rest is its text.
 */
#include "plugins/local-aws/dynamodb/lexer.c"
/* Names that are static in more than one file. */
#define is_digit num_is_digit
#define take     num_take
#include "plugins/local-aws/dynamodb/num.c"
#undef is_digit
#undef take
#include "plugins/local-aws/dynamodb/check.c"
#include "plugins/local-aws/dynamodb/expression.c"
#include "plugins/local-aws/dynamodb/reserved.c"
#include "plugins/local-aws/dynamodb/value.c"
#include "plugins/local-aws/dynamodb/eval.c"
#include "plugins/local-aws/dynamodb/update.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char item_text[] =
    "{\"a\":{\"S\":\"text\"},\"n\":{\"N\":\"7\"},\"l\":{\"L\":[{\"N\":\"1\"},{\"S\":\"x\"}]},"
    "\"m\":{\"M\":{\"k\":{\"BOOL\":true}}},\"s\":{\"SS\":[\"a\",\"b\"]}}";
static const char names_text[] = "{\"#a\":\"a\",\"#n\":\"n\",\"#m\":\"m\"}";
static const char values_text[] =
    "{\":n\":{\"N\":\"3\"},\":s\":{\"S\":\"t\"},\":l\":{\"L\":[]},\":ss\":{\"SS\":[\"b\"]}}";

static void run(const struct ddb_expression *ex, enum ddb_expression_kind kind, const json_t *item)
{
    struct ddb_error err = {0};
    json_t *result = NULL;

    if (kind == DDB_UPDATE)
        result = ddb_update_apply(ex, item, &err);
    else if (kind == DDB_PROJECTION)
        result = ddb_project(item, ex->paths, ex->n_paths);
    else
        ddb_holds(ex->condition, item);
    /* An update either gives an item or says why not. */
    if (kind == DDB_UPDATE && !result && !err.type)
        abort();
    json_decref(result);
    ddb_error_fini(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum ddb_expression_kind kind = size ? (enum ddb_expression_kind)(data[0] % 5 + 1) : DDB_FILTER;
    char *text = malloc(size + 1);
    json_t *item = json_loads(item_text, 0, NULL), *names = json_loads(names_text, 0, NULL);
    json_t *values = json_loads(values_text, 0, NULL);
    struct ddb_names placeholders;
    struct ddb_expression ex;
    struct ddb_error err = {0};

    memcpy(text, data + (size > 0), size - (size > 0));
    text[size - (size > 0)] = '\0';
    ddb_names_init(&placeholders, names, values);
    if (!ddb_names_check(&placeholders, &err))
        abort();
    if (ddb_expression_parse(&ex, kind, text, &placeholders, &err))
        run(&ex, kind, item);
    else if (!err.type)
        abort();
    ddb_expression_fini(&ex);
    ddb_names_fini(&placeholders);
    ddb_error_fini(&err);
    json_decref(item);
    json_decref(names);
    json_decref(values);
    free(text);
    return 0;
}
