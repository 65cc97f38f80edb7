/* call.c - reading S3 requests and writing answers. */
#include "plugins/local-aws/s3/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"

void s3_call_init(struct s3_call *call, struct s3_store *store, const kp_server_request *request)
{
    memset(call, 0, sizeof(*call));
    call->store = store;
    call->request = request;
    call->region = "us-east-1";
    call->file = -1;
    call->is_head = request->method.len == 4 && memcmp(request->method.ptr, "HEAD", 4) == 0;
}

void s3_call_fini(struct s3_call *call)
{
    for (size_t i = 0; i < call->n_headers; i++)
        kpw_buf_fini(&call->header_texts[i]);
    kpw_buf_fini(&call->body);
    s3_post_free(call->post);
    json_decref(call->names);
    free(call->texts);
    if (call->file >= 0)
        close(call->file);
    call->file = -1;
}

/* ---- the request ---- */

struct kpw_slice s3_header(const struct s3_call *call, const char *name)
{
    for (size_t i = 0; i < call->request->n_headers; i++) {
        const kp_http_header *h = &call->request->headers[i];

        if (kpw_slice_is_nocase(kpw_slice(h->name.ptr, h->name.len), name))
            return kpw_slice(h->value.ptr, h->value.len);
    }
    return kpw_slice(NULL, 0);
}

const struct s3_parameter *s3_parameter(const struct s3_call *call, const char *name)
{
    for (size_t i = 0; i < call->n_parameters; i++)
        if (strcmp(call->parameters[i].name, name) == 0)
            return &call->parameters[i];
    return NULL;
}

struct kpw_slice s3_header_or_parameter(const struct s3_call *call, const char *name)
{
    struct kpw_slice value = s3_header(call, name);

    for (size_t i = 0; value.ptr == NULL && i < call->n_parameters; i++)
        if (strcasecmp(call->parameters[i].name, name) == 0)
            value = kpw_slice(call->parameters[i].value, call->parameters[i].len);
    return value;
}

struct s3_key s3_key(const struct s3_call *call)
{
    return (struct s3_key){call->bucket, call->key_bytes, call->key_len};
}

struct kpw_slice s3_body(const struct s3_call *call)
{
    return kpw_slice(call->request->body.ptr, call->request->body.len);
}

/* ---- the answer ---- */

void s3_add_header(struct s3_call *call, const char *name, const char *fmt, ...)
{
    struct kpw_buf *text;
    kp_http_header *header;
    va_list args;

    if (call->n_headers == S3_HEADERS_MAX)
        return;
    text = &call->header_texts[call->n_headers];
    header = &call->headers[call->n_headers];
    va_start(args, fmt);
    kpw_buf_vappendf(text, fmt, args);
    va_end(args);
    if (text->failed)
        return;
    header->name = (kp_slice){name, strlen(name)};
    header->value = (kp_slice){text->ptr ? text->ptr : "", text->len};
    call->n_headers++;
}

void s3_ok(struct s3_call *call, int status)
{
    call->status = status;
}

void s3_begin_xml(struct s3_call *call, const char *root)
{
    call->status = 200;
    s3_add_header(call, "content-type", "application/xml");
    kpw_xml_put_declaration(&call->body);
    kpw_xml_put_open(&call->body, root, S3_NAMESPACE);
}

static int status_of(const char *code)
{
    static const struct {
        const char *code;
        int status;
    } all[] = {
        {"AccessDenied", 403},
        {"BucketAlreadyExists", 409},
        {"BucketAlreadyOwnedByYou", 409},
        {"BucketNotEmpty", 409},
        {"ConditionalRequestConflict", 409},
        {"InvalidBucketState", 409},
        {"InvalidChunkSizeError", 403},
        {"InvalidAccessKeyId", 403},
        {"RequestTimeTooSkewed", 403},
        {"SignatureDoesNotMatch", 403},
        {"InternalError", 500},
        {"InvalidRange", 416},
        {"InvalidPartNumber", 416},
        {"MethodNotAllowed", 405},
        {"MissingContentLength", 411},
        {"NoSuchBucket", 404},
        {"NoSuchBucketPolicy", 404},
        {"NoSuchCORSConfiguration", 404},
        {"NoSuchConfiguration", 404},
        {"NoSuchKey", 404},
        {"NoSuchLifecycleConfiguration", 404},
        {"NoSuchPublicAccessBlockConfiguration", 404},
        {"NoSuchTagSet", 404},
        {"NoSuchUpload", 404},
        {"NoSuchVersion", 404},
        {"NoSuchWebsiteConfiguration", 404},
        {"NotImplemented", 501},
        {"ObjectLockConfigurationNotFoundError", 404},
        {"OwnershipControlsNotFoundError", 404},
        {"PreconditionFailed", 412},
        {"ReplicationConfigurationNotFoundError", 404},
        {"ServerSideEncryptionConfigurationNotFoundError", 404},
        {"SlowDown", 503},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].code, code) == 0)
            return all[i].status;
    return 400;
}

/* Whatever was in the answer is replaced. */
static void clear_answer(struct s3_call *call)
{
    for (size_t i = 0; i < call->n_headers; i++)
        kpw_buf_fini(&call->header_texts[i]);
    call->n_headers = 0;
    kpw_buf_fini(&call->body);
    if (call->file >= 0)
        close(call->file);
    call->file = -1;
}

void s3_refuse(struct s3_call *call, const char *code, const char *message, ...)
{
    const char *name, *value;
    va_list extras;

    clear_answer(call);
    call->status = status_of(code);
    s3_add_header(call, "content-type", "application/xml");
    kpw_xml_put_declaration(&call->body);
    kpw_xml_put_open(&call->body, "Error", NULL);
    kpw_xml_put_element_cstr(&call->body, "Code", code);
    kpw_xml_put_element_cstr(&call->body, "Message", message);
    va_start(extras, message);
    while ((name = va_arg(extras, const char *)) != NULL) {
        value = va_arg(extras, const char *);
        kpw_xml_put_element_cstr(&call->body, name, value);
    }
    va_end(extras);
    kpw_xml_put_element_cstr(&call->body, "RequestId", call->request_id);
    kpw_xml_put_element_cstr(&call->body, "HostId", call->id2);
    kpw_xml_put_close(&call->body, "Error");
    if (call->is_head)
        kpw_buf_fini(&call->body);
}

void s3_no_such_key(struct s3_call *call)
{
    s3_refuse(call, "NoSuchKey", "The specified key does not exist.", "Key", call->key_bytes, NULL);
}

void s3_no_such_bucket(struct s3_call *call)
{
    s3_refuse(call, "NoSuchBucket", "The specified bucket does not exist", "BucketName",
              call->bucket, NULL);
}

void s3_malformed_xml(struct s3_call *call)
{
    s3_refuse(call, "MalformedXML",
              "The XML you provided was not well-formed or did not validate against our published "
              "schema",
              NULL);
}

void s3_not_allowed(struct s3_call *call, const char *what)
{
    char method[24];

    snprintf(method, sizeof(method), "%.*s",
             (int)(call->request->method.len < 20 ? call->request->method.len : 20),
             call->request->method.ptr);
    s3_refuse(call, "MethodNotAllowed",
              "The specified method is not allowed against this resource.", "Method", method,
              "ResourceType", what, NULL);
}

void s3_not_implemented(struct s3_call *call, const char *header, const char *more)
{
    s3_refuse(call, "NotImplemented",
              "A header you provided implies functionality that is not implemented", "Header",
              header, more ? "additionalMessage" : NULL, more, NULL);
}

void s3_precondition_failed(struct s3_call *call, const char *condition)
{
    s3_refuse(call, "PreconditionFailed",
              "At least one of the pre-conditions you specified did not hold", "Condition",
              condition, NULL);
}

void s3_trouble(struct s3_call *call)
{
    s3_refuse(call, "InternalError", "We encountered an internal error. Please try again.", NULL);
}

/* ---- steps ---- */

enum { AT_ONCE = 256 * 1024 }; /* bytes; half a millisecond of digests */

void s3_in_steps(struct s3_call *call, uint64_t bytes, void (*work)(struct s3_call *),
                 void (*finish)(struct s3_call *))
{
    if (bytes <= AT_ONCE && !call->store->sync) {
        work(call);
        finish(call);
        return;
    }
    call->work = work;
    call->finish = finish;
}

void s3_iso_time(int64_t ms, char out[32])
{
    kpw_iso8601_format(ms, out);
}
