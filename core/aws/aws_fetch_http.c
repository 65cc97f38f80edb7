/* aws_fetch_http.c - credentials from the container's endpoint and the instance's metadata
 * (IMDSv2). Plain exchanges of the worker's HTTP client. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/aws_config.h"
#include "core/aws/aws_fetch.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/http_client.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/random.h"
#include "sdk/wire/uri.h"

#define CONTAINER_HOST       "http://169.254.170.2"
#define CONTAINER_TIMEOUT_MS 2000
#define CONTAINER_ATTEMPTS   3
#define CONTAINER_PAUSE_MS   1000
#define INSTANCE_HOST        "http://169.254.169.254"
#define INSTANCE_HOST_IPV6   "http://[fd00:ec2::254]"
#define INSTANCE_TOKEN       "/latest/api/token"
#define INSTANCE_ROLES       "/latest/meta-data/iam/security-credentials/"
#define MAX_ANSWER           ((size_t)256 << 10)

static void end_with_doc(struct aws_fetch *fetch, kp_slice body, const char *where)
{
    struct error err = ERROR_INIT;
    struct aws_identity *identity = aws_identity_parse(kpw_slice(body.ptr, body.len), &err);

    if (!identity)
        error_context(&err, "credentials from %s", where);
    aws_fetch_done(fetch, identity, &err, true);
}

void aws_fetch_ask(struct aws_fetch *fetch, kp_http_request *request, kp_http_fn fn)
{
    request->size = sizeof *request;
    request->max_body = MAX_ANSWER;
    fetch->call = http_client_send(fetch->http, NULL, request, fn, fetch);
}

/* "timed out", "connection refused", "status 404" */
const char *aws_fetch_wrong(const kp_http_response *response, char *room, size_t cap)
{
    if (response->status)
        snprintf(room, cap, "status %d", response->status);
    else
        snprintf(room, cap, "%s", response->error ? response->error : "no answer");
    return room;
}

/* ---- the container */

bool aws_container_host_is_allowed(const char *url)
{
    static const char *const hosts[] = {"localhost", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]", "[::1]"};
    const char *host = strstr(url, "://");
    char name[64];
    struct in_addr address;
    size_t n;

    if (!strncmp(url, "https://", 8))
        return true;
    if (!host || strncmp(url, "http://", 7) != 0)
        return false;
    host += 3;
    n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
    if (n >= sizeof name || n > strlen(host))
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (!strcmp(name, hosts[i]))
            return true;
    return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static void ask_container(struct aws_fetch *fetch);

static void on_pause_over(uv_timer_t *timer)
{
    ask_container(timer->data);
}

static void on_container(kp_node *node, void *arg, const kp_http_response *response)
{
    struct aws_fetch *fetch = arg;
    struct error err = ERROR_INIT;
    char room[200];

    (void)node;
    fetch->call = NULL;
    if (response->status == 200) {
        end_with_doc(fetch, response->body, "the container's endpoint");
    } else if (fetch->attempt < CONTAINER_ATTEMPTS) {
        uv_timer_start(&fetch->timer, on_pause_over, CONTAINER_PAUSE_MS, 0);
    } else {
        error_set(&err, ERROR_FAILED, "no credentials from the container's endpoint %s: %s",
                  kpw_buf_cstr(&fetch->url), aws_fetch_wrong(response, room, sizeof room));
        aws_fetch_done(fetch, NULL, &err, true);
    }
}

/* The token's file is read each time: it changes while the process runs. */
static bool read_container_token(struct aws_fetch *fetch, struct error *err)
{
    const char *path = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *given = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    char *token = path ? aws_read_small_file(path, err) : mem_dup(given ? given : "");

    if (!token)
        return false;
    kpw_buf_clear(&fetch->text);
    kpw_buf_puts(&fetch->text, token);
    kpw_wipe(token, strlen(token));
    free(token);
    if (!memchr(fetch->text.ptr ? fetch->text.ptr : "", '\n', fetch->text.len) &&
        !memchr(fetch->text.ptr ? fetch->text.ptr : "", '\r', fetch->text.len))
        return true;
    error_set(err, ERROR_CONFIG, "the container's authorization token has a line end in it");
    return false;
}

static void ask_container(struct aws_fetch *fetch)
{
    struct error err = ERROR_INIT;
    kp_http_header headers[2] = {{KPW_LIT("accept"), KPW_LIT("application/json")}};
    kp_http_request request = {
        .method = "GET", .headers = headers, .n_headers = 1, .timeout_ms = CONTAINER_TIMEOUT_MS};

    if (!read_container_token(fetch, &err)) {
        aws_fetch_done(fetch, NULL, &err, false);
        return;
    }
    if (fetch->text.len)
        headers[request.n_headers++] =
            (kp_http_header){KPW_LIT("authorization"), {fetch->text.ptr, fetch->text.len}};
    request.url = kpw_buf_cstr(&fetch->url);
    fetch->attempt++;
    aws_fetch_ask(fetch, &request, on_container);
}

void aws_fetch_container(struct aws_fetch *fetch)
{
    const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    struct error err = ERROR_INIT;

    kpw_buf_puts(&fetch->url, relative ? CONTAINER_HOST : full ? full : "");
    if (relative)
        kpw_buf_puts(&fetch->url, relative);
    if (aws_container_host_is_allowed(kpw_buf_cstr(&fetch->url))) {
        ask_container(fetch);
        return;
    }
    error_set(&err, ERROR_CONFIG,
              "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor the address of this host "
              "or of the container's agent");
    aws_fetch_done(fetch, NULL, &err, false);
}

/* ---- the instance */

static void ask_for_roles(struct aws_fetch *fetch);

static const char *instance_host(const struct aws_config *config)
{
    const char *host = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

    if (!host)
        host =
            aws_profiles_get(&config->profiles, config->profile, "ec2_metadata_service_endpoint");
    if (!mode)
        mode = aws_profiles_get(&config->profiles, config->profile,
                                "ec2_metadata_service_endpoint_mode");
    if (host)
        return host;
    return mode && !strcasecmp(mode, "IPv6") ? INSTANCE_HOST_IPV6 : INSTANCE_HOST;
}

/* Seconds or attempts, 1 to 60. */
static int small_number(const char *variable)
{
    const char *text = aws_env(variable);
    long n = text ? strtol(text, NULL, 10) : 1;

    return n < 1 ? 1 : n > 60 ? 60 : (int)n;
}

static void ask_instance(struct aws_fetch *fetch, const char *method, const char *path,
                         kp_http_fn fn)
{
    const char *host = instance_host(fetch->config);
    size_t n = strlen(host);
    kp_http_header header = {KPW_LIT("x-aws-ec2-metadata-token"),
                             {fetch->text.ptr, fetch->text.len}};
    kp_http_request request = {
        .method = method,
        .headers = &header,
        .n_headers = fetch->has_token,
        .timeout_ms = 1000 * (int64_t)small_number("AWS_METADATA_SERVICE_TIMEOUT"),
    };

    if (!strcmp(method, "PUT")) {
        header =
            (kp_http_header){KPW_LIT("x-aws-ec2-metadata-token-ttl-seconds"), KPW_LIT("21600")};
        request.n_headers = 1;
    }
    while (n && host[n - 1] == '/')
        n--;
    kpw_buf_clear(&fetch->url);
    kpw_buf_append(&fetch->url, host, n);
    kpw_buf_puts(&fetch->url, path);
    request.url = kpw_buf_cstr(&fetch->url);
    aws_fetch_ask(fetch, &request, fn);
}

static void instance_failed(struct aws_fetch *fetch, const kp_http_response *response,
                            const char *hint)
{
    struct error err = ERROR_INIT;
    char room[200];

    error_set(&err, ERROR_FAILED,
              "there are no AWS credentials: neither the environment nor profile '%s' has any, and "
              "the instance's metadata gave none (%s: %s)%s",
              fetch->config->profile, kpw_buf_cstr(&fetch->url),
              aws_fetch_wrong(response, room, sizeof room), hint);
    aws_fetch_done(fetch, NULL, &err,
                   response->status >= 500); /* without an answer this is no instance */
}

static void on_instance_doc(kp_node *node, void *arg, const kp_http_response *response)
{
    struct aws_fetch *fetch = arg;
    struct error err = ERROR_INIT;
    struct aws_identity *identity;
    struct kpw_random random;

    (void)node;
    fetch->call = NULL;
    if (response->status != 200) {
        instance_failed(fetch, response, "");
        return;
    }
    identity = aws_identity_parse(kpw_slice(response->body.ptr, response->body.len), &err);
    if (!identity)
        error_context(&err, "credentials from the instance's metadata");
    /* When the service cannot renew them it hands out expired ones: the best there are. */
    if (identity && identity->expires_at_ms <= clock_wall_ms()) {
        kpw_random_init(&random);
        identity->expires_at_ms = AWS_NEVER_MS;
        identity->refresh_at_ms =
            clock_wall_ms() + 120000 + (int64_t)kpw_random_below(&random, 480000);
    }
    aws_fetch_done(fetch, identity, &err, true);
}

static void on_roles(kp_node *node, void *arg, const kp_http_response *response)
{
    struct aws_fetch *fetch = arg;
    size_t len = response->body.len;
    const char *end = len ? memchr(response->body.ptr, '\n', len) : NULL;
    struct kpw_buf path = KPW_BUF_INIT;

    (void)node;
    fetch->call = NULL;
    if (end)
        len = (size_t)(end - response->body.ptr);
    if (response->status != 200 || !len) {
        instance_failed(fetch, response, response->status == 404 ? "; it has no role" : "");
        return;
    }
    kpw_buf_puts(&path, INSTANCE_ROLES);
    kpw_uri_put(&path, response->body.ptr, len, false);
    ask_instance(fetch, "GET", kpw_buf_cstr(&path), on_instance_doc);
    kpw_buf_fini(&path);
}

static void ask_for_roles(struct aws_fetch *fetch)
{
    ask_instance(fetch, "GET", INSTANCE_ROLES, on_roles);
}

static bool version_1_is_off(const struct aws_config *config)
{
    const char *off = aws_env("AWS_EC2_METADATA_V1_DISABLED");

    if (!off)
        off = aws_profiles_get(&config->profiles, config->profile, "ec2_metadata_v1_disabled");
    return off && !strcasecmp(off, "true");
}

static void ask_for_token(struct aws_fetch *fetch);

static void on_token(kp_node *node, void *arg, const kp_http_response *response)
{
    struct aws_fetch *fetch = arg;
    int status = response->status;

    (void)node;
    fetch->call = NULL;
    if (status == 200 && response->body.len &&
        !memchr(response->body.ptr, '\n', response->body.len)) {
        kpw_buf_clear(&fetch->text);
        kpw_buf_append(&fetch->text, response->body.ptr, response->body.len);
        fetch->has_token = true;
        ask_for_roles(fetch);
        return;
    }
    if (!status && fetch->attempt < small_number("AWS_METADATA_SERVICE_NUM_ATTEMPTS")) {
        ask_for_token(fetch);
        return;
    }
    /* Old or absent: version 1 knows no tokens. */
    if ((!status || status == 403 || status == 404 || status == 405) &&
        !version_1_is_off(fetch->config)) {
        ask_for_roles(fetch);
        return;
    }
    instance_failed(fetch, response,
                    response->timed_out ? "; in a container the hop limit of the instance's "
                                          "metadata options must be at least 2"
                                        : "");
}

static void ask_for_token(struct aws_fetch *fetch)
{
    fetch->attempt++;
    ask_instance(fetch, "PUT", INSTANCE_TOKEN, on_token);
}

void aws_fetch_instance(struct aws_fetch *fetch)
{
    ask_for_token(fetch);
}
