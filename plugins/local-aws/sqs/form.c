/* form.c - the query protocol's form as the JSON input it stands for.
 *
 * "A.1.Name=x" first becomes a tree {"A": {"1": {"Name": "x"}}}; then the members
 * the model knows as lists or maps are rebuilt from their numbered entries.
 */
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/s3/name.h"
#include "plugins/local-aws/sqs/text.h"

enum {
    PARTS_MAX = 6, /* SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue */
    PARAMETERS_MAX = 2000,
};

enum shape { LIST = 1, ENTRIES, TEXT_MAP, TAG_MAP, ATTRIBUTE_MAP };

static const struct member {
    const char *form, *json;
    enum shape shape;
} members[] = {
    {"AttributeName", "AttributeNames", LIST},
    {"MessageAttributeName", "MessageAttributeNames", LIST},
    {"MessageSystemAttributeName", "MessageSystemAttributeNames", LIST},
    {"TagKey", "TagKeys", LIST},
    {"AWSAccountId", "AWSAccountIds", LIST},
    {"ActionName", "Actions", LIST},
    {"SendMessageBatchRequestEntry", "Entries", ENTRIES},
    {"DeleteMessageBatchRequestEntry", "Entries", ENTRIES},
    {"ChangeMessageVisibilityBatchRequestEntry", "Entries", ENTRIES},
    {"Attribute", "Attributes", TEXT_MAP},
    {"Tag", "Tags", TAG_MAP},
    {"MessageAttribute", "MessageAttributes", ATTRIBUTE_MAP},
    {"MessageSystemAttribute", "MessageSystemAttributes", ATTRIBUTE_MAP},
};

/* ---- reading pairs ---- */

/* Puts one parameter into the tree; a name that is both a text and a folder keeps the first. */
static bool insert(json_t *tree, char *name, const char *value, size_t value_len)
{
    json_t *at = tree, *text;
    char *part = name, *dot;

    for (int depth = 1; (dot = strchr(part, '.')) != NULL; depth++) {
        json_t *below;

        if (depth == PARTS_MAX)
            return false;
        *dot = '\0';
        below = json_object_get(at, part);
        if (!below) {
            below = json_object();
            json_object_set_new_nocheck(at, part, below);
        }
        if (!json_is_object(below))
            return true;
        at = below;
        part = dot + 1;
    }
    if (json_object_get(at, part))
        return true;
    text = json_stringn(value, value_len);
    return text && json_object_set_new_nocheck(at, part, text) == 0;
}

static bool insert_pair(json_t *tree, const char *pair, size_t len, char *room)
{
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals ? (size_t)(equals - pair) : len;
    char *value = room + name_len + 1;
    long n = s3_decode_query(pair, name_len, room, name_len + 1), m = 0;

    value[0] = '\0';
    if (equals)
        m = s3_decode_query(equals + 1, len - name_len - 1, value, len - name_len);
    return n > 0 && m >= 0 && s3_is_text(room, (size_t)n) && insert(tree, room, value, (size_t)m);
}

bool sqs_form_add(json_t *input, const char *form, size_t len)
{
    char *room = malloc(len + 3);
    const char *end = form + len;
    bool ok = room != NULL;
    int count = 0;

    while (ok && form < end) {
        const char *stop = memchr(form, '&', (size_t)(end - form));
        size_t n = (size_t)((stop ? stop : end) - form);

        if (n > 0)
            ok = ++count <= PARAMETERS_MAX && insert_pair(input, form, n, room);
        form = stop ? stop + 1 : end;
    }
    free(room);
    return ok;
}

/* ---- lists and maps ---- */

struct numbered {
    long number;
    json_t *value;
};

static int by_number(const void *a, const void *b)
{
    long x = ((const struct numbered *)a)->number, y = ((const struct numbered *)b)->number;

    return (x > y) - (x < y);
}

/* [new reference] The values of {"1": .., "2": ..} in order of their numbers. */
static json_t *in_order(json_t *tree)
{
    struct numbered *all = calloc(json_object_size(tree) + 1, sizeof(*all));
    json_t *list = json_array(), *value;
    const char *name;
    size_t n = 0;

    if (all) {
        json_object_foreach(tree, name, value)
        {
            all[n++] = (struct numbered){strtol(name, NULL, 10), value};
        }
        qsort(all, n, sizeof(*all), by_number);
    }
    for (size_t i = 0; i < n; i++)
        json_array_append(list, all[i].value);
    free(all);
    return list;
}

static json_t *map_of(json_t *tree, const char *key_name)
{
    json_t *list = in_order(tree), *map = json_object();

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i), *value = json_object_get(entry, "Value");
        const char *key = json_string_value(json_object_get(entry, key_name));

        if (key)
            json_object_set_new_nocheck(map, key,
                                        value ? json_incref(value) : json_string_nocheck(""));
    }
    json_decref(list);
    return map;
}

static bool finish(json_t *input, int depth);

static json_t *rebuild(json_t *tree, enum shape shape, int depth)
{
    json_t *list;

    if (shape == TEXT_MAP || shape == ATTRIBUTE_MAP)
        return map_of(tree, "Name");
    if (shape == TAG_MAP)
        return map_of(tree, "Key");
    list = in_order(tree);
    for (size_t i = 0; shape == ENTRIES && i < json_array_size(list); i++)
        finish(json_array_get(list, i), depth + 1);
    return list;
}

static bool finish(json_t *input, int depth)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct member *m = &members[i];
        json_t *tree = json_object_get(input, m->form), *made;

        if (!tree || depth > 1)
            continue;
        /* "Entry=" alone is the empty list. */
        made = json_is_object(tree)                      ? rebuild(tree, m->shape, depth)
               : m->shape == LIST || m->shape == ENTRIES ? json_array()
                                                         : json_object();
        json_object_del(input, m->form);
        json_object_set_new_nocheck(input, m->json, made);
    }
    return true;
}

bool sqs_form_finish(json_t *input)
{
    return finish(input, 0);
}

json_t *sqs_form_read(const char *form, size_t len)
{
    json_t *input = json_object();

    if (sqs_form_add(input, form, len) && sqs_form_finish(input))
        return input;
    json_decref(input);
    return NULL;
}
