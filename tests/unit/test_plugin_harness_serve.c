/* test_plugin_harness_serve.c - what a test sees of a plugin's answers: pieces, files, ends. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/harness/internal.h"
#include "tests/kptest.h"

#define LONG ((size_t)24 << 20) /* more than the kernel takes */

static const kp_option no_options[] = {{0}};
static const kp_server_ext *ext;
static kp_server *server;
static kp_exchange *held;
static int n_gone, n_drained;

static void on_gone(kp_node *node, void *arg, kp_exchange *x)
{
    (void)node, (void)arg;
    n_gone += x == held;
    held = NULL;
}

static void on_drained(kp_node *node, void *arg, kp_exchange *x)
{
    (void)node, (void)arg;
    n_drained += x == held;
}

static void send_file(kp_exchange *x)
{
    char path[] = "/tmp/kptest-file-XXXXXX";
    kp_server_file file = {.size = sizeof file, .offset = 2, .len = 5};

    file.fd = mkostemp(path, O_CLOEXEC);
    REQUIRE(file.fd >= 0 && write(file.fd, "a\nb\0c\nd", 7) == 7);
    unlink(path);
    ext->respond_file(x, 200, NULL, 0, &file);
}

static void serve(kp_node *node, void *arg, kp_exchange *x, const kp_server_request *request)
{
    static const kp_server_stream stream = {sizeof stream, on_drained, on_gone, NULL};
    static char much[LONG];

    (void)node, (void)arg;
    switch (request->path.ptr[request->path.len - 1]) {
    case 'f': send_file(x); break;
    case 'c': ext->respond_cut(x, 200, NULL, 0, (kp_slice){"0123456789", 10}); break;
    case 'w':
        held = x;
        ext->watch(x, on_gone, NULL);
        break;
    default:
        held = x;
        ext->start(x, 200, NULL, 0, &stream);
        if (request->path.len > 1)
            ext->write(x, (kp_slice){much, sizeof much}, NULL);
        break;
    }
}

static kp_status probe_start(kp_node *node, void *state)
{
    kp_server_config config = {.size = sizeof config, .listen = "127.0.0.1:0"};

    (void)state;
    ext = harness_host.extension("server/1");
    server = ext->listen(node, &config, serve, NULL);
    return server ? KP_OK : KP_FATAL;
}

static void probe_close(kp_node *node, void *state)
{
    (void)node, (void)state;
    ext->close(server);
}

static const kp_element door = {.size = sizeof(kp_element),
                                .kind = KP_SERVICE,
                                .name = "door",
                                .help = "answers",
                                .options = no_options,
                                .start = probe_start,
                                .close = probe_close};

static const kp_plugin *entry(const kp_host *host)
{
    static const kp_element *const elements[] = {&door, NULL};
    static const kp_plugin plugin = {sizeof plugin, KP_ABI_MAJOR, KP_ABI_MINOR, "probe",
                                     "1.0.0",       "Apache-2.0", elements};

    (void)host;
    return &plugin;
}

static struct harness *open_door(void)
{
    struct harness *h;

    held = NULL;
    n_gone = n_drained = 0;
    harness_use(entry);
    h = harness_new("door", KP_SERVICE, "{}");
    harness_start(h);
    return h;
}

static void close_door(struct harness *h)
{
    harness_free(h);
    harness_use(NULL);
}

static bool is_held(void *arg)
{
    (void)arg;
    return held != NULL;
}

static bool is_gone(void *arg)
{
    (void)arg;
    return n_gone > 0;
}

static bool is_drained(void *arg)
{
    (void)arg;
    return n_drained > 0;
}

struct want {
    struct harness_exchange *x;
    size_t len;
};

static bool has_come(void *arg)
{
    struct want *want = arg;
    size_t len;

    return harness_answer_so_far(want->x, &len) && len >= want->len;
}

TEST(harness_shows_the_pieces_of_an_answer_as_they_come)
{
    struct harness *h = open_door();
    struct harness_exchange *x = harness_request_begin(h, "GET", "/", NULL, NULL, 0);
    struct want want = {x, 5};
    const char *body;

    YES(!harness_answer_so_far(x, NULL));
    harness_wait(h, is_held, NULL);
    ext->write(held, (kp_slice){"first", 5}, NULL);
    harness_wait(h, has_come, &want);
    EQ_STR(harness_answer_so_far(x, NULL), "first");
    NO(harness_request_answered(x));
    ext->write(held, (kp_slice){"second", 6}, NULL);
    ext->finish(held);
    EQ_INT(harness_request_end(h, x, &body), 200);
    EQ_STR(body, "firstsecond");
    EQ_INT(harness_answer_len(h), 11);
    YES(harness_answer_is_whole(h));
    EQ_STR(harness_response_header(h, "Transfer-Encoding"), "chunked");
    close_door(h);
}

TEST(harness_shows_files_with_any_bytes)
{
    struct harness *h = open_door();
    const char *body;

    EQ_INT(harness_get(h, "GET", "/f", NULL, &body), 200);
    EQ_INT(harness_answer_len(h), 5);
    YES(!memcmp(body, "b\0c\nd", 5));
    YES(harness_answer_is_whole(h));
    close_door(h);
}

TEST(harness_tells_an_answer_that_was_cut)
{
    struct harness *h = open_door();
    struct harness_exchange *x;
    const char *body;

    EQ_INT(harness_get(h, "GET", "/c", NULL, &body), 200);
    EQ_STR(body, "01234");
    NO(harness_answer_is_whole(h));
    x = harness_request_begin(h, "GET", "/", NULL, NULL, 0);
    harness_wait(h, is_held, NULL);
    ext->write(held, (kp_slice){"first", 5}, NULL);
    ext->abort(held);
    EQ_INT(harness_request_end(h, x, &body), 200);
    EQ_STR(body, "first");
    NO(harness_answer_is_whole(h));
    close_door(h);
}

TEST(harness_plays_a_client_that_goes)
{
    struct harness *h = open_door();
    struct harness_exchange *x = harness_request_begin(h, "GET", "/w", NULL, NULL, 0);

    harness_wait(h, is_held, NULL);
    harness_request_drop(h, x);
    harness_wait(h, is_gone, NULL);
    x = harness_request_begin(h, "GET", "/", NULL, NULL, 0);
    harness_wait(h, is_held, NULL);
    n_gone = 0;
    harness_request_drop(h, x);
    harness_wait(h, is_gone, NULL);
    EQ_INT(n_gone, 1);
    close_door(h);
}

TEST(harness_plays_a_client_that_does_not_read)
{
    struct harness *h = open_door();
    struct harness_exchange *x = harness_request_begin(h, "GET", "/much", NULL, NULL, 0);

    harness_request_hold(x, true);
    harness_wait(h, is_held, NULL);
    EQ_INT(n_drained, 0);
    harness_request_hold(x, false);
    harness_wait(h, is_drained, NULL);
    EQ_INT(n_drained, 1);
    ext->finish(held);
    EQ_INT(harness_request_end(h, x, NULL), 200);
    EQ_INT(harness_answer_len(h), LONG);
    close_door(h);
}
