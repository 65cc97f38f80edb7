/* suggest.h - "did you mean ...?": the nearest of many names.
 *
 *   struct suggest s = suggest_for("kinesys");
 *   suggest_try(&s, "kinesis");
 *   suggest_best(&s); gives "kinesis", or NULL when nothing is near enough
 *
 * Near is a third of the length in single edits (insert, delete, replace, swap
 * of neighbours), wherein case, '-' and '_' may be left out of account, or the
 * beginning of a name. Threads: any.
 */
#ifndef KPIPE_BASE_SUGGEST_H
#define KPIPE_BASE_SUGGEST_H

#include <stddef.h>

struct suggest {
    const char *name; /* what was written [borrowed] */
    const char *best; /* [borrowed from who called suggest_try()] */
    size_t distance;
};

struct suggest suggest_for(const char *name);
void suggest_try(struct suggest *suggest, const char *candidate);
const char *suggest_best(const struct suggest *suggest);

size_t suggest_distance(const char *a, const char *b); /* names over 64 bytes: SIZE_MAX */

#endif
