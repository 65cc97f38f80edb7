/* curl_lazy.h - libcurl, loaded when the first request is sent.
 *
 * The libcurl of a distribution brings some twenty libraries with it (a second TLS, Kerberos, LDAP,
 * SSH): 4 MB at rest, and half of the time a start takes. A pipeline that calls nobody spares
 * both. The program is therefore not linked with libcurl; the functions of curl/curl.h that it uses
 * are defined in curl_lazy.c and go on to the library.
 */
#ifndef KPIPE_NET_CURL_LAZY_H
#define KPIPE_NET_CURL_LAZY_H

#include <stdbool.h>

struct error;

/* Loads and starts libcurl; before this none of its functions may be called. Only the first call of
 * the process does it, the others get its result. [any thread] */
bool curl_lazy_load(struct error *err);

#endif
