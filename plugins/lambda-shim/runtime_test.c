/* runtime_test.c - functions in child processes: the Runtime API with real children. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/harness/harness.h"
#include "tests/kptest.h"

#define PYTHON "/usr/bin/python3"

/* A folder with handler.py in it [owned by the test program]. */
static const char *folder_with(const char *code)
{
    const char *dir = kptest_dir();
    char path[300];
    FILE *file;

    snprintf(path, sizeof path, "%s/handler.py", dir);
    file = fopen(path, "we");
    REQUIRE(file != NULL);
    fputs(code, file);
    fclose(file);
    return dir;
}

static struct harness *open_python(const char *code, const char *more)
{
    char options[1600], bootstrap[400];

    REQUIRE(realpath(kptest_path("pipelines/handlers/bootstrap.py"), bootstrap) != NULL);
    snprintf(options, sizeof options,
             "{ command = { '" PYTHON "', '%s', 'handler.run' }, directory = '%s', %s }", bootstrap,
             folder_with(code), more);
    return harness_new("lambda-shim", KP_SINK, options);
}

struct waiting {
    struct harness *h;
    size_t count;
    const char *text;
};

static bool all_ended(void *arg)
{
    struct waiting *w = arg;

    return harness_count(w->h, KP_DELIVERED) + harness_count(w->h, KP_REJECTED) >= w->count;
}

static bool is_logged(void *arg)
{
    struct waiting *w = arg;

    return strstr(harness_log(w->h), w->text) != NULL;
}

static void wait_ended(struct harness *h, size_t count)
{
    struct waiting w = {h, count, NULL};

    harness_wait(h, all_ended, &w);
}

static void wait_log(struct harness *h, const char *text)
{
    struct waiting w = {h, 0, text};

    harness_wait(h, is_logged, &w);
}

static void feed(struct harness *h, const char *data)
{
    harness_feed(h, "shardId-000000000000", (const char *const[]){data, NULL});
}

static bool have_python(void)
{
    return access(PYTHON, X_OK) == 0;
}

TEST(a_child_answers_events)
{
    struct harness *h;

    if (!have_python())
        return;
    h = open_python(
        "def run(event, context):\n"
        "    return {'n': event['n'] * 2, 'fn': context.function_name,\n"
        "            'left': isinstance(context.get_remaining_time_in_millis(), int)}\n",
        "event = 'raw', retries = 0, function_name = 'double'");
    for (int i = 0; i < 20; i++) {
        char data[30];

        snprintf(data, sizeof data, "{\"n\":%d}", i);
        feed(h, data);
    }
    wait_ended(h, 20);
    EQ_INT(harness_count(h, KP_DELIVERED), 20);
    EQ_STR(harness_receipt(h, 7)->body.ptr, "{\"n\": 14, \"fn\": \"double\", \"left\": true}");
    harness_free(h);
}

TEST(what_a_child_prints_is_logged)
{
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("import sys\n"
                    "def run(event, context):\n"
                    "    print('hello \"you\"')\n"
                    "    print('oops', file=sys.stderr)\n",
                    "event = 'raw', retries = 0");
    feed(h, "{}");
    wait_ended(h, 1);
    wait_log(h, "text=\"hello \\\"you\\\"\"");
    wait_log(h, "text=\"oops\"");
    harness_free(h);
}

TEST(an_exception_is_the_functions_error)
{
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("def run(event, context):\n    raise ValueError('no such order')\n",
                    "event = 'raw', retries = 0");
    feed(h, "{}");
    wait_ended(h, 1);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_failure(h, 0)->detail.ptr,
               "{\"errorMessage\": \"no such order\", \"errorType\": \"ValueError\"") != NULL);
    harness_free(h);
}

TEST(the_calls_of_a_bisected_batch_are_these)
{
    static const char *const calls[] = {"call=12345678", "call=1234", "call=5678", "call=56",
                                        "call=5",        "call=6",    "call=78"};
    const char *at;
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("import base64\n"
                    "def run(event, context):\n"
                    "    data = [base64.b64decode(r['kinesis']['data']).decode()"
                    " for r in event['Records']]\n"
                    "    print('call=' + ''.join(data), flush=True)\n"
                    "    if '6' in data:\n"
                    "        raise RuntimeError('six')\n",
                    "bisect_on_error = true, retries = 0");
    harness_feed(h, "a", (const char *const[]){"1", "2", "3", "4", "5", "6", "7", "8", NULL});
    wait_ended(h, 8);
    EQ_INT(harness_count(h, KP_DELIVERED), 7);
    EQ_INT(harness_outcome(h, 5), KP_REJECTED);
    wait_log(h, "call=78");
    at = harness_log(h);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        at = strstr(at, calls[i]);
        REQUIRE(at != NULL);
        at += strlen(calls[i]);
        EQ_INT(*at, '"');
    }
    YES(strstr(at, "call=") == NULL);
    harness_free(h);
}

TEST(a_child_that_ends_is_started_again)
{
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("import os, signal\n"
                    "def run(event, context):\n"
                    "    if event['n'] == 1:\n        os._exit(3)\n"
                    "    if event['n'] == 2:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
                    "    if event['n'] == 3:\n        os._exit(0)\n"
                    "    return os.getpid()\n",
                    "event = 'raw', retries = 0");
    for (int i = 1; i <= 4; i++) {
        char data[30];

        snprintf(data, sizeof data, "{\"n\":%d}", i);
        feed(h, data);
        if (i < 4)
            wait_ended(h, (size_t)i);
        harness_advance(h, 2000); /* the pause before the next start */
    }
    wait_ended(h, 4);
    EQ_INT(harness_count(h, KP_REJECTED), 3);
    YES(strstr(harness_failure(h, 0)->detail.ptr, "Runtime exited with error: exit status 3") !=
        NULL);
    YES(strstr(harness_failure(h, 0)->detail.ptr, "\"errorType\":\"Runtime.ExitError\"") != NULL);
    YES(strstr(harness_failure(h, 1)->detail.ptr, "Runtime exited with error: signal: killed") !=
        NULL);
    YES(strstr(harness_failure(h, 2)->detail.ptr, "Runtime exited without providing a reason") !=
        NULL);
    EQ_INT(harness_outcome(h, 3), KP_DELIVERED);
    harness_free(h);
}

TEST(a_child_that_takes_too_long_is_killed)
{
    struct harness *h;
    pid_t pid;

    if (!have_python())
        return;
    h = open_python("import os, time\n"
                    "def run(event, context):\n"
                    "    print('pid=%d.' % os.getpid(), flush=True)\n"
                    "    if event['n'] == 1:\n        time.sleep(3600)\n",
                    "event = 'raw', retries = 0, timeout = '2s'");
    feed(h, "{\"n\":1}");
    wait_log(h, "text=\"pid=");
    pid = atoi(strstr(harness_log(h), "text=\"pid=") + 10);
    YES(pid > 0);
    EQ_INT(kill(pid, 0), 0);
    harness_advance(h, 1999);
    EQ_INT(harness_outcome(h, 0), KP_NONE);
    harness_advance(h, 1);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_failure(h, 0)->detail.ptr, "Task timed out after 2.00 seconds") != NULL);
    YES(strstr(harness_failure(h, 0)->detail.ptr, "\"errorType\":\"Sandbox.Timedout\"") != NULL);
    EQ_INT(kill(pid, 0), -1); /* killed and waited for */
    harness_advance(h, 2000);
    feed(h, "{\"n\":2}");
    wait_ended(h, 2);
    EQ_INT(harness_outcome(h, 1), KP_DELIVERED);
    harness_free(h);
}

TEST(a_broken_module_is_an_init_error)
{
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("import no_such_module_at_all\n", "event = 'raw', retries = 0");
    feed(h, "{}");
    wait_ended(h, 1);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_failure(h, 0)->detail.ptr, "Runtime.ImportModuleError") != NULL);
    harness_free(h);
}

TEST(a_partial_answer_of_a_child_is_read)
{
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("def run(event, context):\n"
                    "    r = event['Records']\n"
                    "    return {'batchItemFailures':"
                    " [{'itemIdentifier': r[-1]['kinesis']['sequenceNumber']}]}\n",
                    "report_batch_item_failures = true, retries = 0");
    harness_feed(h, "a", (const char *const[]){"1", "2", "3", NULL});
    wait_ended(h, 3);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    EQ_INT(harness_outcome(h, 2), KP_REJECTED);
    harness_free(h);
}

TEST(several_children_work_side_by_side)
{
    /* Each waits until both have begun: with one child alone this would not end. */
    struct harness *h;

    if (!have_python())
        return;
    h = open_python("import os, time\n"
                    "def run(event, context):\n"
                    "    open('begun-%d' % event['n'], 'w').close()\n"
                    "    while not os.path.exists('begun-%d' % (3 - event['n'])):\n"
                    "        time.sleep(0.01)\n",
                    "event = 'raw', retries = 0, concurrency = 2");
    harness_feed(h, "a", (const char *const[]){"{\"n\":1}", "{\"n\":2}", NULL});
    wait_ended(h, 2);
    EQ_INT(harness_count(h, KP_DELIVERED), 2);
    harness_free(h);
}

TEST(the_environment_holds_no_credentials)
{
    struct harness *h;

    if (!have_python())
        return;
    setenv("AWS_SECRET_ACCESS_KEY", "do-not-pass-me-on", 1);
    h = open_python("import os\n"
                    "def run(event, context):\n    return dict(os.environ)\n",
                    "event = 'raw', retries = 0, function_name = 'f', env = { COLOUR = 'blue' }");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    feed(h, "{}");
    wait_ended(h, 1);
    REQUIRE(harness_receipt(h, 0) != NULL);
    YES(strstr(harness_receipt(h, 0)->body.ptr, "do-not-pass-me-on") == NULL);
    YES(strstr(harness_receipt(h, 0)->body.ptr, "\"COLOUR\": \"blue\"") != NULL);
    YES(strstr(harness_receipt(h, 0)->body.ptr, "\"AWS_LAMBDA_FUNCTION_NAME\": \"f\"") != NULL);
    YES(strstr(harness_receipt(h, 0)->body.ptr, "\"AWS_REGION\": \"us-east-1\"") != NULL);
    harness_free(h);
}

TEST(a_program_that_does_not_exist_is_told_at_once)
{
    const char *error =
        harness_config_error("lambda-shim", KP_SINK, "{ command = { '/no/such/program' } }");

    REQUIRE(error != NULL);
    YES(strstr(error, "cannot run '/no/such/program': No such file") != NULL);
}

/* ---- the API itself, asked by the test in place of the child */

static int api(struct harness *h, const char *method, const char *path, const char *body)
{
    const char *answer;

    return harness_request(h, method, path, NULL, body ? body : "", body ? strlen(body) : 0,
                           &answer);
}

TEST(the_api_keeps_its_states_apart)
{
    struct harness *h = harness_new(
        "lambda-shim", KP_SINK, "{ command = { 'sleep', '1000' }, event = 'raw', retries = 0 }");
    const char *body, *id;
    char path[200];

    EQ_INT(api(h, "GET", "/ping", NULL), 200);
    EQ_INT(api(h, "GET", "/2018-06-01/nothing", NULL), 404);
    EQ_INT(api(h, "POST", "/2018-06-01/runtime/invocation/x/response", "{}"), 403);
    EQ_INT(api(h, "GET", "/2018-06-01/runtime/restore/next", NULL), 403);
    feed(h, "{\"n\":1}");
    EQ_INT(harness_get(h, "GET", "/2018-06-01/runtime/invocation/next", NULL, &body), 200);
    EQ_STR(body, "{\"n\":1}");
    id = harness_response_header(h, "lambda-runtime-aws-request-id");
    REQUIRE(id && strlen(id) == 36);
    snprintf(path, sizeof path, "/2018-06-01/runtime/invocation/%s/response", id);
    YES(harness_response_header(h, "lambda-runtime-deadline-ms") != NULL);
    YES(strstr(harness_response_header(h, "lambda-runtime-invoked-function-arn"),
               "arn:aws:lambda:us-east-1:000000000000:function:") != NULL);
    EQ_INT(api(h, "POST", "/2018-06-01/runtime/invocation/other/response", "{}"), 400);
    EQ_INT(api(h, "POST", "/2018-06-01/runtime/init/error", "{}"), 403);
    EQ_INT(api(h, "GET", "/2018-06-01/runtime/invocation/next", NULL), 403);
    EQ_INT(api(h, "POST", path, "{\"done\":true}"), 202);
    REQUIRE(harness_outcome(h, 0) == KP_DELIVERED);
    EQ_STR(harness_receipt(h, 0)->body.ptr, "{\"done\":true}");
    EQ_INT(api(h, "POST", path, "{}"), 403); /* answered before */
    harness_free(h);
}

TEST(a_child_that_answers_and_never_asks_again_is_replaced)
{
    struct harness *h = harness_new("lambda-shim", KP_SINK,
                                    "{ command = { 'sleep', '1000' }, event = 'raw', retries = 0,"
                                    " timeout = '2s' }");
    const char *body;
    char path[200];

    feed(h, "{\"n\":1}");
    EQ_INT(harness_get(h, "GET", "/2018-06-01/runtime/invocation/next", NULL, &body), 200);
    snprintf(path, sizeof path, "/2018-06-01/runtime/invocation/%s/response",
             harness_response_header(h, "lambda-runtime-aws-request-id"));
    EQ_INT(api(h, "POST", path, "{}"), 202);
    feed(h, "{\"n\":2}");
    harness_advance(h, 2000);
    EQ_INT(harness_outcome(h, 1), KP_NONE); /* no failed call: it was never given away */
    harness_advance(h, 100);
    EQ_INT(harness_get(h, "GET", "/2018-06-01/runtime/invocation/next", NULL, &body), 200);
    EQ_STR(body, "{\"n\":2}");
    harness_free(h);
}

TEST(an_answer_that_is_too_large_is_an_error)
{
    struct harness *h = harness_new(
        "lambda-shim", KP_SINK, "{ command = { 'sleep', '1000' }, event = 'raw', retries = 0 }");
    size_t len = 6291557;
    char *big = malloc(len), path[200];
    const char *body;

    memset(big, '1', len);
    feed(h, "{}");
    EQ_INT(harness_get(h, "GET", "/2018-06-01/runtime/invocation/next", NULL, &body), 200);
    snprintf(path, sizeof path, "/2018-06-01/runtime/invocation/%s/response",
             harness_response_header(h, "lambda-runtime-aws-request-id"));
    EQ_INT(harness_request(h, "POST", path, NULL, big, len, &body), 413);
    EQ_INT(harness_outcome(h, 0), KP_REJECTED);
    YES(strstr(harness_failure(h, 0)->detail.ptr, "Function.ResponseSizeTooLarge") != NULL);
    free(big);
    harness_free(h);
}
