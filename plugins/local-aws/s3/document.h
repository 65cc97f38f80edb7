/* document.h - XML documents that are kept as they were put: policies, rules, access lists.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_S3_DOCUMENT_H
#define KPIPE_LOCAL_AWS_S3_DOCUMENT_H

#include "plugins/local-aws/s3/call.h"

#define S3_OWNER_ID "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"

#define S3_OPEN_ROOT(name) "<" name " xmlns=\"" S3_NAMESPACE "\">"

/* Is the request's body a whole XML document of that root? False: answered. */
bool s3_check_xml(struct s3_call *call, const char *root);

/* ---- acl.c: an access list is the name of a canned one, or a document */

/* What PUT ?acl asks for, by header or body. [owned by caller] NULL: answered. */
char *s3_read_acl(struct s3_call *call);
/* Answers with the document of either; "" is private. */
void s3_answer_acl(struct s3_call *call, const char *acl);

#endif
