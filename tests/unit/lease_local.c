/* lease_local.c - see lease_local.h. */
#include "tests/unit/lease_local.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/lease/dynamodb.h"

static pid_t server;
static int server_out = -1;
static struct aws_config *config;
static struct aws_client *client;
static struct lease_io *io;

/* ---- the embedded AWS, as the program beside this one serves it */

static void exec_local(const char *dir, int out)
{
    char self[2000], program[2100];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n < 0 ? 0 : n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(program, sizeof program, "%s/../kpipe", self);
    dup2(out, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test is broken off */
    execl(program, program, "local", "--port", "0", "--no-limits", "--durability", "memory",
          "--dir", dir, "--log", "error", (char *)NULL);
    fprintf(stderr, "%s cannot be run: `make all` builds it\n", program);
    _exit(127);
}

/* Starts it; returns its URL. [static buffer] */
static const char *start_local(void)
{
    static char line[300];
    const char *dir = kptest_dir();
    size_t len = 0;
    int fds[2];

    REQUIRE(!pipe2(fds, O_CLOEXEC));
    server = fork();
    REQUIRE(server >= 0);
    if (!server)
        exec_local(dir, fds[1]);
    close(fds[1]);
    server_out = fds[0];
    while (len < sizeof line - 1 && read(fds[0], line + len, 1) == 1 && line[len] != '\n')
        len++;
    line[len] = '\0';
    REQUIRE(!strncmp(line, "ready ", 6));
    return line + 6;
}

void local_begin(void)
{
    struct error err = ERROR_INIT;
    struct dynamodb_io_config of_io = {.table = "app"};

    world_begin();
    config = aws_config_new(start_local(), &err);
    REQUIRE(config != NULL);
    client = aws_client_new(world_loop(), world_http(), config);
    of_io.aws = client;
    of_io.loop = world_loop();
    of_io.region = aws_config_region(config);
    io = dynamodb_io_new(&of_io);
}

void local_end(void)
{
    io->free(io);
    aws_client_free(client);
    world_end();
    aws_config_free(config);
    kill(server, SIGKILL); /* it has nothing to save */
    waitpid(server, NULL, 0);
    close(server_out);
}

/* ---- calls */

static void keep_scan(struct local_heard *heard, const struct lease_scan *scan)
{
    heard->leases = mem_new(scan->n_leases * sizeof *heard->leases);
    for (size_t i = 0; i < scan->n_leases; i++)
        lease_copy(&heard->leases[i], &scan->leases[i]);
    heard->n_leases = scan->n_leases;
    heard->n_workers = scan->n_workers;
    heard->n_strange = scan->n_strange;
    heard->has_items = scan->has_kcl3_items;
    heard->has_tables = scan->has_kcl3_tables;
    snprintf(heard->lock, sizeof heard->lock, "%s %s %d", scan->lock.owner ? scan->lock.owner : "-",
             scan->lock.version ? scan->lock.version : "-", scan->lock.is_released);
    if (scan->n_workers)
        snprintf(heard->cpu, sizeof heard->cpu, "%s %lld %.1f %.1f %d", scan->workers[0].id,
                 (long long)scan->workers[0].updated_s, scan->workers[0].cpu,
                 scan->workers[0].cpu_limit, scan->workers[0].has_failed);
}

static void hear(void *arg, const struct lease_reply *reply)
{
    struct local_heard *heard = arg;

    heard->is_there = true;
    heard->status = reply->status;
    if (reply->is_final)
        fprintf(stderr, "%s\n", reply->message);
    if (reply->row)
        lease_copy(&heard->row, reply->row);
    if (reply->scan)
        keep_scan(heard, reply->scan);
}

void local_call(const struct lease_call *call, struct local_heard *heard)
{
    *heard = (struct local_heard){0};
    io->call(io, call, hear, heard);
    WORLD_UNTIL(heard->is_there);
}

void local_forget(struct local_heard *heard)
{
    lease_fini(&heard->row);
    for (size_t i = 0; i < heard->n_leases; i++)
        lease_fini(&heard->leases[i]);
    free(heard->leases);
    *heard = (struct local_heard){0};
}

enum lease_status local_status(const struct lease_call *call)
{
    struct local_heard heard;
    enum lease_status status;

    local_call(call, &heard);
    status = heard.status;
    local_forget(&heard);
    return status;
}

struct opened {
    bool is_over;
    char text[1000];
};

static void on_open(void *arg, const struct error *err)
{
    struct opened *opened = arg;

    opened->is_over = true;
    snprintf(opened->text, sizeof opened->text, "%s", err ? err->text : "ready");
}

const char *local_open(void)
{
    static struct opened opened;

    opened.is_over = false;
    dynamodb_io_open(io, on_open, &opened);
    WORLD_UNTIL(opened.is_over);
    return opened.text;
}

/* ---- DynamoDB itself */

struct raw {
    bool is_there;
    json_t *body;
};

static void on_raw(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct raw *raw = arg;

    (void)node;
    raw->is_there = true;
    YES(response->error == NULL);
    raw->body = json_loadb(response->body.ptr, response->body.len, 0, NULL);
}

json_t *local_ask_json(const char *operation, json_t *input)
{
    char target[64], *text = json_dumps(input, JSON_COMPACT);
    struct raw raw = {0};
    kp_aws_request request = {.size = sizeof request,
                              .service = "dynamodb",
                              .target = target,
                              .content_type = "application/x-amz-json-1.0",
                              .body = {text, strlen(text)}};

    snprintf(target, sizeof target, "DynamoDB_20120810.%s", operation);
    aws_client_call(client, NULL, &request, on_raw, &raw);
    WORLD_UNTIL(raw.is_there);
    json_decref(input);
    free(text);
    return raw.body;
}

json_t *local_ask(const char *operation, const char *text)
{
    char *copy = mem_dup(text);
    json_t *input;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    input = json_loads(copy, 0, NULL);
    free(copy);
    REQUIRE(input != NULL);
    return local_ask_json(operation, input);
}
