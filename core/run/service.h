/* service.h - an element that runs beside the flows on a worker of its own.
 *
 * Services (the embedded AWS) and provisioners have no flow and no records; their
 * options come as texts, not from the pipeline file.
 *
 * Owned by: the host.   Threads: main.
 */
#ifndef KPIPE_RUN_SERVICE_H
#define KPIPE_RUN_SERVICE_H

#include <kpipe/plugin.h>
#include <stdbool.h>
#include <stddef.h>

struct error;
struct host;
struct service;

struct service_option {
    const char *name, *value;
};

/* Opens and starts the element on a new worker. NULL with err: unknown option, or it would not. */
struct service *service_start(struct host *host, const kp_element *element,
                              const struct service_option *options, size_t n, struct error *err);
/* Waits for ready() or ended(); false with err when it failed first. */
bool service_wait(struct service *service, struct error *err);
const char *service_url(const struct service *service);
void service_stop(struct service *service); /* stops, closes, frees; NULL is fine */

/* Fills a zeroed config from option rows and texts, which must live as long as the config. */
bool service_configure(const kp_element *element, const struct service_option *options, size_t n,
                       void *config, struct error *err);

#endif
