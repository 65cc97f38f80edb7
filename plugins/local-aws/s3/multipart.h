/* multipart.h - what multipart.c, complete.c and copy.c share.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_S3_MULTIPART_H
#define KPIPE_LOCAL_AWS_S3_MULTIPART_H

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/uploads.h"

void s3_no_such_upload(struct s3_call *call, const char *id);
/* The upload that the request's uploadId names. False: answered. s3_upload_fini() when true. */
bool s3_find_upload(struct s3_call *call, struct s3_upload *upload);
/* A number 0 or above from the query; `fallback` when absent. False: answered. */
bool s3_read_count(struct s3_call *call, const char *name, long fallback, long *ret);
/* UploadPartCopy. */
void s3_upload_part_copy(struct s3_call *call, const struct s3_upload *upload, uint32_t number);

#endif
