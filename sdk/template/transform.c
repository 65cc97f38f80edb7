/* my-plugin.c - transform: puts a text before every record and drops empty ones. */
#include <kpipe/plugin.h>
#include <string.h>

/* What the pipeline file says; the host fills it in from the rows below. */
struct my_plugin_config {
    const char *prefix;
};

/* One per worker, zeroed by the host. No lock is needed: one thread at a time. */
struct my_plugin_state {
    const struct my_plugin_config *config;
};

static const kp_option my_plugin_options[] = {
    {"prefix", KP_T_STRING, offsetof(struct my_plugin_config, prefix), KP_REQUIRED, NULL,
     "text put before every record", NULL},
    {0},
};

static kp_status my_plugin_open(kp_node *node, const void *config, void *state)
{
    (void)node;
    ((struct my_plugin_state *)state)->config = config;
    return KP_OK;
}

/* Every record either goes on with emit(), or is marked first: filter, reject or retry. */
static kp_status my_plugin_process(kp_node *node, void *state, kp_batch *b)
{
    const struct my_plugin_state *me = state;
    size_t prefix_len = strlen(me->config->prefix);

    b = kp->writable(b);
    if (!b)
        return kp->fail(node, "out of memory");
    for (uint32_t i = 0; i < b->count; i++) {
        const kp_record *record = kp_at(b, i);
        char *out;

        if (!record->data_len) {
            kp->filter(b, i);
            continue;
        }
        out = kp->alloc(b, prefix_len + record->data_len);
        if (!out) {
            kp->retry(b, i, 0, "out of memory");
            continue;
        }
        memcpy(out, me->config->prefix, prefix_len);
        memcpy(out + prefix_len, record->data, record->data_len);
        kp->point(b, i, out, prefix_len + record->data_len);
    }
    kp->emit(node, b);
    return KP_OK;
}

static const kp_element my_plugin = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .name = "my-plugin",
    .help = "puts a text before every record",
    .options = my_plugin_options,
    .config_size = sizeof(struct my_plugin_config),
    .state_size = sizeof(struct my_plugin_state),
    .open = my_plugin_open,
    .process = my_plugin_process,
};

KP_PLUGIN("my-plugin", "0.1.0", "Apache-2.0", &my_plugin)
