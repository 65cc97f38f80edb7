/* schema.h - option rows: a Lua table -> a config struct, everything checked.
 *
 * Used for stages, resources, host options and the pipeline's own keys, so all
 * complain in the same words.
 *
 * Owned by: the loader.   Threads: main.
 */
#ifndef KPIPE_CONFIG_SCHEMA_H
#define KPIPE_CONFIG_SCHEMA_H

#include <kpipe/plugin.h>

#include "core/config/load.h"

/* One set of rows and where its values go. */
struct schema_part {
    const kp_option *rows; /* ended by a row with name NULL */
    char *config;
    struct setting *shown; /* a group; NULL: not shown */
};

struct schema {
    struct load *load;
    const char *who; /* "kinesis"; "" for the pipeline itself */
    struct position position;
    const char *const *others; /* keys somebody else reads; NULL-ended, may be NULL */
    bool hides_others;         /* they are refused elsewhere: not to be proposed */
    bool has_items;            /* positional items belong to somebody else */
    bool is_bad;               /* there were problems */
};

/* Reads the table at `index` into all parts; the first part that knows a key gets it. */
void schema_read(struct schema *schema, int index, const struct key_path *path,
                 const struct schema_part *parts, size_t n_parts);

/* A problem of the key at `path`: "kinesis.batch.wait: text" on the key's own line. */
__attribute__((format(printf, 3, 4))) void schema_problem(struct schema *schema,
                                                          const struct key_path *path,
                                                          const char *fmt, ...);

/* "kinesis.batch.wait" into out. Returns out. */
const char *schema_show_path(const char *who, const struct key_path *path, char *out, size_t cap);

/* ---- convert.c: one row */

/* The value at the top of the stack into the field. */
void convert_value(struct schema *schema, const struct key_path *path, const kp_option *row,
                   char *field, struct setting *shown);
/* The row's default. */
void convert_default(struct schema *schema, const kp_option *row, char *field,
                     struct setting *shown);
const char *convert_expects(struct load *load, const kp_option *row); /* "a whole number" */

/* ---- between convert.c and convert_many.c; the value is at the top of the stack */

void convert_mismatch(struct schema *schema, const struct key_path *path, const kp_option *row);
/* A copy of the text; NULL after complaining. */
const char *convert_text(struct schema *schema, const struct key_path *path);
bool convert_any(struct schema *schema, const struct key_path *path, kp_value *ret,
                 struct setting *shown, const char *name);
void convert_list(struct schema *schema, const struct key_path *path, const kp_option *row,
                  char *field, struct setting *shown);
void convert_map(struct schema *schema, const struct key_path *path, const kp_option *row,
                 char *field, struct setting *shown);

/* A name of a Lua table. In the order of the file; what is not found there comes last, by name. */
struct ordered {
    const char *name;
    bool is_number; /* the key was [404] */
    int64_t number;
    size_t rank;
};

/* The names of the table at the top; NULL after complaining about a key that is none. */
struct ordered *convert_names(struct schema *schema, const struct key_path *path, size_t *ret_n);

#endif
