/* s3_multipart.h - what s3_multipart.c, s3_complete.c and s3_copy.c share.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_S3_MULTIPART_H
#define KPIPE_LOCAL_AWS_S3_MULTIPART_H

#include "plugins/local-aws/s3_call.h"
#include "plugins/local-aws/s3_uploads.h"

void s3_no_such_upload(struct s3_call *call, const char *id);
/* The upload that the request's uploadId names. False: answered. s3_upload_fini() when true. */
bool s3_find_upload(struct s3_call *call, struct s3_upload *upload);
/* UploadPartCopy. */
void s3_upload_part_copy(struct s3_call *call, const struct s3_upload *upload, uint32_t number);

#endif
