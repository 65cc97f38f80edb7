/* aws_fetch_process.c - credentials that a program prints (credential_process).
 *
 * It runs without a shell, at most 60 s; what it prints is never logged, what it complains about
 * goes into the error. The fetch ends when the program has ended and both its outputs have.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_fetch.h"
#include "core/base/mem.h"
#include "sdk/wire/json.h"

#define TIME_LIMIT_MS 60000
#define MAX_OUTPUT    ((size_t)256 << 10)
#define MAX_COMPLAINT ((size_t)300)
#define MAX_WORDS     256

/* ---- words */

/* One word; *at stands behind it afterwards. False: a quote is open. */
static bool take_word(const char **at, struct kpw_buf *word)
{
    char quote = '\0';

    for (; **at && (quote || !strchr(" \t\r\n", **at)); ++*at) {
        if (quote ? **at == quote : **at == '"' || **at == '\'')
            quote = quote ? '\0' : **at;
        else if (**at == '\\' && (*at)[1] && quote != '\'')
            kpw_buf_putc(word, *++*at);
        else
            kpw_buf_putc(word, **at);
    }
    return !quote;
}

char **aws_words_split(const char *command)
{
    char **words = mem_new((MAX_WORDS + 1) * sizeof *words);
    size_t n = 0;
    bool ok = true;

    while (ok && *(command += strspn(command, " \t\r\n"))) {
        struct kpw_buf word = KPW_BUF_INIT;

        ok = take_word(&command, &word) && n < MAX_WORDS;
        if (ok)
            words[n++] = mem_dup(kpw_buf_cstr(&word));
        kpw_buf_fini(&word);
    }
    if (ok && n)
        return words;
    aws_words_free(words);
    return NULL;
}

void aws_words_free(char **words)
{
    for (char **word = words; word && *word; word++)
        free(*word);
    free(words);
}

/* ---- the process */

static void fail(struct aws_fetch *fetch, const char *what)
{
    struct error err = ERROR_INIT;
    char *complaint = kpw_buf_cstr(&fetch->complaints_text);

    for (char *c = complaint; c && *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    error_set(&err, ERROR_FAILED, "credential_process %s%s%s", what,
              complaint && *complaint ? ": " : "", complaint ? complaint : "");
    aws_fetch_done(fetch, NULL, &err, true);
}

static void read_answer(struct aws_fetch *fetch)
{
    struct kpw_slice doc = kpw_buf_slice(&fetch->out_text), version;
    struct aws_identity *identity;
    struct error err = ERROR_INIT;
    int64_t n = 0;

    if (kpw_json_find(doc, "Version", &version) != KPW_JSON_NUMBER ||
        !kpw_json_to_int64(version, &n) || n != 1) {
        fail(fetch, "did not print credentials of \"Version\": 1");
        return;
    }
    identity = aws_identity_parse(doc, &err);
    if (!identity)
        error_context(&err, "credential_process");
    aws_fetch_done(fetch, identity, &err, true);
}

static void look_at_end(struct aws_fetch *fetch)
{
    char what[64];

    if (fetch->is_over || !fetch->has_exited || fetch->n_streams)
        return;
    if (fetch->exit_signal)
        snprintf(what, sizeof what, "was ended by signal %d", fetch->exit_signal);
    else
        snprintf(what, sizeof what, "ended with status %lld", (long long)fetch->exit_status);
    if (fetch->exit_signal || fetch->exit_status)
        fail(fetch, what);
    else
        read_answer(fetch);
}

static void on_exit_(uv_process_t *process, int64_t status, int signal)
{
    struct aws_fetch *fetch = process->data;

    fetch->has_exited = true;
    fetch->exit_status = status;
    fetch->exit_signal = signal;
    if (fetch->is_over)
        aws_fetch_process_gone(fetch);
    else
        look_at_end(fetch);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    struct aws_fetch *fetch = handle->data;

    (void)wanted;
    *ret = uv_buf_init(fetch->room, sizeof fetch->room);
}

static void on_data(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
    struct aws_fetch *fetch = stream->data;
    bool is_out = stream == (uv_stream_t *)&fetch->out;
    struct kpw_buf *text = is_out ? &fetch->out_text : &fetch->complaints_text;
    size_t room = (is_out ? MAX_OUTPUT : MAX_COMPLAINT) - text->len;

    if (n > 0 && is_out && (size_t)n > room) {
        fail(fetch, "printed more than 256 KiB");
        return;
    }
    if (n > 0)
        kpw_buf_append(text, data->base, (size_t)n < room ? (size_t)n : room);
    if (n >= 0)
        return;
    uv_read_stop(stream);
    fetch->n_streams--;
    look_at_end(fetch);
}

static void on_too_late(uv_timer_t *timer)
{
    fail(timer->data, "did not end within 60 s");
}

static int spawn(struct aws_fetch *fetch, char **words)
{
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&fetch->out},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&fetch->complaints},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_, .file = words[0], .args = words, .stdio = stdio, .stdio_count = 3};
    uv_loop_t *loop = fetch->timer.loop;
    int failed;

    uv_pipe_init(loop, &fetch->out, 0);
    uv_pipe_init(loop, &fetch->complaints, 0);
    fetch->has_pipes = fetch->has_process = true;
    fetch->out.data = fetch->complaints.data = fetch->process.data = fetch;
    failed = uv_spawn(loop, &fetch->process, &options);
    fetch->process.data = fetch;
    fetch->has_exited = failed != 0;
    return failed;
}

void aws_fetch_process(struct aws_fetch *fetch, const char *command)
{
    char **words = command ? aws_words_split(command) : NULL;
    char what[128];
    int failed;

    if (!words) {
        fail(fetch, "is not a command: a quote is open, or it is empty");
        return;
    }
    failed = spawn(fetch, words);
    aws_words_free(words);
    if (failed) {
        snprintf(what, sizeof what, "cannot be started: %s", uv_strerror(failed));
        fail(fetch, what);
        return;
    }
    fetch->n_streams = 2;
    uv_timer_start(&fetch->timer, on_too_late, TIME_LIMIT_MS, 0);
    uv_read_start((uv_stream_t *)&fetch->out, on_room, on_data);
    uv_read_start((uv_stream_t *)&fetch->complaints, on_room, on_data);
}
