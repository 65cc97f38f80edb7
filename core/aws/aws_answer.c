/* aws_answer.c - see aws_answer.h. */
#include "core/aws/aws_answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "sdk/wire/cbor.h"
#include "sdk/wire/json.h"
#include "sdk/wire/xml.h"

#define MAX_MESSAGE     2000
#define MAX_RETRY_AFTER INT64_C(3600000)
#define LONGER_THAN     "the answer's body is longer than" /* how http_client says it */

static bool is_one_of(const char *code, const char *const *list)
{
    while (*list && strcmp(*list, code) != 0)
        list++;
    return *list;
}

static enum aws_fault fault_of(const char *code, int status)
{
    static const char *const throttles[] = {"Throttling",
                                            "ThrottlingException",
                                            "ThrottledException",
                                            "RequestThrottledException",
                                            "RequestThrottled",
                                            "TooManyRequestsException",
                                            "ProvisionedThroughputExceededException",
                                            "TransactionInProgressException",
                                            "RequestLimitExceeded",
                                            "BandwidthLimitExceeded",
                                            "LimitExceededException",
                                            "SlowDown",
                                            "PriorRequestNotComplete",
                                            "EC2ThrottledException",
                                            NULL};
    static const char *const transients[] = {"RequestTimeout",        "RequestTimeoutException",
                                             "IDPCommunicationError", "InternalFailure",
                                             "InternalServerError",   "InternalError",
                                             "ServiceUnavailable",    NULL};

    if (status == 429 || is_one_of(code, throttles))
        return AWS_FAULT_THROTTLE;
    if (status == 500 || status == 502 || status == 503 || status == 504 ||
        is_one_of(code, transients))
        return AWS_FAULT_TRANSIENT;
    return AWS_FAULT_NONE;
}

static void classify(struct aws_answer *answer, int status)
{
    static const char *const expired[] = {"ExpiredToken", "ExpiredTokenException", NULL};
    static const char *const skewed[] = {"RequestTimeTooSkewed",
                                         "RequestExpired",
                                         "RequestInTheFuture",
                                         "InvalidSignatureException",
                                         "SignatureDoesNotMatch",
                                         "AuthFailure",
                                         NULL};

    answer->fault = fault_of(answer->code, status);
    answer->is_expired = is_one_of(answer->code, expired);
    answer->is_skewed = is_one_of(answer->code, skewed);
}

/* ---- codes */

/* "com.amazonaws.kinesis#ResourceNotFoundException", "Name:http://..." and plain names. */
static void set_code(struct aws_answer *answer, struct kpw_slice raw)
{
    const char *hash = raw.len ? memrchr(raw.ptr, '#', raw.len) : NULL;
    const char *end;
    size_t n = 0;

    if (hash)
        raw = kpw_slice(hash + 1, (size_t)(raw.ptr + raw.len - hash - 1));
    end = raw.len ? memchr(raw.ptr, ':', raw.len) : NULL;
    if (end)
        raw.len = (size_t)(end - raw.ptr);
    raw = kpw_slice_trim(raw);
    for (; n < raw.len && n + 1 < sizeof answer->code; n++)
        answer->code[n] = raw.ptr[n] > ' ' && raw.ptr[n] < 0x7f ? raw.ptr[n] : '_';
    answer->code[n] = '\0';
}

static void set_code_of_status(struct aws_answer *answer, int status)
{
    static const struct {
        int status;
        const char *code;
    } names[] = {
        {301, "PermanentRedirect"},
        {307, "TemporaryRedirect"},
        {400, "BadRequest"},
        {403, "AccessDenied"},
        {404, "NotFound"},
        {408, "RequestTimeout"},
        {409, "Conflict"},
        {412, "PreconditionFailed"},
        {413, "EntityTooLarge"},
        {429, "TooManyRequests"},
        {500, "InternalServerError"},
        {502, "BadGateway"},
        {503, "ServiceUnavailable"},
        {504, "GatewayTimeout"},
    };

    snprintf(answer->code, sizeof answer->code, "Http%d", status);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].status == status)
            snprintf(answer->code, sizeof answer->code, "%s", names[i].code);
}

static void read_json(struct aws_answer *answer, struct kpw_slice body)
{
    struct kpw_slice text;

    if (!answer->code[0] && (kpw_json_find(body, "__type", &text) == KPW_JSON_STRING ||
                             kpw_json_find(body, "code", &text) == KPW_JSON_STRING))
        set_code(answer, text);
    if (kpw_json_find(body, "message", &text) == KPW_JSON_STRING ||
        kpw_json_find(body, "Message", &text) == KPW_JSON_STRING)
        kpw_json_unescape(text, &answer->message);
}

/* The JSON protocols in CBOR: the same two members in a map. */
static void read_cbor(struct aws_answer *answer, struct kpw_slice body)
{
    struct kpw_cbor r;

    kpw_cbor_init(&r, body.ptr, body.len);
    if (kpw_cbor_next(&r) != KPW_CBOR_MAP)
        return;
    while (kpw_cbor_next(&r) == KPW_CBOR_TEXT) {
        bool is_code = kpw_slice_is(r.value, "__type") && !answer->code[0];
        bool is_text = kpw_slice_is_nocase(r.value, "message");

        if (kpw_cbor_next(&r) == KPW_CBOR_TEXT && !r.is_chunked && is_code)
            set_code(answer, r.value);
        else if (r.type == KPW_CBOR_TEXT && !r.is_chunked && is_text)
            kpw_buf_put_slice(&answer->message, r.value);
        else if (!kpw_cbor_skip(&r))
            return;
    }
}

/* S3 has Error at the root, the query protocols ErrorResponse around it. */
static void read_xml(struct aws_answer *answer, struct kpw_slice body)
{
    static const char *const roots[] = {"Error", "ErrorResponse/Error", "Response/Errors/Error"};
    char path[64];

    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        struct kpw_buf code = KPW_BUF_INIT;
        bool found;

        snprintf(path, sizeof path, "%s/Code", roots[i]);
        found = kpw_xml_find(body, path, &code);
        if (found && !answer->code[0])
            set_code(answer, kpw_buf_slice(&code));
        kpw_buf_fini(&code);
        if (!found)
            continue;
        snprintf(path, sizeof path, "%s/Message", roots[i]);
        if (!kpw_xml_find(body, path, &answer->message))
            kpw_buf_clear(&answer->message);
        return;
    }
}

static int64_t number_of(kp_slice text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || n > MAX_RETRY_AFTER)
            return 0;
        n = n * 10 + (text.ptr[i] - '0');
    }
    return n;
}

static int64_t retry_after_ms(const kp_http_response *response)
{
    int64_t ms = number_of(kp_http_header_get(response, "x-amz-retry-after"));

    if (!ms)
        ms = 1000 * number_of(kp_http_header_get(response, "retry-after"));
    return ms < MAX_RETRY_AFTER ? ms : MAX_RETRY_AFTER;
}

static struct kpw_slice skip_blanks(kp_slice body)
{
    while (body.len && (*body.ptr == ' ' || *body.ptr == '\n' || *body.ptr == '\r'))
        body.ptr++, body.len--;
    return kpw_slice(body.ptr, body.len);
}

static void read_error(struct aws_answer *answer, const kp_http_response *response)
{
    kp_slice query_error = kp_http_header_get(response, "x-amzn-query-error");
    kp_slice type = kp_http_header_get(response, "x-amzn-errortype");
    struct kpw_slice body = skip_blanks(response->body);
    const char *semicolon = query_error.len ? memchr(query_error.ptr, ';', query_error.len) : NULL;

    answer->is_error = true;
    if (query_error.len)
        set_code(answer,
                 kpw_slice(query_error.ptr,
                           semicolon ? (size_t)(semicolon - query_error.ptr) : query_error.len));
    else if (type.len)
        set_code(answer, kpw_slice(type.ptr, type.len));
    if (body.len && *body.ptr == '{')
        read_json(answer, body);
    else if (body.len && *body.ptr == '<')
        read_xml(answer, body);
    else if (body.len && (uint8_t)*body.ptr >> 5 == KPW_CBOR_MAJOR_MAP)
        read_cbor(answer, body);
    if (!answer->code[0])
        set_code_of_status(answer, response->status);
    if (answer->message.len > MAX_MESSAGE)
        answer->message.len = MAX_MESSAGE;
    answer->retry_after_ms = retry_after_ms(response);
    classify(answer, response->status);
}

/* ---- answers */

static void begin(struct aws_answer *answer)
{
    struct kpw_buf message = answer->message;

    if (message.failed)
        kpw_buf_fini(&message);
    kpw_buf_clear(&message);
    *answer = (struct aws_answer){.message = message};
}

void aws_answer_set(struct aws_answer *answer, const char *code, const char *message)
{
    begin(answer);
    answer->is_error = true;
    snprintf(answer->code, sizeof answer->code, "%s", code);
    kpw_buf_puts(&answer->message, message);
}

void aws_answer_read(struct aws_answer *answer, const kp_http_response *response, bool may_hide)
{
    struct kpw_slice body;

    if (!response->status) {
        const char *error = response->error ? response->error : "no answer";
        bool is_long = !strncmp(error, LONGER_THAN, sizeof LONGER_THAN - 1);

        aws_answer_set(answer,
                       is_long               ? "BodyTooLarge"
                       : response->timed_out ? "Timeout"
                                             : "NetworkError",
                       error);
        answer->fault = is_long               ? AWS_FAULT_NONE
                        : response->timed_out ? AWS_FAULT_TIMEOUT
                                              : AWS_FAULT_TRANSIENT;
        return;
    }
    begin(answer);
    if (response->status < 200 || response->status > 299) {
        read_error(answer, response);
        return;
    }
    /* CompleteMultipartUpload and CopyObject answer 200 before they know how it ends. */
    body = skip_blanks(response->body);
    if (!may_hide || !body.len || *body.ptr != '<')
        return;
    read_xml(answer, body);
    answer->is_error = answer->code[0] != '\0';
    if (answer->is_error) /* S3 asks to send the same again */
        answer->fault = fault_of(answer->code, 0);
}

void aws_answer_fini(struct aws_answer *answer)
{
    kpw_buf_fini(&answer->message);
}
