/* post.c - a browser's upload: POST of a form, its policy proven, then an object put like others.
 *
 * The fields take the place of headers: a request is made of them and goes the way of PutObject;
 * at its end the answer is turned into what the form asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/auth.h"
#include "plugins/local-aws/s3/form.h"
#include "plugins/local-aws/s3/policy.h"
#include "plugins/local-aws/s3/receive.h"
#include "plugins/local-aws/s3/tags.h"
#include "plugins/local-aws/s3/v2.h"
#include "sdk/wire/hash.h"
#include "sdk/wire/uri.h"

enum { FIELDS_MAX = 100, FIELDS_BYTES_MAX = 20 * 1024 };

struct s3_post {
    struct s3_field fields[FIELDS_MAX]; /* the last one is the bucket */
    size_t n_fields;
    struct kpw_slice file, filename;
    bool has_file;

    kp_server_request request; /* what the form is as a PUT */
    kp_http_header headers[FIELDS_MAX];
    struct kpw_buf names;                 /* their names in lower case; does not move [owned] */
    struct kpw_buf tags;                  /* x-amz-tagging [owned] */
    void (*finish)(struct s3_call *call); /* of the PUT */
};

void s3_post_free(struct s3_post *post)
{
    if (!post)
        return;
    kpw_buf_fini(&post->names);
    kpw_buf_fini(&post->tags);
    free(post);
}

static struct kpw_slice field(const struct s3_post *post, const char *name)
{
    for (size_t i = 0; i < post->n_fields; i++)
        if (kpw_slice_is_nocase(post->fields[i].name, name))
            return post->fields[i].value;
    return kpw_slice(NULL, 0);
}

/* ---- reading the form ---- */

static bool malformed(struct s3_call *call)
{
    s3_refuse(call, "MalformedPOSTRequest",
              "The body of your POST request is not well-formed multipart/form-data.", NULL);
    return false;
}

static bool take_field(struct s3_call *call, struct s3_post *post, const struct s3_form_part *part,
                       size_t *sum)
{
    *sum += part->name.len + part->data.len;
    if (*sum > FIELDS_BYTES_MAX || post->n_fields + 1 == FIELDS_MAX) {
        s3_refuse(call, "MaxPostPreDataLengthExceededError",
                  "Your POST request fields preceding the upload file was too large.",
                  "MaxPostPreDataLengthExceededBytes", "20480", NULL);
        return false;
    }
    post->fields[post->n_fields++] = (struct s3_field){part->name, part->data};
    return true;
}

/* What comes behind the file does not count. */
static bool read_form(struct s3_call *call, struct s3_post *post)
{
    struct s3_form_part part;
    struct s3_form form;
    size_t sum = 0;

    if (!s3_form_init(&form, s3_header(call, "content-type"), s3_body(call)))
        return malformed(call);
    while (!post->has_file && s3_form_next(&form, &part)) {
        if (kpw_slice_is_nocase(part.name, "file")) {
            post->file = part.data;
            post->filename = part.filename;
            post->has_file = true;
        } else if (!take_field(call, post, &part, &sum)) {
            return false;
        }
    }
    if (form.is_bad)
        return malformed(call);
    post->fields[post->n_fields++] =
        (struct s3_field){kpw_slice_cstr("bucket"), kpw_slice_cstr(call->bucket)};
    if (post->has_file)
        return true;
    s3_refuse(call, "InvalidArgument", "POST requires exactly one file upload per request.",
              "ArgumentName", "file", "ArgumentValue", "0", NULL);
    return false;
}

/* The field key, with "${filename}" replaced. */
static bool set_key(struct s3_call *call, const struct s3_post *post)
{
    static const char mark[] = "${filename}";
    struct kpw_slice key = field(post, "key"), name = post->filename;
    const char *at, *slash;
    struct kpw_buf text = KPW_BUF_INIT;
    bool ok;

    if (key.len == 0) {
        s3_refuse(call, "InvalidArgument",
                  "Bucket POST must contain a field named 'key'.  If it is specified, please check "
                  "the order of the fields.",
                  "ArgumentName", "key", "ArgumentValue", "", NULL);
        return false;
    }
    slash = name.len ? memrchr(name.ptr, '/', name.len) : NULL;
    if (slash) /* no folders of theirs */
        name = kpw_slice(slash + 1, (size_t)(name.ptr + name.len - slash - 1));
    at = memmem(key.ptr, key.len, mark, sizeof(mark) - 1);
    kpw_buf_append(&text, key.ptr, at ? (size_t)(at - key.ptr) : key.len);
    if (at) {
        kpw_buf_put_slice(&text, name);
        at += sizeof(mark) - 1;
        kpw_buf_append(&text, at, (size_t)(key.ptr + key.len - at));
    }
    ok = !text.failed && text.len > 0 && text.len <= S3_KEY_MAX && s3_is_text(text.ptr, text.len);
    if (ok) {
        memcpy(call->key_bytes, text.ptr, text.len);
        call->key_bytes[text.len] = '\0';
        call->key_len = text.len;
    } else {
        s3_refuse(call, "KeyTooLongError", "Your key is too long", "MaxSizeAllowed", "1024", NULL);
    }
    kpw_buf_fini(&text);
    return ok;
}

/* ---- may it? ---- */

static bool access_denied(struct s3_call *call, const char *text)
{
    s3_refuse(call, "AccessDenied", text, NULL);
    return false;
}

/* HMAC over HMAC, as of any signature; what is signed is the policy's text. */
static void sign(struct kpw_slice secret, const struct kpw_slice part[4], struct kpw_slice policy,
                 char hex[KPW_SHA256_HEX + 1])
{
    uint8_t key[KPW_SHA256_SIZE];
    struct kpw_buf first = KPW_BUF_INIT;

    kpw_buf_puts(&first, "AWS4");
    kpw_buf_put_slice(&first, secret);
    kpw_hmac_sha256(first.ptr, first.len, part[0].ptr, part[0].len, key);
    for (int i = 1; i < 4; i++)
        kpw_hmac_sha256(key, sizeof(key), part[i].ptr, part[i].len, key);
    kpw_hmac_sha256(key, sizeof(key), policy.ptr, policy.len, key);
    hex[kpw_hex(key, sizeof(key), hex)] = '\0';
    kpw_wipe(first.ptr, first.len);
    kpw_buf_fini(&first);
}

/* "KEY/DAY/REGION/s3/aws4_request" */
static bool split_credential(struct kpw_slice text, struct kpw_slice *key, struct kpw_slice part[4])
{
    struct kpw_slice all[5];

    for (int i = 0; i < 5; i++) {
        const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;

        all[i] = kpw_slice(text.ptr, slash ? (size_t)(slash - text.ptr) : text.len);
        text = slash ? kpw_slice(slash + 1, text.len - all[i].len - 1) : kpw_slice(NULL, 0);
        if (all[i].len == 0)
            return false;
    }
    *key = all[0];
    memcpy(part, all + 1, 4 * sizeof(part[0]));
    return text.len == 0 && kpw_slice_is(part[2], "s3") && kpw_slice_is(part[3], "aws4_request");
}

static bool wrong_signature(struct s3_call *call)
{
    s3_refuse(call, "SignatureDoesNotMatch",
              "The request signature we calculated does not match the signature you provided. "
              "Check your key and signing method.",
              NULL);
    return false;
}

static bool find_secret(struct s3_call *call, const struct s3_post *post, struct kpw_slice key,
                        struct kpw_sigv4_credentials *ret)
{
    struct kpw_slice token = field(post, "x-amz-security-token");

    if (auth_secret(call->local, (kp_slice){key.ptr, key.len}, ret) &&
        token.len == ret->token.len && kpw_equal_ct(token.ptr, ret->token.ptr, token.len))
        return true;
    s3_refuse(call, "InvalidAccessKeyId",
              "The AWS Access Key Id you provided does not exist in our records.", NULL);
    return false;
}

static bool check_version_2(struct s3_call *call, const struct s3_post *post)
{
    struct kpw_sigv4_credentials credentials;

    return find_secret(call, post, field(post, "AWSAccessKeyId"), &credentials) &&
           (s3_v2_is_right(credentials.secret, field(post, "policy"), field(post, "signature")) ||
            wrong_signature(call));
}

static bool check_signature(struct s3_call *call, const struct s3_post *post)
{
    struct kpw_slice given = field(post, "x-amz-signature"), key, part[4];
    struct kpw_sigv4_credentials credentials;
    char ours[KPW_SHA256_HEX + 1];

    if (given.len == 0 && field(post, "AWSAccessKeyId").len > 0)
        return check_version_2(call, post);
    if (!kpw_slice_is(field(post, "x-amz-algorithm"), "AWS4-HMAC-SHA256") ||
        !split_credential(field(post, "x-amz-credential"), &key, part)) {
        s3_refuse(call, "InvalidArgument",
                  "Bucket POST must contain the fields x-amz-algorithm, x-amz-credential, "
                  "x-amz-date and x-amz-signature.",
                  "ArgumentName", "x-amz-credential", NULL);
        return false;
    }
    if (!find_secret(call, post, key, &credentials))
        return false;
    sign(credentials.secret, part, field(post, "policy"), ours);
    return (given.len == KPW_SHA256_HEX && kpw_equal_ct(given.ptr, ours, KPW_SHA256_HEX)) ||
           wrong_signature(call);
}

static bool refuse_size(struct s3_call *call, const struct s3_policy_case *c, bool small)
{
    char limit[24], size[24];

    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)(small ? c->size_min : c->size_max));
    snprintf(size, sizeof(size), "%llu", (unsigned long long)c->size);
    if (small)
        s3_refuse(call, "EntityTooSmall",
                  "Your proposed upload is smaller than the minimum allowed size", "ProposedSize",
                  size, "MinSizeAllowed", limit, NULL);
    else
        s3_refuse(call, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
                  "ProposedSize", size, "MaxSizeAllowed", limit, NULL);
    return false;
}

static bool check_policy(struct s3_call *call, const struct s3_post *post)
{
    struct s3_policy_case c = {.fields = post->fields,
                               .n_fields = post->n_fields,
                               .size = post->file.len,
                               .now_ms = call->now_ms};
    enum s3_policy_verdict verdict = s3_policy_judge(field(post, "policy"), &c);
    struct kpw_buf text = KPW_BUF_INIT;

    if (verdict == S3_POLICY_TOO_SMALL || verdict == S3_POLICY_TOO_LARGE) {
        refuse_size(call, &c, verdict == S3_POLICY_TOO_SMALL);
    } else if (verdict != S3_POLICY_FINE) {
        kpw_buf_appendf(&text, "Invalid %s: %s",
                        verdict == S3_POLICY_INVALID ? "Policy" : "according to Policy",
                        kpw_buf_cstr(&c.text) ? c.text.ptr : "");
        s3_refuse(call, verdict == S3_POLICY_INVALID ? "InvalidPolicyDocument" : "AccessDenied",
                  kpw_buf_cstr(&text) ? text.ptr : "", NULL);
    }
    kpw_buf_fini(&text);
    kpw_buf_fini(&c.text);
    return verdict == S3_POLICY_FINE;
}

/* A form without a policy comes from nobody in particular. */
static bool may_post(struct s3_call *call, const struct s3_post *post)
{
    if (field(post, "policy").len == 0)
        return !call->local->verify_signatures || access_denied(call, "Access Denied");
    return (!call->local->verify_signatures || check_signature(call, post)) &&
           check_policy(call, post);
}

/* ---- as a PUT ---- */

/* Fields that become headers under another name, or none. */
static const char *header_of(struct kpw_slice name)
{
    static const struct {
        const char *field, *header;
    } names[] = {
        {"acl", "x-amz-acl"},       {"key", NULL},
        {"bucket", NULL},           {"policy", NULL},
        {"tagging", NULL},          {"success_action_status", NULL},
        {"redirect", NULL},         {"success_action_redirect", NULL},
        {"x-amz-date", NULL},       {"x-amz-signature", NULL},
        {"x-amz-credential", NULL}, {"x-amz-algorithm", NULL},
        {"awsaccesskeyid", NULL},   {"signature", NULL},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (kpw_slice_is_nocase(name, names[i].field))
            return names[i].header;
    return "";
}

static void add_header(struct s3_post *post, struct kpw_slice name, struct kpw_slice value)
{
    size_t at = post->names.len;

    for (size_t i = 0; i < name.len; i++)
        kpw_buf_putc(
            &post->names,
            (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i]));
    post->headers[post->request.n_headers++] =
        (kp_http_header){{post->names.ptr + at, name.len}, {value.ptr, value.len}};
}

/* Line ends would come out as headers of their own. */
static bool is_header_value(struct kpw_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t')
            return false;
    return true;
}

/* The field `tagging` holds the document of ?tagging. */
static bool read_tags(struct s3_call *call, struct s3_post *post)
{
    struct kpw_slice document = field(post, "tagging");

    if (document.len == 0)
        return true;
    post->request.body = (kp_slice){document.ptr, document.len};
    return s3_tags_read(call, S3_OBJECT_TAGS_MAX, &post->tags);
}

static bool make_request(struct s3_call *call, struct s3_post *post)
{
    post->request = *call->request;
    post->request.method = (kp_slice){"PUT", 3};
    post->request.headers = post->headers;
    post->request.n_headers = 0;
    call->request = &post->request;
    if (!read_tags(call, post))
        return false;
    if (!kpw_buf_reserve(&post->names, FIELDS_BYTES_MAX + 16 * FIELDS_MAX)) {
        s3_trouble(call);
        return false;
    }
    for (size_t i = 0; i < post->n_fields; i++) {
        const struct s3_field *f = &post->fields[i];
        const char *header = header_of(f->name);

        if (header && is_header_value(f->value))
            add_header(post, *header ? kpw_slice_cstr(header) : f->name, f->value);
    }
    if (post->tags.len > 0)
        add_header(post, kpw_slice_cstr("x-amz-tagging"), kpw_buf_slice(&post->tags));
    post->request.body = (kp_slice){post->file.ptr, post->file.len};
    return true;
}

/* ---- the answer ---- */

static void put_location(struct s3_call *call, struct kpw_buf *out)
{
    kpw_buf_appendf(out, "/%s/", call->bucket);
    kpw_uri_put(out, call->key_bytes, call->key_len, true);
}

static const char *etag_of(const struct s3_call *call)
{
    for (size_t i = 0; i < call->n_headers; i++)
        if (call->headers[i].name.len == 4 && memcmp(call->headers[i].name.ptr, "etag", 4) == 0)
            return call->header_texts[i].ptr;
    return "";
}

static void answer_created(struct s3_call *call, const char *location)
{
    call->status = 201;
    s3_add_header(call, "content-type", "application/xml");
    kpw_xml_put_declaration(&call->body);
    kpw_xml_put_open(&call->body, "PostResponse", NULL);
    kpw_xml_put_element_cstr(&call->body, "Location", location);
    kpw_xml_put_element_cstr(&call->body, "Bucket", call->bucket);
    kpw_xml_put_element(&call->body, "Key", call->key_bytes, call->key_len);
    kpw_xml_put_element_cstr(&call->body, "ETag", etag_of(call));
    kpw_xml_put_close(&call->body, "PostResponse");
}

static void answer_redirect(struct s3_call *call, struct kpw_slice url)
{
    struct kpw_buf text = KPW_BUF_INIT;

    kpw_buf_put_slice(&text, url);
    kpw_buf_puts(&text, memchr(url.ptr, '?', url.len) ? "&bucket=" : "?bucket=");
    kpw_buf_puts(&text, call->bucket);
    kpw_buf_puts(&text, "&key=");
    kpw_uri_put(&text, call->key_bytes, call->key_len, false);
    kpw_buf_puts(&text, "&etag=");
    kpw_uri_put(&text, etag_of(call), strlen(etag_of(call)), false);
    call->status = 303;
    s3_add_header(call, "location", "%s", kpw_buf_cstr(&text) ? text.ptr : "");
    kpw_buf_fini(&text);
}

static void turn_answer(struct s3_call *call)
{
    struct kpw_slice url = field(call->post, "success_action_redirect");
    struct kpw_slice status = field(call->post, "success_action_status");
    struct kpw_buf location = KPW_BUF_INIT;

    if (call->status != 200)
        return; /* refused */
    if (url.len == 0)
        url = field(call->post, "redirect");
    if (url.len > 0 && is_header_value(url)) {
        answer_redirect(call, url);
        return;
    }
    put_location(call, &location);
    if (kpw_buf_cstr(&location))
        s3_add_header(call, "location", "%s", location.ptr);
    if (kpw_slice_is(status, "201"))
        answer_created(call, kpw_buf_cstr(&location) ? location.ptr : "");
    else if (!kpw_slice_is(status, "200"))
        call->status = 204;
    kpw_buf_fini(&location);
}

static void finish(struct s3_call *call)
{
    call->post->finish(call);
    turn_answer(call);
}

void s3_post_form(struct s3_call *call)
{
    struct s3_post *post = calloc(1, sizeof(*post));

    call->post = post; /* the call frees it */
    if (!post) {
        s3_trouble(call);
        return;
    }
    if (!read_form(call, post) || !set_key(call, post) || !may_post(call, post) ||
        !make_request(call, post))
        return;
    s3_put_object(call);
    if (call->work) {
        post->finish = call->finish;
        call->finish = finish;
    } else {
        turn_answer(call);
    }
}
