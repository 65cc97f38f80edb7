/* http_file.c - a part of a file as the body of an answer.
 *
 * It is read on libuv's pool in blocks, which the connection sends from where they
 * lie. Reading goes ahead of sending by AHEAD bytes at most; the rest is read when
 * those have gone out. A file that is shorter than was promised cuts the answer.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/slab.h"
#include "core/net/http_conn.h"
#include "core/net/http_server.h"

#define BLOCK ((size_t)256 << 10)
#define AHEAD ((size_t)512 << 10)

struct file {
    kp_exchange *x;    /* [borrowed] NULL: the exchange is over */
    kp_server *server; /* [borrowed] counts a read among its handles */
    uv_fs_t fs;
    uv_buf_t buf;
    kp_slab *block; /* [owned reference] being read into */
    int fd;         /* [owned] */
    uint64_t offset, left;
    bool is_reading;
};

static void file_free(struct file *file)
{
    close(file->fd);
    free(file);
}

static void on_gone(kp_node *node, void *arg, kp_exchange *x)
{
    struct file *file = arg;

    (void)node, (void)x;
    file->x = NULL;
    if (!file->is_reading)
        file_free(file);
}

static void read_block(struct file *file);

/* A block, or a part of one, has been read. */
static void send_block(struct file *file, size_t n)
{
    size_t waiting;

    file->offset += n;
    file->left -= n;
    waiting = http_server_write(file->x, (kp_slice){file->block->data, n}, file->block);
    file->block = NULL; /* moved */
    if (!file->left) {
        http_server_finish(file->x);
        file_free(file);
    } else if (waiting < AHEAD) {
        read_block(file);
    }
}

static void on_read(uv_fs_t *fs)
{
    struct file *file = fs->data;
    kp_server *server = file->server;
    ssize_t n = fs->result;

    uv_fs_req_cleanup(fs);
    file->is_reading = false;
    if (file->x && n > 0) {
        send_block(file, (size_t)n);
    } else {
        slab_unref(file->block);
        if (file->x)
            http_server_abort(file->x); /* the peer must not take it for the whole */
        file_free(file);
    }
    http_server_handle_gone(server);
}

static void read_block(struct file *file)
{
    size_t n = file->left < BLOCK ? (size_t)file->left : BLOCK;

    file->block = slab_new(NULL, n);
    if (!file->block) {
        http_server_abort(file->x);
        file_free(file);
        return;
    }
    file->buf = uv_buf_init(file->block->data, (unsigned)n);
    file->fs.data = file;
    file->is_reading = true;
    file->server->n_handles++;
    uv_fs_read(file->server->loop, &file->fs, file->fd, &file->buf, 1, (int64_t)file->offset,
               on_read);
}

static void on_drained(kp_node *node, void *arg, kp_exchange *x)
{
    struct file *file = arg;

    (void)node, (void)x;
    if (!file->is_reading)
        read_block(file);
}

void http_server_respond_file(kp_exchange *x, int status, const kp_http_header *headers,
                              size_t n_headers, const kp_server_file *body)
{
    struct file *file = mem_new(sizeof *file);
    struct http_own_answer answer = {.status = status,
                                     .headers = headers,
                                     .n_headers = n_headers,
                                     .len = body->len,
                                     .drained = on_drained,
                                     .gone = on_gone,
                                     .arg = file};

    file->fd = body->fd;
    file->offset = body->offset;
    file->left = body->len;
    file->x = x;
    if (!http_exchange_begin_own(x, &answer)) {
        file_free(file);
        return;
    }
    file->server = x->conn->server;
    read_block(file);
}
