/* lexer.c - tokens of DynamoDB's expressions. */
#include "plugins/local-aws/dynamodb/lexer.h"

#include <string.h>
#include <strings.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *word_end(const char *p, const char *end)
{
    while (p < end && (is_letter(*p) || is_digit(*p)))
        p++;
    return p;
}

static const char *blanks_end(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    return p;
}

static const char *number_end(const char *p, const char *end)
{
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* One byte, or "<>", "<=", ">=". */
static const char *symbol_end(const char *p, const char *end)
{
    const char *second = p + 1;

    if (second == end)
        return second;
    if ((*p == '<' && *second == '>') || ((*p == '<' || *p == '>') && *second == '='))
        return second + 1;
    return second;
}

static struct ddb_token scan(const char *from, const char *end)
{
    const char *p = blanks_end(from, end), *stop;
    struct ddb_token token = {DDB_T_END, p, 0};

    if (p == end)
        return token;
    stop = p + 1;
    if (is_letter(*p)) {
        token.kind = DDB_T_WORD;
        stop = word_end(p, end);
    } else if (*p == '#' || *p == ':') {
        stop = word_end(p + 1, end);
        token.kind = stop == p + 1 ? DDB_T_BAD : *p == '#' ? DDB_T_NAME : DDB_T_VALUE;
    } else if (is_digit(*p)) {
        token.kind = DDB_T_NUMBER;
        stop = number_end(p, end);
    } else if (*p != '\0' && strchr("=<>,.+-()[]", *p)) {
        token.kind = DDB_T_SYMBOL;
        stop = symbol_end(p, end);
    } else {
        token.kind = DDB_T_BAD;
    }
    token.len = (size_t)(stop - p);
    return token;
}

void ddb_lexer_init(struct ddb_lexer *lex, const char *text, size_t len)
{
    lex->text = text;
    lex->end = text + len;
    lex->before = (struct ddb_token){DDB_T_END, text, 0};
    lex->now = scan(text, lex->end);
    lex->next = scan(lex->now.at + lex->now.len, lex->end);
}

void ddb_lexer_step(struct ddb_lexer *lex)
{
    lex->before = lex->now;
    lex->now = lex->next;
    lex->next = scan(lex->now.at + lex->now.len, lex->end);
}

bool ddb_token_is(const struct ddb_token *token, const char *symbol)
{
    return token->kind == DDB_T_SYMBOL && token->len == strlen(symbol) &&
           memcmp(token->at, symbol, token->len) == 0;
}

bool ddb_token_is_word(const struct ddb_token *token, const char *keyword)
{
    return token->kind == DDB_T_WORD && token->len == strlen(keyword) &&
           strncasecmp(token->at, keyword, token->len) == 0;
}
