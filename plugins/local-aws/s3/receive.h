/* receive.h - a request's body on its way into a file, with every digest the request carries.
 *
 * Three steps: begin() reads what the headers promise and opens the file [worker], run() writes
 * and proves [any], fini() throws away what was not published. Without a file it proves only, for
 * documents such as a list of keys.
 *
 * Threads: see each; one struct belongs to one request.
 */
#ifndef KPIPE_LOCAL_AWS_S3_RECEIVE_H
#define KPIPE_LOCAL_AWS_S3_RECEIVE_H

#include "plugins/local-aws/s3/call.h"

struct s3_receive {
    struct s3_call *call; /* [borrowed] */
    struct s3_temp temp;  /* the content; -1: none is wanted [owned] */
    struct s3_meta meta;  /* run() sets size, etag, algorithm and checksum [owned] */
    /* private */
    struct s3_sum md5, sum, payload; /* ETag; checksum; x-amz-content-sha256 [owned] */
    bool has_payload;                /* the payload's hash is to be verified */
    enum s3_algorithm algorithm;
    char expected[S3_CHECKSUM_MAX]; /* base64 the client sent; "": none */
    bool in_trailer;
    bool has_check; /* a digest of any kind was sent */
};

/* `wanted`: the checksum to take if the request names none; S3_SUM_NONE: CRC64NVME. False:
 * answered. fini() is needed in any case. */
bool s3_receive_begin(struct s3_receive *r, struct s3_call *call, enum s3_algorithm wanted);
/* False: answered. Afterwards the file is on the disk if the store wants that. */
bool s3_receive_run(struct s3_receive *r, struct kpw_slice body);
void s3_receive_fini(struct s3_receive *r);

/* Proves the body of a request whose body is a document. False: answered. */
enum s3_document {
    S3_IF_SENT,      /* whatever digests came with it */
    S3_REQUIRED,     /* S3 wants a digest there */
    S3_PAYLOAD_ONLY, /* x-amz-checksum-* speak of something else */
};
bool s3_check_document(struct s3_call *call, enum s3_document kind);

#endif
