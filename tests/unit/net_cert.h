/* net_cert.h - a self-signed certificate for 127.0.0.1 and its key, made for one test program. */
#ifndef KPIPE_TESTS_NET_CERT_H
#define KPIPE_TESTS_NET_CERT_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/kptest.h"

static inline void cert_extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    REQUIRE(extension != NULL);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void cert_write(const char *cert_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    FILE *f;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"kpipe", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    cert_extend(cert, NID_basic_constraints, "critical,CA:TRUE");
    cert_extend(cert, NID_subject_alt_name, "IP:127.0.0.1");
    REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
    f = fopen(cert_path, "we");
    REQUIRE(f && PEM_write_X509(f, cert));
    fclose(f);
    f = fopen(key_path, "we");
    REQUIRE(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

#endif
