/* rules.c - what the service's model says of a request.
 *
 * One table: operation, path of the member, type, bounds. "[]" in a path is every element of a
 * list, "{}" every value of a map. A rule about a member inside of what is absent says nothing.
 */
#include "plugins/local-aws/dynamodb/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CLAUSES_MAX = 10, PATH_MAX_ = 200, VALUE_MAX = 300 };

enum type { STRING = 1, INTEGER, BOOLEAN, LIST, MAP, STRUCT };

/* What is between two bars in `more`: "!" must be there, "name" a table's or index's name,
 * "len MIN MAX", "num MIN MAX" ("-" open), or "enum A, B" with the words as they are printed. */
struct rule {
    const char *operations; /* words */
    const char *path;
    enum type type;
    const char *more; /* "" */
};

#define READS  "GetItem Query Scan BatchGetItem TransactGetItems "
#define WRITES "PutItem UpdateItem DeleteItem BatchWriteItem TransactWriteItems "
#define ONE    "GetItem PutItem UpdateItem DeleteItem "
#define ADMIN                                                                                \
    "CreateTable UpdateTable DeleteTable DescribeTable UpdateTimeToLive DescribeTimeToLive " \
    "UpdateContinuousBackups DescribeContinuousBackups "
#define OPERATORS                                                                           \
    "enum IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, " \
    "CONTAINS"
#define INDEXES(list)                                                                 \
    {"CreateTable", list, LIST, ""}, {"CreateTable", list "[]", STRUCT, ""},          \
        {"CreateTable", list "[].IndexName", STRING, "!|name"},                       \
        {"CreateTable", list "[].KeySchema", LIST, "!|len 1 2"},                      \
        {"CreateTable", list "[].KeySchema[]", STRUCT, ""},                           \
        {"CreateTable", list "[].KeySchema[].AttributeName", STRING, "!|len 1 255"},  \
        {"CreateTable", list "[].KeySchema[].KeyType", STRING, "!|enum HASH, RANGE"}, \
        {"CreateTable", list "[].Projection", STRUCT, "!"},                           \
        {"CreateTable", list "[].Projection.ProjectionType", STRING,                  \
         "enum ALL, INCLUDE, KEYS_ONLY"},                                             \
        {"CreateTable", list "[].Projection.NonKeyAttributes", LIST, "len 1 20"},     \
    {                                                                                 \
        "CreateTable", list "[].Projection.NonKeyAttributes[]", STRING, "len 1 255"   \
    }
#define THROUGHPUT(operation, path)                                                              \
    {operation, path, STRUCT, ""}, {operation, path ".ReadCapacityUnits", INTEGER, "!|num 1 -"}, \
    {                                                                                            \
        operation, path ".WriteCapacityUnits", INTEGER, "!|num 1 -"                              \
    }
#define GSI "GlobalSecondaryIndexUpdates"

static const struct rule rules[] = {
    {ADMIN ONE "Query Scan", "TableName", STRING, "!|name"},
    {"CreateTable UpdateTable", "AttributeDefinitions", LIST, ""},
    {"CreateTable", "AttributeDefinitions", LIST, "!"},
    {"CreateTable UpdateTable", "AttributeDefinitions[]", STRUCT, ""},
    {"CreateTable UpdateTable", "AttributeDefinitions[].AttributeName", STRING, "!|len 1 255"},
    {"CreateTable UpdateTable", "AttributeDefinitions[].AttributeType", STRING, "!|enum B, N, S"},
    {"CreateTable", "KeySchema", LIST, "!|len 1 2"},
    {"CreateTable", "KeySchema[]", STRUCT, ""},
    {"CreateTable", "KeySchema[].AttributeName", STRING, "!|len 1 255"},
    {"CreateTable", "KeySchema[].KeyType", STRING, "!|enum HASH, RANGE"},
    {"CreateTable UpdateTable", "BillingMode", STRING, "enum PROVISIONED, PAY_PER_REQUEST"},
    {"CreateTable UpdateTable", "TableClass", STRING, "enum STANDARD, STANDARD_INFREQUENT_ACCESS"},
    {"CreateTable UpdateTable", "DeletionProtectionEnabled", BOOLEAN, ""},
    {"CreateTable UpdateTable", "StreamSpecification", STRUCT, ""},
    {"CreateTable UpdateTable", "StreamSpecification.StreamEnabled", BOOLEAN, "!"},
    {"CreateTable UpdateTable", "StreamSpecification.StreamViewType", STRING,
     "enum NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY"},
    {"CreateTable UpdateTable", "SSESpecification", STRUCT, ""},
    {"CreateTable UpdateTable", "SSESpecification.Enabled", BOOLEAN, ""},
    {"CreateTable UpdateTable", "SSESpecification.SSEType", STRING, "enum AES256, KMS"},
    THROUGHPUT("CreateTable UpdateTable", "ProvisionedThroughput"),
    INDEXES("GlobalSecondaryIndexes"),
    THROUGHPUT("CreateTable", "GlobalSecondaryIndexes[].ProvisionedThroughput"),
    INDEXES("LocalSecondaryIndexes"),
    {"UpdateTable", GSI, LIST, ""},
    {"UpdateTable", GSI "[]", STRUCT, ""},
    {"UpdateTable", GSI "[].Create", STRUCT, ""},
    {"UpdateTable", GSI "[].Create.IndexName", STRING, "!|name"},
    {"UpdateTable", GSI "[].Create.KeySchema", LIST, "!|len 1 2"},
    {"UpdateTable", GSI "[].Create.KeySchema[].AttributeName", STRING, "!|len 1 255"},
    {"UpdateTable", GSI "[].Create.KeySchema[].KeyType", STRING, "!|enum HASH, RANGE"},
    {"UpdateTable", GSI "[].Create.Projection", STRUCT, "!"},
    {"UpdateTable", GSI "[].Create.Projection.ProjectionType", STRING,
     "enum ALL, INCLUDE, KEYS_ONLY"},
    THROUGHPUT("UpdateTable", GSI "[].Create.ProvisionedThroughput"),
    {"UpdateTable", GSI "[].Update", STRUCT, ""},
    {"UpdateTable", GSI "[].Update.IndexName", STRING, "!|name"},
    THROUGHPUT("UpdateTable", GSI "[].Update.ProvisionedThroughput"),
    {"UpdateTable", GSI "[].Delete", STRUCT, ""},
    {"UpdateTable", GSI "[].Delete.IndexName", STRING, "!|name"},
    {"ListTables", "Limit", INTEGER, "num 1 100"},
    {"ListTables", "ExclusiveStartTableName", STRING, "name"},
    {"UpdateTimeToLive", "TimeToLiveSpecification", STRUCT, "!"},
    {"UpdateTimeToLive", "TimeToLiveSpecification.AttributeName", STRING, "!|len 1 255"},
    {"UpdateTimeToLive", "TimeToLiveSpecification.Enabled", BOOLEAN, "!"},
    {"UpdateContinuousBackups", "PointInTimeRecoverySpecification", STRUCT, "!"},
    {"UpdateContinuousBackups", "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
     BOOLEAN, "!"},
    {"UpdateContinuousBackups", "PointInTimeRecoverySpecification.RecoveryPeriodInDays", INTEGER,
     "num 1 35"},
    {"TagResource UntagResource ListTagsOfResource", "ResourceArn", STRING, "!|len 1 1283"},
    {"TagResource", "Tags", LIST, "!"},
    {"CreateTable TagResource", "Tags", LIST, ""},
    {"CreateTable TagResource", "Tags[]", STRUCT, ""},
    {"CreateTable TagResource", "Tags[].Key", STRING, "!|len 1 128"},
    {"CreateTable TagResource", "Tags[].Value", STRING, "!|len 0 256"},
    {"UntagResource", "TagKeys", LIST, "!"},
    {"UntagResource", "TagKeys[]", STRING, "len 1 128"},
    {"GetItem UpdateItem DeleteItem", "Key", MAP, "!"},
    {"PutItem", "Item", MAP, "!"},
    {READS "PutItem UpdateItem DeleteItem BatchWriteItem TransactWriteItems",
     "ReturnConsumedCapacity", STRING, "enum INDEXES, TOTAL, NONE"},
    {WRITES, "ReturnItemCollectionMetrics", STRING, "enum SIZE, NONE"},
    {"PutItem UpdateItem DeleteItem", "ReturnValues", STRING,
     "enum ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW"},
    {"PutItem UpdateItem DeleteItem", "ReturnValuesOnConditionCheckFailure", STRING,
     "enum ALL_OLD, NONE"},
    {"PutItem UpdateItem DeleteItem", "Expected", MAP, ""},
    {"PutItem UpdateItem DeleteItem", "Expected{}", STRUCT, ""},
    {"PutItem UpdateItem DeleteItem", "Expected{}.Exists", BOOLEAN, ""},
    {"PutItem UpdateItem DeleteItem", "Expected{}.ComparisonOperator", STRING, OPERATORS},
    {"PutItem UpdateItem DeleteItem", "Expected{}.AttributeValueList", LIST, ""},
    {"PutItem UpdateItem DeleteItem Query Scan", "ConditionalOperator", STRING, "enum OR, AND"},
    {"PutItem UpdateItem DeleteItem", "ConditionExpression", STRING, ""},
    {"UpdateItem", "UpdateExpression", STRING, ""},
    {"UpdateItem", "AttributeUpdates", MAP, ""},
    {"UpdateItem", "AttributeUpdates{}", STRUCT, ""},
    {"UpdateItem", "AttributeUpdates{}.Action", STRING, "enum ADD, DELETE, PUT"},
    {"GetItem Query Scan", "AttributesToGet", LIST, "len 1 -"},
    {"GetItem Query Scan", "AttributesToGet[]", STRING, ""},
    {"GetItem Query Scan", "ConsistentRead", BOOLEAN, ""},
    {"GetItem Query Scan", "ProjectionExpression", STRING, ""},
    {"Query Scan", "IndexName", STRING, "name"},
    {"Query Scan", "Limit", INTEGER, "num 1 -"},
    {"Query Scan", "Select", STRING,
     "enum SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES"},
    {"Query Scan", "FilterExpression", STRING, ""},
    {"Query Scan", "ExclusiveStartKey", MAP, ""},
    {"Query", "KeyConditionExpression", STRING, ""},
    {"Query", "ScanIndexForward", BOOLEAN, ""},
    {"Query", "KeyConditions", MAP, ""},
    {"Query", "KeyConditions{}", STRUCT, ""},
    {"Query", "KeyConditions{}.ComparisonOperator", STRING, "!|" OPERATORS},
    {"Query", "QueryFilter", MAP, ""},
    {"Query", "QueryFilter{}", STRUCT, ""},
    {"Query", "QueryFilter{}.ComparisonOperator", STRING, "!|" OPERATORS},
    {"Scan", "ScanFilter", MAP, ""},
    {"Scan", "ScanFilter{}", STRUCT, ""},
    {"Scan", "ScanFilter{}.ComparisonOperator", STRING, "!|" OPERATORS},
    {"Scan", "Segment", INTEGER, "num 0 999999"},
    {"Scan", "TotalSegments", INTEGER, "num 1 1000000"},
    {"BatchGetItem", "RequestItems", MAP, "!|len 1 100"},
    {"BatchWriteItem", "RequestItems", MAP, "!|len 1 25"},
    {"BatchGetItem", "RequestItems{}", STRUCT, ""},
    {"BatchGetItem", "RequestItems{}.Keys", LIST, "!|len 1 -"},
    {"BatchGetItem", "RequestItems{}.Keys[]", MAP, ""},
    {"BatchGetItem", "RequestItems{}.AttributesToGet", LIST, "len 1 -"},
    {"BatchGetItem", "RequestItems{}.ConsistentRead", BOOLEAN, ""},
    {"BatchWriteItem", "RequestItems{}", LIST, "len 1 -"},
    {"BatchWriteItem", "RequestItems{}[]", STRUCT, ""},
    {"BatchWriteItem", "RequestItems{}[].PutRequest", STRUCT, ""},
    {"BatchWriteItem", "RequestItems{}[].PutRequest.Item", MAP, "!"},
    {"BatchWriteItem", "RequestItems{}[].DeleteRequest", STRUCT, ""},
    {"BatchWriteItem", "RequestItems{}[].DeleteRequest.Key", MAP, "!"},
    {"TransactWriteItems TransactGetItems", "TransactItems", LIST, "!|len 1 100"},
    {"TransactWriteItems TransactGetItems", "TransactItems[]", STRUCT, ""},
    {"TransactGetItems", "TransactItems[].Get", STRUCT, "!"},
    {"TransactGetItems", "TransactItems[].Get.Key", MAP, "!"},
    {"TransactGetItems", "TransactItems[].Get.TableName", STRING, "!|name"},
    {"TransactWriteItems", "ClientRequestToken", STRING, "len 1 36"},
    {"TransactWriteItems", "TransactItems[].Put", STRUCT, ""},
    {"TransactWriteItems", "TransactItems[].Put.Item", MAP, "!"},
    {"TransactWriteItems", "TransactItems[].Put.TableName", STRING, "!|name"},
    {"TransactWriteItems", "TransactItems[].Update", STRUCT, ""},
    {"TransactWriteItems", "TransactItems[].Update.Key", MAP, "!"},
    {"TransactWriteItems", "TransactItems[].Update.UpdateExpression", STRING, "!"},
    {"TransactWriteItems", "TransactItems[].Update.TableName", STRING, "!|name"},
    {"TransactWriteItems", "TransactItems[].Delete", STRUCT, ""},
    {"TransactWriteItems", "TransactItems[].Delete.Key", MAP, "!"},
    {"TransactWriteItems", "TransactItems[].Delete.TableName", STRING, "!|name"},
    {"TransactWriteItems", "TransactItems[].ConditionCheck", STRUCT, ""},
    {"TransactWriteItems", "TransactItems[].ConditionCheck.Key", MAP, "!"},
    {"TransactWriteItems", "TransactItems[].ConditionCheck.ConditionExpression", STRING, "!"},
    {"TransactWriteItems", "TransactItems[].ConditionCheck.TableName", STRING, "!|name"},
};

struct check {
    const struct rule *rule;
    struct ddb_error *err;
    char text[900]; /* clauses so far */
    size_t n;
};

/* ---- types ---- */

static bool wrong_type(struct check *c, const json_t *value)
{
    static const char *const names[] = {
        [STRING] = "String", [INTEGER] = "Integer", [BOOLEAN] = "Boolean",
        [LIST] = "List",     [MAP] = "Map",         [STRUCT] = "Structure"};
    const char *type = "SerializationException", *to = names[c->rule->type];

    if (json_is_object(value))
        return ddb_refuse(c->err, type, "Start of structure or map found where not expected");
    if (json_is_array(value))
        return ddb_refuse(c->err, type, "Unrecognized collection type class java.lang.%s", to);
    if (c->rule->type == STRUCT || c->rule->type == MAP)
        return ddb_refuse(c->err, type, "Unexpected value type in payload");
    if (c->rule->type == LIST)
        return ddb_refuse(c->err, type, "Unexpected field type");
    return ddb_refuse(c->err, type, "%s_VALUE cannot be converted to %s",
                      json_is_string(value)    ? "STRING"
                      : json_is_real(value)    ? "DECIMAL"
                      : json_is_integer(value) ? "NUMBER"
                      : json_is_true(value)    ? "TRUE"
                                               : "FALSE",
                      to);
}

static bool is_type(enum type type, const json_t *value)
{
    switch (type) {
    case STRING: return json_is_string(value);
    case INTEGER: return json_is_integer(value);
    case BOOLEAN: return json_is_boolean(value);
    case LIST: return json_is_array(value);
    case MAP:
    case STRUCT: break;
    }
    return json_is_object(value);
}

/* ---- bounds ---- */

static void print_value(const json_t *value, char *out, size_t size)
{
    size_t at;

    if (!value) {
        snprintf(out, size, "null");
    } else if (json_is_string(value)) {
        snprintf(out, size, "'%s'", json_string_value(value));
    } else if (json_is_integer(value)) {
        snprintf(out, size, "'%lld'", (long long)json_integer_value(value));
    } else if (json_is_array(value)) {
        at = (size_t)snprintf(out, size, "'[");
        for (size_t i = 0; i < json_array_size(value) && at < size; i++) {
            const char *text = json_string_value(json_array_get(value, i));

            at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", text ? text : "..");
        }
        if (at < size)
            snprintf(out + at, size - at, "]'");
    } else {
        snprintf(out, size, json_object_size(value) ? "'{..}'" : "'{}'");
    }
}

static void add_clause(struct check *c, const json_t *value, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void add_clause(struct check *c, const json_t *value, const char *path, const char *fmt, ...)
{
    char shown[VALUE_MAX], rule[400];
    size_t at = strlen(c->text);
    va_list args;

    if (c->n >= CLAUSES_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(rule, sizeof(rule), fmt, args);
    va_end(args);
    print_value(value, shown, sizeof(shown));
    snprintf(c->text + at, sizeof(c->text) - at,
             "%sValue %s at '%s' failed to satisfy constraint: Member must %s", c->n ? "; " : "",
             shown, path, rule);
    c->n++;
}

/* What is counted for "len" and "num". */
static long long measure(const json_t *value)
{
    if (json_is_integer(value))
        return json_integer_value(value);
    if (json_is_string(value))
        return (long long)json_string_length(value);
    return json_is_array(value) ? (long long)json_array_size(value)
                                : (long long)json_object_size(value);
}

static void check_bounds(struct check *c, const json_t *value, const char *path, const char *bounds)
{
    const char *what = json_is_integer(value) ? "value" : "length";
    long long n = measure(value), min = 0, max = 0;
    char most[24] = "";

    sscanf(bounds, "%lld %23s", &min, most);
    if (n < min)
        add_clause(c, value, path, "have %s greater than or equal to %lld", what, min);
    if (most[0] != '-' && sscanf(most, "%lld", &max) == 1 && n > max)
        add_clause(c, value, path, "have %s less than or equal to %lld", what, max);
}

static void check_name(struct check *c, const json_t *value, const char *path)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const char *name = json_string_value(value), *table;

    /* The ARN of a table names it too. */
    table = strncmp(name, "arn:", 4) == 0 ? strstr(name, ":table/") : NULL;
    if (table)
        name = table + strlen(":table/");
    if (strlen(name) < 3)
        add_clause(c, value, path, "have length greater than or equal to 3");
    if (strlen(name) > 255)
        add_clause(c, value, path, "have length less than or equal to 255");
    if (strspn(name, letters) != strlen(name))
        add_clause(c, value, path, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
}

/* Is the word among "A, B, C" (of `len` bytes)? */
static bool is_word(const char *words, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; n && i + n <= len; i++)
        if ((i == 0 || words[i - 1] == ' ') && memcmp(words + i, word, n) == 0 &&
            (i + n == len || words[i + n] == ','))
            return true;
    return false;
}

static void check_more(struct check *c, const json_t *value, const char *path)
{
    for (const char *at = c->rule->more; *at;) {
        size_t len = strcspn(at, "|");

        if (strncmp(at, "len ", 4) == 0 || strncmp(at, "num ", 4) == 0)
            check_bounds(c, value, path, at + 4);
        else if (strncmp(at, "name", 4) == 0)
            check_name(c, value, path);
        else if (strncmp(at, "enum ", 5) == 0 &&
                 !is_word(at + 5, len - 5, json_string_value(value)))
            add_clause(c, value, path, "satisfy enum value set: [%.*s]", (int)(len - 5), at + 5);
        at += len + (at[len] == '|');
    }
}

/* ---- walking ---- */

/* Adds a part of the path as AWS writes it: the first letter small, no dot at the front. */
static size_t add_part(char *path, size_t at, const char *part, size_t len)
{
    int n = snprintf(path + at, PATH_MAX_ - at, "%s%c%.*s", at ? "." : "", part[0] | 0x20,
                     (int)len - 1, part + 1);

    return n < 0 || at + (size_t)n >= PATH_MAX_ ? PATH_MAX_ - 1 : at + (size_t)n;
}

static bool walk(struct check *c, const json_t *value, const char *rest, const char *path);

static bool walk_all(struct check *c, const json_t *value, const char *rest, const char *path)
{
    char deeper[PATH_MAX_ + 320];
    const char *key;
    json_t *member;

    for (size_t i = 0; json_is_array(value) && rest[0] == '[' && i < json_array_size(value); i++) {
        snprintf(deeper, sizeof(deeper), "%s.%zu.member", path, i + 1);
        deeper[PATH_MAX_ - 1] = '\0';
        if (!walk(c, json_array_get(value, i), rest + 2, deeper))
            return false;
    }
    if (!json_is_object(value) || rest[0] != '{')
        return true;
    json_object_foreach((json_t *)value, key, member)
    {
        snprintf(deeper, sizeof(deeper), "%s.%.255s.member", path, key);
        deeper[PATH_MAX_ - 1] = '\0';
        if (!walk(c, member, rest + 2, deeper))
            return false;
    }
    return true;
}

/* `value` is what `path` leads to; `rest` is what of the rule's path is still to go. */
static bool walk(struct check *c, const json_t *value, const char *rest, const char *path)
{
    char deeper[PATH_MAX_], name[64];
    size_t len, at;

    if (json_is_null(value))
        value = NULL;
    if (*rest == '[' || *rest == '{')
        return walk_all(c, value, rest, path);
    if (*rest == '\0') {
        if (!value && c->rule->more[0] == '!')
            add_clause(c, NULL, path, "not be null");
        if (!value)
            return true;
        if (!is_type(c->rule->type, value))
            return wrong_type(c, value);
        check_more(c, value, path);
        return true;
    }
    if (!json_is_object(value))
        return true; /* absent, or of a wrong type that another rule speaks of */
    rest += *rest == '.';
    len = strcspn(rest, ".[{");
    snprintf(deeper, sizeof(deeper), "%s", path);
    at = add_part(deeper, strlen(deeper), rest, len);
    deeper[at] = '\0';
    snprintf(name, sizeof(name), "%.*s", (int)len, rest);
    return walk(c, json_object_get(value, name), rest + len, deeper);
}

static bool is_for(const struct rule *rule, const char *operation)
{
    size_t n = strlen(operation);

    for (const char *at = rule->operations; *at;) {
        size_t len = strcspn(at, " ");

        if (len == n && memcmp(at, operation, n) == 0)
            return true;
        at += len + (at[len] == ' ');
    }
    return false;
}

bool ddb_rules_check(const char *operation, const json_t *request, struct ddb_error *err)
{
    struct check c = {.err = err};

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        c.rule = &rules[i];
        if (is_for(c.rule, operation) && !walk(&c, request, c.rule->path, ""))
            return false;
    }
    if (c.n == 0)
        return true;
    return ddb_invalid(err, "%zu validation error%s detected: %s", c.n, c.n == 1 ? "" : "s",
                       c.text);
}
