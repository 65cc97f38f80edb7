/* aws_world.c - see aws_world.h. */
#include "tests/unit/aws_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/mem.h"
#include "core/net/http_client.h"
#include "sdk/wire/sigv4.h"
#include "sdk/wire/uri.h"

#define MAX_SCRIPT 64
#define MAX_SEEN   256
#define MAX_ENV    128

extern char **environ;

struct line {
    const char *path, *headers, *body;
    int status;
    bool used;
};

struct seen {
    char *line, *head, *body; /* [owned] */
};

struct peer_conn {
    uv_tcp_t tcp;
    uv_write_t write;
    struct kpw_buf in, out;
    char room[65536];
    struct peer_conn *next;
};

static struct {
    uv_loop_t loop;
    uv_tcp_t server;
    uv_timer_t tick; /* so that waiting never blocks for long */
    struct http_client *http;
    char url[64], *home;
    struct line script[MAX_SCRIPT], always;
    size_t n_script, n_seen, n_env;
    struct seen seen[MAX_SEEN];
    struct {
        char *name, *value; /* [owned] */
    } env[MAX_ENV];
    int64_t skew_s;
    struct peer_conn *conns;
} world;

/* ---- environment */

static void remember(const char *name)
{
    for (size_t i = 0; i < world.n_env; i++)
        if (!strcmp(world.env[i].name, name))
            return;
    REQUIRE(world.n_env < MAX_ENV);
    world.env[world.n_env].name = mem_dup(name);
    world.env[world.n_env++].value = mem_dup(getenv(name));
}

void world_env(const char *name, const char *value)
{
    remember(name);
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void clear_environment(void)
{
    bool again;

    do { /* environ changes with each */
        again = false;
        for (char **at = environ; at && *at && !again; at++) {
            char name[200];

            if (strncmp(*at, "AWS_", 4) != 0 && strncasecmp(*at, "http_proxy", 10) != 0)
                continue;
            snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
            world_env(name, NULL);
            again = true;
        }
    } while (again);
    world_env("HOME", world.home);
    world_env("AWS_EC2_METADATA_DISABLED", "true");
}

const char *world_file(const char *name, const char *text)
{
    static char paths[4][512];
    static int at;
    FILE *f;

    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/.aws", world.home);
    mkdir(paths[at], 0700);
    snprintf(paths[at], sizeof paths[at], "%s/%s", world.home, name);
    f = fopen(paths[at], "we");
    REQUIRE(f != NULL);
    fputs(text, f);
    fclose(f);
    return paths[at];
}

/* ---- requests */

void world_script(const char *path, int status, const char *headers, const char *body)
{
    REQUIRE(world.n_script < MAX_SCRIPT);
    world.script[world.n_script++] = (struct line){path, headers, body, status, false};
}

void world_always(int status, const char *body)
{
    world.always = (struct line){.status = status, .body = body};
}

void world_skew(int64_t seconds)
{
    world.skew_s = seconds;
}

static struct kpw_slice word(struct kpw_slice *text, const char *end)
{
    char *at = text->len ? memmem(text->ptr, text->len, end, strlen(end)) : NULL;
    struct kpw_slice part = {text->ptr, at ? (size_t)(at - text->ptr) : text->len};

    text->ptr += part.len + (at ? strlen(end) : 0);
    text->len -= part.len + (at ? strlen(end) : 0);
    return part;
}

static size_t parse_headers(struct kpw_slice head, struct kpw_sigv4_header *headers, size_t max)
{
    size_t n = 0;

    while (head.len && n < max) {
        struct kpw_slice value = word(&head, "\r\n");

        headers[n].name = word(&value, ":");
        headers[n++].value = kpw_slice_trim(value);
    }
    return n;
}

static void credentials_of(const struct kpw_sigv4_auth *auth, char *secret, char *token, size_t cap)
{
    bool is_local = kpw_slice_is(auth->key_id, "test");

    snprintf(secret, cap, "%s%.*s", is_local ? "" : "secret-of-", (int)auth->key_id.len,
             auth->key_id.ptr);
    snprintf(token, cap, "token-of-%.*s", (int)auth->key_id.len, auth->key_id.ptr);
    if (!auth->token.len)
        *token = '\0';
}

static enum kpw_sigv4_reason verify(const struct kpw_sigv4_request *request)
{
    struct kpw_sigv4_cache cache = {0};
    struct kpw_sigv4_auth auth;
    char secret[200], token[200];
    struct kpw_sigv4_options options = {.now_s = clock_wall_ms() / 1000 + world.skew_s,
                                        .window_s = 300};
    enum kpw_sigv4_reason reason = kpw_sigv4_parse(request, &auth);

    if (!reason) {
        struct kpw_sigv4_credentials credentials = {.key_id = auth.key_id};

        credentials_of(&auth, secret, token, sizeof secret);
        credentials.secret = kpw_slice_cstr(secret);
        credentials.token = kpw_slice_cstr(token);
        if (kpw_slice_is(auth.service, "s3"))
            options.flags = KPW_SIGV4_S3;
        reason = kpw_sigv4_verify(&cache, request, &auth, &credentials, &options);
    }
    kpw_sigv4_auth_fini(&auth);
    kpw_sigv4_cache_fini(&cache);
    /* not signed, or the token of a container */
    return reason == KPW_SIGV4_MISSING || reason == KPW_SIGV4_ALGORITHM ? KPW_SIGV4_OK : reason;
}

static const struct line *choose(struct kpw_slice target, enum kpw_sigv4_reason reason)
{
    static struct line refusal = {.status = 403}, unknown = {.status = 404, .body = "no script"};
    static char body[300];

    if (reason) {
        snprintf(body, sizeof body, "{\"__type\":\"InvalidSignatureException\",\"message\":\"%s\"}",
                 kpw_sigv4_reason_text(reason));
        refusal.body = body;
        return &refusal;
    }
    for (size_t i = 0; i < world.n_script; i++) {
        struct line *line = &world.script[i];

        if (!line->used && kpw_slice_starts(target, line->path)) {
            line->used = true;
            return line;
        }
    }
    return world.always.status ? &world.always : &unknown;
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct peer_conn *conn = handle->data;

    kpw_buf_fini(&conn->in);
    kpw_buf_fini(&conn->out);
    free(conn);
}

static void conn_close(struct peer_conn *conn)
{
    struct peer_conn **at = &world.conns;

    while (*at && *at != conn)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = conn->next;
    uv_close((uv_handle_t *)&conn->tcp, on_conn_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)write, (void)status;
}

static void reply(struct peer_conn *conn, const struct line *line, bool no_body)
{
    char date[KPW_HTTP_DATE_SIZE];
    const char *body = line->body ? line->body : "";
    uv_buf_t buf;

    if (line->status == WORLD_HOLD)
        return;
    if (line->status == WORLD_CUT) {
        conn_close(conn);
        return;
    }
    kpw_http_date_format(clock_wall_ms() / 1000 + world.skew_s, date);
    kpw_buf_clear(&conn->out);
    kpw_buf_appendf(&conn->out, "HTTP/1.1 %d X\r\nDate: %s\r\nContent-Length: %zu\r\n%s\r\n%s",
                    line->status, date, strlen(body), line->headers ? line->headers : "",
                    no_body ? "" : body);
    buf = uv_buf_init(conn->out.ptr, (unsigned)conn->out.len);
    uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &buf, 1, on_written);
}

/* A whole request, or false. */
static bool take_request(struct peer_conn *conn)
{
    struct kpw_slice text = kpw_buf_slice(&conn->in), head, first, method, target;
    struct kpw_sigv4_header headers[64];
    struct kpw_sigv4_request request = {.headers = headers};
    size_t body_len = 0;

    if (!text.len || !memmem(text.ptr, text.len, "\r\n\r\n", 4))
        return false;
    head = word(&text, "\r\n\r\n");
    first = word(&head, "\r\n");
    request.n_headers = parse_headers(head, headers, 64);
    for (size_t i = 0; i < request.n_headers; i++)
        if (kpw_slice_is_nocase(headers[i].name, "content-length"))
            body_len = (size_t)strtoul(headers[i].value.ptr, NULL, 10);
    if (text.len < body_len)
        return false;
    REQUIRE(world.n_seen < MAX_SEEN);
    method = word(&first, " ");
    target = word(&first, " ");
    world.seen[world.n_seen++] = (struct seen){
        mem_fmt("%.*s %.*s", (int)method.len, method.ptr, (int)target.len, target.ptr),
        mem_dupn(head.ptr, head.len), mem_dupn(text.ptr, body_len)};
    request.method = method;
    request.body = kpw_slice(text.ptr, body_len);
    kpw_uri_split(target, &request.path, &request.query);
    reply(conn, choose(target, verify(&request)), kpw_slice_is(method, "HEAD"));
    conn->in.len = 0; /* clients here send one request at a time */
    return true;
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    struct peer_conn *conn = handle->data;

    (void)wanted;
    *ret = uv_buf_init(conn->room, sizeof conn->room);
}

static void on_data(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer_conn *conn = stream->data;

    if (n < 0) {
        conn_close(conn);
        return;
    }
    kpw_buf_append(&conn->in, buf->base, (size_t)n);
    (void)take_request(conn);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct peer_conn *conn = mem_new(sizeof *conn);

    REQUIRE(!status);
    uv_tcp_init(server->loop, &conn->tcp);
    conn->tcp.data = conn;
    REQUIRE(!uv_accept(server, (uv_stream_t *)&conn->tcp));
    conn->next = world.conns;
    world.conns = conn;
    uv_read_start((uv_stream_t *)&conn->tcp, on_room, on_data);
}

/* ---- what was seen */

size_t world_n_seen(void)
{
    return world.n_seen;
}

const char *world_line(size_t i)
{
    return i < world.n_seen ? world.seen[i].line : "";
}

const char *world_body(size_t i)
{
    return i < world.n_seen ? world.seen[i].body : "";
}

const char *world_header(size_t i, const char *name)
{
    static char values[4][2000];
    static int at;
    struct kpw_sigv4_header headers[64];
    size_t n =
        i < world.n_seen ? parse_headers(kpw_slice_cstr(world.seen[i].head), headers, 64) : 0;

    at = (at + 1) % 4;
    values[at][0] = '\0';
    for (size_t h = 0; h < n; h++)
        if (kpw_slice_is_nocase(headers[h].name, name))
            snprintf(values[at], sizeof values[at], "%.*s", (int)headers[h].value.len,
                     headers[h].value.ptr);
    return values[at];
}

/* ---- begin and end */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void world_turn(void)
{
    uv_run(&world.loop, UV_RUN_ONCE);
}

void world_begin(void)
{
    struct error err = ERROR_INIT;
    struct sockaddr_in address;
    int len = sizeof address;

    memset(&world, 0, sizeof world);
    world.home = mem_dup(kptest_dir());
    clear_environment();
    REQUIRE(!uv_loop_init(&world.loop));
    uv_tcp_init(&world.loop, &world.server);
    uv_ip4_addr("127.0.0.1", 0, &address);
    REQUIRE(!uv_tcp_bind(&world.server, (struct sockaddr *)&address, 0));
    REQUIRE(!uv_listen((uv_stream_t *)&world.server, 64, on_connection));
    uv_tcp_getsockname(&world.server, (struct sockaddr *)&address, &len);
    snprintf(world.url, sizeof world.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    uv_timer_init(&world.loop, &world.tick);
    uv_timer_start(&world.tick, on_tick, 50, 50);
    world.http = http_client_new(&world.loop, &err);
    REQUIRE(world.http != NULL);
}

void world_end(void)
{
    http_client_free(world.http);
    while (world.conns)
        conn_close(world.conns);
    uv_close((uv_handle_t *)&world.server, NULL);
    uv_close((uv_handle_t *)&world.tick, NULL);
    while (uv_run(&world.loop, UV_RUN_DEFAULT))
        continue;
    EQ_INT(uv_loop_close(&world.loop), 0);
    for (size_t i = 0; i < world.n_seen; i++) {
        free(world.seen[i].line);
        free(world.seen[i].head);
        free(world.seen[i].body);
    }
    while (world.n_env--) {
        if (world.env[world.n_env].value)
            setenv(world.env[world.n_env].name, world.env[world.n_env].value, 1);
        else
            unsetenv(world.env[world.n_env].name);
        free(world.env[world.n_env].name);
        free(world.env[world.n_env].value);
    }
    free(world.home);
    clock_real();
}

uv_loop_t *world_loop(void)
{
    return &world.loop;
}

struct http_client *world_http(void)
{
    return world.http;
}

const char *world_url(void)
{
    return world.url;
}
