/* service_test.h - asking the JSON services of the local AWS in tests.
 *
 * Threads: the test's only.
 */
#ifndef KPIPE_LOCAL_AWS_SERVICE_TEST_H
#define KPIPE_LOCAL_AWS_SERVICE_TEST_H

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/harness/harness.h"
#include "tests/kptest.h"

/* The service on a folder that outlives it; NULL: one of its own. */
static inline struct harness *service_start(const char *dir)
{
    char options[4400];
    struct harness *h;

    snprintf(options, sizeof(options), dir ? "{ dir = '%s' }" : "{}", dir);
    h = harness_new("local-aws", KP_SERVICE, options);
    harness_start(h);
    REQUIRE(harness_url(h) != NULL);
    return h;
}

/* [owned by caller] The text with each ' turned into ". */
static inline char *service_json(const char *fmt, va_list args)
{
    char *text = NULL;

    REQUIRE(vasprintf(&text, fmt, args) >= 0);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    return text;
}

static inline void service_headers(const char *target, char out[200])
{
    snprintf(out, 200, "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: %s\r\n", target);
}

/* [owned by caller] The answer's JSON. The status must be as expected. */
static inline json_t *service_ask(struct harness *h, int status, const char *target,
                                  const char *fmt, ...)
{
    char headers[200], *body;
    const char *answer = "";
    json_t *out;
    va_list args;
    int got;

    va_start(args, fmt);
    body = service_json(fmt, args);
    va_end(args);
    service_headers(target, headers);
    got = harness_request(h, "POST", "/", headers, body, strlen(body), &answer);
    if (got != status)
        fprintf(stderr, "%s %s: %d %s\n", target, body, got, answer);
    EQ_INT(got, status);
    free(body);
    out = json_loads(answer, 0, NULL);
    REQUIRE(out != NULL);
    return out;
}

/* The same for answers nobody looks at. */
#define SERVICE_DO(...) json_decref(service_ask(__VA_ARGS__))

/* The text at a path of members and list indexes: "Messages.0.Body"; "" when it is not there.
 * [borrowed from the document] */
static inline const char *service_at(const json_t *document, const char *path)
{
    static char number[32];
    char part[100];

    while (document && *path) {
        size_t n = strcspn(path, ".");

        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        path += n + (path[n] == '.');
        document = json_is_array(document) ? json_array_get(document, (size_t)atol(part))
                                           : json_object_get(document, part);
    }
    if (json_is_integer(document)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(document));
        return number;
    }
    return json_is_string(document) ? json_string_value(document) : "";
}

#endif
