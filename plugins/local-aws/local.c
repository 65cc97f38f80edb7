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

#include "plugins/local-aws/faults.h"
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

/* Process id and URL, a line each. They are for people and for commands that look for us; a full
 * disk must not keep the service from reading. */
static void note_user(struct local *local, const char *url)
{
    char text[300];
    int n = snprintf(text, sizeof text, "%ld\n%s%s", (long)getpid(), url, *url ? "\n" : "");

    if (ftruncate(local->lock_fd, 0) || pwrite(local->lock_fd, text, (size_t)n, 0) != n)
        kp->log(local->node, KP_LOG_WARN, "local.lock", "error=%s", strerror(errno));
}

/* One process per folder. The lock goes with the process, whatever its end. */
static bool take_lock(struct local *local, char *why, size_t cap)
{
    char text[24] = "";

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
    note_user(local, "");
    return true;
}

static bool open_database(struct local *local, char *why, size_t cap)
{
    /* While the schema is made, a commit need not wait for the disk: the next one that does waits
     * for all before it. The file itself must be there first, where a power cut may come. */
    const char *synchronous =
        local->durability == LOCAL_FSYNC ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=OFF";
    char *path = NULL;
    bool ok;

    if (asprintf(&path, "%s/state.db", local->dir) < 0)
        path = NULL;
    ok = path &&
         sqlite3_open_v2(path, &local->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                         NULL) == SQLITE_OK &&
         sql_exec(local->db, synchronous) && sql_exec(local->db, "PRAGMA journal_mode=WAL") &&
         sql_exec(local->db, "PRAGMA foreign_keys=ON");
    if (!ok)
        snprintf(why, cap, "cannot open %s/state.db: %s", local->dir,
                 local->db ? sqlite3_errmsg(local->db) : "out of memory");
    free(path);
    return ok;
}

bool local_open(struct local *local, char *why, size_t cap)
{
    static const char *const synchronous[] = {
        "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL", "PRAGMA synchronous=OFF"};
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
    if (!auth_open(local) || !flights_open(local) || !faults_open(local)) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    if (!certificate_find(local, why, cap))
        return false;
    for (size_t i = LOCAL_NONE + 1; i < LOCAL_N_SERVICES; i++)
        if (local_rows[i]->open && !local_rows[i]->open(local, why, cap))
            return false;
    if (sql_exec(local->db, synchronous[local->durability]))
        return true;
    snprintf(why, cap, "cannot open %s/state.db: %s", local->dir, sqlite3_errmsg(local->db));
    return false;
}

void local_serve_now(struct local *local, kp_exchange *x, const kp_server_request *request,
                     const struct local_target *target)
{
    const struct local_row *row = local_rows[target->service];

    if (row->admit && !row->admit(local, x, request, target))
        return;
    if (!local->verify_signatures || auth_check(local, x, request, target))
        row->serve(local, x, request, target);
}

static void serve(kp_node *node, void *arg, kp_exchange *x, const kp_server_request *request)
{
    struct local *local = arg;
    struct local_target target;

    (void)node;
    if (control_is(request)) {
        control_serve(local, x, request);
        return;
    }
    local_dispatch(request, &target);
    if (!target.service ||
        (target.form == LOCAL_FORM_RPC_CBOR && !local_rows[target.service]->has_rpc)) {
        local->n_unserved++;
        local_refuse_unknown(local, x, &target);
        return;
    }
    if (local_rows[target.service]->classify)
        local_rows[target.service]->classify(request, &target);
    flight_begin(local, x, &target);
    if (faults_begin(local, x, request, &target))
        local_serve_now(local, x, request, &target);
}

/* Can only this machine reach "127.0.0.1:4566", "localhost:0", "[::1]:80"? */
static bool is_loopback(const char *listen)
{
    return !strncmp(listen, "127.", 4) || !strncmp(listen, "localhost:", 10) ||
           !strncmp(listen, "[::1]:", 6);
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
    const struct local_config *options = local->config;
    bool is_here = is_loopback(options->listen);
    kp_server_config config = {
        .size = sizeof config,
        .listen = options->listen,
        .max_body = LOCAL_BODY_MAX + LOCAL_BODY_SLACK,
        .read_timeout_ms = 300000,
        .tls_cert = local->tls_cert,
        .tls_key = local->tls_key,
        .http2 = true,
        .tls_sniff = local->tls_cert != NULL,
    };

    local->has_faults =
        options->faults == LOCAL_FAULTS_ON || (options->faults == LOCAL_FAULTS_AUTO && is_here);
    local->started_ms = kp->now_ms();
    local->server = local->server_ext->listen(local->node, &config, serve, local);
    if (!local->server)
        return false;
    make_url(local);
    note_user(local, local->url);
    if (!is_here)
        kp->log(local->node, KP_LOG_WARN, "local.open",
                "listen=%s signatures=%s text=\"other machines can reach it\"", options->listen,
                local->verify_signatures ? "verified" : "unchecked");
    return true;
}

void local_close(struct local *local)
{
    if (local->server)
        local->server_ext->close(local->server);
    for (size_t i = LOCAL_N_SERVICES - 1; i > LOCAL_NONE; i--)
        if (local_rows[i]->close)
            local_rows[i]->close(local);
    faults_close(local);
    flights_close(local);
    auth_close(local);
    if (local->db)
        sqlite3_close(local->db);
    if (local->lock_fd >= 0)
        close(local->lock_fd);
    if (local->dir_fd >= 0)
        close(local->dir_fd);
    free(local->tls_cert);
    free(local->tls_key);
    free(local->dir);
    local->tls_cert = local->tls_key = NULL;
    local->server = NULL;
    local->db = NULL;
    local->dir = NULL;
    local->lock_fd = local->dir_fd = -1;
}
