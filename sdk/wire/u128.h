/* u128.h - the long numbers of Kinesis: hash keys of 128 bits, sequence numbers of any length.
 *
 * Threads: [any]
 */
#ifndef KPIPE_WIRE_U128_H
#define KPIPE_WIRE_U128_H

#include "sdk/wire/slice.h"

__extension__ typedef unsigned __int128 kpw_u128;

#define KPW_U128_MAX  (~(kpw_u128)0)
#define KPW_U128_SIZE 40 /* 39 digits and a NUL */

/* 1 to 40 decimal digits, leading zeros allowed; false when not that or above 2^128 - 1. */
bool kpw_u128_parse(struct kpw_slice text, kpw_u128 *ret);
/* Returns the length without the NUL. */
size_t kpw_u128_format(kpw_u128 n, char out[KPW_U128_SIZE]);
/* 16 bytes, most significant first: the hash key of an MD5. */
kpw_u128 kpw_u128_from_bytes(const uint8_t bytes[16]);

/* True for one or more decimal digits. */
bool kpw_decimal_valid(struct kpw_slice text);
/* Compares two decimal numbers of any length (leading zeros do not count): < 0, 0, > 0. Both must
 * be kpw_decimal_valid(); the empty text counts as 0. */
int kpw_decimal_compare(struct kpw_slice a, struct kpw_slice b);

#endif
