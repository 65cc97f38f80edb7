/* v2.h - requests that bring another proof than a signature of version 4: S3 looks at them itself.
 *
 * Old clients presign URLs with version 2 (AWSAccessKeyId, Expires, Signature) and S3 takes them;
 * browsers' forms are signed in a field (post.c).
 * In a header S3 takes version 4 only here, as in its newer regions.
 *
 * Threads: the service's worker.   Not here: version 4 (auth.c).
 */
#ifndef KPIPE_LOCAL_AWS_S3_V2_H
#define KPIPE_LOCAL_AWS_S3_V2_H

#include "plugins/local-aws/s3/call.h"

/* Is there no signature of version 4, but one of the others? auth.c lets such a request through. */
bool s3_proves_itself(const kp_server_request *request);
/* Of such a request that is no form: is its signature right, and still valid? False: answered. */
bool s3_check_v2(struct s3_call *call);
/* Where signatures are not verified: is a presigned URL still valid? False: answered. */
bool s3_check_expiry(struct s3_call *call);
/* Is `given` the base64 of the text's HMAC-SHA1? */
bool s3_v2_is_right(struct kpw_slice secret, struct kpw_slice text, struct kpw_slice given);

#endif
