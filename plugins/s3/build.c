/* build.c - see s3.h: plain records become objects.
 *
 * The name of a buffer is the partition path; the object's key is prefix,
 * partition and a file name in the manner of Flink's: part-RUN-WORKER-COUNTER.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/s3/s3.h"

#define PARTITION_MAX 700 /* bytes: leaves room for prefix and name in a key */

static const char *extension_of(const struct s3_config *config)
{
    if (config->extension)
        return config->extension;
    return config->compression == COMPRESSION_GZIP ? ".gz" : "";
}

static size_t make_key(struct s3 *s3, const struct kpo_object *object, char *key, size_t size)
{
    const struct s3_config *config = s3->config;
    size_t len = 0;
    int n;

    if (config->prefix)
        len = strstr(config->prefix, "!{")
                  ? kpo_prefix_format(config->prefix, object->oldest_ms, NULL, key, size)
                  : (size_t)snprintf(key, size, "%s", config->prefix);
    n = snprintf(key + len, size - len, "%.*s%spart-%s-%u-%llu%s", (int)object->name_len,
                 object->name, object->name_len ? "/" : "", s3->run, kp->info(s3->node)->worker,
                 (unsigned long long)s3->counter++, extension_of(config));
    return len + (size_t)n;
}

static void on_closed(void *arg, const struct kpo_object *object)
{
    struct s3 *s3 = arg;
    char key[KPO_KEY_MAX * 2];
    size_t len = make_key(s3, object, key, sizeof key);
    kp_batch *b = kpo_object_batch(s3->node, object, key, len, s3->objects_config.gzip);

    if (b)
        put_add(s3, b); /* else its records have been given back */
}

/* The partition of a record; false: it has got its outcome. */
static bool partition_of(struct s3 *s3, kp_batch *b, uint32_t i, char *out, kp_slice *ret)
{
    const kp_value *by = &s3->config->partition_by;
    const kp_record *record = kp_at(b, i);
    char problem[160];

    *ret = (kp_slice){out, 0};
    if (s3->partition) {
        if (kpo_partition_path(s3->partition, (kp_slice){record->data, record->data_len}, out,
                               PARTITION_MAX, &ret->len, problem, sizeof problem))
            return true;
        kp->reject(b, i, "partition_by: %s", problem);
        return false;
    }
    if (by->kind != KP_V_FUNCTION)
        return true;
    switch (s3->lua->value(s3->node, by, b, i, ret)) {
    case KP_LUA_TEXT:
        while (ret->len && ret->ptr[ret->len - 1] == '/')
            ret->len--;
        if (ret->len <= PARTITION_MAX)
            return true;
        kp->reject(b, i, "partition_by: a path of %zu bytes", ret->len);
        return false;
    case KP_LUA_ERROR:
        kp->reject(b, i, "partition_by: %.*s", (int)ret->len, ret->ptr);
        return false;
    default: kp->reject(b, i, "partition_by: the function returned no text"); return false;
    }
}

void build_add(struct s3 *s3, kp_batch *b, uint32_t i)
{
    char path[PARTITION_MAX];
    kp_slice name;

    if (partition_of(s3, b, i, path, &name) && !kpo_objects_add(s3->objects, name, b, i))
        kp->retry(b, i, 0, "out of memory");
}

bool build_open(struct s3 *s3)
{
    const struct s3_config *c = s3->config;
    char problem[160];

    s3->objects_config = (struct kpo_config){
        .roll_bytes = (size_t)c->roll_size,
        .roll_ms = c->roll_interval_ms,
        .max_open = (uint32_t)c->max_open,
        .max_bytes = (size_t)c->max_buffered,
        .delimiter = *c->delimiter ? c->delimiter : NULL,
        .gzip = c->compression == COMPRESSION_GZIP,
    };
    if (c->partition_by.kind == KP_V_TEXT || c->partition_by.kind == KP_V_FIELD) {
        s3->partition = kpo_partition_new(c->partition_by.text, c->partition_by.kind == KP_V_FIELD,
                                          problem, sizeof problem);
        if (!s3->partition) {
            kp->fail(s3->node, "partition_by: %s", problem);
            return false;
        }
    }
    kpo_uuid(s3->run);
    s3->objects = kpo_objects_new(s3->node, &s3->objects_config, on_closed, s3);
    if (!s3->objects)
        kp->fail(s3->node, "out of memory, or no timer/1");
    return s3->objects != NULL;
}

void build_close(struct s3 *s3)
{
    kpo_objects_free(s3->objects);
    kpo_partition_free(s3->partition);
}
