/* expression.c - DynamoDB's expressions: text to a tree.
 *
 * Recursive descent over lexer.h. A syntax error ends the parse; all other
 * errors are put aside by class while parsing, because DynamoDB reports the
 * classes in a fixed order whatever comes first in the text. check.c looks at
 * operands and paths of the finished tree.
 */
#include "plugins/local-aws/dynamodb/expression.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plugins/local-aws/dynamodb/arena.h"
#include "plugins/local-aws/dynamodb/check.h"
#include "plugins/local-aws/dynamodb/lexer.h"

enum {
    TEXT_MAX = 4096,
    DEPTH_MAX = 150, /* nesting of parentheses, NOT and functions; the service stops at 300 */
    INDEX_DIGITS_MAX = 9,
    STEPS_MAX = TEXT_MAX / 2 + 1,
};

/* Classes of errors that wait for the end of the parse, in the order they are reported. */
enum later { RESERVED, FUNCTION, SECTION, NAME, VALUE, N_LATER };

struct parser {
    struct ddb_lexer lex;
    struct ddb_expression *ex;
    enum ddb_expression_kind kind;
    struct ddb_names *names;
    struct ddb_error *err;
    bool failed; /* err is filled: every function below gives up quickly */
    int depth;
    size_t list_max; /* more parts than this the text cannot have */
    char later[N_LATER][320];
};

static const char *const kind_names[] = {
    [DDB_CONDITION] = "ConditionExpression",        [DDB_FILTER] = "FilterExpression",
    [DDB_KEY_CONDITION] = "KeyConditionExpression", [DDB_UPDATE] = "UpdateExpression",
    [DDB_PROJECTION] = "ProjectionExpression",
};

static const struct function {
    const char *name;
    enum ddb_op op;
} functions[] = {
    {"attribute_exists", DDB_OP_EXISTS},     {"attribute_not_exists", DDB_OP_NOT_EXISTS},
    {"attribute_type", DDB_OP_TYPE},         {"begins_with", DDB_OP_BEGINS_WITH},
    {"contains", DDB_OP_CONTAINS},           {"size", DDB_OP_SIZE},
    {"if_not_exists", DDB_OP_IF_NOT_EXISTS}, {"list_append", DDB_OP_LIST_APPEND},
};

static const char *const sections[] = {
    [DDB_SET] = "SET",
    [DDB_REMOVE] = "REMOVE",
    [DDB_ADD] = "ADD",
    [DDB_DELETE] = "DELETE",
};

/* ---- errors ---- */

static void fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct parser *p, const char *fmt, ...)
{
    char text[900];
    va_list args;

    if (p->failed)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    p->failed = true;
    ddb_invalid(p->err, "Invalid %s: %s", kind_names[p->kind], text);
}

static void out_of_memory(struct parser *p)
{
    if (!p->failed)
        ddb_refuse(p->err, "InternalServerError", "out of memory");
    p->failed = true;
}

static void put_aside(struct parser *p, enum later class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void put_aside(struct parser *p, enum later class, const char *fmt, ...)
{
    va_list args;

    if (p->later[class][0] != '\0')
        return;
    va_start(args, fmt);
    vsnprintf(p->later[class], sizeof(p->later[class]), fmt, args);
    va_end(args);
}

static void syntax_error(struct parser *p)
{
    const struct ddb_lexer *lex = &p->lex;
    const char *from = lex->before.len ? lex->before.at : lex->now.at;
    const char *to = lex->next.len ? lex->next.at + lex->next.len : lex->now.at + lex->now.len;

    fail(p, "Syntax error; token: \"%.*s\", near: \"%.*s\"",
         lex->now.kind == DDB_T_END ? 5 : (int)lex->now.len,
         lex->now.kind == DDB_T_END ? "<EOF>" : lex->now.at, (int)(to - from), from);
}

static bool take(struct parser *p, const char *symbol)
{
    if (!ddb_token_is(&p->lex.now, symbol))
        return false;
    ddb_lexer_step(&p->lex);
    return true;
}

static bool take_word(struct parser *p, const char *keyword)
{
    if (!ddb_token_is_word(&p->lex.now, keyword))
        return false;
    ddb_lexer_step(&p->lex);
    return true;
}

static void expect(struct parser *p, const char *symbol)
{
    if (!p->failed && !take(p, symbol))
        syntax_error(p);
}

static bool enter(struct parser *p)
{
    if (++p->depth > DEPTH_MAX)
        fail(p, "The expression is nested too deeply");
    return !p->failed;
}

/* ---- nodes ---- */

static void *get(struct parser *p, size_t bytes)
{
    void *ret = ddb_arena_get(&p->ex->arena, bytes);

    if (!ret)
        out_of_memory(p);
    return ret;
}

static struct ddb_node *node_of(struct parser *p, enum ddb_op op, struct ddb_node **args, size_t n)
{
    struct ddb_node *node = get(p, sizeof(*node));

    if (!node)
        return NULL;
    node->op = op;
    node->args = get(p, n * sizeof(*args));
    node->n_args = n;
    if (node->args && n > 0)
        memcpy(node->args, args, n * sizeof(*args));
    return p->failed ? NULL : node;
}

static struct ddb_node *pair(struct parser *p, enum ddb_op op, struct ddb_node *a,
                             struct ddb_node *b)
{
    struct ddb_node *args[] = {a, b};

    return node_of(p, op, args, 2);
}

static void mark_used(struct parser *p, const char *placeholder)
{
    json_object_set_new_nocheck(p->names->used, placeholder, json_true());
}

/* ---- paths and values ---- */

static const char *name_of_placeholder(struct parser *p, const char *text)
{
    const json_t *name = json_object_get(p->names->names, text);

    if (!name) {
        put_aside(p, NAME,
                  "An expression attribute name used in the document path is not defined; "
                  "attribute name: %.255s",
                  text);
        return text;
    }
    mark_used(p, text);
    return ddb_arena_text(&p->ex->arena, json_string_value(name), json_string_length(name));
}

static const char *parse_name(struct parser *p)
{
    const struct ddb_token token = p->lex.now;
    const char *text;

    if (token.kind != DDB_T_WORD && token.kind != DDB_T_NAME) {
        syntax_error(p);
        return NULL;
    }
    text = ddb_arena_text(&p->ex->arena, token.at, token.len);
    if (!text) {
        out_of_memory(p);
        return NULL;
    }
    ddb_lexer_step(&p->lex);
    if (token.kind == DDB_T_NAME)
        return name_of_placeholder(p, text);
    if (ddb_is_reserved(text))
        put_aside(p, RESERVED, "Attribute name is a reserved keyword; reserved keyword: %.255s",
                  text);
    return text;
}

static size_t parse_index(struct parser *p)
{
    const struct ddb_token token = p->lex.now;
    size_t index = 0;

    if (token.kind != DDB_T_NUMBER) {
        syntax_error(p);
        return 0;
    }
    if (token.len > INDEX_DIGITS_MAX) {
        fail(p, "List index is not within the allowable range; index: [%.*s]", (int)token.len,
             token.at);
        return 0;
    }
    for (size_t i = 0; i < token.len; i++)
        index = index * 10 + (size_t)(token.at[i] - '0');
    ddb_lexer_step(&p->lex);
    expect(p, "]");
    return index;
}

static struct ddb_path parse_path(struct parser *p)
{
    struct ddb_step steps[STEPS_MAX];
    struct ddb_path path = {NULL, 0};
    struct ddb_step *kept;

    steps[path.n++] = (struct ddb_step){parse_name(p), 0};
    while (!p->failed && path.n < STEPS_MAX) {
        if (take(p, "."))
            steps[path.n++] = (struct ddb_step){parse_name(p), 0};
        else if (take(p, "["))
            steps[path.n++] = (struct ddb_step){NULL, parse_index(p)};
        else
            break;
    }
    kept = p->failed ? NULL : get(p, path.n * sizeof(*kept));
    if (kept)
        memcpy(kept, steps, path.n * sizeof(*kept));
    path.steps = kept;
    return path;
}

static struct ddb_node *parse_value(struct parser *p)
{
    struct ddb_node *node = node_of(p, DDB_OP_VALUE, NULL, 0);
    const char *text = ddb_arena_text(&p->ex->arena, p->lex.now.at, p->lex.now.len);

    if (!node || !text) {
        out_of_memory(p);
        return NULL;
    }
    ddb_lexer_step(&p->lex);
    node->value = json_object_get(p->names->values, text);
    if (node->value)
        mark_used(p, text);
    else
        put_aside(p, VALUE,
                  "An expression attribute value used in expression is not defined; attribute "
                  "value: %.255s",
                  text);
    return node;
}

static struct ddb_node *parse_operand(struct parser *p);

static enum ddb_op function_op(struct parser *p, const struct ddb_token *name)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (strlen(functions[i].name) == name->len &&
            memcmp(functions[i].name, name->at, name->len) == 0)
            return functions[i].op;
    put_aside(p, FUNCTION, "Invalid function name; function: %.*s",
              (int)(name->len < 255 ? name->len : 255), name->at);
    return DDB_OP_SIZE; /* never evaluated: the error is reported */
}

/* One list of arguments is on the stack at a time per level of nesting, so it is kept short: no
 * function takes more than two, a longer list only has to be counted. */
static struct ddb_node *parse_function(struct parser *p)
{
    enum { KEPT = 8 };
    struct ddb_node *args[KEPT] = {NULL};
    enum ddb_op op = function_op(p, &p->lex.now);
    size_t n = 0;
    struct ddb_node *node;

    ddb_lexer_step(&p->lex);
    expect(p, "(");
    do {
        struct ddb_node *arg = p->failed ? NULL : parse_operand(p);

        if (n < KEPT)
            args[n] = arg;
        n++;
    } while (!p->failed && take(p, ","));
    expect(p, ")");
    node = p->failed ? NULL : node_of(p, op, args, n < KEPT ? n : KEPT);
    if (node)
        node->n_args = n;
    return node;
}

static struct ddb_node *parse_operand(struct parser *p)
{
    struct ddb_node *node = NULL;

    if (!enter(p))
        return NULL;
    if (p->lex.now.kind == DDB_T_VALUE) {
        node = parse_value(p);
    } else if (p->lex.now.kind == DDB_T_WORD && ddb_token_is(&p->lex.next, "(")) {
        node = parse_function(p);
    } else {
        struct ddb_path path = parse_path(p);

        node = p->failed ? NULL : node_of(p, DDB_OP_PATH, NULL, 0);
        if (node)
            node->path = path;
    }
    p->depth--;
    return node;
}

/* ---- conditions ---- */

static struct ddb_node *parse_or(struct parser *p);

static bool comparison(struct parser *p, enum ddb_op *ret)
{
    static const struct {
        const char *symbol;
        enum ddb_op op;
    } all[] = {{"=", DDB_OP_EQ},  {"<>", DDB_OP_NE}, {"<", DDB_OP_LT},
               {"<=", DDB_OP_LE}, {">", DDB_OP_GT},  {">=", DDB_OP_GE}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (take(p, all[i].symbol)) {
            *ret = all[i].op;
            return true;
        }
    }
    return false;
}

static struct ddb_node *parse_between(struct parser *p, struct ddb_node *left)
{
    struct ddb_node *args[3] = {left, parse_operand(p), NULL};

    if (!p->failed && !take_word(p, "AND"))
        syntax_error(p);
    args[2] = p->failed ? NULL : parse_operand(p);
    return p->failed ? NULL : node_of(p, DDB_OP_BETWEEN, args, 3);
}

static struct ddb_node *parse_in(struct parser *p, struct ddb_node *left)
{
    enum { IN_MAX = 100 };
    struct ddb_node *args[IN_MAX + 1];
    size_t n = 0;

    args[n++] = left;
    expect(p, "(");
    do {
        struct ddb_node *arg = p->failed ? NULL : parse_operand(p);

        if (n > IN_MAX)
            fail(p, "The IN operator is provided with too many operands; number of operands: %zu",
                 n);
        else
            args[n++] = arg;
    } while (!p->failed && take(p, ","));
    expect(p, ")");
    return p->failed ? NULL : node_of(p, DDB_OP_IN, args, n);
}

static bool is_truth_function(const struct ddb_node *node)
{
    return node->op == DDB_OP_EXISTS || node->op == DDB_OP_NOT_EXISTS || node->op == DDB_OP_TYPE ||
           node->op == DDB_OP_BEGINS_WITH || node->op == DDB_OP_CONTAINS;
}

static struct ddb_node *parse_comparison(struct parser *p)
{
    struct ddb_node *left = parse_operand(p), *right;
    enum ddb_op op;

    if (p->failed)
        return NULL;
    if (comparison(p, &op)) {
        right = parse_operand(p);
        return p->failed ? NULL : pair(p, op, left, right);
    }
    if (take_word(p, "BETWEEN"))
        return parse_between(p, left);
    if (take_word(p, "IN"))
        return parse_in(p, left);
    /* A function that has no truth value is refused by ddb_check(), an operand alone here. */
    if (!is_truth_function(left) && left->op <= DDB_OP_VALUE)
        syntax_error(p);
    return left;
}

static struct ddb_node *parse_not(struct parser *p)
{
    struct ddb_node *node;

    if (!enter(p))
        return NULL;
    if (take_word(p, "NOT")) {
        node = parse_not(p);
        node = p->failed ? NULL : node_of(p, DDB_OP_NOT, &node, 1);
    } else if (take(p, "(")) {
        node = parse_or(p);
        expect(p, ")");
    } else {
        node = parse_comparison(p);
    }
    p->depth--;
    return node;
}

static struct ddb_node *parse_and(struct parser *p)
{
    struct ddb_node *left = parse_not(p);

    while (!p->failed && take_word(p, "AND")) {
        struct ddb_node *right = parse_not(p);

        left = p->failed ? NULL : pair(p, DDB_OP_AND, left, right);
    }
    return left;
}

static struct ddb_node *parse_or(struct parser *p)
{
    struct ddb_node *left = parse_and(p);

    while (!p->failed && take_word(p, "OR")) {
        struct ddb_node *right = parse_and(p);

        left = p->failed ? NULL : pair(p, DDB_OP_OR, left, right);
    }
    return left;
}

/* ---- updates ---- */

static struct ddb_node *parse_set_value(struct parser *p)
{
    struct ddb_node *left, *right;
    enum ddb_op op;

    if (!enter(p))
        return NULL;
    if (take(p, "(")) {
        left = parse_set_value(p);
        expect(p, ")");
    } else {
        left = parse_operand(p);
    }
    if (!p->failed && (ddb_token_is(&p->lex.now, "+") || ddb_token_is(&p->lex.now, "-"))) {
        op = ddb_token_is(&p->lex.now, "+") ? DDB_OP_PLUS : DDB_OP_MINUS;
        ddb_lexer_step(&p->lex);
        right = parse_operand(p);
        left = p->failed ? NULL : pair(p, op, left, right);
    }
    p->depth--;
    return left;
}

static struct ddb_node *parse_action_value(struct parser *p, enum ddb_section section)
{
    if (section == DDB_REMOVE)
        return NULL;
    if (section == DDB_SET) {
        expect(p, "=");
        return p->failed ? NULL : parse_set_value(p);
    }
    if (p->lex.now.kind == DDB_T_VALUE)
        return parse_value(p);
    syntax_error(p);
    return NULL;
}

static void parse_section(struct parser *p, enum ddb_section section, struct ddb_action *actions)
{
    struct ddb_expression *ex = p->ex;

    do {
        struct ddb_action *action = &actions[ex->n_actions];

        if (p->failed || ex->n_actions == p->list_max)
            return;
        action->section = section;
        action->path = parse_path(p);
        action->value = p->failed ? NULL : parse_action_value(p, section);
        ex->n_actions++;
    } while (!p->failed && take(p, ","));
}

static void parse_update(struct parser *p)
{
    bool seen[DDB_DELETE + 1] = {false};

    p->ex->actions = get(p, p->list_max * sizeof(*p->ex->actions));
    while (!p->failed && p->lex.now.kind != DDB_T_END) {
        int section = DDB_DELETE;

        while (section > 0 && !ddb_token_is_word(&p->lex.now, sections[section]))
            section--;
        if (section == 0) {
            syntax_error(p);
            return;
        }
        if (seen[section])
            put_aside(p, SECTION,
                      "The \"%s\" section can only be used once in an update expression;",
                      sections[section]);
        seen[section] = true;
        ddb_lexer_step(&p->lex);
        parse_section(p, (enum ddb_section)section, p->ex->actions);
    }
}

static void parse_projection(struct parser *p)
{
    struct ddb_expression *ex = p->ex;

    ex->paths = get(p, p->list_max * sizeof(*ex->paths));
    do {
        if (p->failed || ex->n_paths == p->list_max)
            return;
        ex->paths[ex->n_paths++] = parse_path(p);
    } while (!p->failed && take(p, ","));
}

/* ---- the whole ---- */

static void parse_all(struct parser *p)
{
    if (p->lex.now.kind == DDB_T_END) {
        fail(p, "The expression can not be empty;");
        return;
    }
    if (p->kind == DDB_UPDATE)
        parse_update(p);
    else if (p->kind == DDB_PROJECTION)
        parse_projection(p);
    else
        p->ex->condition = parse_or(p);
    if (!p->failed && p->lex.now.kind != DDB_T_END)
        syntax_error(p);
    for (int i = 0; i < N_LATER && !p->failed; i++)
        if (p->later[i][0] != '\0')
            fail(p, "%s", p->later[i]);
}

bool ddb_expression_parse(struct ddb_expression *ex, enum ddb_expression_kind kind,
                          const char *text, struct ddb_names *names, struct ddb_error *err)
{
    struct parser p = {.ex = ex, .kind = kind, .names = names, .err = err};
    char wrong[900];
    size_t len = strlen(text);

    memset(ex, 0, sizeof(*ex));
    if (len > TEXT_MAX) {
        fail(&p, "Expression size has exceeded the maximum allowed size; expression size: %zu",
             len);
        return false;
    }
    p.list_max = len / 2 + 2;
    ddb_lexer_init(&p.lex, text, len);
    parse_all(&p);
    if (!p.failed && !ddb_check(ex, kind, wrong, sizeof(wrong)))
        fail(&p, "%s", wrong);
    return !p.failed;
}

void ddb_expression_fini(struct ddb_expression *ex)
{
    ddb_arena_free(ex->arena);
    memset(ex, 0, sizeof(*ex));
}

/* ---- placeholders ---- */

void ddb_names_init(struct ddb_names *names, json_t *attribute_names, json_t *attribute_values)
{
    names->names = attribute_names;
    names->values = attribute_values;
    names->used = json_object();
}

void ddb_names_fini(struct ddb_names *names)
{
    json_decref(names->used);
    names->used = NULL;
}

static bool is_placeholder(const char *key, char mark)
{
    struct ddb_lexer lex;

    ddb_lexer_init(&lex, key, strlen(key));
    return key[0] == mark && (lex.now.kind == DDB_T_NAME || lex.now.kind == DDB_T_VALUE) &&
           lex.now.len == strlen(key);
}

static bool check_names(json_t *names, struct ddb_error *err)
{
    const char *key;
    json_t *name;

    if (!json_is_object(names))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    if (json_object_size(names) == 0)
        return ddb_invalid(err, "ExpressionAttributeNames must not be empty");
    json_object_foreach(names, key, name)
    {
        if (!is_placeholder(key, '#'))
            return ddb_invalid(
                err, "ExpressionAttributeNames contains invalid key: Syntax error; key: \"%.255s\"",
                key);
        if (!json_is_string(name))
            return ddb_refuse(err, "SerializationException", "Unexpected field type");
        if (json_string_length(name) == 0)
            return ddb_invalid(err,
                               "ExpressionAttributeNames contains invalid value: Empty attribute "
                               "name for key %.255s",
                               key);
    }
    return true;
}

static bool check_values(json_t *values, struct ddb_error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(values))
        return ddb_refuse(err, "SerializationException", "Unexpected field type");
    if (json_object_size(values) == 0)
        return ddb_invalid(err, "ExpressionAttributeValues must not be empty");
    json_object_foreach(values, key, value)
    {
        struct ddb_error inner = {0};

        if (!is_placeholder(key, ':'))
            return ddb_invalid(
                err,
                "ExpressionAttributeValues contains invalid key: Syntax error; key: \"%.255s\"",
                key);
        if (ddb_value_check(value, &inner))
            continue;
        if (strcmp(inner.type, "ValidationException") != 0)
            return ddb_refuse(err, inner.type, "%s", inner.text);
        return ddb_invalid(
            err, "ExpressionAttributeValues contains invalid value: %.600s for key %.255s",
            inner.text, key);
    }
    return true;
}

bool ddb_names_check(const struct ddb_names *names, struct ddb_error *err)
{
    if (names->names && !check_names(names->names, err))
        return false;
    return !names->values || check_values(names->values, err);
}

static bool all_used(const json_t *given, const json_t *used, const char *what,
                     struct ddb_error *err)
{
    char list[600] = "";
    size_t at = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)given, key, value)
    {
        int n;

        if (json_object_get(used, key) || at >= sizeof(list))
            continue;
        n = snprintf(list + at, sizeof(list) - at, "%s%s", at ? ", " : "", key);
        at = n < 0 ? sizeof(list) : at + (size_t)n;
    }
    if (at == 0)
        return true;
    return ddb_invalid(err, "Value provided in %s unused in expressions: keys: {%s}", what, list);
}

bool ddb_names_all_used(const struct ddb_names *names, struct ddb_error *err)
{
    return all_used(names->names, names->used, "ExpressionAttributeNames", err) &&
           all_used(names->values, names->used, "ExpressionAttributeValues", err);
}
