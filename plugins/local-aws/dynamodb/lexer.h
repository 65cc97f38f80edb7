/* lexer.h - tokens of DynamoDB's expressions. Part of expression.c. */
#ifndef KPIPE_LOCAL_AWS_DDB_LEXER_H
#define KPIPE_LOCAL_AWS_DDB_LEXER_H

#include <stdbool.h>
#include <stddef.h>

enum ddb_token_kind {
    DDB_T_END = 1,
    DDB_T_WORD,   /* identifier or keyword */
    DDB_T_NAME,   /* #name */
    DDB_T_VALUE,  /* :value */
    DDB_T_NUMBER, /* digits */
    DDB_T_SYMBOL, /* one of = < > , . + - ( ) [ ] or <> <= >= */
    DDB_T_BAD,    /* a character no expression has */
};

struct ddb_token {
    enum ddb_token_kind kind;
    const char *at; /* into the text */
    size_t len;
};

struct ddb_lexer {
    const char *text, *end;
    struct ddb_token before, now, next; /* `now` is looked at; one back and one ahead */
};

void ddb_lexer_init(struct ddb_lexer *lex, const char *text, size_t len);
void ddb_lexer_step(struct ddb_lexer *lex);
bool ddb_token_is(const struct ddb_token *token, const char *symbol);
bool ddb_token_is_word(const struct ddb_token *token, const char *keyword); /* any case */

#endif
