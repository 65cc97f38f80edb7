/* catalog.h - what the loader of a pipeline file asks about plugins.
 *
 * config lies below plugin in the include order, so it sees the loaded plugins
 * only through this table.
 */
#ifndef KPIPE_CONFIG_CATALOG_H
#define KPIPE_CONFIG_CATALOG_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

struct catalog {
    void *arg; /* [borrowed] passed to the rows */
    /* The element, or NULL when no loaded plugin brings it. If a plugin file was refused, err has
     * the reason (wrong ABI, crash while scanning ...), else it is untouched. */
    const kp_element *(*find)(void *arg, kp_kind kind, const char *name, struct error *err);
    /* Calls fn for every element known, in name order. */
    void (*each)(void *arg, void (*fn)(void *fn_arg, const kp_element *element), void *fn_arg);
    /* Runs the element's own validate(); NULL row: skip. */
    bool (*validate)(void *arg, const kp_element *element, const char *stage, const void *config,
                     struct error *err);
};

#endif
