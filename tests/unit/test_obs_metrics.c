/* test_obs_metrics.c - the page that Prometheus reads, asked for over a socket. */
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"
#include "core/obs/metrics.h"
#include "sdk/wire/slice.h"
#include "tests/kptest.h"
#include "tests/unit/net_peer.h"
#include "tests/unit/run_bench.h"

struct scene {
    struct bench bench;
    struct metrics *metrics;
};

static void open_scene(struct scene *scene)
{
    struct error err = ERROR_INIT;

    bench_open(&scene->bench, &(struct bench_options){.has_failure = true});
    scene->bench.host.workers = &scene->bench.worker;
    scene->metrics = metrics_open(&scene->bench.host, "0", &err);
    REQUIRE(scene->metrics != NULL);
}

static void close_scene(struct scene *scene)
{
    metrics_close(scene->metrics);
    bench_close(&scene->bench);
}

/* One request on a connection of its own; the whole answer [owned by caller]. */
static char *ask(struct scene *scene, const char *method, const char *path)
{
    struct peer peer = peer_connect(metrics_port(scene->metrics), 0);
    int64_t until = clock_mono_ms() + 10000;
    char request[200];

    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
             method, path);
    peer_send(&peer, request);
    while (!peer.closed) {
        struct pollfd fds[2] = {{uv_backend_fd(&scene->bench.host.loop), POLLIN, 0},
                                {peer.fd, POLLIN, 0}};

        int timeout = uv_backend_timeout(&scene->bench.host.loop);

        REQUIRE(clock_mono_ms() < until);
        poll(fds, 2, timeout < 0 || timeout > 1000 ? 1000 : timeout);
        uv_run(&scene->bench.host.loop, UV_RUN_NOWAIT);
        peer_pull(&peer);
    }
    close(peer.fd);
    return peer.in;
}

static void expect(struct scene *scene, const char *method, const char *path, const char *part)
{
    char *answer = ask(scene, method, path);

    if (!strstr(answer, part))
        fprintf(stderr, "no \"%s\" in \"%s\"\n", part, answer);
    YES(strstr(answer, part) != NULL);
    free(answer);
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}

static char *page_of(struct scene *scene)
{
    struct kpw_buf out = KPW_BUF_INIT;
    size_t len;

    metrics_write(&scene->bench.host, &out);
    REQUIRE(kpw_buf_cstr(&out) != NULL);
    return kpw_buf_take(&out, &len);
}

TEST(a_get_of_metrics_has_what_the_stages_did)
{
    struct scene scene;
    kp_lane *lane;

    open_scene(&scene);
    lane = bench_lane(&scene.bench, "shardId-000000000000");
    bench_submit(lane, "abc", "3", NULL);
    expect(&scene, "GET", "/metrics", "HTTP/1.1 200 OK\r\n");
    expect(&scene, "GET", "/metrics", "content-type: text/plain; version=0.0.4; charset=utf-8\r\n");
    expect(&scene, "GET", "/metrics",
           "# TYPE kpipe_stage_read_records_total counter\n"
           "kpipe_stage_read_records_total{pipeline=\"test\",flow=\"flow\",stage=\"source\"} 3\n");
    expect(&scene, "GET", "/metrics",
           "\nkpipe_records_in_flight{pipeline=\"test\",flow=\"flow\"} 3\n");
    bench_deliver(&scene.bench);
    expect(&scene, "GET", "/metrics?x=1",
           "\nkpipe_stage_delivered_records_total{pipeline=\"test\",flow=\"flow\","
           "stage=\"source\"} 3\n");
    expect(&scene, "GET", "/metrics", "\nprocess_cpu_seconds_total ");
    close_scene(&scene);
}

TEST(a_head_has_no_body_and_other_methods_and_paths_are_refused)
{
    struct scene scene;
    char *answer;

    open_scene(&scene);
    answer = ask(&scene, "HEAD", "/metrics");
    YES(strstr(answer, "HTTP/1.1 200 OK\r\n") == answer);
    YES(strstr(answer, "kpipe_") == NULL);
    free(answer);
    expect(&scene, "DELETE", "/metrics", "HTTP/1.1 405 ");
    expect(&scene, "DELETE", "/metrics", "allow: GET, HEAD\r\n");
    expect(&scene, "GET", "/", "HTTP/1.1 404 ");
    expect(&scene, "GET", "/metrics/", "HTTP/1.1 404 ");
    close_scene(&scene);
}

TEST(it_is_ready_from_the_start_of_the_flows_until_they_end)
{
    struct scene scene;

    open_scene(&scene);
    expect(&scene, "GET", "/live", "HTTP/1.1 200 ");
    expect(&scene, "GET", "/ready", "HTTP/1.1 503 ");
    scene.bench.host.started_ms = 1;
    expect(&scene, "GET", "/ready", "HTTP/1.1 200 ");
    scene.bench.host.n_signals = 1;
    expect(&scene, "GET", "/ready", "HTTP/1.1 503 ");
    expect(&scene, "GET", "/live", "HTTP/1.1 200 ");
    scene.bench.host.n_signals = 0;
    close_scene(&scene);
}

TEST(lanes_have_a_series_each_and_a_name_one_head)
{
    struct scene scene;
    const kp_host *h = host_table();
    kp_lane *a, *b;
    char *page;

    open_scene(&scene);
    a = bench_lane(&scene.bench, "shardId-000000000000");
    b = bench_lane(&scene.bench, "shardId-000000000001");
    h->lane_gauge(a, "millis_behind_latest", 1500);
    h->lane_gauge(b, "millis_behind_latest", -1);
    h->lane_count(a, "records", 10);
    h->lane_count(b, "records", 20);
    h->count(bench_node(&scene.bench, 0), "read_errors", 2);
    page = page_of(&scene);
    YES(strstr(page, "# TYPE kpipe_lane_millis_behind_latest gauge\n"
                     "kpipe_lane_millis_behind_latest{pipeline=\"test\",flow=\"flow\","
                     "stage=\"source\",shard=\"shardId-000000000000\"} 1500\n"
                     "kpipe_lane_millis_behind_latest{pipeline=\"test\",flow=\"flow\","
                     "stage=\"source\",shard=\"shardId-000000000001\"} -1\n") != NULL);
    YES(strstr(page, "# TYPE kpipe_lane_records_total counter\n") != NULL);
    YES(strstr(page, "shard=\"shardId-000000000001\"} 20\n") != NULL);
    /* the sum of all lanes there were is a counter of the stage */
    YES(strstr(page,
               "# TYPE kpipe_records_total counter\n"
               "kpipe_records_total{pipeline=\"test\",flow=\"flow\",stage=\"source\"} 30\n") !=
        NULL);
    YES(strstr(page, "kpipe_read_errors_total{pipeline=\"test\",flow=\"flow\","
                     "stage=\"source\"} 2\n") != NULL);
    YES(strstr(page, "kpipe_lanes{pipeline=\"test\",flow=\"flow\"} 2\n") != NULL);
    EQ_INT(count_of(page, "# TYPE kpipe_lane_records_total "), 1);
    free(page);
    lane_close(a);
    bench_run(&scene.bench);
    page = page_of(&scene);
    YES(strstr(page, "shardId-000000000000") == NULL);
    YES(strstr(page,
               "kpipe_records_total{pipeline=\"test\",flow=\"flow\",stage=\"source\"} 30\n") !=
        NULL);
    free(page);
    close_scene(&scene);
}

TEST(labels_and_names_are_escaped)
{
    struct scene scene;
    const kp_host *h = host_table();
    char *page;

    open_scene(&scene);
    h->lane_count(bench_lane(&scene.bench, "a\\b\"c\nd\xff\xc3\xa9"), "odd-name", 1);
    h->count(bench_node(&scene.bench, 0), "stage_read_records", 1); /* one of the host's names */
    page = page_of(&scene);
    YES(strstr(page, "kpipe_lane_odd_name_total{pipeline=\"test\",flow=\"flow\",stage=\"source\","
                     "shard=\"a\\\\b\\\"c\\nd?\xc3\xa9\"} 1\n") != NULL);
    EQ_INT(count_of(page, "# TYPE kpipe_stage_read_records_total "), 1);
    EQ_INT(count_of(page, "# TYPE kpipe_plugin_stage_read_records_total "), 1);
    free(page);
    close_scene(&scene);
}

/* A line is a comment or NAME{LABELS} NUMBER; a name has one TYPE, before its samples, and they
 * stand together. */
TEST(every_line_is_as_prometheus_wants_it)
{
    struct scene scene;
    const kp_host *h = host_table();
    char *page, *save, type[200] = "";
    size_t n = 0;

    open_scene(&scene);
    h->lane_count(bench_lane(&scene.bench, "a"), "records", 1);
    page = page_of(&scene);
    EQ_INT(page[strlen(page) - 1], '\n');
    for (char *line = strtok_r(page, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
        char *end;

        if (!strncmp(line, "# TYPE ", 7)) {
            REQUIRE(sscanf(line, "# TYPE %199[a-zA-Z0-9_]", type) == 1);
            YES(strstr(line, " counter") || strstr(line, " gauge"));
            EQ_INT(strstr(line, " counter") != NULL,
                   strlen(type) > 6 && !strcmp(type + strlen(type) - 6, "_total"));
            continue;
        }
        if (!strncmp(line, "# HELP ", 7))
            continue;
        YES(!strncmp(line, type, strlen(type)));
        YES(line[strlen(type)] == '{' || line[strlen(type)] == ' ');
        strtod(strrchr(line, ' ') + 1, &end);
        EQ_INT(*end, '\0');
    }
    YES(n > 30);
    free(page);
    close_scene(&scene);
}

TEST(an_address_that_is_taken_or_none_is_refused)
{
    struct scene scene;
    struct error err = ERROR_INIT;
    char address[40];

    open_scene(&scene);
    snprintf(address, sizeof address, "127.0.0.1:%u", metrics_port(scene.metrics));
    YES(metrics_open(&scene.bench.host, address, &err) == NULL);
    YES(strstr(err.text, "--metrics: ") == err.text);
    YES(strstr(err.text, "in use") != NULL);
    YES(metrics_is_address("9464") && metrics_is_address("[::1]:0"));
    NO(metrics_is_address("") || metrics_is_address("99999") || metrics_is_address("host:1"));
    NO(metrics_is_address(
        "111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"));
    close_scene(&scene);
}
