/* sinks.c - sinks file, stdout, null and collect. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugins/basic/basic.h"
#include "sdk/wire/base64.h"

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

/* Bytes of the UTF-8 character at data, 0 when there is none. */
static size_t character(const unsigned char *data, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = data[0] < 0x80 ? 1 : data[0] >> 5 == 6 ? 2 : data[0] >> 4 == 14 ? 3 : 4;
    uint32_t code = n == 1 ? data[0] : data[0] & (0x7fu >> n);

    if (n > len || (n == 4 && data[0] >> 3 != 30))
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (data[i] >> 6 != 2)
            return 0;
        code = code << 6 | (data[i] & 0x3fu);
    }
    return code < least[n] || code > 0x10ffff || code >> 11 == 27 ? 0 : n;
}

static bool is_utf8(const char *data, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = character((const unsigned char *)data + i, len - i);
        if (!n)
            return false;
    }
    return true;
}

static bool put_text(struct basic_buffer *out, const char *text)
{
    return basic_put(out, text, strlen(text));
}

static bool put_string(struct basic_buffer *out, const char *data, size_t len)
{
    bool ok = basic_put(out, "\"", 1);
    char escape[8];

    for (size_t i = 0; i < len && ok; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", c);
        else
            snprintf(escape, sizeof escape, "%c", c);
        ok = put_text(out, escape);
    }
    return ok && basic_put(out, "\"", 1);
}

static bool put_base64(struct basic_buffer *out, const char *data, size_t len)
{
    size_t room = kpw_base64_encoded_len(len);

    if (!basic_put(out, "\"", 1))
        return false;
    while (out->cap - out->len < room + 1) { /* grows the buffer without filling it */
        size_t was = out->len;

        if (!basic_put(out, data, len) || !basic_put(out, data, len) || !basic_put(out, "1234", 4))
            return false;
        out->len = was;
    }
    out->len += kpw_base64_encode(data, len, out->data + out->len);
    return basic_put(out, "\"", 1);
}

static bool put_member(struct basic_buffer *out, const char *name, kp_slice value)
{
    if (!value.len)
        return true;
    return put_text(out, ",\"") && put_text(out, name) && put_text(out, "\":") &&
           put_string(out, value.ptr, value.len);
}

static bool put_failure(struct basic_buffer *out, const kp_failure *failure)
{
    char attempts[64];

    snprintf(attempts, sizeof attempts, ",\"failure\":{\"attempts\":%u", failure->attempts);
    return put_text(out, attempts) && put_member(out, "stage", failure->stage) &&
           put_member(out, "condition", failure->condition) &&
           put_member(out, "reason", failure->reason) &&
           put_member(out, "detail", failure->detail) && put_member(out, "lane", failure->lane) &&
           put_text(out, "}");
}

static bool format_json(struct basic_buffer *out, const kp_record *record, const kp_batch *b)
{
    bool text = is_utf8(record->data, record->data_len);
    kp_slice type = {record->type, record->type ? strlen(record->type) : 0};
    bool ok = put_text(out, text ? "{\"data\":" : "{\"data_base64\":");

    ok = ok && (text ? put_string(out, record->data, record->data_len)
                     : put_base64(out, record->data, record->data_len));
    ok = ok && put_member(out, "key", (kp_slice){record->key, record->key_len}) &&
         put_member(out, "sequence", (kp_slice){record->sequence, record->sequence_len}) &&
         put_member(out, "type", type) && put_member(out, "lane", b->lane_name);
    if (ok && record->failure)
        ok = put_failure(out, record->failure);
    return ok && put_text(out, "}\n");
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
