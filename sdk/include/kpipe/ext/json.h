/* json.h - extension "json/1": reading single fields of JSON records. [any]
 *
 * For plugins that do not link sdk/wire, whose json.h is the full scanner.
 */
#ifndef KPIPE_EXT_JSON_H
#define KPIPE_EXT_JSON_H

#include <kpipe/plugin.h>

typedef enum kp_json_type {
    KP_JSON_MISSING = 0, /* no such member, or the text is not JSON */
    KP_JSON_NULL,
    KP_JSON_BOOL,
    KP_JSON_NUMBER,
    KP_JSON_STRING,
    KP_JSON_OBJECT,
    KP_JSON_ARRAY,
} kp_json_type;

typedef struct kp_json_ext {
    uint32_t size;
    /* Finds "$.a.b[0]". *ret is the raw text of the value inside `json`; for a string the part
     * between the quotes, escapes as they are. */
    kp_json_type (*find)(kp_slice json, const char *path, kp_slice *ret);
    /* Unescapes into out (at most raw.len bytes); returns the length. */
    size_t (*unescape)(kp_slice raw, char *out);
    bool (*valid)(kp_slice json);
} kp_json_ext;

#endif
