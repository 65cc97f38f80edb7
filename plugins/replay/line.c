/* line.c - the time stamp is looked for by the JSON scanner, the key computed as Java does. */
#include "plugins/replay/line.h"

#include "sdk/wire/json.h"
#include "sdk/wire/time.h"
#include "sdk/wire/utf8.h"

#include <string.h>

#define MS_FROM INT64_C(100000000000) /* as seconds that would be the year 5138 */

/* "2007-01-03 00:00:00.000": the form of the stock data, taken as UTC. */
static bool read_blank_form(kp_slice text, int64_t *ret_ms)
{
    char iso[40];

    if (text.len < 19 || text.len > 30 || text.ptr[10] != ' ')
        return false;
    memcpy(iso, text.ptr, text.len);
    iso[10] = 'T';
    iso[text.len] = 'Z';
    return kpw_iso8601_parse(kpw_slice(iso, text.len + 1), ret_ms);
}

bool replay_time(kp_slice text, int64_t *ret_ms)
{
    struct kpw_slice slice = {text.ptr, text.len};

    if (kpw_iso8601_parse(slice, ret_ms) || read_blank_form(text, ret_ms))
        return true;
    if (text.len == 0 || text.ptr[0] == '-' || text.len > 15 || !kpw_json_to_int64(slice, ret_ms))
        return false;
    if (*ret_ms < MS_FROM)
        *ret_ms *= 1000;
    return true;
}

bool replay_time_of(kp_slice line, const char *path, int64_t *ret_ms)
{
    struct kpw_slice text;
    enum kpw_json_type type = kpw_json_find(kpw_slice(line.ptr, line.len), path, &text);

    return (type == KPW_JSON_STRING || type == KPW_JSON_NUMBER) &&
           replay_time((kp_slice){text.ptr, text.len}, ret_ms);
}

/* The next code point, U+FFFD for what is not UTF-8 (as Java's decoder answers it). */
static uint32_t code_point(const unsigned char **p, const unsigned char *end)
{
    const unsigned char *s = *p;
    uint32_t cp;
    size_t n = kpw_utf8_decode((const char *)s, (const char *)end, &cp);

    *p = s + (n ? n : 1);
    return n ? cp : 0xfffd;
}

size_t replay_hash_key(const char *line, size_t len, char *out)
{
    const unsigned char *p = (const unsigned char *)line, *end = p + len;
    uint32_t hash = 0, rest;
    char text[11];
    size_t n = 0, at = 0;

    while (p < end) {
        uint32_t cp = code_point(&p, end);

        if (cp > 0xffff) {
            hash = hash * 31 + (0xd800 + ((cp - 0x10000) >> 10));
            cp = 0xdc00 + ((cp - 0x10000) & 0x3ff);
        }
        hash = hash * 31 + cp;
    }
    hash += 31;
    rest = hash;
    if (hash > INT32_MAX) {
        out[at++] = '-';
        rest = 0U - hash;
    }
    do {
        text[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    while (n)
        out[at++] = text[--n];
    return at;
}
