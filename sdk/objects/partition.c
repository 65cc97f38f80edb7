/* partition.c - see partition.h. A template is compiled into parts: text, then a member, and so on.
 */
#include "sdk/objects/partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/objects/datetime.h"
#include "sdk/wire/json.h"
#include "sdk/wire/time.h"

#define DEFAULT_PARTITION "__DEFAULT_PARTITION__"
#define MAX_PARTS         16
#define VALUE_MAX         1024

struct part {
    kp_slice text;       /* literal in front */
    char *path;          /* [owned] JSON path of the member; NULL: only text */
    const char *pattern; /* of a time stamp, NULL: the value itself */
    size_t pattern_len;
};

struct kpo_partition {
    char *template; /* [owned] what the slices point into */
    struct part parts[MAX_PARTS];
    size_t n;
};

/* ---- compiling */

static const struct {
    const char *name, *pattern;
} formats[] = {{"date", "yyyy-MM-dd"}, {"hour", "HH"}, {"year", "yyyy"},
               {"month", "MM"},        {"day", "dd"},  {"minute", "mm"}};

static bool set_pattern(struct part *part, const char *text, size_t len, char *err, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strlen(formats[i].name) != len || memcmp(formats[i].name, text, len) != 0)
            continue;
        part->pattern = formats[i].pattern;
        part->pattern_len = strlen(part->pattern);
        return true;
    }
    part->pattern = text;
    part->pattern_len = len;
    return kpo_datetime_check(text, len, err, size);
}

/* "$.a.b" stays, "a" becomes "$['a']". */
static char *path_of(const char *name, size_t len)
{
    char *path = malloc(len + 6);

    if (path && len && name[0] == '$')
        snprintf(path, len + 6, "%.*s", (int)len, name);
    else if (path)
        snprintf(path, len + 6, "$['%.*s']", (int)len, name);
    return path;
}

/* `at` is behind "${"; returns what is behind "}". */
static const char *read_member(struct part *part, const char *at, char *err, size_t size)
{
    const char *brace = strchr(at, '}'), *colon;
    size_t len;

    if (!brace) {
        snprintf(err, size, "'${' is not closed");
        return NULL;
    }
    colon = memchr(at, ':', (size_t)(brace - at));
    len = (size_t)((colon ? colon : brace) - at);
    if (!len) {
        snprintf(err, size, "${} names no member");
        return NULL;
    }
    if (colon && !set_pattern(part, colon + 1, (size_t)(brace - colon - 1), err, size))
        return NULL;
    part->path = path_of(at, len);
    if (!part->path)
        snprintf(err, size, "out of memory");
    return part->path ? brace + 1 : NULL;
}

static bool compile(struct kpo_partition *partition, char *err, size_t size)
{
    const char *at = partition->template;

    while (at && *at) {
        struct part *part = &partition->parts[partition->n];
        const char *next = strstr(at, "${");

        if (partition->n == MAX_PARTS) {
            snprintf(err, size, "more than %d members", MAX_PARTS);
            return false;
        }
        partition->n++;
        part->text = (kp_slice){at, next ? (size_t)(next - at) : strlen(at)};
        at = next ? read_member(part, next + 2, err, size) : at + part->text.len;
    }
    return at != NULL;
}

/* A name or a path alone stands for "name=${name}". */
static char *expand(const char *text, bool is_path)
{
    size_t size = 2 * strlen(text) + 8;
    const char *dot = is_path ? strrchr(text, '.') : NULL, *name = dot ? dot + 1 : text;
    char *template = malloc(size);

    if (template && (is_path || !strpbrk(text, "$/=")))
        snprintf(template, size, "%s=${%s}", name, text);
    else if (template)
        snprintf(template, size, "%s", text);
    return template;
}

struct kpo_partition *kpo_partition_new(const char *text, bool is_path, char *err, size_t err_size)
{
    size_t len = strlen(text);
    struct kpo_partition *partition;

    if (!len || text[0] == '/' || text[len - 1] == '/') {
        snprintf(err, err_size, len ? "a folder begins and ends without '/'" : "it is empty");
        return NULL;
    }
    partition = calloc(1, sizeof *partition);
    if (partition)
        partition->template = expand(text, is_path);
    if (!partition || !partition->template)
        snprintf(err, err_size, "out of memory");
    else if (compile(partition, err, err_size))
        return partition;
    kpo_partition_free(partition);
    return NULL;
}

void kpo_partition_free(struct kpo_partition *partition)
{
    if (!partition)
        return;
    for (size_t i = 0; i < partition->n; i++)
        free(partition->parts[i].path);
    free(partition->template);
    free(partition);
}

/* ---- time stamps */

/* Seconds or milliseconds: what would be a year beyond 5000 in seconds is milliseconds. */
static bool time_of_number(struct kpw_slice number, int64_t *ret_ms)
{
    double value;

    if (!kpw_json_to_double(number, &value) || value != value || value > 1e15 || value < -1e15)
        return false;
    *ret_ms = (int64_t)(value > 1e11 || value < -1e11 ? value : value * 1000);
    return true;
}

/* A blank for the T and a missing zone (UTC) are put right first. */
bool kpo_time_parse(kp_slice text, int64_t *ret_ms)
{
    char iso[48];
    size_t len = text.len;

    if (len < 10 || len > sizeof iso - 16)
        return false;
    memcpy(iso, text.ptr, len);
    if (len == 10) {
        memcpy(iso + len, "T00:00:00", 9);
        len += 9;
    }
    if (iso[10] == ' ')
        iso[10] = 'T';
    if (len == 16) { /* no seconds */
        memcpy(iso + len, ":00", 3);
        len += 3;
    }
    if (iso[len - 1] != 'Z' && iso[len - 1] != 'z' && !memchr(iso + 11, '+', len - 11) &&
        !memchr(iso + 11, '-', len - 11))
        iso[len++] = 'Z';
    return kpw_iso8601_parse(kpw_slice(iso, len), ret_ms);
}

/* ---- folders */

struct folder {
    char *at;
    size_t left, len;
    bool is_cut;
};

static void put(struct folder *folder, const char *text, size_t len)
{
    if (len > folder->left) {
        folder->is_cut = true;
        return;
    }
    memcpy(folder->at, text, len);
    folder->at += len;
    folder->left -= len;
    folder->len += len;
}

static void put_escaped(struct folder *folder, const char *text, size_t len)
{
    char hex[4];

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != 0x7f && !strchr("\"#%'*/:=?\\{[]^", c)) {
            put(folder, text + i, 1);
            continue;
        }
        snprintf(hex, sizeof hex, "%%%02X", c);
        put(folder, hex, 3);
    }
}

static void put_time(struct folder *folder, const struct part *part, enum kpw_json_type type,
                     struct kpw_slice value)
{
    char out[128];
    int64_t ms;
    bool ok = type == KPW_JSON_NUMBER ? time_of_number(value, &ms)
                                      : kpo_time_parse((kp_slice){value.ptr, value.len}, &ms);

    if (ok)
        put_escaped(folder, out,
                    kpo_datetime_format(part->pattern, part->pattern_len, ms, out, sizeof out));
    else
        put(folder, DEFAULT_PARTITION, sizeof DEFAULT_PARTITION - 1);
}

static void put_value(struct folder *folder, const struct part *part, enum kpw_json_type type,
                      struct kpw_slice raw)
{
    char text[VALUE_MAX];

    if (type == KPW_JSON_END || type == KPW_JSON_NULL || !raw.len) {
        put(folder, DEFAULT_PARTITION, sizeof DEFAULT_PARTITION - 1);
    } else if (part->pattern) {
        put_time(folder, part, type, raw);
    } else if (raw.len > sizeof text) {
        folder->is_cut = true;
    } else if (type == KPW_JSON_STRING) {
        put_escaped(folder, text, kpw_json_unescape_to(raw, text));
    } else {
        put_escaped(folder, raw.ptr, raw.len);
    }
}

/* A part "." or "..": in a file system it would lead somewhere else. */
static bool climbs(const char *at, size_t len)
{
    const char *end = at + len;

    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t n = (size_t)((slash ? slash : end) - at);

        if (n && n <= 2 && at[0] == '.' && at[n - 1] == '.')
            return true;
        at += n + 1;
    }
    return false;
}

bool kpo_partition_path(const struct kpo_partition *partition, kp_slice json, char *out, size_t cap,
                        size_t *ret_len, char *err, size_t err_size)
{
    struct kpw_slice doc = {json.ptr, json.len}, raw;
    struct folder folder = {out, cap, 0, false};
    enum kpw_json_type type;

    *ret_len = 0;
    if (kpw_json_find(doc, "$", &raw) != KPW_JSON_OBJECT) {
        snprintf(err, err_size, "the record is no JSON object");
        return false;
    }
    for (size_t i = 0; i < partition->n; i++) {
        const struct part *part = &partition->parts[i];

        put(&folder, part->text.ptr, part->text.len);
        if (!part->path)
            continue;
        type = kpw_json_find(doc, part->path, &raw);
        put_value(&folder, part, type == KPW_JSON_ERROR ? KPW_JSON_END : type, raw);
    }
    *ret_len = folder.len;
    if (folder.is_cut) {
        snprintf(err, err_size, "the folder is longer than %zu bytes", cap);
        return false;
    }
    if (climbs(out, folder.len)) {
        snprintf(err, err_size, "a part of the folder is '.' or '..'");
        return false;
    }
    return true;
}
