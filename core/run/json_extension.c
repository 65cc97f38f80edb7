/* json_extension.c - json/1: the wire library's scanner for plugins that do not link it. */
#include <kpipe/ext/json.h>

#include "core/run/extensions.h"
#include "sdk/wire/json.h"

static kp_json_type json_find(kp_slice json, const char *path, kp_slice *ret)
{
    struct kpw_slice found = {NULL, 0};
    enum kpw_json_type type = kpw_json_find(kpw_slice(json.ptr, json.len), path, &found);

    *ret = (kp_slice){found.ptr, found.len};
    switch (type) {
    case KPW_JSON_NULL: return KP_JSON_NULL;
    case KPW_JSON_TRUE:
    case KPW_JSON_FALSE: return KP_JSON_BOOL;
    case KPW_JSON_NUMBER: return KP_JSON_NUMBER;
    case KPW_JSON_STRING: return KP_JSON_STRING;
    case KPW_JSON_OBJECT: return KP_JSON_OBJECT;
    case KPW_JSON_ARRAY: return KP_JSON_ARRAY;
    default: return KP_JSON_MISSING;
    }
}

static size_t json_unescape(kp_slice raw, char *out)
{
    return kpw_json_unescape_to(kpw_slice(raw.ptr, raw.len), out);
}

static bool json_valid(kp_slice json)
{
    return kpw_json_valid(json.ptr, json.len);
}

const kp_json_ext json_extension = {sizeof(kp_json_ext), json_find, json_unescape, json_valid};
