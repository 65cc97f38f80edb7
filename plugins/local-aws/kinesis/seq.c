/* seq.c - a number is three limbs of 64 bits, or three of base 10^19 for its digits. */
#include "plugins/local-aws/kinesis/seq.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "sdk/wire/u128.h"

#define BASE    UINT64_C(10000000000000000000) /* 10^19 */
#define STEP_LO UINT64_C(5819614629174706176)  /* 2^80, the step of the index, in base 10^19 */
#define STEP_HI UINT64_C(120892)
#define SECONDS ((UINT64_C(1) << 36) - 1)
#define TOO_OLD UINT64_C(16025175000) /* creation seconds from here on are no date */

/* Divides the number of three words (highest first) by 10^19; returns the remainder. */
static uint64_t divide(uint64_t words[3])
{
    kpw_u128 rest = 0;

    for (int i = 0; i < 3; i++) {
        rest = rest << 64 | words[i];
        words[i] = (uint64_t)(rest / BASE);
        rest %= BASE;
    }
    return (uint64_t)rest;
}

static void to_limbs(const struct kinesis_seq *seq, uint64_t limbs[3])
{
    kpw_u128 low = 2 | (kpw_u128)seq->shard << 4 | (kpw_u128)(seq->time_s & SECONDS) << 36 |
                   (kpw_u128)seq->index << 80;
    uint64_t words[3] = {UINT64_C(2) << 56 | (seq->created_s & SECONDS) << 20 |
                             (uint64_t)(seq->shard & 15) << 16 | seq->index >> 48,
                         (uint64_t)(low >> 64), (uint64_t)low};

    for (int i = 0; i < 3; i++)
        limbs[i] = divide(words);
}

/* Eight digits at once: halves of four digits, then of two, then of one, side by side in a word.
 * The products are divisions by 100 and 10 that are exact for what stands there. */
static void put_eight(uint32_t n, char *out)
{
    uint64_t word = n / 10000 | (uint64_t)(n % 10000) << 32, tens;

    tens = (word * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    word = tens | (word - tens * 100) << 16;
    tens = (word * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    word = tens | (word - tens * 10) << 8;
    word = htole64(word | UINT64_C(0x3030303030303030));
    memcpy(out, &word, sizeof word);
}

static void put_digits(uint64_t n, int digits, char *out)
{
    for (; digits >= 8; digits -= 8, n /= 100000000)
        put_eight((uint32_t)(n % 100000000), out + digits - 8);
    for (; digits; n /= 10)
        out[--digits] = (char)('0' + n % 10);
}

static bool is_next(const struct kinesis_seq_writer *w, const struct kinesis_seq *seq)
{
    return w->is_set && seq->index == w->last.index + 1 && seq->time_s == w->last.time_s &&
           seq->shard == w->last.shard && seq->created_s == w->last.created_s;
}

void kinesis_seq_write(struct kinesis_seq_writer *w, const struct kinesis_seq *seq,
                       char out[KINESIS_SEQ_LEN])
{
    if (is_next(w, seq)) {
        kpw_u128 low = (kpw_u128)w->limbs[0] + STEP_LO;
        kpw_u128 middle = (kpw_u128)w->limbs[1] + STEP_HI + (low >= BASE);

        w->limbs[0] = (uint64_t)(low >= BASE ? low - BASE : low);
        w->limbs[1] = (uint64_t)(middle >= BASE ? middle - BASE : middle);
        w->limbs[2] += middle >= BASE;
    } else {
        to_limbs(seq, w->limbs);
    }
    w->last = *seq;
    w->is_set = true;
    put_digits(w->limbs[2], 18, out);
    put_digits(w->limbs[1], 19, out + 18);
    put_digits(w->limbs[0], 19, out + 37);
}

void kinesis_seq_format(const struct kinesis_seq *seq, char out[KINESIS_SEQ_SIZE])
{
    struct kinesis_seq_writer w = {0};

    kinesis_seq_write(&w, seq, out);
    out[KINESIS_SEQ_LEN] = '\0';
}

/* Decimal digits to three words, highest first; false: not digits, or 2^192 and more. */
static bool to_words(struct kpw_slice text, uint64_t words[3])
{
    if (!text.len || text.len > 129)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned carry = (unsigned)(text.ptr[i] - '0');

        if (carry > 9)
            return false;
        for (int w = 2; w >= 0; w--) {
            kpw_u128 n = (kpw_u128)words[w] * 10 + carry;

            words[w] = (uint64_t)n;
            carry = (unsigned)(n >> 64);
        }
        if (carry)
            return false;
    }
    return true;
}

enum kinesis_seq_kind kinesis_seq_parse(struct kpw_slice text, struct kinesis_seq *ret)
{
    uint64_t words[3] = {0, 0, 0};
    kpw_u128 low;

    *ret = (struct kinesis_seq){0};
    if (!to_words(text, words))
        return KINESIS_SEQ_INVALID;
    low = (kpw_u128)words[1] << 64 | words[2];
    if (words[0] < 2) { /* version 0: below 2^129 */
        ret->shard = (uint32_t)(words[2] & 0xffff);
        return KINESIS_SEQ_OLD;
    }
    ret->created_s = words[0] >> 20 & SECONDS;
    ret->index = words[0] << 48 | (uint64_t)(low >> 80);
    ret->time_s = (uint64_t)(low >> 36) & SECONDS;
    ret->shard = (uint32_t)(low >> 4);
    if (words[0] >> 56 != 2 || (low & 15) != 2 || ret->index > KINESIS_SEQ_END ||
        ret->created_s >= TOO_OLD)
        return KINESIS_SEQ_INVALID;
    return KINESIS_SEQ_OK;
}

void kinesis_shard_id(uint32_t shard, char out[KINESIS_SHARD_ID])
{
    memcpy(out, "shardId-", 8);
    put_digits(shard, 12, out + 8);
    out[20] = '\0';
}

bool kinesis_shard_parse(struct kpw_slice text, uint32_t *ret)
{
    const char *at, *dash, *end;
    uint64_t n = 0;

    if (!text.len)
        return false;
    end = text.ptr + text.len;
    dash = memchr(text.ptr, '-', text.len);
    at = dash ? dash + 1 : text.ptr;
    if (at == end)
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9' || (n = n * 10 + (uint64_t)(*at - '0')) > INT32_MAX)
            return false;
    }
    *ret = (uint32_t)n;
    return true;
}
