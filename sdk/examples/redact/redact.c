/* redact.c - transform: masks the value of one JSON string field. A whole plugin on one page. */
#include <kpipe/ext/json.h>
#include <kpipe/plugin.h>
#include <string.h>

struct redact_config {
    const char *field, *mask;
    int64_t max_bytes;
};

struct redact_state {
    const struct redact_config *config;
    const kp_json_ext *json;
};

static const kp_option redact_options[] = {
    {"field", KP_T_STRING, offsetof(struct redact_config, field), KP_REQUIRED, NULL,
     "path of the JSON string that is masked, e.g. $.user.email", NULL},
    {"mask", KP_T_STRING, offsetof(struct redact_config, mask), "***", NULL,
     "text put in its place, as it stands between the quotes", NULL},
    {"max_bytes", KP_T_BYTES, offsetof(struct redact_config, max_bytes), "1MiB", "1B..10MiB",
     "longer records are rejected, never passed on unmasked", NULL},
    {0},
};

static kp_status redact_open(kp_node *node, const void *config, void *state)
{
    *(struct redact_state *)state = (struct redact_state){config, kp->extension("json/1")};
    return ((struct redact_state *)state)->json ? KP_OK : kp->fail(node, "this host has no json/1");
}

static kp_status redact_process(kp_node *node, void *state, kp_batch *b)
{
    const struct redact_state *me = state;
    size_t mask_len = strlen(me->config->mask);

    b = kp->writable(b);
    if (!b)
        return kp->fail(node, "out of memory");
    for (uint32_t i = 0; i < b->count; i++) {
        kp_slice json = {kp_at(b, i)->data, kp_at(b, i)->data_len}, found;
        char *out, *at;

        if ((int64_t)json.len > me->config->max_bytes) {
            kp->reject(b, i, "the record has %zu bytes, max_bytes is %lld", json.len,
                       (long long)me->config->max_bytes);
            continue;
        }
        if (me->json->find(json, me->config->field, &found) != KP_JSON_STRING)
            continue; /* nothing to mask */
        out = kp->alloc(b, json.len - found.len + mask_len);
        if (!out) {
            kp->retry(b, i, 0, "out of memory");
            continue;
        }
        at = out + (found.ptr - json.ptr);
        memcpy(out, json.ptr, (size_t)(at - out));
        memcpy(at, me->config->mask, mask_len);
        memcpy(at + mask_len, found.ptr + found.len,
               json.len - found.len - (size_t)(found.ptr - json.ptr));
        kp->point(b, i, out, json.len - found.len + mask_len);
    }
    kp->emit(node, b);
    return KP_OK;
}

static const kp_element redact = {
    .size = sizeof(kp_element),
    .kind = KP_TRANSFORM,
    .name = "redact",
    .help = "masks the value of one JSON string field",
    .options = redact_options,
    .config_size = sizeof(struct redact_config),
    .state_size = sizeof(struct redact_state),
    .open = redact_open,
    .process = redact_process,
};

KP_PLUGIN("redact", "1.0.0", "Apache-2.0", &redact)
