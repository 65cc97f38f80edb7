/* consumer.c - the registered consumer that subscriptions of enhanced fan-out are made for.
 *
 * As KCL does it: the stream's ARN from DescribeStreamSummary, then DescribeStreamConsumer, then
 * RegisterStreamConsumer if there is none of that name, and waiting until it is ACTIVE. It is never
 * taken away again: the next run, and other processes of the application, use it too.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/kinesis/source.h"
#include "sdk/wire/json.h"

#define ACTIVE_MS     500 /* between looks at a consumer that is being made */
#define RETRY_BASE_MS 500
#define RETRY_MAX_MS  10000
#define TRIES_MAX     10 /* as KCL */
#define NAME_MAX_LEN  128
#define NAME_LETTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

static void look(struct source *source);

static bool is_arn(const char *text)
{
    return strncmp(text, "arn:", 4) == 0;
}

bool consumer_is_valid(const char *text)
{
    const char *name = is_arn(text) ? strstr(text, "/consumer/") : text;

    if (name && is_arn(text))
        return strstr(text, ":kinesis:") && strstr(text, ":stream/") && name[strlen("/consumer/")];
    return name && strlen(name) <= NAME_MAX_LEN && name[strspn(name, NAME_LETTERS)] == 0;
}

static const char *consumer_name(const struct source *source)
{
    const char *name = source->config->consumer;

    return name && *name ? name : source->info->application;
}

bool consumer_is_given(const struct source *source)
{
    return is_arn(consumer_name(source));
}

static void later(struct source *source, int64_t after_ms)
{
    source->timers->start(source->consumer_timer, after_ms, 0);
}

static void rang(kp_node *node, void *arg)
{
    (void)node;
    look(arg);
}

/* The string at `path` of an answer, copied; NULL: there is none. */
static char *text_of(const kp_aws_response *response, const char *path)
{
    struct kpw_slice value;
    char *text;

    if (kpw_json_find(kpw_slice(response->body.ptr, response->body.len), path, &value) !=
        KPW_JSON_STRING)
        return NULL;
    text = malloc(value.len + 1);
    if (text)
        text[kpw_json_unescape_to(value, text)] = 0;
    return text;
}

static void is_active(struct source *source, char *arn)
{
    free(source->consumer_arn);
    source->consumer_arn = arn;
    source->consumer_tries = 0;
    kp->log(source->node, KP_LOG_INFO, "consumer.active", "consumer=%s", arn);
    for (struct shard *shard = source->shards; shard; shard = shard->next)
        shard_go(shard);
}

void consumer_give_up(struct source *source, const char *action, const kp_aws_response *response)
{
    if (source->config->mode == MODE_FANOUT) {
        if (consumer_is_given(source) && calls_judge(response) == CALLS_MISSING)
            (void)kp->fail(source->node, "consumer %s does not exist (kinesis:%s: %s)",
                           consumer_name(source), action,
                           response->message ? response->message : response->error);
        else
            (void)calls_fail(source->node, action, source->config->stream, response);
        source->has_failed = true;
        return;
    }
    if (!source->is_pushed)
        return;
    kp->log(source->node, KP_LOG_WARN, "fanout.left", "stream=%s action=%s error=%s message=%s",
            source->config->stream->name, action, response->error,
            response->message ? response->message : "");
    source->is_pushed = false;
    for (struct shard *shard = source->shards; shard; shard = shard->next) {
        if (shard->state == SHARD_CLOSED || shard->at_end)
            continue;
        fanout_leave(shard);
        shard_go(shard);
    }
}

static void failed(struct source *source, const char *action, const kp_aws_response *response)
{
    enum calls_error error = calls_judge(response);
    bool waits = error == CALLS_MISSING && source->config->wait && !source->stream_arn;

    if (!waits && (error != CALLS_AGAIN || ++source->consumer_tries > TRIES_MAX)) {
        consumer_give_up(source, action, response);
        return;
    }
    later(source,
          calls_backoff_ms(&source->random, source->consumer_tries, RETRY_BASE_MS, RETRY_MAX_MS));
}

static void send(struct source *source, const char *target, kp_aws_fn fn)
{
    kp_aws_request request = {
        .size = sizeof(request),
        .service = "kinesis",
        .target = target,
        .body = {source->consumer_body.ptr, source->consumer_body.len},
        .attempts = 1,
    };

    source->consumer_call = source->aws->call(source->node, &request, fn, source);
}

static void write_consumer(struct source *source)
{
    struct kpw_buf *t = &source->consumer_body;

    kpw_buf_clear(t);
    kpw_buf_puts(t, "{\"StreamARN\":");
    kpw_json_put_string(t, source->stream_arn, strlen(source->stream_arn));
    kpw_buf_puts(t, ",\"ConsumerName\":");
    kpw_json_put_string(t, consumer_name(source), strlen(consumer_name(source)));
    kpw_buf_puts(t, "}");
}

static void registered(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct source *source = arg;

    (void)node;
    source->consumer_call = NULL;
    if (response->error && strcmp(response->error, "ResourceInUseException") != 0)
        failed(source, "RegisterStreamConsumer", response);
    else /* by us, or by another worker meanwhile */
        later(source, 0);
}

static void described(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct source *source = arg;
    char *status, *arn;

    (void)node;
    source->consumer_call = NULL;
    if (response->error && calls_judge(response) == CALLS_MISSING) {
        write_consumer(source);
        send(source, "Kinesis_20131202.RegisterStreamConsumer", registered);
        return;
    }
    if (response->error) {
        failed(source, "DescribeStreamConsumer", response);
        return;
    }
    status = text_of(response, "$.ConsumerDescription.ConsumerStatus");
    arn = text_of(response, "$.ConsumerDescription.ConsumerARN");
    if (status && arn && strcmp(status, "ACTIVE") == 0) {
        is_active(source, arn); /* moved */
        arn = NULL;
    } else {
        later(source, ACTIVE_MS);
    }
    free(status);
    free(arn);
}

static void summed_up(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct source *source = arg;

    (void)node;
    source->consumer_call = NULL;
    if (response->error) {
        failed(source, "DescribeStreamSummary", response);
        return;
    }
    source->stream_arn = text_of(response, "$.StreamDescriptionSummary.StreamARN");
    if (source->stream_arn)
        look(source);
    else
        later(source, RETRY_BASE_MS);
}

/* The next step to a consumer that is ACTIVE. */
static void look(struct source *source)
{
    struct kpw_buf *t = &source->consumer_body;

    if (source->stopped || source->consumer_call || !source->is_pushed)
        return;
    if (source->stream_arn) {
        write_consumer(source);
        send(source, "Kinesis_20131202.DescribeStreamConsumer", described);
        return;
    }
    kpw_buf_clear(t);
    kpw_buf_appendf(t, "{\"StreamName\":\"%s\"}", source->config->stream->name);
    send(source, "Kinesis_20131202.DescribeStreamSummary", summed_up);
}

void consumer_begin(struct source *source)
{
    if (!source->consumer_timer)
        source->consumer_timer = source->timers->create(source->node, rang, source);
    if (!source->consumer_timer) {
        (void)kp->fail(source->node, "out of memory");
        return;
    }
    if (source->consumer_arn && consumer_is_given(source))
        return; /* it is as the file says */
    free(source->consumer_arn);
    source->consumer_arn = NULL;
    if (consumer_is_given(source)) {
        char *arn = strdup(consumer_name(source));

        if (arn)
            is_active(source, arn);
        return;
    }
    look(source);
}

void consumer_fini(struct source *source)
{
    if (source->consumer_call)
        source->aws->cancel(source->consumer_call);
    source->consumer_call = NULL;
    if (source->consumer_timer)
        source->timers->destroy(source->consumer_timer);
    source->consumer_timer = NULL;
    free(source->consumer_arn);
    free(source->stream_arn);
    source->consumer_arn = source->stream_arn = NULL;
    kpw_buf_fini(&source->consumer_body);
}
