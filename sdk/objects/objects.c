/* objects.c - see objects.h.
 *
 * Buffers are found by a small hash table with chains; the one used last is
 * tried first, because neighbouring records mostly share a name. All buffers
 * have the same age limit, so their list in order of opening is also in order of
 * deadlines and one timer serves all.
 */
#include "sdk/objects/objects.h"

#include <kpipe/ext/timer.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/objects/body.h"

#define BUCKETS     256
#define SOON_MS     1000        /* what an age limit of 0 means */
#define OVERSHOOT   (1 << 20)   /* a record may take an object this far over its size */
#define GZIP_BYTES  (300 << 10) /* what a compressor holds */
#define SPARE_BYTES (8 << 20)   /* what may be held even when the host has no room */

struct buffer {
    struct buffer *chain;         /* in its bucket */
    struct buffer *older, *newer; /* by time of opening */
    struct kpo_body body;
    kp_group *group;  /* [owned] */
    uint64_t records; /* */
    size_t bytes;     /* before compression */
    int64_t oldest_ms, deadline_ms;
    uint64_t hash;
    size_t name_len;
    char name[];
};

struct kpo_objects {
    kp_node *node;
    const struct kpo_config *config;
    const kp_timer_ext *timer;
    kp_timer *age;
    kpo_closed_fn closed;
    void *arg;
    struct buffer *buckets[BUCKETS];
    struct buffer *oldest, *newest, *last_used;
    uint32_t n_open;
    size_t held; /* bytes of slabs */
    size_t delimiter_len;
    bool starved; /* the host had no room for the memory taken last */
};

bool kpo_is_object(const kp_record *record)
{
    /* The pointer is the sender's constant: another plugin's copy of the same text. */
    return record->type && strcmp(record->type, KPO_OBJECT_TYPE) == 0;
}

/* ---- the table */

static uint64_t hash_of(kp_slice name)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

static bool is_named(const struct buffer *buffer, kp_slice name)
{
    return buffer->name_len == name.len && memcmp(buffer->name, name.ptr, name.len) == 0;
}

static struct buffer *find(const struct kpo_objects *objects, kp_slice name, uint64_t hash)
{
    struct buffer *buffer = objects->buckets[hash % BUCKETS];

    while (buffer && !(buffer->hash == hash && is_named(buffer, name)))
        buffer = buffer->chain;
    return buffer;
}

static void unlink_buffer(struct kpo_objects *objects, struct buffer *buffer)
{
    struct buffer **at = &objects->buckets[buffer->hash % BUCKETS];

    while (*at != buffer)
        at = &(*at)->chain;
    *at = buffer->chain;
    *(buffer->older ? &buffer->older->newer : &objects->oldest) = buffer->newer;
    *(buffer->newer ? &buffer->newer->older : &objects->newest) = buffer->older;
    if (objects->last_used == buffer)
        objects->last_used = NULL;
    objects->n_open--;
    objects->held -= buffer->body.cap + (objects->config->gzip ? GZIP_BYTES : 0);
}

static void set_timer(struct kpo_objects *objects)
{
    int64_t left;

    if (!objects->oldest) {
        objects->timer->stop(objects->age);
        return;
    }
    left = objects->oldest->deadline_ms - kp->now_ms();
    objects->timer->start(objects->age, left > 0 ? left : 0, 0);
}

static struct buffer *open_buffer(struct kpo_objects *objects, kp_slice name, uint64_t hash)
{
    struct buffer *buffer = calloc(1, sizeof *buffer + name.len + 1);
    int64_t age_ms = objects->config->roll_ms ? objects->config->roll_ms : SOON_MS;

    if (!buffer)
        return NULL;
    if (!kpo_body_open(&buffer->body, objects->config->gzip,
                       objects->config->roll_bytes + OVERSHOOT)) {
        free(buffer);
        return NULL;
    }
    buffer->group = kp->group_new(objects->node);
    buffer->hash = hash;
    buffer->name_len = name.len;
    memcpy(buffer->name, name.ptr, name.len);
    buffer->oldest_ms = INT64_MAX;
    buffer->deadline_ms = kp->now_ms() + age_ms;
    buffer->chain = objects->buckets[hash % BUCKETS];
    objects->buckets[hash % BUCKETS] = buffer;
    buffer->older = objects->newest;
    *(buffer->older ? &buffer->older->newer : &objects->oldest) = buffer;
    objects->newest = buffer;
    objects->n_open++;
    objects->held += objects->config->gzip ? GZIP_BYTES : 0;
    if (objects->oldest == buffer)
        set_timer(objects);
    return buffer;
}

/* ---- closing */

static void free_buffer(struct buffer *buffer)
{
    kpo_body_free(&buffer->body);
    if (buffer->group)
        kp->group_free(buffer->group);
    free(buffer);
}

/* Without memory for the last bytes the records go back: they come again. */
static void close_buffer(struct kpo_objects *objects, struct buffer *buffer)
{
    bool was_oldest = buffer == objects->oldest;
    struct kpo_object object;

    unlink_buffer(objects, buffer);
    if (was_oldest)
        set_timer(objects);
    if (buffer->records && kpo_body_close(&buffer->body, objects->node)) {
        object = (struct kpo_object){
            .name = buffer->name,
            .name_len = buffer->name_len,
            .body = buffer->body.slab,
            .len = buffer->body.len,
            .group = buffer->group,
            .records = buffer->records,
            .oldest_ms = buffer->oldest_ms,
        };
        buffer->body.slab = NULL; /* moved */
        buffer->group = NULL;     /* moved */
        objects->closed(objects->arg, &object);
    }
    free_buffer(buffer);
}

static void on_age(kp_node *node, void *arg)
{
    struct kpo_objects *objects = arg;
    int64_t now_ms = kp->now_ms();

    (void)node;
    while (objects->oldest && objects->oldest->deadline_ms <= now_ms)
        close_buffer(objects, objects->oldest);
    set_timer(objects);
}

void kpo_objects_flush(struct kpo_objects *objects)
{
    while (objects->oldest)
        close_buffer(objects, objects->oldest);
}

/* ---- room */

static struct buffer *largest(const struct kpo_objects *objects)
{
    struct buffer *best = objects->oldest;

    for (struct buffer *buffer = best; buffer; buffer = buffer->newer)
        if (buffer->body.cap > best->body.cap)
            best = buffer;
    return best;
}

/* Closes the largest buffers until what is held fits. */
static void shrink(struct kpo_objects *objects, size_t limit)
{
    while (objects->held > limit) {
        kp->count(objects->node, "early_objects", 1);
        close_buffer(objects, largest(objects));
    }
}

static bool is_full(const struct kpo_objects *objects, const struct buffer *buffer)
{
    return buffer->bytes >= objects->config->roll_bytes ||
           (objects->config->roll_records && buffer->records >= objects->config->roll_records);
}

static bool would_overshoot(const struct kpo_objects *objects, const struct buffer *buffer,
                            size_t len)
{
    return buffer->records && buffer->bytes + len > objects->config->roll_bytes + OVERSHOOT;
}

/* ---- adding */

static bool needs_delimiter(const struct kpo_objects *objects, const kp_record *record)
{
    size_t n = objects->delimiter_len;

    return n && !(record->data_len >= n &&
                  memcmp(record->data + record->data_len - n, objects->config->delimiter, n) == 0);
}

static struct buffer *buffer_of(struct kpo_objects *objects, kp_slice name, uint64_t *ret_hash)
{
    struct buffer *buffer = objects->last_used;

    *ret_hash = buffer && is_named(buffer, name) ? buffer->hash : hash_of(name);
    if (!buffer || !is_named(buffer, name))
        buffer = find(objects, name, *ret_hash);
    objects->last_used = buffer;
    return buffer;
}

/* The buffer of that name with room for `len` bytes; NULL: no memory. */
static struct buffer *buffer_for(struct kpo_objects *objects, kp_slice name, size_t len)
{
    uint64_t hash;
    struct buffer *buffer = buffer_of(objects, name, &hash);
    size_t before;
    bool starved = false, ok;

    if (buffer && would_overshoot(objects, buffer, len)) {
        close_buffer(objects, buffer);
        buffer = NULL;
    }
    if (!buffer && objects->n_open >= objects->config->max_open)
        close_buffer(objects, objects->oldest);
    if (!buffer)
        buffer = open_buffer(objects, name, hash);
    if (!buffer)
        return NULL;
    before = buffer->body.cap;
    ok = kpo_body_room(&buffer->body, objects->node, len, &starved);
    objects->held += buffer->body.cap - before;
    objects->starved |= starved;
    if (ok || buffer->records)
        return ok ? buffer : NULL;
    close_buffer(objects, buffer); /* nothing is in it */
    return NULL;
}

bool kpo_objects_add(struct kpo_objects *objects, kp_slice name, kp_batch *b, uint32_t i)
{
    const kp_record *record = kp_at(b, i);
    bool delimit = needs_delimiter(objects, record);
    size_t len = record->data_len + (delimit ? objects->delimiter_len : 0);
    struct buffer *buffer = buffer_for(objects, name, len);
    int64_t arrival_ms = record->arrival_ms ? record->arrival_ms : kp->wall_ms();

    if (!buffer)
        return false;
    objects->last_used = buffer;
    kpo_body_put(&buffer->body, record->data, record->data_len);
    if (delimit)
        kpo_body_put(&buffer->body, objects->config->delimiter, objects->delimiter_len);
    kp->group_take(buffer->group, b, i);
    buffer->records++;
    buffer->bytes += len;
    if (arrival_ms < buffer->oldest_ms)
        buffer->oldest_ms = arrival_ms;
    if (is_full(objects, buffer))
        close_buffer(objects, buffer);
    shrink(objects, objects->starved ? SPARE_BYTES : objects->config->max_bytes);
    objects->starved = false;
    return true;
}

/* ---- life */

struct kpo_objects *kpo_objects_new(kp_node *node, const struct kpo_config *config,
                                    kpo_closed_fn closed, void *arg)
{
    const kp_timer_ext *timer = kp->extension("timer/1");
    struct kpo_objects *objects = timer ? calloc(1, sizeof *objects) : NULL;

    if (!objects)
        return NULL;
    objects->node = node;
    objects->config = config;
    objects->timer = timer;
    objects->closed = closed;
    objects->arg = arg;
    objects->delimiter_len = config->delimiter ? strlen(config->delimiter) : 0;
    objects->age = timer->create(node, on_age, objects);
    return objects;
}

void kpo_objects_free(struct kpo_objects *objects)
{
    if (!objects)
        return;
    while (objects->oldest) {
        struct buffer *buffer = objects->oldest;

        unlink_buffer(objects, buffer);
        free_buffer(buffer);
    }
    objects->timer->destroy(objects->age);
    free(objects);
}

uint32_t kpo_objects_open(const struct kpo_objects *objects)
{
    return objects->n_open;
}

kp_batch *kpo_object_batch(kp_node *node, const struct kpo_object *object, const char *key,
                           size_t key_len, bool gzip)
{
    kp_batch *out = kp->batch_new(node, 1);
    char *copy = out ? kp->alloc(out, key_len + 1) : NULL;
    kp_record *record;

    if (!copy) {
        if (out)
            kp->release(node, out);
        kp->group_free(object->group);
        kp->slab_unref(object->body);
        return NULL;
    }
    memcpy(copy, key, key_len);
    copy[key_len] = '\0';
    kp->keep(out, object->body);
    record = kp->append_group(out, object->group);
    if (record) {
        record->data = kp->slab_data(object->body);
        record->data_len = (uint32_t)object->len;
        record->key = copy;
        record->key_len = (uint32_t)key_len;
        record->type = KPO_OBJECT_TYPE;
        record->encoding = gzip ? KP_GZIP : KP_PLAIN;
        record->arrival_ms = object->oldest_ms;
    } else {
        kp->release(node, out);
        out = NULL;
    }
    kp->slab_unref(object->body);
    return out;
}
