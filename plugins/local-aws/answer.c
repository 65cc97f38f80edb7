/* answer.c - headers and bodies that all services answer with. */
#include <string.h>

#include "plugins/local-aws/local.h"
#include "sdk/wire/base64.h"
#include "sdk/wire/json.h"

kp_slice local_header(const kp_server_request *request, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < request->n_headers; i++) {
        const kp_http_header *h = &request->headers[i];

        if (h->name.len == len && !memcmp(h->name.ptr, name, len))
            return h->value;
    }
    return (kp_slice){NULL, 0};
}

void local_request_id(struct local *local, char out[KPW_UUID_SIZE])
{
    kpw_random_uuid(&local->random, out);
}

static kp_slice text_slice(const char *text)
{
    return (kp_slice){text, strlen(text)};
}

void local_answer(struct local *local, kp_exchange *x, const struct local_answer *answer)
{
    kp_http_header headers[LOCAL_HEADERS_MAX + 3];
    size_t n = 0;
    char id[KPW_UUID_SIZE], id2[100];
    uint64_t noise[9]; /* 72 bytes, as the service has them */

    if (!answer->request_id)
        local_request_id(local, id);
    for (size_t i = 0; i < 9; i++)
        noise[i] = kpw_random_next(&local->random);
    headers[n++] = (kp_http_header){text_slice("x-amzn-RequestId"),
                                    text_slice(answer->request_id ? answer->request_id : id)};
    headers[n++] = (kp_http_header){text_slice("x-amz-id-2"),
                                    {id2, kpw_base64_encode(noise, sizeof noise, id2)}};
    if (answer->content_type)
        headers[n++] =
            (kp_http_header){text_slice("Content-Type"), text_slice(answer->content_type)};
    for (size_t i = 0; i < answer->n_headers && i < LOCAL_HEADERS_MAX; i++)
        headers[n++] = answer->headers[i];
    local_respond(local, x, answer->status,
                  &(struct local_body){headers, n, answer->body, answer->keep});
}

void local_answer_json(struct local *local, kp_exchange *x, int status, const char *content_type,
                       kp_slice body)
{
    local_answer(
        local, x,
        &(struct local_answer){.status = status, .content_type = content_type, .body = body});
}

void local_error_json(struct local *local, kp_exchange *x, const struct local_error *error)
{
    static const char failed[] = "{\"__type\":\"InternalFailure\"}";
    struct kpw_buf body = KPW_BUF_INIT;
    kp_http_header header = {text_slice("x-amzn-ErrorType"), text_slice(error->type)};
    struct local_answer answer = {.status = error->status,
                                  .content_type = error->content_type,
                                  .headers = &header,
                                  .n_headers = 1};

    kpw_buf_appendf(&body, "{\"__type\":\"%s%s\"", error->prefix ? error->prefix : "", error->type);
    if (error->message)
        kpw_json_put_member_cstr(&body, error->member ? error->member : "message", error->message);
    kpw_buf_putc(&body, '}');
    answer.body = (kp_slice){body.ptr, body.len};
    if (body.failed) {
        answer.status = 500;
        answer.n_headers = 0;
        answer.body = text_slice(failed);
    }
    local_answer(local, x, &answer);
    kpw_buf_fini(&body);
}
