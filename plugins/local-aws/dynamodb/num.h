/* num.h - DynamoDB's numbers: decimals of up to 38 digits, kept and computed exactly.
 *
 * Text in, canonical text out ("1E2" is 100, "-0" is 0, "1.50" is 1.5), order by
 * value, exact sums, and a key of bytes whose memcmp() order is the numeric one.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_DDB_NUM_H
#define KPIPE_LOCAL_AWS_DDB_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DDB_NUM_DIGITS   38
#define DDB_NUM_TEXT_MAX 176 /* longest canonical text and its NUL */
#define DDB_NUM_KEY_MAX  42  /* bytes of the longest sort key */

struct ddb_num {
    bool negative;
    int n;                          /* significant digits; 0 is the number zero */
    int exponent;                   /* power of ten of the first digit */
    uint8_t digits[DDB_NUM_DIGITS]; /* 0..9; neither the first nor the last is 0 */
};

/* NULL, or DynamoDB's text of what is wrong ("%s" is not in it; the caller may add the value). */
const char *ddb_num_parse(struct ddb_num *num, const char *text, size_t len);
/* Canonical decimal text; returns its length. */
size_t ddb_num_text(const struct ddb_num *num, char out[DDB_NUM_TEXT_MAX]);
int ddb_num_compare(const struct ddb_num *a, const struct ddb_num *b);
/* *sum = a + b, or a - b; NULL, or the text of the error (more than 38 digits, overflow). */
const char *ddb_num_add(struct ddb_num *sum, const struct ddb_num *a, const struct ddb_num *b,
                        bool subtract);
/* Bytes that sort like the number; returns how many (at most DDB_NUM_KEY_MAX). */
size_t ddb_num_key(const struct ddb_num *num, uint8_t out[DDB_NUM_KEY_MAX]);
/* Bytes a number counts in an item's size. */
size_t ddb_num_size(const struct ddb_num *num);

#endif
