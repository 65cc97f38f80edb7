/* curl_lazy.c - see curl_lazy.h.
 *
 * One function per function of libcurl in use, with the library's own declaration, so that callers
 * keep its type checks. Those with a value of any type hand it on as what the number of the option
 * says it is: a long, a pointer or a curl_off_t.
 */
#include "core/net/curl_lazy.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/error.h"

#define LIBRARY "libcurl.so.4"

/* The macros of curl.h that check types would take the names of the definitions below. */
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#undef curl_share_setopt

static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    const char *(*easy_strerror)(CURLcode code);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t fd, void *arg);
    CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t fd, int events, int *running);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
    CURLSH *(*share_init)(void);
    CURLSHcode (*share_cleanup)(CURLSH *share);
    CURLSHcode (*share_setopt)(CURLSH *share, CURLSHoption option, ...);
} curl;

/* ---- loading */

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static char problem[300];

static void load(void)
{
    const struct {
        const char *name;
        void *at; /* of the pointer to the function, as dlsym() is to be used (POSIX) */
    } functions[] = {
        {"curl_global_init", &curl.global_init},
        {"curl_easy_init", &curl.easy_init},
        {"curl_easy_cleanup", &curl.easy_cleanup},
        {"curl_easy_setopt", &curl.easy_setopt},
        {"curl_easy_getinfo", &curl.easy_getinfo},
        {"curl_easy_strerror", &curl.easy_strerror},
        {"curl_multi_init", &curl.multi_init},
        {"curl_multi_cleanup", &curl.multi_cleanup},
        {"curl_multi_setopt", &curl.multi_setopt},
        {"curl_multi_add_handle", &curl.multi_add_handle},
        {"curl_multi_remove_handle", &curl.multi_remove_handle},
        {"curl_multi_assign", &curl.multi_assign},
        {"curl_multi_socket_action", &curl.multi_socket_action},
        {"curl_multi_info_read", &curl.multi_info_read},
        {"curl_share_init", &curl.share_init},
        {"curl_share_cleanup", &curl.share_cleanup},
        {"curl_share_setopt", &curl.share_setopt},
    };
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    CURLcode code;

    if (!library) {
        snprintf(problem, sizeof problem, "cannot load libcurl: %s", dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        *(void **)functions[i].at = dlsym(library, functions[i].name);
        if (!*(void **)functions[i].at) {
            snprintf(problem, sizeof problem, "%s has no %s", LIBRARY, functions[i].name);
            return;
        }
    }
    code = curl.global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK)
        snprintf(problem, sizeof problem, "libcurl does not start: %s", curl.easy_strerror(code));
}

bool curl_lazy_load(struct error *err)
{
    pthread_once(&load_once, load);
    if (problem[0])
        error_set(err, ERROR_FAILED, "%s", problem);
    return !problem[0];
}

/* ---- what curl.h declares */

/* Calls `function` with the one value that follows `last`. */
#define PASS_ON(result, function, object, last, type)                      \
    do {                                                                   \
        va_list list;                                                      \
                                                                           \
        va_start(list, last);                                              \
        if ((type) < CURLOPTTYPE_OBJECTPOINT)                              \
            (result) = function(object, last, va_arg(list, long));         \
        else if ((type) >= CURLOPTTYPE_OFF_T && (type) < CURLOPTTYPE_BLOB) \
            (result) = function(object, last, va_arg(list, curl_off_t));   \
        else                                                               \
            (result) = function(object, last, va_arg(list, void *));       \
        va_end(list);                                                      \
    } while (0)

CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    CURLcode result;

    PASS_ON(result, curl.easy_setopt, easy, option, (int)option);
    return result;
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
    CURLMcode result;

    PASS_ON(result, curl.multi_setopt, multi, option, (int)option);
    return result;
}

/* Numbered without types. Of those in use: SHARE and UNSHARE have an int, the rest pointers. */
CURLSHcode curl_share_setopt(CURLSH *share, CURLSHoption option, ...)
{
    CURLSHcode result;
    va_list list;

    va_start(list, option);
    if (option == CURLSHOPT_SHARE || option == CURLSHOPT_UNSHARE)
        result = curl.share_setopt(share, option, va_arg(list, int));
    else
        result = curl.share_setopt(share, option, va_arg(list, void *));
    va_end(list);
    return result;
}

/* Always a pointer to where the value goes. */
CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
    CURLcode result;
    va_list list;

    va_start(list, info);
    result = curl.easy_getinfo(easy, info, va_arg(list, void *));
    va_end(list);
    return result;
}

CURL *curl_easy_init(void)
{
    return curl.easy_init();
}

void curl_easy_cleanup(CURL *easy)
{
    curl.easy_cleanup(easy);
}

const char *curl_easy_strerror(CURLcode code)
{
    return curl.easy_strerror(code);
}

CURLM *curl_multi_init(void)
{
    return curl.multi_init();
}

CURLMcode curl_multi_cleanup(CURLM *multi)
{
    return curl.multi_cleanup(multi);
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
    return curl.multi_add_handle(multi, easy);
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
    return curl.multi_remove_handle(multi, easy);
}

CURLMcode curl_multi_assign(CURLM *multi, curl_socket_t fd, void *arg)
{
    return curl.multi_assign(multi, fd, arg);
}

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running)
{
    return curl.multi_socket_action(multi, fd, events, running);
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    return curl.multi_info_read(multi, left);
}

CURLSH *curl_share_init(void)
{
    return curl.share_init();
}

CURLSHcode curl_share_cleanup(CURLSH *share)
{
    return curl.share_cleanup(share);
}
