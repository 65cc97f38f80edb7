/* tags.h - tags of buckets and objects: the document, and the form of the header x-amz-tagging.
 *
 * Threads: the service's worker.
 */
#ifndef KPIPE_LOCAL_AWS_S3_TAGS_H
#define KPIPE_LOCAL_AWS_S3_TAGS_H

#include "plugins/local-aws/s3/call.h"

enum { S3_OBJECT_TAGS_MAX = 10, S3_BUCKET_TAGS_MAX = 50 };

/* Reads the request's <Tagging> document and appends "k=v&k2=v2", encoded. False: answered. */
bool s3_tags_read(struct s3_call *call, size_t max, struct kpw_buf *out);
/* How many tags such a text has. */
unsigned s3_tags_count(const char *text);

#endif
