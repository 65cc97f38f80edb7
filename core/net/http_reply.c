/* http_reply.c - see http_reply.h. */
#include "core/net/http_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/net/http_syntax.h"

void http_out_room(struct http_out *out, size_t more)
{
    size_t cap = out->cap ? out->cap : 1024;

    if (out->cap - out->len >= more)
        return;
    while (cap - out->len < more)
        cap *= 2;
    out->ptr = mem_grow(out->ptr, cap);
    out->cap = cap;
}

void http_out_add(struct http_out *out, const char *p, size_t n)
{
    http_out_room(out, n);
    if (n)
        memcpy(out->ptr + out->len, p, n);
    out->len += n;
}

/* ---- the status line */

static const struct reason {
    int status;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

bool http_reply_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* ---- the head */

bool http_reply_is_servers(kp_slice name)
{
    static const char *const own[] = {"content-length", "connection",        "date",
                                      "keep-alive",     "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (http_is_nocase(name.ptr, name.len, own[i]))
            return true;
    return false;
}

bool http_reply_is_sendable(const struct http_reply *reply, size_t *ret_bytes)
{
    size_t bytes = 256; /* status line and the server's own */

    if (reply->status < 200 || reply->status > 599)
        return false;
    for (size_t i = 0; i < reply->n_headers; i++) {
        const kp_http_header *header = &reply->headers[i];

        if (!http_is_token(header->name.ptr, header->name.len) ||
            !http_is_value(header->value.ptr, header->value.len))
            return false;
        bytes += header->name.len + header->value.len + 4;
    }
    *ret_bytes = bytes;
    return true;
}

static char *put(char *to, const char *p, size_t n)
{
    if (n)
        memcpy(to, p, n);
    return to + n;
}

#define PUT(to, literal) put(to, literal, sizeof literal - 1)

static char *put_number(char *to, size_t value)
{
    char digits[20];
    size_t n = sizeof digits;

    do {
        digits[--n] = (char)('0' + value % 10);
    } while (value /= 10);
    return put(to, digits + n, sizeof digits - n);
}

static char *put_status(char *to, int status)
{
    const char *reason;

    if (status == 200)
        return PUT(to, "HTTP/1.1 200 OK\r\nDate: ");
    reason = http_reason(status);
    to = PUT(to, "HTTP/1.1 ");
    to = put_number(to, (size_t)status);
    *to++ = ' ';
    to = put(to, reason, strlen(reason));
    return PUT(to, "\r\nDate: ");
}

bool http_reply_head(struct http_out *out, const struct http_reply *reply)
{
    size_t bytes;
    char *to;

    if (!http_reply_is_sendable(reply, &bytes))
        return false;
    http_out_room(out, bytes);
    to = put_status(out->ptr + out->len, reply->status);
    to = put(to, reply->date, HTTP_DATE_SIZE - 1);
    for (size_t i = 0; i < reply->n_headers; i++) {
        const kp_http_header *header = &reply->headers[i];

        if (http_reply_is_servers(header->name))
            continue;
        to = PUT(to, "\r\n");
        to = put(to, header->name.ptr, header->name.len);
        to = PUT(to, ": ");
        to = put(to, header->value.ptr, header->value.len);
    }
    if (reply->is_chunked) {
        to = PUT(to, "\r\nTransfer-Encoding: chunked");
    } else if (http_reply_has_body(reply->status) && reply->body_len != HTTP_LENGTH_UNKNOWN) {
        to = PUT(to, "\r\nContent-Length: ");
        to = put_number(to, reply->body_len);
    }
    if (reply->closes)
        to = PUT(to, "\r\nConnection: close");
    else if (reply->is_10)
        to = PUT(to, "\r\nConnection: keep-alive");
    to = PUT(to, "\r\n\r\n");
    out->len = (size_t)(to - out->ptr);
    return true;
}

void http_date(int64_t wall_ms, char *ret_date)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    char text[100];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(ret_date, text, HTTP_DATE_SIZE - 1);
    ret_date[HTTP_DATE_SIZE - 1] = '\0';
}
