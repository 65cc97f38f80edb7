/* complete.c - CompleteMultipartUpload: verifies the list of parts and makes one object of them.
 *
 * The parts are copied into a new file, which takes the digests on the way, and
 * that file is published like any other content. The upload is forgotten after
 * that: a crash in between leaves the object and an upload that can be completed
 * again or aborted.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/layout.h"
#include "plugins/local-aws/s3/multipart.h"
#include "plugins/local-aws/s3/receive.h"
#include "sdk/wire/uri.h"

enum { PART_MIN = 5 * 1024 * 1024 };

/* A part as the request lists it, and the one it means. */
struct listed {
    uint32_t number;
    char etag[S3_ETAG_MAX], checksum[S3_CHECKSUM_MAX];
    enum s3_algorithm algorithm; /* of checksum; S3_SUM_NONE: none given */
    const struct s3_part *part;  /* [borrowed from complete.parts] */
};

struct complete {
    struct s3_call *call;
    struct s3_upload upload;
    struct s3_part *parts; /* all that were uploaded [owned] */
    size_t n_parts;
    struct listed *listed; /* [owned] */
    size_t n_listed, room;
    struct s3_temp temp; /* the object [owned] */
    struct s3_meta meta; /* of it [owned] */
    bool failed;
};

/* ---- reading the list ---- */

static bool malformed(struct s3_call *call)
{
    s3_malformed_xml(call);
    return false;
}

static bool bad_request(struct s3_call *call, const char *text)
{
    s3_refuse(call, "InvalidRequest", text, NULL);
    return false;
}

static struct listed *add_listed(struct complete *c)
{
    if (c->n_listed == S3_PARTS_MAX)
        return NULL;
    if (c->n_listed == c->room) {
        size_t room = c->room * 2 + 16;
        struct listed *more = realloc(c->listed, room * sizeof(*more));

        if (!more)
            return NULL;
        c->listed = more;
        c->room = room;
    }
    c->listed[c->n_listed] = (struct listed){0};
    return &c->listed[c->n_listed++];
}

/* Text without quotes and blanks around it; too long a text cannot match anything. */
static void copy_etag(struct kpw_slice text, char *out, size_t size)
{
    text = kpw_slice_trim(text);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = kpw_slice(text.ptr + 1, text.len - 2);
    snprintf(out, size, "%.*s", (int)(text.len < size ? text.len : size - 1), text.ptr);
}

static bool take_member(struct listed *listed, struct kpw_slice name, struct kpw_buf *text)
{
    const char *value = kpw_buf_cstr(text);
    char *end;

    if (!value)
        return false;
    if (kpw_slice_is(name, "PartNumber")) {
        long number = strtol(value, &end, 10);

        listed->number = (uint32_t)number;
        return end != value && *end == '\0' && number >= 1 && number <= S3_PARTS_MAX;
    }
    if (kpw_slice_is(name, "ETag"))
        copy_etag(kpw_buf_slice(text), listed->etag, sizeof(listed->etag));
    if (kpw_slice_starts(name, "Checksum")) {
        listed->algorithm = s3_sum_named(name.ptr + 8, name.len - 8);
        copy_etag(kpw_buf_slice(text), listed->checksum, sizeof(listed->checksum));
        return listed->algorithm != S3_SUM_NONE;
    }
    return true;
}

/* The members of one <Part>, up to its end. */
static bool read_part(struct kpw_xml *xml, struct listed *listed)
{
    struct kpw_buf text = KPW_BUF_INIT;
    uint32_t depth = xml->depth;
    bool ok = true;

    while (ok && kpw_xml_next(xml) != KPW_XML_CLOSE) {
        struct kpw_slice name = kpw_xml_local(xml->value);

        if (xml->type == KPW_XML_TEXT)
            continue;
        kpw_buf_clear(&text);
        ok = xml->type == KPW_XML_OPEN && xml->depth == depth + 1 && kpw_xml_text(xml, &text) &&
             take_member(listed, name, &text);
    }
    kpw_buf_fini(&text);
    return ok && listed->number > 0 && listed->etag[0] != '\0';
}

static bool read_list(struct complete *c)
{
    struct kpw_slice body = s3_body(c->call);
    enum kpw_xml_type type;
    struct kpw_xml xml;

    kpw_xml_init(&xml, body.ptr ? body.ptr : "", body.len);
    while ((type = kpw_xml_next(&xml)) != KPW_XML_END) {
        struct kpw_slice name = kpw_xml_local(xml.value);
        struct listed *listed;

        if (type == KPW_XML_ERROR)
            return malformed(c->call);
        if (type != KPW_XML_OPEN || !kpw_slice_is(name, "Part"))
            continue;
        listed = add_listed(c);
        if (!listed || !read_part(&xml, listed))
            return malformed(c->call);
    }
    return c->n_listed > 0 || bad_request(c->call, "You must specify at least one part");
}

/* ---- does it fit what was uploaded? ---- */

static bool invalid_part(struct complete *c, const struct listed *listed)
{
    char number[16];

    snprintf(number, sizeof(number), "%u", listed->number);
    s3_refuse(c->call, "InvalidPart",
              "One or more of the specified parts could not be found.  The part may not have been "
              "uploaded, or the specified entity tag may not match the part's entity tag.",
              "UploadId", c->upload.id, "PartNumber", number, "ETag", listed->etag, NULL);
    return false;
}

static const struct s3_part *find_part(const struct complete *c, uint32_t number)
{
    size_t low = 0, high = c->n_parts;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c->parts[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n_parts && c->parts[low].number == number ? &c->parts[low] : NULL;
}

static bool match_part(struct complete *c, struct listed *listed)
{
    listed->part = find_part(c, listed->number);
    return (listed->part && strcmp(listed->part->etag, listed->etag) == 0) ||
           invalid_part(c, listed);
}

static bool check_order_and_tags(struct complete *c)
{
    for (size_t i = 1; i < c->n_listed; i++) {
        if (c->listed[i].number > c->listed[i - 1].number)
            continue;
        s3_refuse(c->call, "InvalidPartOrder",
                  "The list of parts was not in ascending order. Parts must be ordered by part "
                  "number.",
                  "UploadId", c->upload.id, NULL);
        return false;
    }
    for (size_t i = 0; i < c->n_listed; i++)
        if (!match_part(c, &c->listed[i]))
            return false;
    return true;
}

static bool check_sizes(struct complete *c)
{
    char number[16], size[24];

    for (size_t i = 0; i + 1 < c->n_listed; i++) {
        const struct s3_part *part = c->listed[i].part;

        if (part->size >= PART_MIN)
            continue;
        snprintf(number, sizeof(number), "%u", part->number);
        snprintf(size, sizeof(size), "%llu", (unsigned long long)part->size);
        s3_refuse(c->call, "EntityTooSmall",
                  "Your proposed upload is smaller than the minimum allowed size", "ETag",
                  part->etag, "MinSizeAllowed", "5242880", "PartNumber", number, "ProposedSize",
                  size, NULL);
        return false;
    }
    return true;
}

static const char *short_name(enum s3_algorithm algorithm)
{
    return s3_sum_header(algorithm) + strlen("x-amz-checksum-");
}

static bool check_part_checksum(struct complete *c, const struct listed *listed)
{
    enum s3_algorithm wanted = c->upload.algorithm;
    char text[200];

    if (listed->algorithm == S3_SUM_NONE) {
        if (!c->upload.is_composite)
            return true;
        snprintf(text, sizeof(text),
                 "The upload was created using a %s checksum. The complete request must include "
                 "the checksum for each part. It was missing for part %u in the request.",
                 short_name(wanted), listed->number);
        return bad_request(c->call, text);
    }
    if (listed->algorithm == listed->part->algorithm)
        return strcmp(listed->checksum, listed->part->checksum) == 0 || invalid_part(c, listed);
    snprintf(text, sizeof(text), "The %s you specified for part %u did not match what we received.",
             short_name(listed->algorithm), listed->number);
    s3_refuse(c->call, "BadDigest", text, NULL);
    return false;
}

static bool check_checksum_type(struct complete *c)
{
    struct kpw_slice type = s3_header(c->call, "x-amz-checksum-type");
    const char *mode = c->upload.algorithm == S3_SUM_NONE ? "null"
                       : c->upload.is_composite           ? "COMPOSITE"
                                                          : "FULL_OBJECT";
    char text[160];

    if (!type.ptr || kpw_slice_is_nocase(type, mode))
        return true;
    snprintf(text, sizeof(text),
             "The upload was created using the %s checksum mode. The complete request must use the "
             "same checksum mode.",
             mode);
    return bad_request(c->call, text);
}

static bool check_list(struct complete *c)
{
    if (!check_order_and_tags(c) || !check_sizes(c) || !check_checksum_type(c))
        return false;
    for (size_t i = 0; i < c->n_listed; i++)
        if (!check_part_checksum(c, &c->listed[i]))
            return false;
    return true;
}

/* ---- making the object ---- */

static bool append_part(struct complete *c, const struct s3_part *part, struct s3_temp *temp,
                        struct s3_sum *sum)
{
    char piece[65536];
    uint64_t copied = 0;
    ssize_t n = -1;
    int from = openat(c->call->store->root, part->file, O_RDONLY | O_CLOEXEC);
    bool ok = from >= 0;

    while (ok && (n = read(from, piece, sizeof(piece))) > 0) {
        s3_sum_add(sum, piece, (size_t)n);
        copied += (uint64_t)n;
        ok = s3_temp_write(temp, piece, (size_t)n);
    }
    if (from >= 0)
        close(from);
    return ok && n == 0 && copied == part->size;
}

/* Digest over the parts' digests, "-N" behind it. */
static bool sum_of_etags(const struct complete *c, char out[S3_ETAG_MAX])
{
    struct s3_sum md5;
    uint8_t raw[S3_SUM_RAW_MAX];
    char hex[2 * S3_SUM_RAW_MAX + 1];

    if (!s3_sum_init(&md5, S3_MD5))
        return false;
    for (size_t i = 0; i < c->n_listed; i++) {
        const char *etag = c->listed[i].part->etag;

        for (size_t k = 0; k < 16; k++) {
            char two[3] = {etag[2 * k], etag[2 * k + 1], '\0'};

            raw[k] = (uint8_t)strtoul(two, NULL, 16);
        }
        s3_sum_add(&md5, raw, 16);
    }
    s3_hex(raw, s3_sum_end(&md5, raw), hex);
    snprintf(out, S3_ETAG_MAX, "%.32s-%u", hex, (unsigned)c->n_listed % (S3_PARTS_MAX + 1u));
    return true;
}

static bool sum_of_checksums(const struct complete *c, char out[S3_CHECKSUM_MAX])
{
    size_t length = s3_sum_length(c->upload.algorithm);
    struct s3_sum sum;
    uint8_t raw[S3_SUM_RAW_MAX];
    char text[S3_SUM_TEXT_MAX];

    if (!s3_sum_init(&sum, c->upload.algorithm))
        return false;
    for (size_t i = 0; i < c->n_listed; i++) {
        const char *checksum = c->listed[i].part->checksum;

        if (!s3_unbase64(checksum, strlen(checksum), raw, length)) {
            s3_sum_fini(&sum);
            return false;
        }
        s3_sum_add(&sum, raw, length);
    }
    s3_base64(raw, s3_sum_end(&sum, raw), text);
    snprintf(out, S3_CHECKSUM_MAX, "%.47s-%u", text, (unsigned)c->n_listed % (S3_PARTS_MAX + 1u));
    return true;
}

static char *layout_of(const struct complete *c)
{
    struct kpw_buf out = KPW_BUF_INIT;
    size_t len;

    for (size_t i = 0; i < c->n_listed; i++)
        s3_layout_put(&out, c->listed[i].part->size,
                      c->upload.algorithm != S3_SUM_NONE ? c->listed[i].part->checksum : "");
    return kpw_buf_take(&out, &len);
}

/* On the pool: all bytes into one file. */
static bool assemble(struct complete *c)
{
    struct s3_meta *meta = &c->meta;
    struct s3_sum sum = {0};
    uint8_t raw[S3_SUM_RAW_MAX];
    bool ok = s3_sum_init(&sum, meta->algorithm);

    for (size_t i = 0; ok && i < c->n_listed; i++) {
        ok = append_part(c, c->listed[i].part, &c->temp, &sum);
        meta->size += c->listed[i].part->size;
    }
    if (ok)
        s3_base64(raw, s3_sum_end(&sum, raw), meta->checksum);
    s3_sum_fini(&sum);
    return ok && (!meta->is_composite || sum_of_checksums(c, meta->checksum)) &&
           sum_of_etags(c, meta->etag) && (!c->call->store->sync || s3_temp_sync(&c->temp));
}

static bool begin_object(struct complete *c)
{
    c->meta.modified_ms = c->call->now_ms;
    c->meta.algorithm = c->upload.algorithm != S3_SUM_NONE ? c->upload.algorithm : S3_CRC64NVME;
    c->meta.is_composite = c->upload.is_composite;
    c->meta.parts = (uint32_t)c->n_listed;
    c->meta.headers = json_incref(c->upload.headers);
    c->meta.layout = layout_of(c);
    if (c->meta.layout && s3_temp_open(c->call->store, &c->temp))
        return true;
    s3_trouble(c->call);
    return false;
}

static bool check_result(struct complete *c, const struct s3_meta *meta)
{
    struct kpw_slice size = s3_header(c->call, "x-amz-mp-object-size");
    struct kpw_slice sum = s3_header(c->call, s3_sum_header(meta->algorithm));
    char text[200], ours[24];

    snprintf(ours, sizeof(ours), "%llu", (unsigned long long)meta->size);
    if (size.ptr && !kpw_slice_is(size, ours)) {
        snprintf(text, sizeof(text),
                 "The provided 'x-amz-mp-object-size' header value %.*s does not match what was "
                 "computed: %s",
                 (int)(size.len < 24 ? size.len : 24), size.ptr, ours);
        return bad_request(c->call, text);
    }
    if (!sum.ptr || kpw_slice_is(sum, meta->checksum))
        return true;
    snprintf(text, sizeof(text), "The %s you specified did not match the calculated checksum.",
             short_name(meta->algorithm));
    s3_refuse(c->call, "BadDigest", text, NULL);
    return false;
}

static void answer(struct s3_call *call, const struct s3_meta *meta)
{
    struct kpw_slice host = s3_header(call, "host");
    struct kpw_buf location = KPW_BUF_INIT;
    char member[32];

    kpw_buf_appendf(&location, "%s://%.*s/", call->request->is_tls ? "https" : "http",
                    (int)(host.len < 300 ? host.len : 300), host.ptr ? host.ptr : "");
    if (!call->is_virtual)
        kpw_buf_appendf(&location, "%s/", call->bucket);
    kpw_uri_put(&location, call->key_bytes, call->key_len, true);
    s3_begin_xml(call, "CompleteMultipartUploadResult");
    kpw_xml_put_element(&call->body, "Location", location.ptr, location.len);
    kpw_xml_put_element_cstr(&call->body, "Bucket", call->bucket);
    kpw_xml_put_element(&call->body, "Key", call->key_bytes, call->key_len);
    kpw_buf_appendf(&call->body, "<ETag>&quot;%s&quot;</ETag>", meta->etag);
    snprintf(member, sizeof(member), "Checksum%s", s3_sum_name(meta->algorithm));
    kpw_xml_put_element_cstr(&call->body, member, meta->checksum);
    kpw_xml_put_element_cstr(&call->body, "ChecksumType",
                             meta->is_composite ? "COMPOSITE" : "FULL_OBJECT");
    kpw_xml_put_close(&call->body, "CompleteMultipartUploadResult");
    s3_add_encryption(call, meta);
    call->body.failed = call->body.failed || location.failed;
    kpw_buf_fini(&location);
}

/* A condition that holds now but may not have held all the time counts as a conflict. */
static bool check_conflict(struct complete *c)
{
    bool match = s3_header(c->call, "if-match").ptr, none = s3_header(c->call, "if-none-match").ptr;

    if (!c->upload.was_touched || (!match && !none))
        return true;
    s3_refuse(c->call, "ConditionalRequestConflict",
              "The conditional request cannot succeed due to a conflicting operation against this "
              "resource.",
              "Condition", match ? "If-Match" : "If-None-Match", "Key", c->call->key_bytes, NULL);
    return false;
}

static void complete_free(struct complete *c)
{
    s3_temp_drop(c->call->store, &c->temp);
    s3_meta_fini(&c->meta);
    s3_upload_fini(&c->upload);
    free(c->parts);
    free(c->listed);
    c->call->state = NULL;
    free(c);
}

static void work(struct s3_call *call)
{
    struct complete *c = call->state;

    c->failed = !assemble(c);
}

/* Meanwhile the upload may have gone, and the key may have changed. */
static void publish(struct s3_call *call)
{
    struct complete *c = call->state;
    struct s3_key key = s3_key(call);
    struct s3_upload now = {.id = ""};

    if (!s3_find_upload(call, &now))
        goto out;
    c->upload.was_touched = now.was_touched;
    if (c->failed)
        s3_trouble(call);
    if (c->failed || !check_result(c, &c->meta) ||
        !s3_may_write(call, "if-match", "if-none-match") || !check_conflict(c))
        goto out;
    if (s3_object_publish(call->store, &key, &c->temp, &c->meta) &&
        s3_upload_remove(call->store, c->upload.id))
        answer(call, &c->meta);
    else
        s3_trouble(call);
out:
    s3_upload_fini(&now);
    complete_free(c);
}

static uint64_t bytes_of(const struct complete *c)
{
    uint64_t n = 0;

    for (size_t i = 0; i < c->n_listed; i++)
        n += c->listed[i].part->size;
    return n;
}

void s3_complete_upload(struct s3_call *call)
{
    struct complete *c;

    if (!s3_check_document(call, S3_PAYLOAD_ONLY))
        return;
    c = calloc(1, sizeof(*c));
    if (!c) {
        s3_trouble(call);
        return;
    }
    c->call = call;
    c->temp.fd = -1;
    call->state = c;
    if (!s3_find_upload(call, &c->upload)) {
        complete_free(c);
        return;
    }
    c->parts = s3_part_list(call->store, c->upload.id, &c->n_parts);
    if (!read_list(c) || !check_list(c) || !s3_may_write(call, "if-match", "if-none-match") ||
        !check_conflict(c) || !begin_object(c)) {
        complete_free(c);
        return;
    }
    s3_in_steps(call, bytes_of(c), work, publish);
}
