/* service.c - see service.h. */
#include "core/run/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/base/units.h"
#include "core/run/host.h"
#include "core/run/node.h"
#include "core/run/worker.h"

struct service {
    struct host *host; /* [borrowed] */
    struct worker worker;
    struct kp_node node;
    void *config;    /* [owned] */
    bool has_worker; /* worker and node are made */
    bool is_closed;  /* what try_close() found */
};

/* ---- options */

static bool enum_index(const char *choices, const char *value, int *ret)
{
    size_t len = strlen(value);

    for (*ret = 0; choices; (*ret)++) {
        size_t n = strcspn(choices, "|");

        if (n == len && !memcmp(choices, value, n))
            return true;
        choices = choices[n] ? choices + n + 1 : NULL;
    }
    return false;
}

static bool whole_number(const char *text, int64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

static bool set_option(const kp_option *row, const char *value, char *field)
{
    int64_t *number = (int64_t *)(void *)field;

    switch (row->type) {
    case KP_T_STRING:
        *(const char **)(void *)field = value; /* [borrowed] from the caller or the row */
        return true;
    case KP_T_INT: return whole_number(value, number);
    case KP_T_BYTES: return units_bytes(value, number);
    case KP_T_DURATION: return units_duration(value, number);
    case KP_T_BOOL:
        *(bool *)field = !strcmp(value, "true");
        return *(bool *)field || !strcmp(value, "false");
    case KP_T_ENUM: return enum_index(row->check, value, (int *)(void *)field);
    default: return false; /* richer types make no sense here */
    }
}

static const char *value_for(const kp_option *row, const struct service_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (options[i].value && !strcmp(options[i].name, row->name))
            return options[i].value;
    return row->dflt;
}

static bool knows(const kp_element *element, const char *name)
{
    for (const kp_option *row = element->options; row && row->name; row++)
        if (!strcmp(row->name, name))
            return true;
    return false;
}

bool service_configure(const kp_element *element, const struct service_option *options, size_t n,
                       void *config, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (options[i].value && !knows(element, options[i].name)) {
            error_set(err, ERROR_CONFIG, "%s has no option '%s'", element->name, options[i].name);
            return false;
        }
    }
    for (const kp_option *row = element->options; row && row->name; row++) {
        const char *value = value_for(row, options, n);

        if (!value) {
            error_set(err, ERROR_CONFIG, "%s needs the option '%s'", element->name, row->name);
            return false;
        }
        if (!*value && row->type != KP_T_STRING)
            continue; /* optional, not given */
        if (!set_option(row, value, (char *)config + row->offset)) {
            error_set(err, ERROR_CONFIG, "%s.%s: \"%s\" is no such value", element->name, row->name,
                      value);
            return false;
        }
    }
    return true;
}

/* ---- life */

static void open_and_start(struct worker *worker, void *arg)
{
    struct service *service = arg;

    (void)worker;
    if (node_open(&service->node))
        node_start(&service->node);
}

static void stop_node(struct worker *worker, void *arg)
{
    struct service *service = arg;

    (void)worker;
    node_stop(&service->node);
}

/* Unless the pool still works for it. */
static void try_close(struct worker *worker, void *arg)
{
    struct service *service = arg;

    (void)worker;
    if (!service->node.works)
        node_close(&service->node);
    service->is_closed = !service->node.is_open;
}

void service_stop(struct service *service)
{
    if (!service)
        return;
    if (service->has_worker) {
        if (service->worker.runs) {
            worker_call(&service->worker, stop_node, service);
            worker_call(&service->worker, try_close, service);
            while (!service->is_closed) {
                host_turn(service->host);
                worker_call(&service->worker, try_close, service);
            }
        }
        worker_fini(&service->worker);
        node_fini(&service->node);
    }
    free(service->config);
    free(service);
}

struct service *service_start(struct host *host, const kp_element *element,
                              const struct service_option *options, size_t n, struct error *err)
{
    struct service *service = mem_new(sizeof *service);

    service->host = host;
    service->config = mem_new(element->config_size ? element->config_size : 1);
    if (!service_configure(element, options, n, service->config, err) ||
        !worker_init(&service->worker, host, 0, err)) {
        service_stop(service);
        return NULL;
    }
    if (host_aws_config(host))
        worker_set_aws(&service->worker, host_aws_config(host));
    service->has_worker = true;
    node_init(&service->node, &(struct node_place){.worker = &service->worker,
                                                   .element = element,
                                                   .config = service->config,
                                                   .who = element->name});
    service->node.info.n_workers = 1;
    if (!worker_start(&service->worker, err)) {
        service_stop(service);
        return NULL;
    }
    worker_call(&service->worker, open_and_start, service);
    return service;
}

bool service_wait(struct service *service, struct error *err)
{
    struct kp_node *node = &service->node;

    while (!node->has_failed && !node->is_ready && !node->has_ended && !service->host->n_signals)
        host_turn(service->host);
    if (!node->has_failed && !service->host->n_signals)
        return true;
    error_set(err, ERROR_FAILED, "%s", node->has_failed ? node->failure : "stopped by a signal");
    return false;
}

const char *service_url(const struct service *service)
{
    return service->node.url;
}
