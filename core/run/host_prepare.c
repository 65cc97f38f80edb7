/* host_prepare.c - everything before the flows start: the embedded AWS, clients, resources,
 * workers, leases, stages.
 */
#include "core/aws/aws_client.h"
#include "core/base/mem.h"
#include "core/config/plan.h"
#include "core/net/http_client.h"
#include "core/run/flow.h"
#include "core/run/host_internal.h"
#include "core/run/leases.h"
#include "core/run/service.h"

bool host_start_local(struct host *host, struct error *err)
{
    const struct host_options *o = &host->options;
    const kp_element *element = o->catalog->find(o->catalog->arg, KP_SERVICE, "local-aws", err);
    const struct service_option options[] = {
        {"listen", o->local_listen ? o->local_listen : "127.0.0.1:0"},
        {"dir", o->local_dir},
        {"no_limits", o->no_limits ? "true" : "false"},
        {"verify_signatures", o->verify_signatures ? "true" : "false"},
        {"durability", o->local_durability},
        {"tls", o->local_tls},
        {"tls_cert", o->local_cert},
        {"tls_key", o->local_key},
        {"faults", o->local_faults},
    };

    if (!element) {
        if (!err->kind)
            error_set(err, ERROR_CONFIG,
                      "the plugin local-aws is not there; use --aws for the real services");
        return false;
    }
    host->local = service_start(host, element, options, sizeof options / sizeof *options, err);
    return host->local && service_wait(host->local, err);
}

bool host_make_clients(struct host *host, struct error *err)
{
    host->aws_config = aws_config_new(host_local_url(host), err);
    if (!host->aws_config)
        return false;
    host->http = http_client_new(&host->loop, err);
    if (!host->http)
        return false;
    host->aws = aws_client_new(&host->loop, host->http, host->aws_config);
    return true;
}

bool host_ensure(struct host *host, const char *action, struct error *err)
{
    const struct catalog *catalog = host->options.catalog;
    const kp_element *element = catalog->find(catalog->arg, KP_PROVISIONER, "provision", err);
    const struct service_option option = {"action", action};
    struct service *service;
    bool ok;

    if (!element) {
        if (!err->kind)
            error_set(err, ERROR_CONFIG, "the plugin provision is not there");
        return false;
    }
    service = service_start(host, element, &option, 1, err);
    ok = service && service_wait(service, err);
    service_stop(service);
    return ok;
}

static bool make_workers(struct host *host, struct error *err)
{
    host->workers = mem_new(host->n_workers * sizeof *host->workers);
    for (uint32_t i = 0; i < host->n_workers; i++) {
        if (!worker_init(&host->workers[i], host, i, err)) {
            host->n_workers = i;
            return false;
        }
        worker_set_aws(&host->workers[i], host->aws_config);
    }
    return true;
}

static void budget_freed(void *arg)
{
    struct host *host = arg;

    for (uint32_t i = 0; i < host->n_workers; i++) {
        host->workers[i].has_room = true;
        inbox_wake(&host->workers[i].inbox);
    }
}

static void make_flows(struct host *host)
{
    const struct plan *plan = host->options.plan;

    host->flow_budgets = mem_new((plan->n_flows + 1) * sizeof *host->flow_budgets);
    host->budget.freed = budget_freed;
    host->budget.arg = host;
    for (size_t f = 0; f < plan->n_flows; f++) {
        host->flow_budgets[f] = (struct budget){.name = plan->flows[f].name,
                                                .limit = plan->flows[f].memory,
                                                .parent = &host->budget,
                                                .freed = budget_freed,
                                                .arg = host};
    }
    for (uint32_t w = 0; w < host->n_workers; w++) {
        struct worker *worker = &host->workers[w];

        worker->flows = mem_new((plan->n_flows + 1) * sizeof *worker->flows);
        for (size_t f = 0; f < plan->n_flows; f++)
            worker->flows[worker->n_flows++] =
                flow_new(&(struct flow_place){.worker = worker,
                                              .plan = &plan->flows[f],
                                              .pipeline = plan->name,
                                              .index = (uint32_t)f,
                                              .home = (uint32_t)f % host->n_workers,
                                              .budget = &host->flow_budgets[f]});
    }
}

struct opening {
    size_t flow;
    bool ok;
    struct error err;
};

static void do_open(struct worker *worker, void *arg)
{
    struct opening *opening = arg;

    opening->ok = flow_open(worker->flows[opening->flow], &opening->err);
}

static bool open_flows(struct host *host, struct error *err)
{
    for (uint32_t w = 0; w < host->n_workers; w++)
        if (!worker_start(&host->workers[w], err))
            return false;
    for (size_t f = 0; f < host->options.plan->n_flows; f++) {
        for (uint32_t w = 0; w < host->n_workers; w++) {
            struct opening opening = {.flow = f};

            worker_call(&host->workers[w], do_open, &opening);
            if (!opening.ok) {
                *err = opening.err;
                return false;
            }
        }
    }
    return true;
}

bool host_prepare(struct host *host)
{
    struct error err = ERROR_INIT;
    const struct plan *plan = host->options.plan;

    if (host->options.local_dir && !host_start_local(host, &err))
        return host_fail(host, &err);
    if (!host_make_clients(host, &err))
        return host_fail(host, &err);
    if (plan->n_resources && !host_ensure(host, "ensure", &err))
        return host_fail(host, &err);
    if (!make_workers(host, &err))
        return host_fail(host, &err);
    make_flows(host);
    host->leases = leases_new(host, &err);
    if (!host->leases || !leases_load(host->leases, &err) || !open_flows(host, &err))
        return host_fail(host, &err);
    return true;
}
