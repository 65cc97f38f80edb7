/* fuzz_cloudwatch.c - requests to CloudWatch in their three forms, and the members read of them.
 *
 * The first byte says which: 'c' CBOR, 'j' JSON, anything else a form.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/cloudwatch/input.c"
#include "plugins/local-aws/cloudwatch/output.c"
#include "plugins/local-aws/cloudwatch/read.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The refusals of cloudwatch.c, without their words. */
static bool refuse(struct cw_call *call)
{
    call->err.status = 400;
    return false;
}
bool cw_missing(struct cw_call *call, const char *parameter)
{
    (void)parameter;
    return refuse(call);
}
bool cw_bad_token(struct cw_call *call)
{
    return refuse(call);
}
bool cw_trouble(struct cw_call *call)
{
    return refuse(call);
}
bool cw_invalid(struct cw_call *call, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(call->err.text, sizeof call->err.text, fmt, args);
    va_end(args);
    return refuse(call);
}

static void read_dimensions(struct cw_call *call, const json_t *object)
{
    struct kpw_buf text = KPW_BUF_INIT;

    if (cw_dimensions(call, object, "Dimensions", &text)) {
        cw_out_begin(call->out, CW_XML);
        cw_put_dimensions(call->out, text.ptr);
        cw_out_fini(call->out);
    } else if (!call->err.status) {
        abort();
    }
    kpw_buf_fini(&text);
}

static void read_members(struct cw_call *call)
{
    static const struct cw_text_rule rule = {"Namespace", "Namespace", 1, 255, true};
    const json_t *list;
    const char *text;
    int64_t n = 0, token[2] = {0};
    double real = 0;

    if (cw_text(call, call->in, &rule, &text) && (!*text || strlen(text) > 4 * 255))
        abort();
    (void)cw_time(call, cw_member(call->in, "Timestamp"), "Timestamp", &n);
    (void)cw_token_read(call, token, 2);
    if (!cw_list(call, call->in, "MetricData", 1000, &list))
        return;
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        (void)cw_real(call, cw_member(item, "Value"), "Value", &real);
        (void)cw_integer(call, cw_member(item, "StorageResolution"), "StorageResolution", &n);
        if (json_is_object(item))
            read_dimensions(call, item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* its end is watched */
    struct kpw_slice body = kpw_slice(text, size ? size - 1 : 0);
    struct cw_out out = {.form = CW_XML};
    struct cw_call call = {.out = &out};

    if (size)
        memcpy(text, data + 1, size - 1);
    call.is_query = !size || (data[0] != 'c' && data[0] != 'j');
    if (call.is_query)
        call.in = cw_read_form(body, kpw_slice(NULL, 0));
    else
        call.in = data[0] == 'c' ? cw_read_cbor(body) : cw_read_json(body);
    if (call.in)
        read_members(&call);
    json_decref(call.in);
    free(text);
    return 0;
}
