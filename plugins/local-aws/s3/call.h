/* call.h - one S3 request under way: what its files share.
 *
 * s3_route() reads bucket, key and parameters out of the request and runs the
 * operation, which fills the answer. The answer's body is text (`body`) or a part
 * of a file (`file`). What moves contents goes on in two more steps (s3_in_steps):
 * the bytes and digests on the pool, then on the worker again what makes them count,
 * after looking at all conditions a second time.
 *
 * Threads: the service's worker, and a pool thread for the middle step: it touches
 * this call and its files only.   Not here: HTTP itself (s3.c).
 */
#ifndef KPIPE_LOCAL_AWS_S3_CALL_H
#define KPIPE_LOCAL_AWS_S3_CALL_H

#include <kpipe/ext/server.h>

#include "plugins/local-aws/s3/store.h"
#include "sdk/wire/sigv4.h"
#include "sdk/wire/slice.h"
#include "sdk/wire/xml.h"

#define S3_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

enum { S3_PARAMETERS_MAX = 64, S3_HEADERS_MAX = 192 };

struct local;
struct s3_post;

struct s3_parameter {
    const char *name, *value; /* decoded, NUL-terminated [owned by call] */
    size_t len;               /* of value */
};

struct s3_call {
    struct s3_store *store;
    const kp_server_request *request; /* [borrowed] */
    const char *region;
    int64_t now_ms;
    char request_id[20], id2[80]; /* x-amz-id-2, HostId */
    const char *account;
    bool proves_chunks; /* the body's chunks are signed, and that is to be proven */
    struct kpw_sigv4_chunks chunks;

    /* read from the request */
    bool is_head;
    bool is_virtual; /* the bucket is in the host */
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

    /* steps to come, see s3_in_steps() */
    void (*work)(struct s3_call *call);
    void (*finish)(struct s3_call *call);
    void *state; /* [owned by the operation until finish] */

    kp_exchange *exchange; /* [borrowed] for faults */
    struct local *local;   /* [borrowed] for faults and who signs a form */
    struct s3_post *post;  /* a form under way [owned], see post.c */
};

void s3_call_init(struct s3_call *call, struct s3_store *store, const kp_server_request *request);
void s3_call_fini(struct s3_call *call);
/* Does everything; afterwards status is set, or steps are to come. */
void s3_route(struct s3_call *call);
/* `work` [any], then `finish` [worker], which frees call->state: at once when it is little and
 * nothing waits for the disk, else later and `work` on the pool. */
void s3_in_steps(struct s3_call *call, uint64_t bytes, void (*work)(struct s3_call *),
                 void (*finish)(struct s3_call *));

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
void s3_no_such_bucket(struct s3_call *call);
void s3_malformed_xml(struct s3_call *call);
/* MethodNotAllowed; `what`: "SERVICE", "BUCKET" or "OBJECT". */
void s3_not_allowed(struct s3_call *call, const char *what);
/* NotImplemented; `more`: additionalMessage, or NULL. */
void s3_not_implemented(struct s3_call *call, const char *header, const char *more);
void s3_precondition_failed(struct s3_call *call, const char *condition);
void s3_trouble(struct s3_call *call); /* InternalError: disk full, out of memory */

/* ---- operations ---- */

void s3_list_buckets(struct s3_call *call);
void s3_create_bucket(struct s3_call *call);
void s3_head_bucket(struct s3_call *call);
void s3_delete_bucket(struct s3_call *call);
/* A sub-resource of a bucket: "policy", "location" ... False: the request is for none. */
bool s3_bucket_document(struct s3_call *call);
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

void s3_object_acl(struct s3_call *call);
void s3_post_form(struct s3_call *call);
void s3_post_free(struct s3_post *post); /* NULL is fine */

/* ---- shared by operations ---- */

struct s3_meta;
/* The headers an object keeps. [new reference] NULL: answered. */
json_t *s3_stored_headers(struct s3_call *call);
/* One of them, "" when it is not there. [borrowed from meta] */
const char *s3_stored(const struct s3_meta *meta, const char *name);
/* All of them as an answer's headers, in the form of headers, with overrides by response-*. */
void s3_add_stored_headers(struct s3_call *call, const struct s3_meta *meta);
void s3_add_encryption(struct s3_call *call, const struct s3_meta *meta);
/* The parameter versionId may be "null": no bucket has versions. False: answered. */
bool s3_check_version(struct s3_call *call);
/* The value of x-amz-tagging, "k=v&k2=v2". False: answered. */
bool s3_check_tagging_header(struct s3_call *call, struct kpw_slice value);
/* A value of x-amz-acl. False: answered. */
bool s3_is_canned_acl(struct s3_call *call, struct kpw_slice value);
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
