/* extensions.c - see extensions.h. */
#include "core/run/extensions.h"

#include <kpipe/ext/aws.h>
#include <kpipe/ext/http.h>
#include <kpipe/ext/lua.h>
#include <kpipe/ext/server.h>
#include <kpipe/ext/timer.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_client.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/config/lua_run.h"
#include "core/net/http_client.h"
#include "core/net/http_server.h"
#include "core/run/host.h"
#include "core/run/node.h"
#include "core/run/worker.h"

/* ---- http/1 */

static kp_http_call *http_send(kp_node *node, const kp_http_request *request, kp_http_fn fn,
                               void *arg)
{
    return http_client_send(node->worker->http, node, request, fn, arg);
}

static const kp_http_ext http_extension = {sizeof http_extension, http_send, http_client_cancel,
                                           http_client_resume};

/* ---- aws/1 */

static kp_aws_call *aws_call(kp_node *node, const kp_aws_request *request, kp_aws_fn fn, void *arg)
{
    if (!node->worker->aws)
        bug("%s calls %s before there is a client", node->who, request->service);
    return aws_client_call(node->worker->aws, node, request, fn, arg);
}

static const char *aws_region(kp_node *node)
{
    return aws_config_region(host_aws_config(node->worker->host));
}

static const char *aws_endpoint(kp_node *node, const char *service)
{
    return aws_config_endpoint(host_aws_config(node->worker->host), service);
}

static const kp_aws_ext aws_extension = {sizeof aws_extension, aws_call,     aws_client_cancel,
                                         aws_region,           aws_endpoint, aws_client_resume};

/* ---- server/1 */

struct node_server {
    kp_server *server;
    kp_node *node;
    struct node_server *next;
};

static kp_server *server_listen(kp_node *node, const kp_server_config *config, kp_server_fn fn,
                                void *arg)
{
    struct error err = ERROR_INIT;
    struct node_server *row;
    kp_server *server = http_server_listen(&node->worker->loop, node, config, fn, arg, &err);

    if (!server) {
        node_fail_text(node, err.text);
        return NULL;
    }
    row = mem_new(sizeof *row);
    *row = (struct node_server){server, node, node->servers};
    node->servers = row;
    return server;
}

static void server_close(kp_server *server)
{
    struct node_server **link, *row;
    kp_node *node = server ? http_server_node(server) : NULL;

    if (!server)
        return;
    for (link = &node->servers; *link && (*link)->server != server; link = &(*link)->next)
        ;
    row = *link;
    if (row)
        *link = row->next;
    free(row);
    http_server_close(server);
}

static const kp_server_ext server_extension = {
    .size = sizeof server_extension,
    .listen = server_listen,
    .port = http_server_port,
    .respond = http_server_respond,
    .abort = http_server_abort,
    .stop = http_server_stop,
    .close = server_close,
    .start = http_server_start,
    .write = http_server_write,
    .finish = http_server_finish,
    .respond_file = http_server_respond_file,
    .watch = http_server_watch,
    .respond_cut = http_server_respond_cut,
};

/* ---- lua/1 */

static kp_lua_result lua_record(kp_node *node, const kp_function *fn, const kp_batch *b, uint32_t i,
                                kp_slice *ret)
{
    return lua_run_record(worker_lua(node->worker), fn, b, i, ret);
}

static kp_lua_result lua_handler(kp_node *node, const kp_function *fn, kp_slice event,
                                 kp_slice context, int64_t time_ms, kp_slice *ret)
{
    return lua_run_handler(worker_lua(node->worker), fn, event, context, time_ms, ret);
}

static kp_lua_result lua_value(kp_node *node, const kp_value *value, const kp_batch *b, uint32_t i,
                               kp_slice *ret)
{
    return lua_run_value(worker_lua(node->worker), value, b, i, ret);
}

static const kp_lua_ext lua_extension = {sizeof lua_extension, lua_record, lua_handler, lua_value};

/* ---- all */

const void *extensions_find(const char *name)
{
    static const struct {
        const char *name;
        const void *table;
    } extensions[] = {
        {"http/1", &http_extension},   {"aws/1", &aws_extension}, {"server/1", &server_extension},
        {"timer/1", &timer_extension}, {"lua/1", &lua_extension}, {"json/1", &json_extension},
    };

    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        if (!strcmp(name, extensions[i].name))
            return extensions[i].table;
    return NULL;
}

void extensions_forget(kp_node *node)
{
    timer_extension_forget(node);
    while (node->servers)
        server_close(node->servers->server);
    if (node->worker->aws)
        aws_client_forget(node->worker->aws, node);
    http_client_forget(node->worker->http, node);
}
