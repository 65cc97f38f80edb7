/* form.c - the body of a browser's upload (multipart/form-data), part by part. */
#include "plugins/local-aws/s3/form.h"

#include <string.h>

enum { HEADERS_MAX = 4096 }; /* bytes of one part's headers */

#define FORM_TYPE "multipart/form-data"

static struct kpw_slice content_type_of(const kp_server_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const kp_http_header *h = &request->headers[i];

        if (kpw_slice_is_nocase(kpw_slice(h->name.ptr, h->name.len), "content-type"))
            return kpw_slice(h->value.ptr, h->value.len);
    }
    return kpw_slice(NULL, 0);
}

bool s3_is_form(const kp_server_request *request)
{
    struct kpw_slice type = content_type_of(request);
    size_t n = sizeof(FORM_TYPE) - 1;

    return kpw_slice_is(kpw_slice(request->method.ptr, request->method.len), "POST") &&
           type.len >= n && strncasecmp(type.ptr, FORM_TYPE, n) == 0;
}

/* ---- parameters of headers: `; name="value"` */

/* The value of a parameter, quotes taken off; len 0: it is not there. */
static struct kpw_slice parameter(struct kpw_slice header, const char *name)
{
    size_t n = strlen(name);

    for (size_t at = 0; at + n + 1 < header.len; at++) {
        const char *p = header.ptr + at, *end = header.ptr + header.len, *stop;
        bool begins = at > 0 && (p[-1] == ';' || p[-1] == ' ' || p[-1] == '\t');

        if (*p == '"') { /* a quoted text is no place for a name */
            stop = memchr(p + 1, '"', (size_t)(end - p - 1));
            if (!stop)
                break;
            at = (size_t)(stop - header.ptr);
            continue;
        }
        if (!begins || strncasecmp(p, name, n) != 0 || p[n] != '=')
            continue;
        p += n + 1;
        if (p < end && *p == '"') {
            stop = memchr(p + 1, '"', (size_t)(end - p - 1));
            return stop ? kpw_slice(p + 1, (size_t)(stop - p - 1)) : kpw_slice(NULL, 0);
        }
        for (stop = p; stop < end && *stop != ';';)
            stop++;
        return kpw_slice_trim(kpw_slice(p, (size_t)(stop - p)));
    }
    return kpw_slice(NULL, 0);
}

bool s3_form_init(struct s3_form *form, struct kpw_slice content_type, struct kpw_slice body)
{
    struct kpw_slice boundary = parameter(content_type, "boundary");

    *form = (struct s3_form){.rest = body};
    if (boundary.len == 0 || boundary.len > 70)
        return false;
    memcpy(form->mark, "\r\n--", 4);
    memcpy(form->mark + 4, boundary.ptr, boundary.len);
    form->mark_len = boundary.len + 4;
    /* The first mark may stand at the very beginning, without the line end. */
    if (body.len >= form->mark_len - 2 &&
        memcmp(body.ptr, form->mark + 2, form->mark_len - 2) == 0) {
        form->rest = kpw_slice(body.ptr + form->mark_len - 2, body.len - (form->mark_len - 2));
        return true;
    }
    form->is_bad = true;
    return true;
}

static bool broken(struct s3_form *form)
{
    form->is_bad = true;
    return false;
}

static void skip(struct kpw_slice *text, size_t n)
{
    text->ptr += n;
    text->len -= n;
}

/* Takes a line without its end off; false: there is none. */
static bool take_line(struct kpw_slice *text, struct kpw_slice *ret)
{
    const char *end =
        memmem(text->ptr, text->len < HEADERS_MAX ? text->len : HEADERS_MAX, "\r\n", 2);

    if (!end)
        return false;
    *ret = kpw_slice(text->ptr, (size_t)(end - text->ptr));
    skip(text, ret->len + 2);
    return true;
}

static void take_header(struct kpw_slice line, struct s3_form_part *part)
{
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    struct kpw_slice name, value;

    if (!colon)
        return;
    name = kpw_slice(line.ptr, (size_t)(colon - line.ptr));
    value = kpw_slice_trim(kpw_slice(colon + 1, line.len - name.len - 1));
    if (kpw_slice_is_nocase(name, "content-type")) {
        part->type = value;
    } else if (kpw_slice_is_nocase(name, "content-disposition")) {
        part->name = parameter(value, "name");
        part->filename = parameter(value, "filename");
    }
}

bool s3_form_next(struct s3_form *form, struct s3_form_part *ret)
{
    const char *from = form->rest.ptr, *mark;
    struct kpw_slice line;

    *ret = (struct s3_form_part){.data = {NULL, 0}};
    if (form->is_bad || form->is_over)
        return false;
    if (form->rest.len >= 2 && memcmp(form->rest.ptr, "--", 2) == 0) {
        form->is_over = true;
        return false;
    }
    /* Behind a mark there is the end of its line. */
    if (!take_line(&form->rest, &line) || kpw_slice_trim(line).len > 0)
        return broken(form);
    do {
        if (!take_line(&form->rest, &line) || form->rest.ptr - from > HEADERS_MAX)
            return broken(form);
        take_header(line, ret);
    } while (line.len > 0);
    /* The line end before the mark belongs to it: an empty part has its headers' one. */
    mark = memmem(form->rest.ptr - 2, form->rest.len + 2, form->mark, form->mark_len);
    if (!mark || ret->name.len == 0)
        return broken(form);
    if (mark < form->rest.ptr)
        ret->data = kpw_slice(form->rest.ptr, 0);
    else
        ret->data = kpw_slice(form->rest.ptr, (size_t)(mark - form->rest.ptr));
    skip(&form->rest, (size_t)(mark - form->rest.ptr) + form->mark_len);
    return true;
}
