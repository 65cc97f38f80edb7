/* family.c - a list under one mutex; a handful of entries per reshard. */
#include "plugins/kinesis/family.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct finished {
    struct finished *next;
    bool was_followed;
    char shard[];
};

struct family {
    char *name; /* [owned] */
    unsigned members;
    struct finished *finished; /* [owned] */
    struct family *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct family *families;

static struct family *find_or_make(char *name)
{
    struct family *family = families;

    while (family && strcmp(family->name, name) != 0)
        family = family->next;
    if (family) {
        free(name);
        return family;
    }
    family = calloc(1, sizeof(*family));
    if (!family) {
        free(name);
        return NULL;
    }
    family->name = name;
    family->next = families;
    families = family;
    return family;
}

struct family *family_join(const char *pipeline, const char *flow, const char *stage)
{
    struct family *family;
    char *name;

    if (asprintf(&name, "%s/%s/%s", pipeline, flow, stage) < 0)
        return NULL;
    pthread_mutex_lock(&lock);
    family = find_or_make(name);
    if (family)
        family->members++;
    pthread_mutex_unlock(&lock);
    return family;
}

static void forget(struct family *family)
{
    struct family **at = &families;

    while (*at != family)
        at = &(*at)->next;
    *at = family->next;
    while (family->finished) {
        struct finished *next = family->finished->next;

        free(family->finished);
        family->finished = next;
    }
    free(family->name);
    free(family);
}

void family_leave(struct family *family)
{
    if (!family)
        return;
    pthread_mutex_lock(&lock);
    if (--family->members == 0)
        forget(family);
    pthread_mutex_unlock(&lock);
}

bool family_finished(struct family *family, const char *shard, bool was_followed)
{
    size_t size = strlen(shard) + 1;
    struct finished *entry = malloc(sizeof(*entry) + size);

    if (!entry)
        return false;
    memcpy(entry->shard, shard, size);
    entry->was_followed = was_followed;
    pthread_mutex_lock(&lock);
    entry->next = family->finished;
    family->finished = entry;
    pthread_mutex_unlock(&lock);
    return true;
}

bool family_is_finished(struct family *family, const char *shard, bool *ret_was_followed)
{
    const struct finished *entry;

    pthread_mutex_lock(&lock);
    entry = family->finished;
    while (entry && strcmp(entry->shard, shard) != 0)
        entry = entry->next;
    if (entry)
        *ret_was_followed = entry->was_followed;
    pthread_mutex_unlock(&lock);
    return entry != NULL;
}
