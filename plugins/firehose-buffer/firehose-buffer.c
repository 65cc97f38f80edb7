/* firehose-buffer.c - transform: many records become one object record, as Amazon Data Firehose
 * builds its S3 objects.
 *
 * One buffer per worker takes the records of all lanes in order of arrival. It
 * leaves as one record with body and object key when it is full, old enough or
 * flushed; the s3 sink writes it as it is.
 */
#include <kpipe/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/objects/key.h"
#include "sdk/objects/objects.h"

#define PREFIX_MAX 512 /* bytes of an evaluated prefix, as the service has it */
#define MAX_HELD   (512 << 20)

enum compression { COMPRESSION_NONE = 0, COMPRESSION_GZIP };

struct firehose_config {
    int64_t size_mib, interval_s;
    int compression;
    const char *prefix, *error_prefix, *stream_name, *delimiter, *extension;
    int64_t version;
};

struct firehose {
    kp_node *node;
    const struct firehose_config *config;
    struct kpo_config objects_config;
    struct kpo_objects *objects;
    struct kpo_key key;
};

/* ---- options */

static bool is_stream_name(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

static bool is_extension(const char *extension)
{
    size_t len = strlen(extension);

    return len == 0 ||
           (len >= 2 && len <= 128 && extension[0] == '.' &&
            strspn(extension + 1, "0123456789abcdefghijklmnopqrstuvwxyz!-_.*'()") == len - 1);
}

static kp_status check_prefixes(kp_node *node, const struct firehose_config *c)
{
    char problem[160], evaluated[KPO_KEY_MAX];

    if (!kpo_prefix_check(c->prefix, false, problem, sizeof problem))
        return kp->fail(node, "prefix: %s", problem);
    if (!kpo_prefix_check(c->error_prefix, true, problem, sizeof problem))
        return kp->fail(node, "error_prefix: %s", problem);
    if (c->prefix && strstr(c->prefix, "!{") && !c->error_prefix)
        return kp->fail(node, "error_prefix must be given when prefix has expressions");
    if (kpo_prefix_format(c->prefix, kp->wall_ms(), NULL, evaluated, sizeof evaluated) > PREFIX_MAX)
        return kp->fail(node, "prefix is longer than %d bytes when evaluated", PREFIX_MAX);
    if (c->prefix && strstr(c->prefix, "YYYY"))
        kp->log(node, KP_LOG_WARN, "prefix.week-year",
                "hint=\"YYYY is the year of the week, yyyy that of the date\"");
    return KP_OK;
}

static kp_status validate(kp_node *node, const void *config)
{
    const struct firehose_config *c = config;

    if (c->stream_name && !is_stream_name(c->stream_name))
        return kp->fail(node, "stream_name must have 1 to 64 characters of [a-zA-Z0-9_.-]");
    if (c->extension && !is_extension(c->extension))
        return kp->fail(node, "extension must begin with '.' and have characters of "
                              "[0-9a-z!-_.*'()] behind it");
    return check_prefixes(node, c);
}

/* ---- objects */

static void on_closed(void *arg, const struct kpo_object *object)
{
    struct firehose *firehose = arg;
    char key[KPO_KEY_MAX];
    size_t len = kpo_key_format(&firehose->key, object->oldest_ms, key, sizeof key);
    bool gzip = firehose->objects_config.gzip;
    kp_batch *out = kpo_object_batch(firehose->node, object, key, len, gzip);

    if (!out)
        return; /* without memory the records come again */
    kp->log(firehose->node, KP_LOG_DEBUG, "object.closed", "key=%.*s records=%llu bytes=%zu",
            (int)len, key, (unsigned long long)object->records, object->len);
    kp->emit(firehose->node, out);
}

static const char *extension_of(const struct firehose_config *config)
{
    if (config->extension)
        return config->extension;
    return config->compression == COMPRESSION_GZIP ? ".gz" : "";
}

static kp_status open_firehose(kp_node *node, const void *config, void *state)
{
    struct firehose *firehose = state;
    const struct firehose_config *c = config;

    firehose->node = node;
    firehose->config = c;
    firehose->objects_config = (struct kpo_config){
        .roll_bytes = (size_t)c->size_mib << 20,
        .roll_ms = c->interval_s * 1000,
        .max_open = 1,
        .max_bytes = MAX_HELD,
        .delimiter = c->delimiter && *c->delimiter ? c->delimiter : NULL,
        .gzip = c->compression == COMPRESSION_GZIP,
    };
    firehose->key = (struct kpo_key){
        .prefix = c->prefix,
        .stream = c->stream_name ? c->stream_name : kp->info(node)->stage,
        .version = (int)c->version,
        .extension = extension_of(c),
    };
    firehose->objects = kpo_objects_new(node, &firehose->objects_config, on_closed, firehose);
    return firehose->objects ? KP_OK : kp->fail(node, "out of memory, or no timer/1");
}

static kp_status process(kp_node *node, void *state, kp_batch *b)
{
    struct firehose *firehose = state;
    kp_slice all = {"", 0};

    for (uint32_t i = 0; i < b->count; i++)
        if (!kpo_objects_add(firehose->objects, all, b, i))
            kp->retry(b, i, 0, "out of memory");
    kp->release(node, b);
    return KP_OK;
}

static void flush(kp_node *node, void *state)
{
    struct firehose *firehose = state;

    (void)node;
    kpo_objects_flush(firehose->objects);
}

static void close_firehose(kp_node *node, void *state)
{
    struct firehose *firehose = state;

    (void)node;
    kpo_objects_free(firehose->objects);
}

#define AT(field) offsetof(struct firehose_config, field)

static const kp_option options[] = {
    {"size_mib", KP_T_INT, AT(size_mib), "5", "1..128",
     "an object is closed when it has so many MiB before compression", NULL},
    {"interval_s", KP_T_INT, AT(interval_s), "300", "0..900",
     "... or so many seconds after its first record; 0: within a second", NULL},
    {"compression", KP_T_ENUM, AT(compression), "UNCOMPRESSED", "UNCOMPRESSED|GZIP",
     "CompressionFormat of the delivery stream", NULL},
    {"prefix", KP_T_STRING, AT(prefix), KP_OPTIONAL, NULL,
     "of object keys, with !{timestamp:...} and !{firehose:random-string}; yyyy/MM/dd/HH/ if not "
     "given",
     NULL},
    {"error_prefix", KP_T_STRING, AT(error_prefix), KP_OPTIONAL, NULL,
     "ErrorOutputPrefix of a managed delivery stream; here, failures go to on_failure", NULL},
    {"stream_name", KP_T_STRING, AT(stream_name), KP_OPTIONAL, NULL,
     "name of the delivery stream in object keys; the stage's name if not given", NULL},
    {"version", KP_T_INT, AT(version), "1", "1..1000000000",
     "number of the configuration in object keys", NULL},
    {"delimiter", KP_T_STRING, AT(delimiter), KP_OPTIONAL, NULL,
     "put behind each record that does not end with it, \"\\n\"; nothing if not given", NULL},
    {"extension", KP_T_STRING, AT(extension), KP_OPTIONAL, NULL,
     "end of object keys instead of the compression's own", NULL},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const kp_element firehose_buffer = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .flags = KP_CONCURRENT | KP_NONDETERMINISTIC,
    .name = "firehose-buffer",
    .help = "collects records into objects, as Amazon Data Firehose does",
    .options = options,
    .config_size = sizeof(struct firehose_config),
    .state_size = sizeof(struct firehose),
    .validate = validate,
    .open = open_firehose,
    .process = process,
    .flush = flush,
    .close = close_firehose,
};

KP_PLUGIN("firehose-buffer", KPIPE_VERSION, "Apache-2.0", &firehose_buffer)
