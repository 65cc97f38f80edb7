/* put.c - PutObject. */
#include <stdlib.h>

#include "plugins/local-aws/s3/receive.h"

void s3_add_checksum(struct s3_call *call, const struct s3_meta *meta)
{
    if (meta->algorithm == S3_SUM_NONE || meta->checksum[0] == '\0')
        return;
    s3_add_header(call, s3_sum_header(meta->algorithm), "%s", meta->checksum);
    s3_add_header(call, "x-amz-checksum-type", "%s",
                  meta->is_composite ? "COMPOSITE" : "FULL_OBJECT");
}

static void end(struct s3_call *call)
{
    s3_receive_fini(call->state);
    free(call->state);
    call->state = NULL;
}

static void receive(struct s3_call *call)
{
    s3_receive_run(call->state, s3_body(call));
}

/* Meanwhile the bucket may have gone, and another write may have come first. */
static void publish(struct s3_call *call)
{
    struct s3_receive *r = call->state;
    struct s3_key key = s3_key(call);
    struct s3_bucket bucket;

    if (call->status != 0)
        goto out;
    if (!s3_bucket_find(call->store, call->bucket, &bucket)) {
        s3_no_such_bucket(call);
        goto out;
    }
    if (!s3_may_write(call, "if-match", "if-none-match"))
        goto out;
    if (!s3_object_publish(call->store, &key, &r->temp, &r->meta)) {
        s3_trouble(call);
        goto out;
    }
    s3_ok(call, 200);
    s3_add_header(call, "etag", "\"%s\"", r->meta.etag);
    s3_add_encryption(call, &r->meta);
    s3_add_checksum(call, &r->meta);
out:
    end(call);
}

void s3_put_object(struct s3_call *call)
{
    struct s3_receive *r = calloc(1, sizeof(*r));
    json_t *headers;

    if (!r) {
        s3_trouble(call);
        return;
    }
    *r = (struct s3_receive){.call = call, .temp = {-1, ""}};
    call->state = r;
    headers = s3_stored_headers(call);
    /* What can be refused before the body is looked at spares the work. */
    if (!headers || !s3_may_write(call, "if-match", "if-none-match") ||
        !s3_receive_begin(r, call, S3_SUM_NONE)) {
        json_decref(headers);
        end(call);
        return;
    }
    r->meta.headers = headers; /* moved */
    r->meta.modified_ms = call->now_ms;
    s3_in_steps(call, s3_body(call).len, receive, publish);
}
