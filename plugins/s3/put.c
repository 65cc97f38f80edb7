/* put.c - see s3.h: objects become PUT requests.
 *
 * Batches are held until all of their objects have an outcome; in_flight
 * requests run at a time, in order of arrival. The checksum is a plain header of
 * the whole body, never an aws-chunked trailer: many stores cannot read those.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/s3/s3.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/uri.h"

static const char *const storage_classes[] = {"STANDARD",    "INTELLIGENT_TIERING", "STANDARD_IA",
                                              "ONEZONE_IA",  "GLACIER_IR",          "GLACIER",
                                              "DEEP_ARCHIVE"};

static void start_puts(struct s3 *s3);

/* ---- outcomes */

static void unlink_held(struct s3 *s3, struct held *held)
{
    struct held **at = &s3->first, *before = NULL;

    while (*at != held) {
        before = *at;
        at = &(*at)->later;
    }
    *at = held->later;
    if (s3->last == held)
        s3->last = before;
    if (s3->start == held)
        s3->start = held->later;
}

static void end_one(struct s3 *s3, struct held *held)
{
    kp_batch *b = held->b;

    if (--held->open)
        return;
    unlink_held(s3, held);
    free(held);
    kp->done(s3->node, b);
}

static bool is_one_of(const char *error, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(error, *list) == 0)
            return true;
    return false;
}

/* What passes by itself; some of it is answered with 403: a wrong clock, a token that ended. */
static bool is_passing(const kp_aws_response *response)
{
    static const char *const errors[] = {"RequestTimeout",
                                         "RequestExpired",
                                         "RequestTimeTooSkewed",
                                         "ExpiredToken",
                                         "OperationAborted",
                                         "SlowDown",
                                         "BadDigest",
                                         "IncompleteBody",
                                         "ThrottlingException",
                                         "Timeout",
                                         "NetworkError",
                                         "ConditionalRequestConflict",
                                         NULL};

    return is_one_of(response->error, errors);
}

/* Somebody has to change something: permissions, the bucket, credentials. */
static bool needs_a_person(const kp_aws_response *response)
{
    static const char *const errors[] = {
        "NoSuchBucket",      "AccessDenied",      "AllAccessDisabled", "InvalidAccessKeyId",
        "InvalidBucketName", "PermanentRedirect", "NoCredentials",     "SignatureDoesNotMatch",
        "AccountProblem",    "NotSignedUp",       "MethodNotAllowed",  NULL};

    return is_one_of(response->error, errors) || response->status == 401 || response->status == 403;
}

static bool may_pass(const kp_aws_response *response)
{
    return response->retryable || !response->status || response->status >= 500 ||
           is_passing(response);
}

static void on_answer(kp_node *node, void *arg, const kp_aws_response *response)
{
    struct put *put = arg;
    struct s3 *s3 = put->s3;
    struct held *held = put->held;
    uint32_t i = put->i;
    const kp_record *record = kp_at(held->b, i);

    put->held = NULL;
    put->call = NULL;
    put->next = s3->free;
    s3->free = put;
    if (!response->error) {
        kp->count(node, "object_bytes", record->data_len);
        kp->deliver(held->b, i, NULL);
    } else if (!is_passing(response) && needs_a_person(response)) {
        kp->retry(held->b, i, response->retry_after_ms, "%s: %s", response->error,
                  response->message);
        kp->fail(node,
                 "s3:PutObject on bucket '%s' was refused: %s: %s (status %d). Check that the "
                 "bucket exists and that these credentials may write arn:aws:s3:::%s/%.*s",
                 s3->config->bucket->name, response->error, response->message, response->status,
                 s3->config->bucket->name, (int)record->key_len, record->key);
    } else if (may_pass(response)) {
        kp->retry(held->b, i, response->retry_after_ms, "%s: %s", response->error,
                  response->message);
    } else {
        kp->reject(held->b, i, "%s: %s", response->error, response->message);
    }
    end_one(s3, held);
    start_puts(s3);
}

/* ---- requests */

static void make_checksum(const kp_record *record, char *out, size_t *ret_len)
{
    uint32_t crc = kpw_crc32(0, record->data, record->data_len);
    char bytes[4] = {(char)(crc >> 24), (char)(crc >> 16), (char)(crc >> 8), (char)crc};

    *ret_len = kpw_base64_encode(bytes, sizeof bytes, out);
}

static void send_put(struct s3 *s3, struct put *put)
{
    const kp_record *record = kp_at(put->held->b, put->i);
    const char *class = storage_classes[s3->config->storage_class];
    kp_http_header headers[3];
    kp_aws_request request = {
        .size = sizeof request,
        .service = "s3",
        .content_type = s3->config->content_type,
        .method = "PUT",
        .path = put->path,
        .headers = headers,
        .body = {record->data, record->data_len},
        .timeout_ms = s3->config->timeout_ms,
    };
    size_t len;

    make_checksum(record, put->checksum, &len);
    headers[request.n_headers++] =
        (kp_http_header){{"x-amz-checksum-crc32", 20}, {put->checksum, len}};
    if (record->encoding == KP_GZIP)
        headers[request.n_headers++] = (kp_http_header){{"content-encoding", 16}, {"gzip", 4}};
    if (s3->config->storage_class)
        headers[request.n_headers++] =
            (kp_http_header){{"x-amz-storage-class", 19}, {class, strlen(class)}};
    put->call = s3->aws->call(s3->node, &request, on_answer, put);
}

/* Path-style, so that every bucket name and every endpoint works. False: the key is too long. */
static bool make_path(struct s3 *s3, struct put *put)
{
    const kp_record *record = kp_at(put->held->b, put->i);
    const char *bucket = s3->config->bucket->name;
    size_t len;

    if (!record->key_len || record->key_len > KPO_KEY_MAX)
        return false;
    len = (size_t)snprintf(put->path, sizeof put->path, "/%.100s/", bucket);
    len += kpw_uri_encode(record->key, record->key_len, true, put->path + len);
    put->path[len] = '\0';
    return true;
}

static void start_put(struct s3 *s3, struct held *held, uint32_t i)
{
    struct put *put = s3->free;

    put->held = held;
    put->i = i;
    if (make_path(s3, put)) {
        s3->free = put->next;
        send_put(s3, put);
        return;
    }
    put->held = NULL;
    kp->reject(held->b, i, "KeyTooLongError: object keys have 1 to %d bytes", KPO_KEY_MAX);
    end_one(s3, held);
}

static void start_puts(struct s3 *s3)
{
    if (s3->starting)
        return;
    s3->starting = true;
    while (s3->free && s3->start) {
        struct held *held = s3->start;

        if (held->next == held->b->count)
            s3->start = held->later;
        else
            start_put(s3, held, held->next++);
    }
    s3->starting = false;
}

void put_add(struct s3 *s3, kp_batch *b)
{
    struct held *held = calloc(1, sizeof *held);

    if (!held) {
        for (uint32_t i = 0; i < b->count; i++)
            kp->retry(b, i, 0, "out of memory");
        kp->done(s3->node, b);
        return;
    }
    held->b = b;
    held->open = b->count;
    if (s3->last)
        s3->last->later = held;
    else
        s3->first = held;
    s3->last = held;
    if (!s3->start)
        s3->start = held;
    start_puts(s3);
}

/* ---- life */

bool put_open(struct s3 *s3)
{
    s3->n_puts = (uint32_t)s3->config->in_flight;
    s3->puts = calloc(s3->n_puts, sizeof *s3->puts);
    if (!s3->puts)
        return false;
    for (uint32_t i = 0; i < s3->n_puts; i++) {
        s3->puts[i].s3 = s3;
        s3->puts[i].next = s3->free;
        s3->free = &s3->puts[i];
    }
    return true;
}

void put_close(struct s3 *s3)
{
    for (uint32_t i = 0; s3->puts && i < s3->n_puts; i++)
        if (s3->puts[i].call)
            s3->aws->cancel(s3->puts[i].call);
    while (s3->first) {
        struct held *held = s3->first;

        s3->first = held->later;
        for (uint32_t i = 0; i < held->b->count; i++)
            if (kp_at(held->b, i)->outcome == KP_NONE)
                kp->retry(held->b, i, 0, "closed before the object was written");
        kp->done(s3->node, held->b);
        free(held);
    }
    free(s3->puts);
}
