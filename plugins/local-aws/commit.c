/* commit.c - answers that wait until what they tell is on the disk. */
#include "plugins/local-aws/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/sql.h"

enum { TYPE_MAX = 64, ID_MAX = 64, HEADERS_MAX = 2, HEADER_MAX = 160 };

struct commit_answer {
    struct commit_answer *next;
    struct local *local; /* [borrowed] */
    kp_exchange *x;      /* NULL: its peer has gone */
    int form, status;
    char type[TYPE_MAX], id[ID_MAX]; /* id "": a fresh one */
    char names[HEADERS_MAX][HEADER_MAX], values[HEADERS_MAX][HEADER_MAX];
    size_t n_headers, len;
    char body[]; /* len */
};

/* What the pool works on: it outlives the service if it has to. */
struct commit_run {
    struct commit *commit; /* [borrowed] NULL: the service has closed */
    struct commit_answer *answers;
    int fd;    /* of the write-ahead log [owned] */
    int error; /* of the sync: an errno, or 0 */
};

static bool is_on(const struct commit *commit)
{
    return commit->run != NULL;
}

static void answers_free(struct commit_answer *answers)
{
    while (answers) {
        struct commit_answer *next = answers->next;

        free(answers);
        answers = next;
    }
}

static void run_free(struct commit_run *run)
{
    answers_free(run->answers);
    close(run->fd);
    free(run);
}

bool commit_open(struct commit *commit, struct local *local)
{
    struct commit_run *run;

    commit->local = local;
    commit->end = &commit->waiting;
    if (local->durability != LOCAL_FSYNC)
        return true;
    run = calloc(1, sizeof(*run));
    if (!run)
        return false;
    /* The services' tables were made in this database: its log is there, and stays until the last
     * connection is closed. */
    run->fd = openat(local->dir_fd, "state.db-wal", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (run->fd < 0) {
        free(run);
        return false;
    }
    run->commit = commit;
    commit->run = run;
    return true;
}

void commit_close(struct commit *commit)
{
    if (commit->run && commit->is_running)
        commit->run->commit = NULL; /* freed when the pool is done with it */
    else if (commit->run)
        run_free(commit->run);
    answers_free(commit->waiting);
    commit->run = NULL;
    commit->waiting = NULL;
    commit->end = &commit->waiting;
}

/* ---- the sync ---- */

static void sync_log(void *arg) /* [pool] */
{
    struct commit_run *run = arg;

    run->error = fdatasync(run->fd) ? errno : 0;
}

static void send_answer(struct commit_answer *a)
{
    kp_http_header headers[HEADERS_MAX];

    for (size_t i = 0; i < a->n_headers; i++)
        headers[i] = (kp_http_header){{a->names[i], strlen(a->names[i])},
                                      {a->values[i], strlen(a->values[i])}};
    local_answer(a->local, a->x,
                 &(struct local_answer){.status = a->status,
                                        .content_type = a->type,
                                        .body = {a->body, a->len},
                                        .request_id = a->id[0] ? a->id : NULL,
                                        .headers = headers,
                                        .n_headers = a->n_headers});
}

static void synced(kp_node *node, void *arg);

static void begin_sync(struct commit *commit)
{
    struct commit_run *run = commit->run;

    run->answers = commit->waiting;
    commit->waiting = NULL; /* moved */
    commit->end = &commit->waiting;
    commit->has_changed = false;
    commit->is_running = true;
    kp->work(commit->local->node, sync_log, synced, run);
}

static void synced(kp_node *node, void *arg)
{
    struct commit_run *run = arg;
    struct commit *commit = run->commit;
    struct commit_answer *answers = run->answers;

    if (!commit) {
        run_free(run);
        return;
    }
    run->answers = NULL; /* moved */
    commit->is_running = false;
    kp->count(node, "state_commits", 1);
    if (run->error) {
        kp->log(node, KP_LOG_ERROR, "local.sync", "error=%s", strerror(run->error));
        commit->has_changed = true;
    }
    for (struct commit_answer *a = answers; a; a = a->next) {
        if (a->x && run->error)
            commit->trouble(commit->local, a->x, a->form);
        else if (a->x)
            send_answer(a);
    }
    answers_free(answers);
    if (commit->waiting)
        begin_sync(commit);
}

/* ---- requests ---- */

void commit_begin(struct commit *commit)
{
    if (!is_on(commit))
        return;
    commit->changes = sqlite3_total_changes(commit->local->db);
    sql_exec(commit->local->db, "PRAGMA synchronous=NORMAL");
}

void commit_end(struct commit *commit)
{
    if (!is_on(commit))
        return;
    sql_exec(commit->local->db, "PRAGMA synchronous=FULL");
    if (sqlite3_total_changes(commit->local->db) != commit->changes)
        commit->has_changed = true;
}

static void put_text(char *out, size_t size, kp_slice text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
}

/* [owned by caller] NULL: out of memory. */
static struct commit_answer *copy_of(struct commit *commit, kp_exchange *x,
                                     const struct commit_reply *reply)
{
    const struct local_answer *answer = reply->answer;
    struct commit_answer *a = calloc(1, sizeof(*a) + answer->body.len + 1);

    if (!a)
        return NULL;
    a->local = commit->local;
    a->x = x;
    a->form = reply->form;
    a->status = answer->status;
    snprintf(a->type, sizeof(a->type), "%s", answer->content_type ? answer->content_type : "");
    snprintf(a->id, sizeof(a->id), "%s", answer->request_id ? answer->request_id : "");
    for (size_t i = 0; i < answer->n_headers && i < HEADERS_MAX; i++) {
        put_text(a->names[i], HEADER_MAX, answer->headers[i].name);
        put_text(a->values[i], HEADER_MAX, answer->headers[i].value);
        a->n_headers++;
    }
    a->len = answer->body.len;
    if (a->len)
        memcpy(a->body, answer->body.ptr, a->len);
    return a;
}

static void peer_gone(kp_node *node, void *arg, kp_exchange *x)
{
    struct commit_answer *a = arg;

    (void)node;
    a->x = NULL;
    local_drop(a->local, x);
}

/* The service's own watch may point at what is no more. */
static void watch(struct commit_answer *a)
{
    const kp_server_ext *ext = a->local->server_ext;

    if (ext->size > offsetof(kp_server_ext, watch) && ext->watch)
        ext->watch(a->x, peer_gone, a);
}

void commit_answer(struct commit *commit, kp_exchange *x, const struct commit_reply *reply)
{
    struct commit_answer *a;

    if (!is_on(commit) || (!commit->has_changed && !commit->is_running && !commit->waiting)) {
        local_answer(commit->local, x, reply->answer);
        return;
    }
    a = copy_of(commit, x, reply);
    if (!a) {
        commit->trouble(commit->local, x, reply->form);
        return;
    }
    *commit->end = a;
    commit->end = &a->next;
    if (reply->is_watched)
        watch(a);
    if (!commit->is_running)
        begin_sync(commit);
}
