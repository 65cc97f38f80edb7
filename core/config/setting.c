/* setting.c - see setting.h. */
#include "core/config/setting.h"

#include <string.h>

#include "core/config/arena.h"

struct setting *setting_add(struct arena *arena, struct setting *parent, const char *name,
                            enum setting_kind kind, const char *text)
{
    struct setting *setting = arena_alloc(arena, sizeof *setting);

    *setting = (struct setting){.name = name, .kind = kind, .text = text};
    if (!parent->first)
        parent->first = setting;
    else
        parent->last->next = setting;
    parent->last = setting;
    return setting;
}

const struct setting *setting_find(const struct setting *group, const char *name)
{
    for (const struct setting *at = group->first; at; at = at->next)
        if (at->name && !strcmp(at->name, name))
            return at;
    return NULL;
}
