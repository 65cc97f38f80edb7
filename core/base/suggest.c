/* suggest.c - see suggest.h: the edit distance of Damerau and Levenshtein, three rows at a time. */
#include "core/base/suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_LEN 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][NAME_MAX_LEN + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
        return SIZE_MAX;
    for (size_t k = 0; k <= b_len; k++)
        last[k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *unused = before;

        now[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            now[k] = least(last[k] + 1, now[k - 1] + 1);
            now[k] = least(now[k], last[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                now[k] = least(now[k], before[k - 2] + 1);
        }
        before = last;
        last = now;
        now = unused;
    }
    return last[b_len];
}

/* Only letters and digits, small: "trim-horizon", "TRIM_HORIZON" and "trimHorizon" are one word. */
static void squash(const char *name, char out[NAME_MAX_LEN + 2])
{
    size_t len = 0;

    for (; *name && len <= NAME_MAX_LEN; name++)
        if (isalnum((unsigned char)*name))
            out[len++] = (char)tolower((unsigned char)*name);
    out[len] = '\0';
}

static size_t distance_of(const char *a /* was written */, const char *b)
{
    char a_word[NAME_MAX_LEN + 2], b_word[NAME_MAX_LEN + 2];
    size_t spelt = suggest_distance(a, b);

    squash(a, a_word);
    squash(b, b_word);
    /* Somebody who wrote the beginning of a name meant that one, not a shorter one that is near. */
    if (strlen(a_word) >= 3 && !strncmp(a_word, b_word, strlen(a_word)))
        return 0;
    return *a_word && *b_word ? least(spelt, suggest_distance(a_word, b_word)) : spelt;
}

struct suggest suggest_for(const char *name)
{
    return (struct suggest){.name = name, .distance = SIZE_MAX};
}

void suggest_try(struct suggest *suggest, const char *candidate)
{
    size_t distance = distance_of(suggest->name, candidate);

    if (distance >= suggest->distance)
        return;
    suggest->distance = distance;
    suggest->best = candidate;
}

const char *suggest_best(const struct suggest *suggest)
{
    size_t len = strlen(suggest->name);
    size_t allowed = len < 3 ? 1 : (len + 2) / 3;

    if (!suggest->best || suggest->distance > allowed)
        return NULL;
    /* Two short names that share no letter are not near, whatever the count says. */
    return suggest->distance < strlen(suggest->best) ? suggest->best : NULL;
}
