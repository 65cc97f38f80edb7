/* sts.c - Security Token Service: who am I, and temporary credentials.
 *
 * Roles need not exist: any well-formed ARN of one may be assumed. A web identity token is read and
 * its expiry kept; its signature is not proven, for there is no provider to ask for keys.
 */
#include "plugins/local-aws/sts/sts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/wire/base64.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/time.h"
#include "sdk/wire/uri.h"
#include "sdk/wire/xml.h"

#define XMLNS "https://sts.amazonaws.com/doc/2011-06-15/"

enum { HOUR_S = 3600, ROLE_MAX_S = 12 * HOUR_S, TOKEN_S = 12 * HOUR_S, TOKEN_MAX_S = 36 * HOUR_S };

/* One request under way. */
struct call {
    struct local *local;
    const kp_server_request *request; /* [borrowed] */
    const char *operation;            /* [borrowed] */
    struct sts_request input;
    struct kpw_buf body; /* of the answer, inside its Result element [owned] */
    int status;          /* 0: not decided yet */
};

/* ---- answers */

static void refuse(struct call *call, int status, const char *code, const char *message)
{
    call->status = status;
    kpw_buf_clear(&call->body);
    kpw_buf_puts(&call->body, "<Error><Type>Sender</Type>");
    kpw_xml_put_element_cstr(&call->body, "Code", code);
    kpw_xml_put_element_cstr(&call->body, "Message", message);
    kpw_buf_puts(&call->body, "</Error>");
}

static bool trouble(struct call *call)
{
    refuse(call, 500, "InternalFailure",
           "The request processing has failed due to some unknown "
           "error, exception or failure.");
    return false;
}

/* False: what the request failed has been answered. */
static bool no_faults(struct call *call)
{
    struct kpw_buf text = KPW_BUF_INIT;
    const char *faults = sts_request_faults(&call->input, &text);

    if (faults)
        refuse(call, 400, "ValidationError", faults);
    kpw_buf_fini(&text);
    return !faults;
}

static void answer(struct call *call, kp_exchange *x)
{
    struct kpw_buf out = KPW_BUF_INIT;
    char id[KPW_UUID_SIZE];

    local_request_id(call->local, id);
    if (call->status == 200)
        kpw_buf_appendf(&out,
                        "<%sResponse xmlns=\"" XMLNS "\"><%sResult>%.*s</%sResult>"
                        "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>"
                        "</%sResponse>",
                        call->operation, call->operation, (int)call->body.len, call->body.ptr,
                        call->operation, id, call->operation);
    else
        kpw_buf_appendf(&out,
                        "<ErrorResponse xmlns=\"" XMLNS "\">%.*s<RequestId>%s</RequestId>"
                        "</ErrorResponse>",
                        (int)call->body.len, call->body.ptr, id);
    if (out.failed || call->body.failed)
        call->status = 500;
    local_answer(call->local, x,
                 &(struct local_answer){.status = call->status,
                                        .content_type = "text/xml",
                                        .request_id = id,
                                        .body = {out.ptr, out.failed ? 0 : out.len}});
    kpw_buf_fini(&out);
}

static void put_credentials(struct call *call, const struct sts_session *session)
{
    struct kpw_buf *body = &call->body;
    char expires[KPW_ISO8601_SIZE];

    kpw_iso8601_format_s(session->expires_s, expires);
    kpw_buf_puts(body, "<Credentials>");
    kpw_xml_put_element_cstr(body, "AccessKeyId", session->key_id);
    kpw_xml_put_element_cstr(body, "SecretAccessKey", session->secret);
    kpw_xml_put_element_cstr(body, "SessionToken", session->token);
    kpw_xml_put_element_cstr(body, "Expiration", expires);
    kpw_buf_puts(body, "</Credentials>");
}

/* ---- who asks */

/* "Credential=KEY/..." of the header, or X-Amz-Credential of the query; empty: not signed. */
static kp_slice key_of_caller(const kp_server_request *request)
{
    static const char mark[] = "Credential=";
    kp_slice header = local_header(request, "authorization");
    const char *at = header.len ? memmem(header.ptr, header.len, mark, sizeof mark - 1) : NULL;
    struct kpw_slice value;
    kp_slice key = {NULL, 0};

    if (at) {
        key = (kp_slice){at + sizeof mark - 1, 0};
        value = kpw_slice(key.ptr, (size_t)(header.ptr + header.len - key.ptr));
    } else if (kpw_query_find(kpw_slice(request->query.ptr, request->query.len), "X-Amz-Credential",
                              &value)) {
        key.ptr = value.ptr; /* ids need no percent signs; the slash behind may have them */
    } else {
        return key;
    }
    while (key.len < value.len && key.ptr[key.len] != '/' && key.ptr[key.len] != '%')
        key.len++;
    return key;
}

static bool find_caller(struct call *call, struct sts_session *ret)
{
    return sts_session_find(call->local, key_of_caller(call->request), ret);
}

static void get_caller_identity(struct call *call)
{
    struct sts_session session;
    const char *account = call->local->account;

    if (!find_caller(call, &session)) {
        snprintf(session.arn, sizeof session.arn, "arn:aws:iam::%s:root", account);
        snprintf(session.user_id, sizeof session.user_id, "%s", account);
        snprintf(session.account, sizeof session.account, "%s", account);
    }
    call->status = 200;
    kpw_xml_put_element_cstr(&call->body, "Arn", session.arn);
    kpw_xml_put_element_cstr(&call->body, "UserId", session.user_id);
    kpw_xml_put_element_cstr(&call->body, "Account", session.account);
}

static void get_session_token(struct call *call)
{
    struct sts_session session = {.key_id = ""};
    const char *account = call->local->account;
    int64_t seconds = sts_read_duration(&call->input, TOKEN_S, TOKEN_MAX_S);

    if (!no_faults(call))
        return;
    if (find_caller(call, &session)) {
        refuse(call, 403, "AccessDenied", "Cannot call GetSessionToken with session credentials");
        return;
    }
    session.expires_s = local_now_ms(call->local) / 1000 + seconds;
    snprintf(session.arn, sizeof session.arn, "arn:aws:iam::%s:root", account);
    snprintf(session.user_id, sizeof session.user_id, "%s", account);
    snprintf(session.account, sizeof session.account, "%s", account);
    if (!sts_session_issue(call->local, &session)) {
        trouble(call);
        return;
    }
    call->status = 200;
    put_credentials(call, &session);
}

static void get_access_key_info(struct call *call)
{
    static const struct sts_text_rule rule = {"AccessKeyId", 16, 128, "[\\w]*", "", true};
    struct kpw_buf key = KPW_BUF_INIT;

    sts_read_text(&call->input, &rule, &key);
    if (no_faults(call)) {
        call->status = 200;
        kpw_xml_put_element_cstr(&call->body, "Account", call->local->account);
    }
    kpw_buf_fini(&key);
}

/* ---- roles */

/* What both ways to assume a role ask for. */
struct assumption {
    struct kpw_buf role, name, source; /* [owned] */
    bool has_policy;
    struct sts_session session;
};

static void assumption_fini(struct assumption *a)
{
    kpw_buf_fini(&a->role);
    kpw_buf_fini(&a->name);
    kpw_buf_fini(&a->source);
}

/* "arn:aws:iam::123456789012:role/path/NAME": the account, and the name behind the last slash. */
static const char *role_name(const char *arn, char account[STS_ACCOUNT_SIZE])
{
    const char *part = arn, *slash;

    if (strncmp(arn, "arn:aws", 7) != 0 || !(part = strstr(arn, ":iam::")))
        return NULL;
    part += strlen(":iam::");
    if (strspn(part, "0123456789") != 12 || strncmp(part + 12, ":role/", 6) != 0)
        return NULL;
    snprintf(account, STS_ACCOUNT_SIZE, "%.12s", part);
    slash = strrchr(part, '/');
    return slash[1] ? slash + 1 : NULL;
}

/* "AROA" and 17 letters that are the same for the same role. */
static void role_id(const char *arn, char out[22])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t hash[KPW_SHA256_SIZE];

    kpw_sha256(arn, strlen(arn), hash);
    memcpy(out, "AROA", 4);
    for (size_t i = 0; i < 17; i++)
        out[4 + i] = letters[hash[i] & 31];
    out[21] = '\0';
}

static bool read_policy(struct call *call, struct assumption *a)
{
    struct kpw_buf policy = KPW_BUF_INIT;
    json_t *document = NULL;
    bool ok = true;

    a->has_policy = kpw_form_get(call->input.form, "Policy", &policy);
    if (a->has_policy) {
        document = json_loadb(policy.len ? policy.ptr : "", policy.len, 0, NULL);
        ok = json_is_object(document);
    }
    if (!ok)
        refuse(call, 400, "MalformedPolicyDocument", "This policy contains invalid Json");
    json_decref(document);
    kpw_buf_fini(&policy);
    return ok;
}

static bool read_assumption(struct call *call, struct assumption *a)
{
    static const struct sts_text_rule role = {"RoleArn", 20, 2048, NULL, NULL, true},
                                      name = {"RoleSessionName", 2,        64,
                                              "[\\w+=,.@-]*",    "+=,.@-", true},
                                      external = {"ExternalId",       2,          1224,
                                                  "[\\w+=,.@:\\/-]*", "+=,.@:/-", false},
                                      source = {"SourceIdentity", 2,        64,
                                                "[\\w+=,.@-]*",   "+=,.@-", false};
    struct kpw_buf other = KPW_BUF_INIT;
    int64_t seconds;

    sts_read_text(&call->input, &role, &a->role);
    sts_read_text(&call->input, &name, &a->name);
    sts_read_text(&call->input, &external, &other);
    kpw_buf_fini(&other);
    sts_read_text(&call->input, &source, &a->source);
    seconds = sts_read_duration(&call->input, HOUR_S, ROLE_MAX_S);
    a->session.expires_s = local_now_ms(call->local) / 1000 + seconds;
    return !a->role.failed && !a->name.failed;
}

static bool issue(struct call *call, struct assumption *a)
{
    const char *arn = kpw_buf_cstr(&a->role), *name = kpw_buf_cstr(&a->name), *role;
    struct kpw_buf text = KPW_BUF_INIT;
    char id[22];

    if (!arn || !name)
        return trouble(call);
    role = role_name(arn, a->session.account);
    if (!role) {
        kpw_buf_appendf(&text, "%s is invalid", arn);
        refuse(call, 400, "ValidationError", kpw_buf_cstr(&text) ? text.ptr : "");
        kpw_buf_fini(&text);
        return false;
    }
    role_id(arn, id);
    snprintf(a->session.user_id, sizeof a->session.user_id, "%s:%s", id, name);
    snprintf(a->session.arn, sizeof a->session.arn, "arn:aws:sts::%s:assumed-role/%s/%s",
             a->session.account, role, name);
    return sts_session_issue(call->local, &a->session) || trouble(call);
}

static void put_assumed(struct call *call, const struct assumption *a)
{
    struct kpw_buf *body = &call->body;

    call->status = 200;
    kpw_buf_puts(body, "<AssumedRoleUser>");
    kpw_xml_put_element_cstr(body, "AssumedRoleId", a->session.user_id);
    kpw_xml_put_element_cstr(body, "Arn", a->session.arn);
    kpw_buf_puts(body, "</AssumedRoleUser>");
    put_credentials(call, &a->session);
    if (a->has_policy)
        kpw_xml_put_element_int(body, "PackedPolicySize", 1);
    if (a->source.len)
        kpw_xml_put_element(body, "SourceIdentity", a->source.ptr, a->source.len);
}

static void assume_role(struct call *call)
{
    struct assumption a = {.has_policy = false};

    if (!read_assumption(call, &a))
        trouble(call);
    else if (no_faults(call) && read_policy(call, &a) && issue(call, &a))
        put_assumed(call, &a);
    assumption_fini(&a);
}

/* ---- web identities */

/* The claims of a JSON web token: the middle one of its three parts. [new reference] */
static json_t *claims_of(const struct kpw_buf *token)
{
    const char *first = memchr(token->ptr, '.', token->len), *second;
    json_t *claims = NULL;
    size_t n = 0;
    char *raw;

    second = first ? memchr(first + 1, '.', (size_t)(token->ptr + token->len - first - 1)) : NULL;
    if (!second)
        return NULL;
    n = (size_t)(second - first - 1);
    raw = malloc(kpw_base64_decoded_max(n) + 1);
    if (raw && kpw_base64_decode_url(first + 1, n, raw, &n))
        claims = json_loadb(raw, n, 0, NULL);
    free(raw);
    if (json_is_object(claims))
        return claims;
    json_decref(claims);
    return NULL;
}

static const char *claim(const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);
    const char *text = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);

    return text ? text : "";
}

static bool check_claims(struct call *call, const json_t *claims)
{
    json_int_t expires = json_integer_value(json_object_get(claims, "exp"));
    int64_t now = local_now_ms(call->local) / 1000;
    char text[160];

    if (!claims || !claim(claims, "iss")[0] || !claim(claims, "sub")[0]) {
        refuse(call, 400, "InvalidIdentityToken",
               "The ID Token provided is not a valid JWT. (You may see this error if you sent an "
               "Access Token)");
        return false;
    }
    if (expires == 0 || expires > now)
        return true;
    snprintf(text, sizeof text,
             "Token expired: current date/time %lld must be before the expiration date/time %lld",
             (long long)now, (long long)expires);
    refuse(call, 400, "ExpiredTokenException", text);
    return false;
}

static void assume_role_with_web_identity(struct call *call)
{
    static const struct sts_text_rule rule = {"WebIdentityToken", 4, 20000, NULL, NULL, true};
    struct assumption a = {.has_policy = false};
    struct kpw_buf token = KPW_BUF_INIT;
    json_t *claims = NULL;

    sts_read_text(&call->input, &rule, &token);
    if (!read_assumption(call, &a) || token.failed)
        trouble(call);
    if (call->status || !no_faults(call))
        goto out;
    claims = claims_of(&token);
    if (!check_claims(call, claims) || !read_policy(call, &a) || !issue(call, &a))
        goto out;
    put_assumed(call, &a);
    kpw_xml_put_element_cstr(&call->body, "SubjectFromWebIdentityToken", claim(claims, "sub"));
    kpw_xml_put_element_cstr(&call->body, "Provider", claim(claims, "iss"));
    kpw_xml_put_element_cstr(&call->body, "Audience", claim(claims, "aud"));
out:
    json_decref(claims);
    kpw_buf_fini(&token);
    assumption_fini(&a);
}

bool sts_is_unsigned(const struct local_target *target)
{
    return target->service == LOCAL_STS &&
           strcmp(target->operation, "AssumeRoleWithWebIdentity") == 0;
}

/* ---- */

static const struct {
    const char *name;
    void (*run)(struct call *call);
} operations[] = {
    {"GetCallerIdentity", get_caller_identity},
    {"AssumeRole", assume_role},
    {"AssumeRoleWithWebIdentity", assume_role_with_web_identity},
    {"GetSessionToken", get_session_token},
    {"GetAccessKeyInfo", get_access_key_info},
};

static void run(struct call *call)
{
    struct kpw_buf text = KPW_BUF_INIT;

    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, call->operation) != 0)
            continue;
        operations[i].run(call);
        return;
    }
    kpw_buf_appendf(&text, "Could not find operation %s for version 2011-06-15", call->operation);
    refuse(call, 400, "InvalidAction", kpw_buf_cstr(&text) ? text.ptr : "");
    kpw_buf_fini(&text);
}

static void serve(struct local *local, kp_exchange *x, const kp_server_request *request,
                  const struct local_target *target)
{
    struct call call = {.local = local, .request = request, .operation = target->operation};
    struct kpw_slice action;

    call.input.form = kpw_slice(request->body.ptr, request->body.len);
    if (!kpw_query_find(call.input.form, "Action", &action))
        call.input.form = kpw_slice(request->query.ptr, request->query.len);
    run(&call);
    answer(&call, x);
    kpw_buf_fini(&call.body);
    sts_request_fini(&call.input);
}

const struct local_row local_sts = {
    .name = "sts",
    .label = "STS",
    .version = "2011-06-15",
    .xmlns = XMLNS,
    .form = LOCAL_FORM_QUERY,
    .open = sts_sessions_open,
    .serve = serve,
    .close = sts_sessions_close,
};
