/* xml.c - SQS's JSON answers as the XML of the query protocol. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/text.h"

#define NAMESPACE "http://queue.amazonaws.com/doc/2012-11-05/"

struct xml {
    char *text; /* [owned] */
    size_t n, size;
    bool failed;
};

static void add_bytes(struct xml *xml, const char *text, size_t len)
{
    if (xml->failed)
        return;
    if (xml->n + len + 1 > xml->size) {
        size_t size = (xml->n + len + 1) * 2;
        char *more = realloc(xml->text, size);

        if (!more) {
            xml->failed = true;
            return;
        }
        xml->text = more;
        xml->size = size;
    }
    memcpy(xml->text + xml->n, text, len);
    xml->n += len;
    xml->text[xml->n] = '\0';
}

static void add(struct xml *xml, const char *text)
{
    add_bytes(xml, text, strlen(text));
}

static void add_escaped(struct xml *xml, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        switch (text[i]) {
        case '<': add(xml, "&lt;"); break;
        case '>': add(xml, "&gt;"); break;
        case '&': add(xml, "&amp;"); break;
        case '"': add(xml, "&quot;"); break;
        case '\r': add(xml, "&#xD;"); break;
        default: add_bytes(xml, text + i, 1);
        }
    }
}

static void open_tag(struct xml *xml, const char *name)
{
    add(xml, "<");
    add(xml, name);
    add(xml, ">");
}

static void close_tag(struct xml *xml, const char *name)
{
    add(xml, "</");
    add(xml, name);
    add(xml, ">");
}

static void add_element(struct xml *xml, const char *name, const json_t *value)
{
    char number[32];

    open_tag(xml, name);
    if (json_is_string(value)) {
        add_escaped(xml, json_string_value(value), json_string_length(value));
    } else if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        add(xml, number);
    } else if (json_is_boolean(value)) {
        add(xml, json_is_true(value) ? "true" : "false");
    }
    close_tag(xml, name);
}

static void add_members(struct xml *xml, const char *action, const json_t *object);

/* Maps and lists are flattened: the element's name is repeated. */
static const char *flat_name(const char *action, const char *name)
{
    static _Thread_local char entry[80];
    static const char *const names[][2] = {
        {"QueueUrls", "QueueUrl"},
        {"queueUrls", "QueueUrl"},
        {"Messages", "Message"},
        {"Attributes", "Attribute"},
        {"MessageAttributes", "MessageAttribute"},
        {"Tags", "Tag"},
        {"Failed", "BatchResultErrorEntry"},
        {"Results", "ListMessageMoveTasksResultEntry"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i][0], name) == 0)
            return names[i][1];
    if (strcmp(name, "Successful") != 0)
        return name;
    snprintf(entry, sizeof(entry), "%.50sResultEntry", action);
    return entry;
}

static void add_map(struct xml *xml, const char *action, const char *name, const json_t *map)
{
    bool is_tag = strcmp(name, "Tag") == 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)map, key, value)
    {
        open_tag(xml, name);
        open_tag(xml, is_tag ? "Key" : "Name");
        add_escaped(xml, key, strlen(key));
        close_tag(xml, is_tag ? "Key" : "Name");
        if (json_is_object(value)) {
            open_tag(xml, "Value");
            add_members(xml, action, value);
            close_tag(xml, "Value");
        } else {
            add_element(xml, "Value", value);
        }
        close_tag(xml, name);
    }
}

static void add_list(struct xml *xml, const char *action, const char *name, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);

        if (json_is_object(one)) {
            open_tag(xml, name);
            add_members(xml, action, one);
            close_tag(xml, name);
        } else {
            add_element(xml, name, one);
        }
    }
}

static void add_members(struct xml *xml, const char *action, const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        if (json_is_array(value))
            add_list(xml, action, flat_name(action, key), value);
        else if (json_is_object(value))
            add_map(xml, action, flat_name(action, key), value);
        else
            add_element(xml, key, value);
    }
}

static void tag_of(struct xml *xml, const char *start, const char *action, const char *end)
{
    add(xml, start);
    add(xml, action);
    add(xml, end);
}

static char *finished(struct xml *xml)
{
    if (!xml->failed)
        return xml->text;
    free(xml->text);
    return NULL;
}

char *sqs_xml_answer(const char *action, const json_t *output, const char *request_id)
{
    /* Operations without output have no Result element at all. */
    static const char *const silent[] = {
        "DeleteQueue",        "DeleteMessage", "ChangeMessageVisibility",
        "SetQueueAttributes", "PurgeQueue",    "TagQueue",
        "UntagQueue",         "AddPermission", "RemovePermission"};
    struct xml xml = {NULL, 0, 0, false};
    bool has_result = true;

    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        has_result = has_result && strcmp(silent[i], action) != 0;
    add(&xml, "<?xml version=\"1.0\"?>");
    tag_of(&xml, "<", action, "Response xmlns=\"" NAMESPACE "\">");
    if (has_result) {
        tag_of(&xml, "<", action, "Result>");
        add_members(&xml, action, output);
        tag_of(&xml, "</", action, "Result>");
    }
    tag_of(&xml, "<ResponseMetadata><RequestId>", request_id, "</RequestId></ResponseMetadata>");
    tag_of(&xml, "</", action, "Response>");
    return finished(&xml);
}

char *sqs_xml_error(const char *code, const char *message, const char *request_id)
{
    struct xml xml = {NULL, 0, 0, false};

    add(&xml, "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"" NAMESPACE "\"><Error>");
    tag_of(&xml, "<Type>Sender</Type><Code>", code, "</Code><Message>");
    add_escaped(&xml, message, strlen(message));
    tag_of(&xml, "</Message><Detail/></Error><RequestId>", request_id,
           "</RequestId></ErrorResponse>");
    return finished(&xml);
}
