/* local.c - the folder, its lock and database; which service hears a request. */
#include "plugins/local-aws/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/local-aws/sql.h"

/* mkdir -p */
static bool make_folders(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(path, 0755) && errno != EEXIST) {
            *at = '/';
            return false;
        }
        *at = '/';
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

static bool open_folder(struct local *local, char *why, size_t cap)
{
    const char *dir = local->config->dir;
    char *path;

    if (!dir || !*dir)
        dir = kp->info(local->node)->local_dir;
    if (!dir || !*dir) {
        snprintf(why, cap, "local-aws needs a folder: set dir");
        return false;
    }
    path = strdup(dir);
    if (!path || !make_folders(path) || !(local->dir = realpath(path, NULL)) ||
        (local->dir_fd = open(local->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        snprintf(why, cap, "cannot use the folder %s: %s", dir, strerror(errno));
        free(path);
        return false;
    }
    free(path);
    return true;
}

/* One process per folder. The lock goes with the process, whatever its end. */
static bool take_lock(struct local *local, char *why, size_t cap)
{
    char text[24] = "";
    int n;

    local->lock_fd = openat(local->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (local->lock_fd < 0) {
        snprintf(why, cap, "cannot open %s/lock: %s", local->dir, strerror(errno));
        return false;
    }
    if (flock(local->lock_fd, LOCK_EX | LOCK_NB)) {
        ssize_t len = pread(local->lock_fd, text, sizeof text - 1, 0);

        text[len > 0 ? len : 0] = '\0';
        text[strspn(text, "0123456789")] = '\0';
        if (errno == EWOULDBLOCK)
            snprintf(why, cap, "%s is in use by process %s", local->dir, *text ? text : "unknown");
        else
            snprintf(why, cap, "cannot lock %s/lock: %s", local->dir, strerror(errno));
        return false;
    }
    n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* The number is for people; a full disk must not keep the service from reading. */
    if (!ftruncate(local->lock_fd, 0) && pwrite(local->lock_fd, text, (size_t)n, 0) != n)
        kp->log(local->node, KP_LOG_WARN, "local.lock", "error=%s", strerror(errno));
    return true;
}

static bool open_database(struct local *local, char *why, size_t cap)
{
    static const char *const synchronous[] = {
        "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL", "PRAGMA synchronous=OFF"};
    char *path = NULL;
    bool ok;

    if (asprintf(&path, "%s/state.db", local->dir) < 0)
        path = NULL;
    ok = path &&
         sqlite3_open_v2(path, &local->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                         NULL) == SQLITE_OK &&
         sql_exec(local->db, "PRAGMA journal_mode=WAL") &&
         sql_exec(local->db, synchronous[local->durability]) &&
         sql_exec(local->db, "PRAGMA foreign_keys=ON");
    if (!ok)
        snprintf(why, cap, "cannot open %s/state.db: %s", local->dir,
                 local->db ? sqlite3_errmsg(local->db) : "out of memory");
    free(path);
    return ok;
}

bool local_open(struct local *local, char *why, size_t cap)
{
    const struct local_config *config = local->config;

    local->dir_fd = local->lock_fd = -1;
    local->region = LOCAL_REGION;
    local->account = LOCAL_ACCOUNT;
    local->no_limits = config->no_limits;
    local->verify_signatures = config->verify_signatures;
    local->durability = (enum local_durability)config->durability;
    local->server_ext = kp->extension("server/1");
    local->timer_ext = kp->extension("timer/1");
    if (!local->server_ext || !local->timer_ext) {
        snprintf(why, cap, "this host has no server/1 or no timer/1");
        return false;
    }
    kpw_random_init(&local->random);
    if (!open_folder(local, why, cap) || !take_lock(local, why, cap) ||
        !open_database(local, why, cap))
        return false;
    if (!auth_open(local)) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    return kinesis_service_open(local, why, cap) && s3_service_open(local, why, cap) &&
           ddb_service_open(local, why, cap) && sqs_service_open(local, why, cap);
}

static void serve(kp_node *node, void *arg, kp_exchange *x, const kp_server_request *request)
{
    struct local *local = arg;
    struct local_target target;

    (void)node;
    local_dispatch(request, &target);
    if (local->verify_signatures && !auth_check(local, x, request, &target))
        return;
    switch (target.service) {
    case LOCAL_KINESIS: kinesis_service_serve(local, x, request, &target); break;
    case LOCAL_DYNAMODB: ddb_service_serve(local, x, request, &target); break;
    case LOCAL_SQS: sqs_service_serve(local, x, request, &target); break;
    case LOCAL_STS: sts_serve(local, x, request, &target); break;
    case LOCAL_S3: s3_service_serve(local, x, request, &target); break;
    case LOCAL_NONE:
        local_error_json(local, x,
                         &(struct local_error){400, LOCAL_JSON_11, NULL,
                                               "UnknownOperationException", NULL, NULL});
        break;
    }
}

/* "127.0.0.1:0" with the port that was given. A wildcard is reached by the loopback. */
static void make_url(struct local *local)
{
    const char *listen = local->config->listen, *colon = strrchr(listen, ':');
    int host = colon ? (int)(colon - listen) : (int)strlen(listen);

    if (!host || !strncmp(listen, "0.0.0.0:", 8) || !strncmp(listen, "*:", 2))
        listen = "127.0.0.1", host = 9;
    else if (!strncmp(listen, "[::]:", 5))
        listen = "[::1]", host = 5;
    snprintf(local->url, sizeof local->url, "http://%.*s:%u", host, listen,
             local->server_ext->port(local->server));
}

bool local_listen(struct local *local)
{
    kp_server_config config = {
        .size = sizeof config,
        .listen = local->config->listen,
        .max_body = LOCAL_BODY_MAX,
        .read_timeout_ms = 300000,
    };

    local->server = local->server_ext->listen(local->node, &config, serve, local);
    if (!local->server)
        return false;
    make_url(local);
    return true;
}

void local_close(struct local *local)
{
    if (local->server)
        local->server_ext->close(local->server);
    sqs_service_close(local);
    ddb_service_close(local);
    s3_service_close(local);
    kinesis_service_close(local);
    auth_close(local);
    if (local->db)
        sqlite3_close(local->db);
    if (local->lock_fd >= 0)
        close(local->lock_fd);
    if (local->dir_fd >= 0)
        close(local->dir_fd);
    free(local->dir);
    local->server = NULL;
    local->db = NULL;
    local->dir = NULL;
    local->lock_fd = local->dir_fd = -1;
}
