/* sinks.c - sinks file, stdout, null and collect. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "plugins/basic/basic.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"

/* ---- file */

struct file_config {
    const char *path;
    bool sync;
};

struct file_state {
    struct basic_writer writer;
};

static const kp_option file_options[] = {
    {"path", KP_T_STRING, offsetof(struct file_config, path), KP_REQUIRED, NULL,
     "file that one line per record is appended to; made if it is not there", NULL},
    {"sync", KP_T_BOOL, offsetof(struct file_config, sync), "true", NULL,
     "a record is delivered once the disk has it (fdatasync per group), not before", NULL},
    {0},
};

static kp_status file_open(kp_node *node, const void *config, void *state)
{
    const struct file_config *c = config;
    int fd = basic_open_append(node, c->path);

    if (fd < 0)
        return KP_FATAL;
    basic_writer_init(&((struct file_state *)state)->writer, node, c->path, fd, c->sync);
    return KP_OK;
}

static kp_status file_process(kp_node *node, void *state, kp_batch *b)
{
    (void)node;
    return basic_writer_add(&((struct file_state *)state)->writer, b);
}

static void file_close(kp_node *node, void *state)
{
    (void)node;
    basic_writer_close(&((struct file_state *)state)->writer);
}

const kp_element basic_file_sink = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_SINGLETON | KP_CONCURRENT | KP_NONDETERMINISTIC,
    .name = "file",
    .help = "appends one line per record to a file",
    .options = file_options,
    .config_size = sizeof(struct file_config),
    .state_size = sizeof(struct file_state),
    .open = file_open,
    .process = file_process,
    .close = file_close,
};

/* ---- stdout */

static const kp_option no_options[] = {{0}};

static kp_status stdout_open(kp_node *node, const void *config, void *state)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)config;
    if (fd < 0)
        return kp->fail(node, "standard output is closed");
    basic_writer_init(&((struct file_state *)state)->writer, node, "standard output", fd, false);
    return KP_OK;
}

const kp_element basic_stdout = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_SINGLETON | KP_CONCURRENT | KP_NONDETERMINISTIC,
    .name = "stdout",
    .help = "writes one line per record to standard output",
    .options = no_options,
    .state_size = sizeof(struct file_state),
    .open = stdout_open,
    .process = file_process,
    .close = file_close,
};

/* ---- null */

static kp_status null_process(kp_node *node, void *state, kp_batch *b)
{
    (void)state;
    kp->deliver_all(b);
    kp->done(node, b);
    return KP_OK;
}

const kp_element basic_null = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .name = "null",
    .help = "takes every record and does nothing with it",
    .options = no_options,
    .process = null_process,
};

/* ---- collect */

/* "data", or "data_base64" when the bytes are no text: JSON could not give them back. */
static void put_data(struct kpw_buf *out, const kp_record *record)
{
    size_t start = out->len, len;
    char *at;

    kpw_json_put_member(out, "data", record->data, record->data_len);
    if (out->failed)
        return;
    at = out->ptr + start + strlen("\"data\":\"");
    len = kpw_json_unescape_to(kpw_slice(at, out->len - (size_t)(at - out->ptr) - 1), at);
    if (len == record->data_len && (!len || !memcmp(at, record->data, len))) {
        out->len = start; /* reading back was done in place: write it once more */
        kpw_json_put_member(out, "data", record->data, record->data_len);
        return;
    }
    out->len = start;
    kpw_json_put_key(out, "data_base64");
    kpw_buf_putc(out, '"');
    kpw_base64_put(out, record->data, record->data_len);
    kpw_buf_putc(out, '"');
}

static void put_slice(struct kpw_buf *out, const char *name, kp_slice value)
{
    if (value.len)
        kpw_json_put_member(out, name, value.ptr, value.len);
}

static void put_failure(struct kpw_buf *out, const kp_failure *failure)
{
    kpw_json_put_key(out, "failure");
    kpw_buf_putc(out, '{');
    kpw_json_put_member_int(out, "attempts", failure->attempts);
    put_slice(out, "stage", failure->stage);
    put_slice(out, "condition", failure->condition);
    put_slice(out, "reason", failure->reason);
    put_slice(out, "detail", failure->detail);
    put_slice(out, "lane", failure->lane);
    kpw_buf_putc(out, '}');
}

static void format_json(struct kpw_buf *out, const kp_record *record, const kp_batch *b)
{
    kpw_buf_putc(out, '{');
    put_data(out, record);
    put_slice(out, "key", (kp_slice){record->key, record->key_len});
    put_slice(out, "sequence", (kp_slice){record->sequence, record->sequence_len});
    if (record->type)
        kpw_json_put_member_cstr(out, "type", record->type);
    put_slice(out, "lane", b->lane_name);
    if (record->failure)
        put_failure(out, record->failure);
    kpw_buf_puts(out, "}\n");
}

static kp_status collect_open(kp_node *node, const void *config, void *state)
{
    const struct file_config *c = config;
    int fd = basic_open_append(node, c->path);

    if (fd < 0)
        return KP_FATAL;
    basic_writer_init(&((struct file_state *)state)->writer, node, c->path, fd, false);
    ((struct file_state *)state)->writer.format = format_json;
    return KP_OK;
}

static const kp_option collect_options[] = {
    {"path", KP_T_STRING, offsetof(struct file_config, path), KP_REQUIRED, NULL,
     "file that one JSON object per record is appended to: data, key, lane, failure ...", NULL},
    {0},
};

const kp_element basic_collect = {
    .size = sizeof(kp_element),
    .kind = KP_SINK,
    .flags = KP_SINGLETON | KP_CONCURRENT | KP_NONDETERMINISTIC | KP_TAKES_FAILURES,
    .name = "collect",
    .help = "keeps records with all that is known of them, for tests",
    .options = collect_options,
    .config_size = sizeof(struct file_config),
    .state_size = sizeof(struct file_state),
    .open = collect_open,
    .process = file_process,
    .close = file_close,
};
