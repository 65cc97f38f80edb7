/* object.c - GetObject and HeadObject. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/s3/call.h"
#include "plugins/local-aws/s3/layout.h"
#include "plugins/local-aws/s3/range.h"
#include "plugins/local-aws/s3/tags.h"
#include "sdk/wire/time.h"

enum { PARTS_MAX = 10000 };

bool s3_check_version(struct s3_call *call)
{
    const struct s3_parameter *id = s3_parameter(call, "versionId");

    if (!id || strcmp(id->value, "null") == 0)
        return true;
    s3_refuse(call, "InvalidArgument",
              id->len ? "Invalid version id specified" : "Version id cannot be the empty string",
              "ArgumentName", "versionId", "ArgumentValue",
              s3_is_text(id->value, id->len) ? id->value : "", NULL);
    return false;
}

static void add_object_headers(struct s3_call *call, const struct s3_meta *meta)
{
    char date[KPW_HTTP_DATE_SIZE];
    unsigned n_tags = s3_tags_count(s3_stored(meta, "x-amz-tagging"));

    kpw_http_date_format(meta->modified_ms / 1000, date);
    s3_add_header(call, "etag", "\"%s\"", meta->etag);
    s3_add_header(call, "last-modified", "%s", date);
    s3_add_header(call, "accept-ranges", "bytes");
    if (n_tags > 0)
        s3_add_header(call, "x-amz-tagging-count", "%u", n_tags);
}

/* ---- which bytes ---- */

/* What is to be sent. */
struct choice {
    uint64_t first, len;
    bool is_part; /* asked for by number */
};

static void add_content_range(struct s3_call *call, const struct choice *choice, uint64_t size)
{
    call->status = 206;
    s3_add_header(call, "content-range", "bytes %llu-%llu/%llu", (unsigned long long)choice->first,
                  (unsigned long long)(choice->first + choice->len - 1), (unsigned long long)size);
}

static bool invalid_range(struct s3_call *call, uint64_t size)
{
    struct kpw_slice range = s3_header(call, "range");
    char actual[24], asked[80];

    snprintf(actual, sizeof(actual), "%llu", (unsigned long long)size);
    snprintf(asked, sizeof(asked), "%.*s", (int)(range.len < 70 ? range.len : 70), range.ptr);
    s3_refuse(call, "InvalidRange", "The requested range is not satisfiable", "ActualObjectSize",
              actual, "RangeRequested", asked, NULL);
    return false;
}

static bool choose_range(struct s3_call *call, uint64_t size, struct choice *choice)
{
    struct kpw_slice range = s3_header(call, "range");
    uint64_t last = 0;

    switch (s3_range_parse(range.ptr, range.len, size, &choice->first, &last)) {
    case S3_RANGE_WHOLE: choice->first = 0; return true;
    case S3_RANGE_UNSATISFIABLE: return invalid_range(call, size);
    case S3_RANGE_PART: break;
    }
    choice->len = last - choice->first + 1;
    add_content_range(call, choice, size);
    return true;
}

static bool read_part_number(struct s3_call *call, const char *text, uint32_t *ret)
{
    char *end;
    long n = strtol(text, &end, 10);

    *ret = (uint32_t)n;
    if (*text >= '0' && *text <= '9' && *end == '\0' && n >= 1 && n <= PARTS_MAX)
        return true;
    s3_refuse(call, "InvalidArgument",
              "Part number must be an integer between 1 and 10000, inclusive", "ArgumentName",
              "partNumber", "ArgumentValue", text, NULL);
    return false;
}

/* An object that was put in one piece is its own only part. */
static bool find_part(struct s3_call *call, const struct s3_meta *meta, uint32_t number,
                      struct choice *choice)
{
    struct s3_key key = s3_key(call);
    struct s3_layout_part part;
    char *layout;
    bool found;

    if (meta->parts == 0)
        return number == 1;
    layout = s3_object_layout(call->store, &key);
    found = layout && s3_layout_find(layout, number, &part);
    if (found) {
        choice->first = part.first;
        choice->len = part.size;
    }
    free(layout);
    return found;
}

static bool choose_part(struct s3_call *call, const struct s3_meta *meta, const char *text,
                        struct choice *choice)
{
    char count[16];
    uint32_t number;

    if (!read_part_number(call, text, &number))
        return false;
    choice->is_part = true;
    if (!find_part(call, meta, number, choice)) {
        snprintf(count, sizeof(count), "%u", meta->parts ? meta->parts : 1);
        s3_refuse(call, "InvalidPartNumber", "The requested partnumber is not satisfiable",
                  "ActualPartCount", count, "PartNumberRequested", text, NULL);
        return false;
    }
    if (meta->parts > 0)
        s3_add_header(call, "x-amz-mp-parts-count", "%u", meta->parts);
    if (choice->len > 0)
        add_content_range(call, choice, meta->size);
    return true;
}

/* False: answered. */
static bool choose(struct s3_call *call, const struct s3_meta *meta, struct choice *choice)
{
    const struct s3_parameter *part = s3_parameter(call, "partNumber");
    bool has_range = s3_header(call, "range").ptr != NULL;

    *choice = (struct choice){0, meta->size, false};
    call->status = 200;
    if (part && has_range) {
        s3_refuse(call, "InvalidRequest",
                  "Cannot specify both Range header and partNumber query parameter", NULL);
        return false;
    }
    if (part)
        return choose_part(call, meta, part->value, choice);
    return !has_range || choose_range(call, meta->size, choice);
}

/* ---- the answer ---- */

/* An object with its content open; false: answered. */
static bool open_object(struct s3_call *call, struct s3_object *object)
{
    struct s3_key key = s3_key(call);

    if (!s3_object_find(call->store, &key, object)) {
        s3_no_such_key(call);
        return false;
    }
    call->file = s3_object_open(call->store, object);
    if (call->file >= 0)
        return true;
    /* Someone removed the file by hand: the object is gone. */
    if (errno == ENOENT && s3_object_delete(call->store, &key))
        s3_no_such_key(call);
    else
        s3_trouble(call);
    return false;
}

static void answer(struct s3_call *call, const struct s3_meta *meta)
{
    struct choice choice;

    if (!choose(call, meta, &choice))
        return;
    add_object_headers(call, meta);
    s3_add_stored_headers(call, meta);
    if (choice.len == meta->size && !choice.is_part &&
        kpw_slice_is_nocase(s3_header_or_parameter(call, "x-amz-checksum-mode"), "ENABLED"))
        s3_add_checksum(call, meta);
    call->file_from = choice.first;
    call->file_len = choice.len;
}

void s3_get_object(struct s3_call *call)
{
    struct s3_object object = {0};
    const char *condition = "";

    if (!s3_check_version(call) || !open_object(call, &object)) {
        s3_object_fini(&object);
        return;
    }
    switch (s3_judge(call, &object.meta, "", &condition)) {
    case S3_FAILED: s3_precondition_failed(call, condition); break;
    case S3_NOT_MODIFIED:
        call->status = 304;
        add_object_headers(call, &object.meta);
        break;
    case S3_GO_ON: answer(call, &object.meta); break;
    }
    if (call->file_len == 0 && call->file >= 0) {
        close(call->file);
        call->file = -1;
    }
    s3_object_fini(&object);
}
