/* units.c - see units.h. */
#include "core/base/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit byte_units[] = {
    {"GiB", 1LL << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000},
    {"KiB", 1 << 10},   {"kB", 1000},       {"B", 1},         {NULL, 0},
};
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static bool parse(const char *text, const struct unit *units, int64_t *ret)
{
    int64_t whole = 0, fraction = 0, scale = 1, value;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *at - '0', &whole))
            return false;
    if (at == text)
        return false;
    if (*at == '.') {
        const char *dot = at++;

        for (; *at >= '0' && *at <= '9' && scale < 1000000; at++, scale *= 10)
            fraction = fraction * 10 + (*at - '0');
        if (at == dot + 1)
            return false;
    }
    for (; units->name; units++) {
        if (strcmp(units->name, at) != 0)
            continue;
        if (__builtin_mul_overflow(whole, units->factor, &value))
            return false;
        if (fraction * units->factor % scale != 0)
            return false;
        return !__builtin_add_overflow(value, fraction * units->factor / scale, ret);
    }
    return false;
}

bool units_bytes(const char *text, int64_t *ret_bytes)
{
    return parse(text, byte_units, ret_bytes);
}

bool units_duration(const char *text, int64_t *ret_ms)
{
    return parse(text, time_units, ret_ms);
}

static const char *show(int64_t value, const struct unit *units, const char *base, char *out,
                        size_t cap)
{
    for (; value && units->name; units++) {
        bool decimal = units->factor % 1000 == 0 && units != time_units && units->name[1] == 'B';

        if (!decimal && value % units->factor == 0) {
            snprintf(out, cap, "%lld%s", (long long)(value / units->factor), units->name);
            return out;
        }
    }
    snprintf(out, cap, "%lld%s", (long long)value, base);
    return out;
}

const char *units_show_bytes(int64_t bytes, char *out, size_t cap)
{
    return show(bytes, byte_units, "B", out, cap);
}

const char *units_show_duration(int64_t ms, char *out, size_t cap)
{
    return show(ms, time_units, "ms", out, cap);
}
