/* provision.c - provisioner "provision": makes what the pipeline file names, or prints it as a
 * template.
 *
 * action = "ensure" goes through the resources one after the other: look, make what is missing,
 * look again until it is usable, apply its settings. Existing resources are left as they are.
 * action = "synth" prints a CloudFormation template to standard output. Nothing is called.
 */
#include "plugins/provision/provision.h"

#include <kpipe/ext/timer.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MIN_MS 50
#define LOOK_MAX_MS 2000
#define READY_MS    300000 /* a resource that takes longer is reported */

enum action { ACTION_ENSURE, ACTION_SYNTH };
enum phase { PHASE_PROBE, PHASE_CREATE, PHASE_AWAIT, PHASE_SETTING };

struct provision_config {
    int action; /* enum action */
    const char *lease_table;
};

struct provision {
    const struct provision_config *config;
    kp_node *node;
    const kp_info *info;
    const kp_aws_ext *aws;
    const kp_timer_ext *timers;
    kp_timer *timer;               /* [owned by node] */
    const kp_resource **resources; /* [owned] those of the file, and the lease table */
    kp_resource lease_table;
    size_t n, at;
    enum phase phase;
    unsigned setting;  /* of PHASE_SETTING */
    int64_t look_ms;   /* pause before the next look */
    int64_t deadline;  /* monotonic, of the resource */
    kp_aws_call *call; /* under way */
    char *body;        /* of it [owned] */
    size_t body_len;
};

static void go(struct provision *p);

static const struct call *current_call(const struct provision *p, const struct service *service)
{
    switch (p->phase) {
    case PHASE_CREATE: return &service->create;
    case PHASE_SETTING: return &service->settings[p->setting];
    default: return &service->probe;
    }
}

static void give_up(struct provision *p, const struct service *service, const struct call *call,
                    const kp_aws_response *response)
{
    const kp_resource *r = p->resources[p->at];
    const char *error = response->error ? response->error : "the answer is not understood";
    const char *message = response->message ? response->message : "";
    bool denied = response->status == 403 || strcmp(error, "AccessDeniedException") == 0;

    (void)kp->fail(p->node, "%s: %s on %s %s in %s (%s%s%s)",
                   denied ? "not allowed" : "cannot provision", call->action, service->noun,
                   r->name, p->aws->region(p->node), error, *message ? ": " : "", message);
}

static void next_resource(struct provision *p)
{
    p->at++;
    p->phase = PHASE_PROBE;
    p->setting = 0;
    p->look_ms = LOOK_MIN_MS;
    p->deadline = kp->now_ms() + READY_MS;
}

/* Back to the same call, after a pause that grows. */
static void look_later(struct provision *p, const struct service *service)
{
    if (kp->now_ms() >= p->deadline) {
        (void)kp->fail(p->node, "%s %s is still not usable after %d s", service->noun,
                       p->resources[p->at]->name, READY_MS / 1000);
        return;
    }
    p->timers->start(p->timer, p->look_ms, 0);
    p->look_ms = p->look_ms * 3 / 2 < LOOK_MAX_MS ? p->look_ms * 3 / 2 : LOOK_MAX_MS;
}

/* The call of this phase succeeded. */
static void advance(struct provision *p, const struct service *service)
{
    const kp_resource *r = p->resources[p->at];

    switch (p->phase) {
    case PHASE_PROBE:
        kp->log(p->node, KP_LOG_INFO, "resource.found", "kind=%s name=%s", r->kind, r->name);
        next_resource(p);
        break;
    case PHASE_CREATE:
        kp->log(p->node, KP_LOG_INFO, "resource.created", "kind=%s name=%s", r->kind, r->name);
        p->phase = PHASE_AWAIT;
        break;
    case PHASE_AWAIT:
        p->phase = PHASE_SETTING;
        p->setting = 0;
        break;
    case PHASE_SETTING: p->setting++; break;
    }
    if (p->phase == PHASE_SETTING &&
        (p->setting == SETTINGS_MAX || !service->settings[p->setting].make))
        next_resource(p);
}

static void answered(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct provision *p = arg;
    const struct service *service = service_of(p->resources[p->at]->kind);
    const struct call *call = current_call(p, service);
    enum found found = call->judge(response);

    (void)node;
    p->call = NULL;
    if (found == FOUND_NOTHING && p->phase == PHASE_PROBE) {
        p->phase = PHASE_CREATE;
    } else if (found == FOUND_BUSY || (found == FOUND_NOTHING && p->phase == PHASE_AWAIT)) {
        look_later(p, service);
        return;
    } else if (found == FOUND_SKIP) {
        kp->log(node, KP_LOG_INFO, "setting.unknown", "action=%s name=%s", call->action,
                p->resources[p->at]->name);
        advance(p, service);
    } else if (found != FOUND_READY) {
        give_up(p, service, call, response);
        return;
    } else {
        advance(p, service);
    }
    go(p);
}

/* False: out of memory. */
static bool send_call(struct provision *p, const struct call *call, bool *ret_is_wanted)
{
    kp_aws_request request = {.size = sizeof(request)};
    FILE *body;

    free(p->body);
    p->body = NULL;
    body = open_memstream(&p->body, &p->body_len);
    if (!body)
        return false;
    *ret_is_wanted = call->make(p->resources[p->at], p->aws->region(p->node), &request, body);
    if (fclose(body) != 0)
        return false;
    if (*ret_is_wanted) {
        request.body = (kp_slice){p->body, p->body_len};
        p->call = p->aws->call(p->node, &request, answered, p);
    }
    return true;
}

/* The next call, or the end. */
static void go(struct provision *p)
{
    bool is_sent = false;

    while (!is_sent && p->at < p->n) {
        const struct service *service = service_of(p->resources[p->at]->kind);

        if (!service) {
            next_resource(p);
            continue;
        }
        if (!send_call(p, current_call(p, service), &is_sent)) {
            (void)kp->fail(p->node, "out of memory");
            return;
        }
        if (!is_sent) /* a setting that nobody asked for */
            advance(p, service);
    }
    if (!is_sent)
        kp->ended(p->node);
}

static void timer_rang(kp_node *node, void *arg)
{
    (void)node;
    go(arg);
}

/* ---- the element ---------------------------------------------------------------------------- */

static kp_status provision_open(kp_node *node, const void *config, void *state)
{
    struct provision *p = state;

    p->config = config;
    p->node = node;
    p->info = kp->info(node);
    p->aws = kp->extension("aws/1");
    p->timers = kp->extension("timer/1");
    if (!p->aws || !p->timers)
        return kp->fail(node, "this host has no aws/1 and timer/1");
    p->timer = p->timers->create(node, timer_rang, p);
    return p->timer ? KP_OK : kp->fail(node, "out of memory");
}

static bool list_resources(struct provision *p)
{
    p->resources = calloc(p->info->n_resources + 1, sizeof(*p->resources));
    if (!p->resources)
        return false;
    for (size_t i = 0; i < p->info->n_resources; i++)
        p->resources[p->n++] = p->info->resources[i];
    if (p->config->lease_table && *p->config->lease_table) {
        p->lease_table = (kp_resource){
            .size = sizeof(kp_resource), .kind = "table", .name = p->config->lease_table};
        p->resources[p->n++] = &p->lease_table;
    }
    return true;
}

static kp_status provision_start(kp_node *node, void *state)
{
    struct provision *p = state;

    if (!list_resources(p))
        return kp->fail(node, "out of memory");
    if (p->config->action == ACTION_SYNTH) {
        synth(stdout, p->info->pipeline, p->resources, p->n);
        if (fflush(stdout) != 0)
            return kp->fail(node, "cannot write the template to standard output");
        kp->ended(node);
        return KP_OK;
    }
    p->look_ms = LOOK_MIN_MS;
    p->deadline = kp->now_ms() + READY_MS;
    go(p);
    return KP_OK;
}

static void provision_stop(kp_node *node, void *state)
{
    struct provision *p = state;

    (void)node;
    if (p->call)
        p->aws->cancel(p->call);
    p->call = NULL;
    if (p->timer)
        p->timers->stop(p->timer);
}

static void provision_close(kp_node *node, void *state)
{
    struct provision *p = state;

    provision_stop(node, state);
    if (p->timer)
        p->timers->destroy(p->timer);
    p->timer = NULL;
    free(p->resources);
    free(p->body);
    p->resources = NULL;
    p->body = NULL;
}

static const kp_option provision_options[] = {
    {"action", KP_T_ENUM, offsetof(struct provision_config, action), "ensure", "ensure|synth",
     "ensure: make what is missing; synth: print a CloudFormation template", NULL},
    {"lease_table", KP_T_STRING, offsetof(struct provision_config, lease_table), KP_OPTIONAL, NULL,
     "name of the DynamoDB table for leases, when there shall be one", NULL},
    {0},
};

static const kp_element provision_element = {
    .size = sizeof(kp_element),
    .kind = KP_PROVISIONER,
    .name = "provision",
    .help = "makes the streams, buckets and queues of a pipeline, or prints them as a template",
    .options = provision_options,
    .config_size = sizeof(struct provision_config),
    .state_size = sizeof(struct provision),
    .open = provision_open,
    .start = provision_start,
    .stop = provision_stop,
    .close = provision_close,
};

KP_PLUGIN("provision", KPIPE_VERSION, "Apache-2.0", &provision_element)
