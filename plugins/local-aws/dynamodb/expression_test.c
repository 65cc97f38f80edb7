/* expression_test.c - DynamoDB's numbers, values, expressions and updates, without a server. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/eval.h"
#include "plugins/local-aws/dynamodb/expression.h"
#include "plugins/local-aws/dynamodb/legacy.h"
#include "plugins/local-aws/dynamodb/num.h"
#include "plugins/local-aws/dynamodb/update.h"
#include "tests/kptest.h"

/* JSON with ' for ", so that it reads well in C. [new reference] */
static json_t *json(const char *text)
{
    char *copy = strdup(text);
    json_t *ret;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    ret = json_loads(copy, 0, NULL);
    REQUIRE(ret != NULL);
    free(copy);
    return ret;
}

static const char *print(const json_t *value)
{
    static char out[4096];
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);

    snprintf(out, sizeof(out), "%s", text ? text : "(null)");
    for (char *p = out; *p; p++)
        if (*p == '"')
            *p = '\'';
    free(text);
    return out;
}

/* ---- numbers ---- */

static const char *canonical(const char *text)
{
    static char out[DDB_NUM_TEXT_MAX];
    struct ddb_num num;
    const char *wrong = ddb_num_parse(&num, text, strlen(text));

    if (wrong)
        return wrong;
    ddb_num_text(&num, out);
    return out;
}

TEST(numbers_get_their_canonical_text)
{
    EQ_STR(canonical("1E2"), "100");
    EQ_STR(canonical("-0"), "0");
    EQ_STR(canonical("1.50"), "1.5");
    EQ_STR(canonical("+007"), "7");
    EQ_STR(canonical("0.00120"), "0.0012");
    EQ_STR(canonical("-12.340e1"), "-123.4");
    EQ_STR(canonical("1e-5"), "0.00001");
    EQ_STR(canonical("100200"), "100200");
    EQ_STR(canonical("000.000"), "0");
    EQ_STR(canonical("12345678901234567890123456789012345678"),
           "12345678901234567890123456789012345678");
    EQ_INT(strlen(canonical("9.9999999999999999999999999999999999999E+125")), 126);
    EQ_INT(strlen(canonical("-1.2345678901234567890123456789012345678E-130")), 170);
}

TEST(numbers_out_of_range_are_refused_in_dynamodbs_words)
{
    YES(strstr(canonical("1e126"), "Number overflow") != NULL);
    YES(strstr(canonical("1e-131"), "Number underflow") != NULL);
    YES(strstr(canonical("1e99999999999999999999"), "Number overflow") != NULL);
    YES(strstr(canonical("123456789012345678901234567890123456789"), "38 significant") != NULL);
    EQ_STR(canonical("1234567890123456789012345678901234567800"),
           "1234567890123456789012345678901234567800");
    YES(strstr(canonical(""), "cannot be converted") != NULL);
    YES(strstr(canonical("."), "cannot be converted") != NULL);
    YES(strstr(canonical("1.2.3"), "cannot be converted") != NULL);
    YES(strstr(canonical("1e"), "cannot be converted") != NULL);
    YES(strstr(canonical("0x10"), "cannot be converted") != NULL);
    YES(strstr(canonical(" 1"), "cannot be converted") != NULL);
    YES(strstr(canonical("--1"), "cannot be converted") != NULL);
}

static const char *sum(const char *a, const char *b, bool subtract)
{
    static char out[DDB_NUM_TEXT_MAX];
    struct ddb_num x, y, z;
    const char *wrong;

    REQUIRE(!ddb_num_parse(&x, a, strlen(a)) && !ddb_num_parse(&y, b, strlen(b)));
    wrong = ddb_num_add(&z, &x, &y, subtract);
    if (wrong)
        return wrong;
    ddb_num_text(&z, out);
    return out;
}

TEST(sums_are_exact)
{
    EQ_STR(sum("0.1", "0.2", false), "0.3");
    EQ_STR(sum("1", "1", true), "0");
    EQ_STR(sum("1", "2", true), "-1");
    EQ_STR(sum("-5", "3", false), "-2");
    EQ_STR(sum("-5", "-3", true), "-2");
    EQ_STR(sum("99999999999999999999999999999999999999", "1", false),
           "100000000000000000000000000000000000000");
    EQ_STR(sum("1000", "0.001", true), "999.999");
    EQ_STR(sum("0", "7", true), "-7");
    YES(strstr(sum("1e50", "1e-50", false), "38 significant") != NULL);
    YES(strstr(sum("9.9999999999999999999999999999999999999e125", "1e88", false), "overflow") !=
        NULL);
}

TEST(keys_of_numbers_sort_like_the_numbers)
{
    static const char *const ordered[] = {
        "-1e125", "-100", "-10.5",  "-10", "-1", "-0.5", "-1e-130", "0",  "1e-130", "0.05",
        "0.5",    "1",    "1.0001", "1.1", "9",  "10",   "10.01",   "99", "100",    "1e125"};
    uint8_t before[DDB_NUM_KEY_MAX], key[DDB_NUM_KEY_MAX];
    size_t n_before = 0;

    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++) {
        struct ddb_num num;
        size_t n;
        int order;

        REQUIRE(!ddb_num_parse(&num, ordered[i], strlen(ordered[i])));
        n = ddb_num_key(&num, key);
        order = i ? memcmp(before, key, n_before < n ? n_before : n) : -1;
        YES(order < 0 || (order == 0 && n_before < n));
        memcpy(before, key, n);
        n_before = n;
    }
}

/* ---- values ---- */

static const char *checked(const char *text)
{
    static char out[4096];
    struct ddb_error err = {0};
    json_t *value = json(text);

    snprintf(out, sizeof(out), "%s", ddb_value_check(value, &err) ? print(value) : err.text);
    json_decref(value);
    return out;
}

TEST(values_are_made_canonical)
{
    EQ_STR(checked("{'N':'1.0'}"), "{'N':'1'}");
    EQ_STR(checked("{'NS':['3','1.0','2']}"), "{'NS':['1','2','3']}");
    EQ_STR(checked("{'SS':['b','a']}"), "{'SS':['a','b']}");
    EQ_STR(checked("{'S':'x','N':null}"), "{'S':'x'}");
    EQ_STR(checked("{'L':[{'M':{'a':{'N':'01'}}}]}"), "{'L':[{'M':{'a':{'N':'1'}}}]}");
    EQ_STR(checked("{'B':'aGk='}"), "{'B':'aGk='}");
    EQ_STR(checked("{'B':''}"), "{'B':''}");
}

TEST(values_that_are_not_are_refused)
{
    EQ_STR(checked("{}"), "Supplied AttributeValue is empty, must contain exactly one of the "
                          "supported datatypes");
    EQ_STR(checked("{'S':'a','N':'1'}"), "Supplied AttributeValue has more than one datatypes set, "
                                         "must contain exactly one of the supported datatypes");
    EQ_STR(checked("{'S':1}"), "NUMBER_VALUE cannot be converted to String");
    EQ_STR(checked("{'N':'abc'}"), "The parameter cannot be converted to a numeric value: abc");
    EQ_STR(checked("{'SS':['a','b','a']}"), "One or more parameter values were invalid: Input "
                                            "collection [a, b, a] contains duplicates.");
    EQ_STR(checked("{'NS':['1','1.0']}"), "Input collection contains duplicates");
    EQ_STR(checked("{'SS':[]}"),
           "One or more parameter values were invalid: An string set  may not be empty");
    EQ_STR(checked("{'NULL':false}"), "One or more parameter values were invalid: Null attribute "
                                      "value types must have the value of true");
    EQ_STR(checked("{'B':'a'}"),
           "Base64 encoded length is expected a multiple of 4 bytes but found: 1");
    EQ_STR(checked("{'B':'a=b='}"), "only base-64-encoded strings are convertible to bytes");
}

/* ---- conditions ---- */

static const char *const item_text =
    "{'id':{'S':'k'},'n':{'N':'5'},'txt':{'S':'hello'},'tags':{'SS':['a','b']},"
    "'lst':{'L':[{'S':'x'},{'N':'2'},{'S':'z'}]},'mp':{'M':{'in':{'N':'1'},'li':{'L':[{'N':'7'}]}}}"
    ","
    "'flag':{'BOOL':true},'bin':{'B':'aGVsbG8='},'odd.name':{'S':'dot'}}";

static const char *const values_text =
    "{':five':{'N':'5.0'},':four':{'N':'4'},':six':{'N':'6'},':he':{'S':'he'},':a':{'S':'a'},"
    "':x':{'S':'x'},':bhe':{'B':'aGU='},':true':{'BOOL':true},':ss':{'S':'SS'},':one':{'N':'1'},"
    "':set':{'SS':['b','a']},':l':{'L':[{'S':'q'}]},':m':{'M':{}}}";

static bool holds(const char *text)
{
    struct ddb_expression ex;
    struct ddb_error err = {0};
    struct ddb_names names;
    json_t *item = json(item_text), *values = json(values_text);
    json_t *placeholders = json("{'#odd':'odd.name','#m':'mp'}");
    bool ret = false;

    ddb_names_init(&names, placeholders, values);
    YES(ddb_names_check(&names, &err));
    if (ddb_expression_parse(&ex, DDB_CONDITION, text, &names, &err)) {
        ret = ddb_holds(ex.condition, item);
    } else {
        printf("%s: %s\n", text, err.text);
        CU_FAIL("does not parse");
    }
    ddb_expression_fini(&ex);
    ddb_names_fini(&names);
    json_decref(item);
    json_decref(values);
    json_decref(placeholders);
    return ret;
}

TEST(comparisons_follow_type_and_value)
{
    YES(holds("n = :five"));
    YES(holds("n > :four AND n < :six"));
    YES(holds("n BETWEEN :four AND :six"));
    NO(holds("n = :he"));
    YES(holds("n <> :he"));
    YES(holds("absent <> :he"));
    NO(holds("absent = :he"));
    NO(holds("absent < :six"));
    YES(holds("n IN (:four, :five)"));
    NO(holds("n IN (:four)"));
    YES(holds("tags = :set"));
    YES(holds("flag = :true"));
    YES(holds("#odd <> :he"));
}

TEST(functions_and_precedence_work)
{
    YES(holds("attribute_exists(mp.#odd) OR attribute_exists(mp.li[0])"));
    YES(holds("attribute_not_exists(mp.li[1])"));
    YES(holds("attribute_type(tags, :ss)"));
    YES(holds("begins_with(txt, :he)"));
    YES(holds("begins_with(bin, :bhe)"));
    NO(holds("begins_with(txt, :bhe)"));
    YES(holds("contains(tags, :a)"));
    YES(holds("contains(lst, :x)"));
    YES(holds("contains(txt, :he)"));
    NO(holds("contains(n, :five)"));
    YES(holds("size(txt) = :five"));
    YES(holds("size(tags) < :four"));
    NO(holds("size(n) < :four"));
    YES(holds("not n = :four and n = :five"));
    YES(holds("n = :four AND n = :four OR n = :five"));
    NO(holds("n = :four AND (n = :four OR n = :five)"));
    YES(holds("NOT (n = :four OR n = :six)"));
}

static const char *refused(enum ddb_expression_kind kind, const char *text)
{
    static char out[1200];
    struct ddb_expression ex;
    struct ddb_error err = {0};
    struct ddb_names names;
    json_t *values = json(values_text), *placeholders = json("{'#n':'name'}");

    ddb_names_init(&names, placeholders, values);
    snprintf(out, sizeof(out), "%s",
             ddb_expression_parse(&ex, kind, text, &names, &err) ? "accepted" : err.text);
    ddb_expression_fini(&ex);
    ddb_names_fini(&names);
    json_decref(values);
    json_decref(placeholders);
    return out;
}

#define CONDITION "Invalid ConditionExpression: "
#define UPDATE    "Invalid UpdateExpression: "

TEST(wrong_conditions_are_refused_in_dynamodbs_words)
{
    EQ_STR(refused(DDB_CONDITION, ""), CONDITION "The expression can not be empty;");
    EQ_STR(refused(DDB_CONDITION, "a ="), CONDITION "Syntax error; token: \"<EOF>\", near: \"=\"");
    EQ_STR(refused(DDB_CONDITION, "a = = :x"),
           CONDITION "Syntax error; token: \"=\", near: \"= = :x\"");
    EQ_STR(refused(DDB_CONDITION, "a"), CONDITION "Syntax error; token: \"<EOF>\", near: \"a\"");
    EQ_STR(refused(DDB_CONDITION, "name = :x"),
           CONDITION "Attribute name is a reserved keyword; reserved keyword: name");
    EQ_STR(refused(DDB_CONDITION, "#x = :nope AND nope(a)"),
           CONDITION "Invalid function name; function: nope");
    EQ_STR(refused(DDB_CONDITION, "#x = :nope"),
           CONDITION "An expression attribute name used in the document path is not defined; "
                     "attribute name: #x");
    EQ_STR(refused(DDB_CONDITION, "a = :nope"),
           CONDITION "An expression attribute value used in expression is not defined; attribute "
                     "value: :nope");
    EQ_STR(refused(DDB_CONDITION, "attribute_exists(a, b)"),
           CONDITION "Incorrect number of operands for operator or function; operator or function: "
                     "attribute_exists, number of operands: 2");
    EQ_STR(refused(DDB_CONDITION, "attribute_exists(:x)"),
           CONDITION "Operator or function requires a document path; operator or function: "
                     "attribute_exists");
    EQ_STR(refused(DDB_CONDITION, "a < :true"),
           CONDITION "Incorrect operand type for operator or function; operator or function: <, "
                     "operand type: BOOL");
    EQ_STR(refused(DDB_CONDITION, "size(a)"),
           CONDITION "The function is not allowed to be used this way in an expression; function: "
                     "size");
    EQ_STR(refused(DDB_CONDITION, "if_not_exists(a, :x) = :x"),
           CONDITION "The function is not allowed to be used this way in an expression; function: "
                     "if_not_exists");
    EQ_STR(refused(DDB_CONDITION, "a = a"),
           CONDITION "The first operand must be distinct from the remaining operands for this "
                     "operator or function; operator: =, first operand: [a]");
    YES(strstr(refused(DDB_CONDITION, "a = :x !"), "token: \"!\"") != NULL);
}

TEST(wrong_updates_are_refused_in_dynamodbs_words)
{
    EQ_STR(refused(DDB_UPDATE, "SET a = :x SET b = :x"),
           UPDATE "The \"SET\" section can only be used once in an update expression;");
    EQ_STR(refused(DDB_UPDATE, "SET a = :x, a.b = :x"),
           UPDATE "Two document paths overlap with each other; must remove or rewrite one of these "
                  "paths; path one: [a], path two: [a, b]");
    EQ_STR(refused(DDB_UPDATE, "SET a[0] = :x REMOVE a.b"), UPDATE
           "Two document paths conflict with each other; must remove or rewrite one of these "
           "paths; path one: [a, [0]], path two: [a, b]");
    EQ_STR(refused(DDB_UPDATE, "SET a = b + :x"),
           UPDATE "Incorrect operand type for operator or function; operator or function: +, "
                  "operand type: S");
    EQ_STR(refused(DDB_UPDATE, "ADD a :x"),
           UPDATE "Incorrect operand type for operator or function; operator: ADD, operand type: "
                  "STRING, typeSet: ALLOWED_FOR_ADD_OPERAND");
    EQ_STR(refused(DDB_UPDATE, "ADD a b"), UPDATE "Syntax error; token: \"b\", near: \"a b\"");
    EQ_STR(refused(DDB_UPDATE, "GET a"), UPDATE "Syntax error; token: \"GET\", near: \"GET a\"");
    EQ_STR(refused(DDB_UPDATE, "SET a = attribute_exists(b)"),
           UPDATE "The function is not allowed to be used this way in an expression; function: "
                  "attribute_exists");
}

TEST(deep_nesting_ends_in_an_error_not_in_a_crash)
{
    char text[4000];

    memset(text, '(', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    YES(strstr(refused(DDB_CONDITION, text), "nested too deeply") != NULL);
    for (size_t i = 0; i + 4 < sizeof(text); i += 4)
        memcpy(text + i, "NOT ", 5);
    YES(strstr(refused(DDB_CONDITION, text), "nested too deeply") != NULL);
}

/* ---- projections and updates ---- */

static const char *projected(const char *text)
{
    struct ddb_expression ex;
    struct ddb_error err = {0};
    struct ddb_names names;
    json_t *item = json(item_text),
           *placeholders = json("{'#odd':'odd.name','#l':'lst','#m':'mp'}");
    json_t *out = NULL;
    const char *ret;

    ddb_names_init(&names, placeholders, NULL);
    if (ddb_expression_parse(&ex, DDB_PROJECTION, text, &names, &err))
        out = ddb_project(item, ex.paths, ex.n_paths);
    ret = out ? print(out) : "";
    json_decref(out);
    ddb_expression_fini(&ex);
    ddb_names_fini(&names);
    json_decref(item);
    json_decref(placeholders);
    return ret;
}

TEST(projections_keep_the_shape_of_the_item)
{
    EQ_STR(projected("n, absent"), "{'n':{'N':'5'}}");
    EQ_STR(projected("#odd"), "{'odd.name':{'S':'dot'}}");
    EQ_STR(projected("#l[2], #l[0], #l[9]"), "{'lst':{'L':[{'S':'x'},{'S':'z'}]}}");
    EQ_STR(projected("#m.li[0]"), "{'mp':{'M':{'li':{'L':[{'N':'7'}]}}}}");
    EQ_STR(projected("absent"), "{}");
}

static const char *updated_item(const char *before, const char *text)
{
    static char out[4096];
    struct ddb_expression ex;
    struct ddb_error err = {0};
    struct ddb_names names;
    json_t *item = json(before), *values = json(values_text), *after = NULL;

    ddb_names_init(&names, NULL, values);
    YES(ddb_names_check(&names, &err));
    if (ddb_expression_parse(&ex, DDB_UPDATE, text, &names, &err))
        after = ddb_update_apply(&ex, item, &err);
    snprintf(out, sizeof(out), "%s", after ? print(after) : err.text);
    json_decref(after);
    json_decref(item);
    json_decref(values);
    ddb_expression_fini(&ex);
    ddb_names_fini(&names);
    return out;
}

TEST(updates_read_the_item_as_it_was)
{
    EQ_STR(updated_item("{'a':{'N':'1'},'b':{'N':'2'}}", "SET a = b, b = a"),
           "{'a':{'N':'2'},'b':{'N':'1'}}");
    EQ_STR(updated_item("{'a':{'N':'1'}}", "SET a = a + :five, b = if_not_exists(b, :four) - :one"),
           "{'a':{'N':'6'},'b':{'N':'3'}}");
    EQ_STR(updated_item("{}", "ADD n :five"), "{'n':{'N':'5'}}");
    EQ_STR(updated_item("{'n':{'N':'2'}}", "ADD n :five REMOVE z"), "{'n':{'N':'7'}}");
    EQ_STR(updated_item("{'s':{'SS':['a','c']}}", "ADD s :set"), "{'s':{'SS':['a','b','c']}}");
    EQ_STR(updated_item("{'s':{'SS':['a','c']}}", "DELETE s :set"), "{'s':{'SS':['c']}}");
    EQ_STR(updated_item("{'s':{'SS':['a','b']}}", "DELETE s :set"), "{}");
    EQ_STR(updated_item("{'l':{'L':[{'S':'p'}]}}", "SET l = list_append(:l, l)"),
           "{'l':{'L':[{'S':'q'},{'S':'p'}]}}");
}

TEST(list_elements_move_up_only_at_the_end)
{
    const char *list = "{'l':{'L':[{'S':'0'},{'S':'1'},{'S':'2'}]}}";

    EQ_STR(updated_item(list, "REMOVE l[0] SET l[2] = :x"), "{'l':{'L':[{'S':'1'},{'S':'x'}]}}");
    EQ_STR(updated_item(list, "SET l[9] = :a, l[5] = :x"),
           "{'l':{'L':[{'S':'0'},{'S':'1'},{'S':'2'},{'S':'x'},{'S':'a'}]}}");
    EQ_STR(updated_item(list, "REMOVE l[0], l[1], l[2]"), "{'l':{'L':[]}}");
    EQ_STR(updated_item(list, "REMOVE l[7]"), "{'l':{'L':[{'S':'0'},{'S':'1'},{'S':'2'}]}}");
}

TEST(updates_that_do_not_fit_the_item_are_refused)
{
    EQ_STR(updated_item("{}", "SET a = b"),
           "The provided expression refers to an attribute that does not exist in the item");
    EQ_STR(updated_item("{}", "SET a.b = :x"),
           "The document path provided in the update expression is invalid for update");
    EQ_STR(updated_item("{'a':{'S':'x'}}", "SET a = a + :one"),
           "An operand in the update expression has an incorrect data type");
    EQ_STR(updated_item("{'a':{'S':'x'}}", "ADD a :one"),
           "An operand in the update expression has an incorrect data type");
}

/* ---- placeholders ---- */

TEST(unused_placeholders_are_named)
{
    struct ddb_expression ex;
    struct ddb_error err = {0};
    struct ddb_names names;
    json_t *placeholders = json("{'#a':'x','#b':'y'}"), *values = json("{':v':{'N':'1'}}");

    ddb_names_init(&names, placeholders, values);
    YES(ddb_names_check(&names, &err));
    YES(ddb_expression_parse(&ex, DDB_CONDITION, "q = :v", &names, &err));
    NO(ddb_names_all_used(&names, &err));
    EQ_STR(err.text,
           "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}");
    ddb_expression_fini(&ex);
    ddb_names_fini(&names);
    json_decref(placeholders);
    json_decref(values);
}

/* ---- legacy ---- */

static bool expected_holds(const char *expected, bool any)
{
    struct ddb_expression ex;
    struct ddb_error err = {0};
    json_t *item = json(item_text), *wanted = json(expected);
    bool ret = false;

    if (ddb_legacy_condition(&ex, wanted, any, &err))
        ret = ddb_holds(ex.condition, item);
    else
        CU_FAIL("refused");
    ddb_expression_fini(&ex);
    json_decref(item);
    json_decref(wanted);
    return ret;
}

TEST(expected_of_the_client_library_is_understood)
{
    YES(expected_holds("{'n':{'Value':{'N':'5'},'Exists':true}}", false));
    YES(expected_holds("{'n':{'Value':{'N':'5'}}}", false));
    NO(expected_holds("{'n':{'Value':{'N':'6'}}}", false));
    YES(expected_holds("{'checkpointOwner':{'Exists':false},'n':{'Value':{'N':'5'}}}", false));
    NO(expected_holds("{'id':{'Exists':false}}", false));
    YES(expected_holds("{'id':{'Exists':false},'n':{'Value':{'N':'5'}}}", true));
    YES(expected_holds("{'n':{'ComparisonOperator':'BETWEEN','AttributeValueList':[{'N':'4'},"
                       "{'N':'6'}]}}",
                       false));
    YES(expected_holds("{'zz':{'ComparisonOperator':'NULL'}}", false));
    YES(expected_holds("{'txt':{'ComparisonOperator':'NOT_CONTAINS','AttributeValueList':"
                       "[{'S':'q'}]}}",
                       false));
    YES(expected_holds("{'txt':{'ComparisonOperator':'NE','AttributeValueList':[{'S':'q'}]}}",
                       false));
}

static const char *legacy_refused(const char *expected)
{
    static char out[1200];
    struct ddb_expression ex;
    struct ddb_error err = {0};
    json_t *wanted = json(expected);

    snprintf(out, sizeof(out), "%s",
             ddb_legacy_condition(&ex, wanted, false, &err) ? "accepted" : err.text);
    ddb_expression_fini(&ex);
    json_decref(wanted);
    return out;
}

#define ONE_OR_MORE "One or more parameter values were invalid: "

TEST(wrong_expectations_are_refused)
{
    EQ_STR(legacy_refused("{'a':{'Exists':true}}"),
           ONE_OR_MORE "Value must be provided when Exists is true for Attribute: a");
    EQ_STR(legacy_refused("{'a':{}}"),
           ONE_OR_MORE "Value must be provided when Exists is null for Attribute: a");
    EQ_STR(legacy_refused("{'a':{'Exists':false,'Value':{'S':'x'}}}"),
           ONE_OR_MORE "Value cannot be used when Exists is false for Attribute: a");
    EQ_STR(legacy_refused("{'a':{'ComparisonOperator':'EQ'}}"),
           ONE_OR_MORE "Value or AttributeValueList must be used with ComparisonOperator: EQ for "
                       "Attribute: a");
    EQ_STR(legacy_refused("{'a':{'ComparisonOperator':'LT','AttributeValueList':[{'SS':['a']}]}}"),
           ONE_OR_MORE "ComparisonOperator LT is not valid for SS AttributeValue type");
    EQ_STR(
        legacy_refused("{'a':{'ComparisonOperator':'BETWEEN','AttributeValueList':[{'N':'1'}]}}"),
        ONE_OR_MORE "Invalid number of argument(s) for the BETWEEN ComparisonOperator");
}

static const char *legacy_updated(const char *before, const char *updates)
{
    static char out[4096];
    struct ddb_expression ex;
    struct ddb_error err = {0};
    json_t *item = json(before), *wanted = json(updates), *after = NULL;

    if (ddb_legacy_update(&ex, wanted, &err))
        after = ddb_update_apply(&ex, item, &err);
    snprintf(out, sizeof(out), "%s", after ? print(after) : err.text);
    json_decref(after);
    json_decref(item);
    json_decref(wanted);
    ddb_expression_fini(&ex);
    return out;
}

TEST(attribute_updates_of_the_client_library_work)
{
    EQ_STR(
        legacy_updated("{'leaseCounter':{'N':'3'},'leaseOwner':{'S':'w'}}",
                       "{'leaseCounter':{'Action':'PUT','Value':{'N':'4'}},'leaseOwner':"
                       "{'Action':'DELETE'},'ownerSwitches':{'Action':'ADD','Value':{'N':'1'}}}"),
        "{'leaseCounter':{'N':'4'},'ownerSwitches':{'N':'1'}}");
    EQ_STR(legacy_updated("{'l':{'L':[{'N':'1'}]}}",
                          "{'l':{'Action':'ADD','Value':{'L':[{'N':'2'}]}}}"),
           "{'l':{'L':[{'N':'1'},{'N':'2'}]}}");
    EQ_STR(legacy_updated("{'s':{'S':'x'}}", "{'s':{'Action':'ADD','Value':{'N':'2'}}}"),
           "Type mismatch for attribute to update");
    EQ_STR(legacy_updated("{}", "{'s':{'Action':'ADD','Value':{'S':'x'}}}"),
           ONE_OR_MORE "ADD action is not supported for the type S");
}
