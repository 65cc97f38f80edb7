/* setting.h - the options of a stage as they were understood, for show and graph.
 *
 * Owned by: the plan's arena.   Threads: read-only once loaded: any.
 */
#ifndef KPIPE_CONFIG_SETTING_H
#define KPIPE_CONFIG_SETTING_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct kp_resource;

enum setting_kind {
    SETTING_TEXT,     /* text in quotes */
    SETTING_BARE,     /* a number, true or false */
    SETTING_FIELD,    /* text is the path */
    SETTING_SECRET,   /* text is "env:NAME" or "file:PATH", never the secret */
    SETTING_FUNCTION, /* text is "file:line" */
    SETTING_RESOURCE,
    SETTING_LIST,  /* children without names */
    SETTING_GROUP, /* children with names */
};

struct setting {
    struct setting *next; /* of the same parent */
    const char *name;     /* NULL in a list */
    enum setting_kind kind;
    const char *text;
    const struct kp_resource *resource;
    struct setting *first, *last; /* LIST and GROUP */
};

/* Adds a child at the end. `name` may be NULL; both texts are kept [borrowed]. */
struct setting *setting_add(struct arena *arena, struct setting *parent, const char *name,
                            enum setting_kind kind, const char *text);
const struct setting *setting_find(const struct setting *group, const char *name);

#endif
