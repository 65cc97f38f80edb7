/* my-plugin.c - sink: posts every record to a URL. */
#include <kpipe/ext/http.h>
#include <kpipe/plugin.h>

/* What the pipeline file says; the host fills it in from the rows below. */
struct my_plugin_config {
    const char *url;
    int64_t timeout_ms;
};

/* One per worker, zeroed by the host. No lock is needed: one thread at a time. */
struct my_plugin_state {
    const struct my_plugin_config *config;
    const kp_http_ext *http;
};

/* A batch on its way; it is done when the last of its answers is there. Both structs live in the
 * batch's own memory and go with it, also when the host takes the batch back at the end. */
struct my_plugin_post {
    kp_batch *b;
    uint32_t open;
};

struct my_plugin_call {
    struct my_plugin_post *post;
    uint32_t i;
};

static const kp_option my_plugin_options[] = {
    {"url", KP_T_STRING, offsetof(struct my_plugin_config, url), KP_REQUIRED, NULL,
     "where the records are posted to", NULL},
    {"timeout", KP_T_DURATION, offsetof(struct my_plugin_config, timeout_ms), "10s", "100ms..5m",
     "how long to wait for an answer", NULL},
    {0},
};

static kp_status my_plugin_open(kp_node *node, const void *config, void *state)
{
    struct my_plugin_state *me = state;

    me->config = config;
    me->http = kp->extension("http/1");
    return me->http ? KP_OK : kp->fail(node, "this host has no http/1");
}

/* Says how the record ended: delivered, retry (the host tries again) or rejected (goes to
 * on_failure). A record must never be delivered before the other side has it for good. */
static void my_plugin_answered(kp_node *node, void *arg, const kp_http_response *response)
{
    const struct my_plugin_call *call = arg;
    struct my_plugin_post *post = call->post;

    if (response->status >= 200 && response->status < 300)
        kp->deliver(post->b, call->i, NULL);
    else if (response->status == 0)
        kp->retry(post->b, call->i, 0, "%s", response->error);
    else if (response->status == 429 || response->status >= 500)
        kp->retry(post->b, call->i, 0, "answered %d", response->status);
    else
        kp->reject(post->b, call->i, "answered %d", response->status);
    if (--post->open == 0)
        kp->done(node, post->b);
}

static kp_status my_plugin_process(kp_node *node, void *state, kp_batch *b)
{
    const struct my_plugin_state *me = state;
    size_t bytes = sizeof(struct my_plugin_post) + b->count * sizeof(struct my_plugin_call);
    struct my_plugin_post *post = (void *)kp->alloc(b, bytes);
    struct my_plugin_call *calls = (void *)(post + 1);

    if (!post || !b->count) {
        for (uint32_t i = 0; i < b->count; i++)
            kp->retry(b, i, 0, "out of memory");
        kp->done(node, b);
        return KP_OK;
    }
    *post = (struct my_plugin_post){b, b->count};
    for (uint32_t i = 0; i < b->count; i++) {
        const kp_record *record = kp_at(b, i);
        kp_http_request request = {.size = sizeof request,
                                   .method = "POST",
                                   .url = me->config->url,
                                   .body = {record->data, record->data_len},
                                   .timeout_ms = me->config->timeout_ms};

        calls[i] = (struct my_plugin_call){post, i};
        me->http->send(node, &request, my_plugin_answered, &calls[i]);
    }
    return KP_OK;
}

static const kp_element my_plugin = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .name = "my-plugin",
    .help = "posts every record to a URL",
    .options = my_plugin_options,
    .config_size = sizeof(struct my_plugin_config),
    .state_size = sizeof(struct my_plugin_state),
    .open = my_plugin_open,
    .process = my_plugin_process,
};

KP_PLUGIN("my-plugin", "0.1.0", "Apache-2.0", &my_plugin)
