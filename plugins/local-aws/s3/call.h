/* call.h - one S3 request under way: what its files share.
 *
 * s3_route() reads bucket, key and parameters out of the request and runs the
 * operation, which fills the answer. The answer's body is text (`body`) or a part
 * of a file (`file`).
 *
 * Threads: the service's worker.   Not here: HTTP itself (s3.c).
 */
#ifndef KPIPE_LOCAL_AWS_S3_CALL_H
#define KPIPE_LOCAL_AWS_S3_CALL_H

#include <kpipe/ext/server.h>

#include "plugins/local-aws/s3/store.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/xml.h"

#define S3_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

enum { S3_PARAMETERS_MAX = 64, S3_HEADERS_MAX = 192 };

struct s3_parameter {
    const char *name, *value; /* decoded, NUL-terminated [owned by call] */
    size_t len;               /* of value */
};

struct s3_call {
    struct s3_store *store;
    const kp_server_request *request; /* [borrowed] */
    const char *region;
    int64_t now_ms;
    char request_id[20];

    /* read from the request */
    bool is_head;
    char bucket[64]; /* "": the service itself */
    char key_bytes[S3_KEY_MAX + 1];
    size_t key_len; /* 0: the bucket itself */
    struct s3_parameter parameters[S3_PARAMETERS_MAX];
    size_t n_parameters;
    char *texts; /* decoded parameters [owned] */

    /* the answer */
    int status; /* 0: not decided yet */
    kp_http_header headers[S3_HEADERS_MAX];
    size_t n_headers;
    struct kpw_buf header_texts[S3_HEADERS_MAX]; /* [owned] */
    json_t *names; /* names of headers point into it [owned], may be NULL */
    struct kpw_buf body;
    int file; /* [owned] -1: the body is `body` */
    uint64_t file_from, file_len;
};

void s3_call_init(struct s3_call *call, struct s3_store *store, const kp_server_request *request);
void s3_call_fini(struct s3_call *call);
/* Does everything; afterwards status is set. */
void s3_route(struct s3_call *call);

/* ---- the request ---- */

struct kpw_slice s3_header(const struct s3_call *call, const char *name); /* lower case */
/* A header, or the same as a query parameter (presigned requests hoist them). */
struct kpw_slice s3_header_or_parameter(const struct s3_call *call, const char *name);
const struct s3_parameter *s3_parameter(const struct s3_call *call, const char *name);
struct s3_key s3_key(const struct s3_call *call);
struct kpw_slice s3_body(const struct s3_call *call);

/* ---- the answer ---- */

void s3_add_header(struct s3_call *call, const char *name /* [static] */, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void s3_ok(struct s3_call *call, int status);
/* Starts an XML document: declaration and root element. */
void s3_begin_xml(struct s3_call *call, const char *root);
/* An error with extra members: pairs of name and value, ended by NULL. */
void s3_refuse(struct s3_call *call, const char *code, const char *message, ...)
    __attribute__((sentinel));
void s3_no_such_key(struct s3_call *call);
void s3_precondition_failed(struct s3_call *call, const char *condition);
void s3_trouble(struct s3_call *call); /* InternalError: disk full, out of memory */

/* ---- operations ---- */

void s3_list_buckets(struct s3_call *call);
void s3_create_bucket(struct s3_call *call);
void s3_head_bucket(struct s3_call *call);
void s3_delete_bucket(struct s3_call *call);
void s3_bucket_config(struct s3_call *call, const char *name);
void s3_list_objects(struct s3_call *call, bool v2);
void s3_list_versions(struct s3_call *call);
void s3_delete_objects(struct s3_call *call);
void s3_get_object(struct s3_call *call);
void s3_put_object(struct s3_call *call);
void s3_copy_object(struct s3_call *call);
void s3_delete_object(struct s3_call *call);
void s3_get_attributes(struct s3_call *call);
void s3_object_tagging(struct s3_call *call);
void s3_create_upload(struct s3_call *call);
void s3_upload_part(struct s3_call *call);
void s3_complete_upload(struct s3_call *call);
void s3_abort_upload(struct s3_call *call);
void s3_list_parts(struct s3_call *call);
void s3_list_uploads(struct s3_call *call);

/* ---- shared by operations ---- */

/* Writes the request's body to a new file, verifying all digests the request carries.
 * meta: size, etag, algorithm and checksum are set. False: answered. */
struct s3_meta;
bool s3_receive(struct s3_call *call, enum s3_algorithm wanted, struct s3_temp *temp,
                struct s3_meta *meta);
/* The headers an object keeps. [new reference] NULL: answered. */
json_t *s3_stored_headers(struct s3_call *call);
/* If-Match and If-None-Match of a write. False: answered. */
bool s3_may_write(struct s3_call *call, const char *if_match, const char *if_none_match);
void s3_add_checksum(struct s3_call *call, const struct s3_meta *meta);
/* The conditions of a read, in the order of RFC 9110; *ret_condition names what failed. `prefix`:
 * "" or "x-amz-copy-source-". */
enum s3_verdict { S3_GO_ON, S3_NOT_MODIFIED, S3_FAILED };
enum s3_verdict s3_judge(const struct s3_call *call, const struct s3_meta *meta, const char *prefix,
                         const char **ret_condition);
/* Is an ETag in the list of a condition header ("*", quotes optional)? */
bool s3_etag_in(struct kpw_slice list, const char *etag);
void s3_iso_time(int64_t ms, char out[32]);

#endif
