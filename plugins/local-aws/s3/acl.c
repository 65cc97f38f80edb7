/* acl.c - access lists: canned ones by name, others as documents. They are kept, not enforced. */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/document.h"
#include "plugins/local-aws/s3/receive.h"

#define XSI       "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
#define ALL_USERS "http://acs.amazonaws.com/groups/global/AllUsers"
#define ALL_KNOWN "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
#define LOGGERS   "http://acs.amazonaws.com/groups/s3/LogDelivery"

/* A canned list: what it grants beside the owner's full control. */
static const struct canned {
    const char *name;
    const char *group; /* NULL: nobody */
    const char *first, *second;
} canned_lists[] = {
    {"private", NULL, NULL, NULL},
    {"public-read", ALL_USERS, "READ", NULL},
    {"public-read-write", ALL_USERS, "READ", "WRITE"},
    {"authenticated-read", ALL_KNOWN, "READ", NULL},
    {"log-delivery-write", LOGGERS, "WRITE", "READ_ACP"},
    /* of other accounts, and there is one account */
    {"aws-exec-read", NULL, NULL, NULL},
    {"bucket-owner-read", NULL, NULL, NULL},
    {"bucket-owner-full-control", NULL, NULL, NULL},
};

static const struct canned *find_canned(struct kpw_slice name)
{
    for (size_t i = 0; i < sizeof(canned_lists) / sizeof(canned_lists[0]); i++)
        if (kpw_slice_is(name, canned_lists[i].name))
            return &canned_lists[i];
    return NULL;
}

bool s3_is_canned_acl(struct s3_call *call, struct kpw_slice value)
{
    struct kpw_buf text = KPW_BUF_INIT;

    if (find_canned(value))
        return true;
    kpw_buf_put_slice(&text, value);
    s3_refuse(call, "InvalidArgument", "The canned ACL you provided is not valid", "ArgumentName",
              "x-amz-acl", "ArgumentValue", kpw_buf_cstr(&text) ? text.ptr : "", NULL);
    kpw_buf_fini(&text);
    return false;
}

static void put_group(struct kpw_buf *out, const char *group, const char *permission)
{
    if (!permission)
        return;
    kpw_buf_appendf(out,
                    "<Grant><Grantee " XSI " xsi:type=\"Group\"><URI>%s</URI></Grantee>"
                    "<Permission>%s</Permission></Grant>",
                    group, permission);
}

void s3_answer_acl(struct s3_call *call, const char *acl)
{
    const struct canned *canned = find_canned(kpw_slice_cstr(acl));
    struct kpw_buf *out = &call->body;

    s3_begin_xml(call, "AccessControlPolicy");
    if (acl[0] == '<') {
        kpw_buf_clear(out);
        kpw_buf_puts(out, acl);
        return;
    }
    kpw_buf_puts(out, "<Owner><ID>" S3_OWNER_ID "</ID></Owner><AccessControlList>"
                      "<Grant><Grantee " XSI " xsi:type=\"CanonicalUser\"><ID>" S3_OWNER_ID
                      "</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>");
    if (canned && canned->group) {
        put_group(out, canned->group, canned->first);
        put_group(out, canned->group, canned->second);
    }
    kpw_buf_puts(out, "</AccessControlList></AccessControlPolicy>");
}

static bool has_grants(const struct s3_call *call)
{
    for (size_t i = 0; i < call->request->n_headers; i++) {
        kp_slice name = call->request->headers[i].name;

        if (name.len > 12 && strncasecmp(name.ptr, "x-amz-grant-", 12) == 0)
            return true;
    }
    return false;
}

/* Not strndup(): no NUL is behind a request. NULL: out of memory. */
static char *text_of(struct kpw_slice s)
{
    char *text = malloc(s.len + 1);

    if (!text)
        return NULL;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return text;
}

char *s3_read_acl(struct s3_call *call)
{
    struct kpw_slice canned = s3_header_or_parameter(call, "x-amz-acl"), body = s3_body(call);
    char *ret = NULL;

    if (canned.ptr) {
        if (!s3_is_canned_acl(call, canned))
            return NULL;
        ret = text_of(canned);
    } else if (has_grants(call)) {
        s3_not_implemented(call, "x-amz-grant-*", NULL);
        return NULL;
    } else if (body.len == 0) {
        s3_refuse(call, "MissingSecurityHeader", "Your request was missing a required header",
                  "MissingHeaderName", "x-amz-acl", NULL);
        return NULL;
    } else {
        if (!s3_check_document(call, S3_IF_SENT) || !s3_check_xml(call, "AccessControlPolicy"))
            return NULL;
        ret = text_of(body);
    }
    if (!ret)
        s3_trouble(call);
    return ret;
}

void s3_object_acl(struct s3_call *call)
{
    struct kpw_slice method = kpw_slice(call->request->method.ptr, call->request->method.len);
    struct s3_key key = s3_key(call);
    struct s3_object object;
    char *acl;

    if (!s3_check_version(call))
        return;
    if (!s3_object_find(call->store, &key, &object)) {
        s3_no_such_key(call);
        return;
    }
    if (kpw_slice_is(method, "GET")) {
        s3_answer_acl(call, s3_stored(&object.meta, "x-amz-acl"));
    } else if ((acl = s3_read_acl(call))) {
        json_object_set_new(object.meta.headers, "x-amz-acl", json_string(acl));
        if (s3_object_touch(call->store, &key, &object.meta))
            s3_ok(call, 200);
        else
            s3_trouble(call);
        free(acl);
    }
    s3_object_fini(&object);
}
