/* sts.c - Security Token Service: who am I. The one account of the local AWS is everybody. */
#include <string.h>

#include "plugins/local-aws/local.h"

static void answer_xml(struct local *local, kp_exchange *x, int status, const char *id,
                       struct kpw_buf *body)
{
    local_answer(local, x,
                 &(struct local_answer){.status = body->failed ? 500 : status,
                                        .content_type = "text/xml",
                                        .request_id = id,
                                        .body = {body->ptr, body->failed ? 0 : body->len}});
    kpw_buf_fini(body);
}

void sts_serve(struct local *local, kp_exchange *x, const kp_server_request *request,
               const struct local_target *target)
{
    struct kpw_buf body = KPW_BUF_INIT;
    char id[KPW_UUID_SIZE];

    (void)request;
    local_request_id(local, id);
    if (strcmp(target->operation, "GetCallerIdentity") != 0) {
        kpw_buf_appendf(&body,
                        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                        "<Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find "
                        "operation for version 2011-06-15</Message></Error>"
                        "<RequestId>%s</RequestId></ErrorResponse>",
                        id);
        answer_xml(local, x, 400, id, &body);
        return;
    }
    kpw_buf_appendf(
        &body,
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
        "<GetCallerIdentityResult><Arn>arn:aws:iam::%s:root</Arn><UserId>%s</UserId>"
        "<Account>%s</Account></GetCallerIdentityResult><ResponseMetadata>"
        "<RequestId>%s</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        local->account, local->account, local->account, id);
    answer_xml(local, x, 200, id, &body);
}
