/* s3.c - sink: objects into a bucket.
 *
 * Object records (from firehose-buffer) are written as they are. Plain records
 * are first collected into objects by sdk/objects, one buffer per partition.
 */
#include "plugins/s3/s3.h"

#include <stdlib.h>
#include <string.h>

static kp_status validate(kp_node *node, const void *config)
{
    const struct s3_config *c = config;
    struct kpo_partition *partition;
    char problem[160], evaluated[KPO_KEY_MAX];

    if (!kpo_prefix_check(c->prefix, false, problem, sizeof problem))
        return kp->fail(node, "prefix: %s", problem);
    if (c->prefix && kpo_prefix_format(c->prefix, kp->wall_ms(), NULL, evaluated,
                                       sizeof evaluated) > KPO_KEY_MAX / 4)
        return kp->fail(node, "prefix is longer than %d bytes", KPO_KEY_MAX / 4);
    if (c->max_buffered < c->roll_size + (2 << 20))
        return kp->fail(node, "max_buffered must be at least roll_size and 2 MiB");
    if (c->partition_by.kind == KP_V_SECRET)
        return kp->fail(node, "partition_by cannot be a secret");
    if (c->partition_by.kind == KP_V_TEXT || c->partition_by.kind == KP_V_FIELD) {
        partition = kpo_partition_new(c->partition_by.text, c->partition_by.kind == KP_V_FIELD,
                                      problem, sizeof problem);
        if (!partition)
            return kp->fail(node, "partition_by: %s", problem);
        kpo_partition_free(partition);
    }
    return KP_OK;
}

static kp_status open_s3(kp_node *node, const void *config, void *state)
{
    struct s3 *s3 = state;

    s3->node = node;
    s3->config = config;
    s3->aws = kp->extension("aws/1");
    s3->lua = kp->extension("lua/1");
    if (!s3->aws)
        return kp->fail(node, "this host has no aws/1");
    if (s3->config->partition_by.kind == KP_V_FUNCTION && !s3->lua)
        return kp->fail(node, "this host has no lua/1");
    if (!put_open(s3))
        return kp->fail(node, "out of memory");
    return build_open(s3) ? KP_OK : KP_FATAL;
}

/* Objects and plain records in one batch: the objects go into one of their own. */
static void take_objects(struct s3 *s3, kp_batch *b, uint32_t count)
{
    kp_batch *objects = kp->batch_new(s3->node, count);

    for (uint32_t i = 0; i < b->count; i++)
        if (kpo_is_object(kp_at(b, i)) && (!objects || !kp->move(objects, b, i)))
            kp->retry(b, i, 0, "out of memory");
    if (objects && objects->count)
        put_add(s3, objects);
    else if (objects)
        kp->done(s3->node, objects);
}

static kp_status process(kp_node *node, void *state, kp_batch *b)
{
    struct s3 *s3 = state;
    uint32_t objects = 0;

    for (uint32_t i = 0; i < b->count; i++)
        objects += kpo_is_object(kp_at(b, i));
    if (objects && objects == b->count) {
        put_add(s3, b);
        return KP_OK;
    }
    if (objects)
        take_objects(s3, b, objects);
    for (uint32_t i = 0; i < b->count; i++)
        if (kp_at(b, i)->outcome == KP_NONE)
            build_add(s3, b, i);
    kp->done(node, b);
    return KP_OK;
}

static void flush(kp_node *node, void *state)
{
    struct s3 *s3 = state;

    (void)node;
    kpo_objects_flush(s3->objects);
}

static void close_s3(kp_node *node, void *state)
{
    struct s3 *s3 = state;

    (void)node;
    build_close(s3);
    put_close(s3);
}

#define AT(field) offsetof(struct s3_config, field)

static const kp_option options[] = {
    {"bucket", KP_T_RESOURCE, AT(bucket), KP_REQUIRED, "bucket", "where the objects go", NULL},
    {"in_flight", KP_T_INT, AT(in_flight), "4", "1..256", "PUT requests of a worker at a time",
     NULL},
    {"timeout", KP_T_DURATION, AT(timeout_ms), "5m", "1s..1h", "of one PUT", NULL},
    {"content_type", KP_T_STRING, AT(content_type), "application/octet-stream", NULL,
     "Content-Type of the objects", NULL},
    {"storage_class", KP_T_ENUM, AT(storage_class), "STANDARD",
     "STANDARD|INTELLIGENT_TIERING|STANDARD_IA|ONEZONE_IA|GLACIER_IR|GLACIER|DEEP_ARCHIVE",
     "x-amz-storage-class", NULL},
    {"prefix", KP_T_STRING, AT(prefix), KP_OPTIONAL, NULL,
     "plain records: begin of object keys, may have !{timestamp:...}", NULL},
    {"partition_by", KP_T_VALUE, AT(partition_by), KP_OPTIONAL, NULL,
     "plain records: \"ticker=${ticker}/dt=${event_time:date}\", a member's name, k.field, or a "
     "function that returns the path",
     NULL},
    {"roll_size", KP_T_BYTES, AT(roll_size), "128MiB", "1KiB..1GiB",
     "plain records: an object is closed at this size before compression", NULL},
    {"roll_interval", KP_T_DURATION, AT(roll_interval_ms), "5m", "0s..24h",
     "plain records: ... or so long after its first record", NULL},
    {"max_open", KP_T_INT, AT(max_open), "100", "1..10000",
     "plain records: partitions that may be open at a time; the oldest is closed first", NULL},
    {"max_buffered", KP_T_BYTES, AT(max_buffered), "160MiB", "3MiB..64GiB",
     "plain records: memory of all open objects of a worker; the largest is closed first", NULL},
    {"delimiter", KP_T_STRING, AT(delimiter), "\n", NULL,
     "plain records: put behind each that does not end with it; \"\" for nothing", NULL},
    {"compression", KP_T_ENUM, AT(compression), "none", "none|gzip", "plain records", NULL},
    {"extension", KP_T_STRING, AT(extension), KP_OPTIONAL, NULL,
     "plain records: end of object keys; .gz with gzip if not given", NULL},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const kp_element s3_sink = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_CONCURRENT | KP_NONDETERMINISTIC,
    .name = "s3",
    .help = "writes objects into a bucket; builds them from plain records",
    .options = options,
    .config_size = sizeof(struct s3_config),
    .state_size = sizeof(struct s3),
    .validate = validate,
    .open = open_s3,
    .process = process,
    .flush = flush,
    .close = close_s3,
};

KP_PLUGIN("s3", KPIPE_VERSION, "Apache-2.0", &s3_sink)
