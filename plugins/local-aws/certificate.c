/* certificate.c - the certificate of `tls`: given, or self-signed for this machine's own names.
 *
 * P-256, a CA of its own so that a client may be given the file as its bundle, valid two years and
 * made anew in the last month.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/local-aws/local.h"

enum { DAYS = 730, RENEW_DAYS = 30 };

/* True if DIR/tls.crt is there and will do for a while. */
static bool is_good(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    time_t then = time(NULL) + RENEW_DAYS * 86400;
    bool ok = cert && X509_cmp_time(X509_get0_notAfter(cert), &then) > 0;

    X509_free(cert);
    if (file)
        fclose(file);
    return ok;
}

static bool add(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *cert)
{
    uint64_t number;

    kpw_random_secret(&number, sizeof number);
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), number >> 1 | 1) == 1;
}

static bool fill(X509 *cert, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), (long)DAYS * 86400) &&
           X509_set_pubkey(cert, key) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"kpipe local AWS", -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1 &&
           add(cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add(cert, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
           add(cert, NID_ext_key_usage, "serverAuth") &&
           add(cert, NID_subject_key_identifier, "hash") &&
           add(cert, NID_authority_key_identifier, "keyid:always") &&
           add(cert, NID_subject_alt_name,
               "DNS:localhost,DNS:*.localhost,DNS:*.s3.localhost,IP:127.0.0.1,IP:::1") &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

/* A new file at once in its place, so that a reader never sees half of one. */
static bool write_pem(struct local *local, const char *name, mode_t mode, X509 *cert, EVP_PKEY *key)
{
    char part[24];
    FILE *file;
    bool ok;
    int fd;

    snprintf(part, sizeof part, "%s.part", name);
    unlinkat(local->dir_fd, part, 0);
    fd = openat(local->dir_fd, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    ok = cert ? PEM_write_X509(file, cert) == 1
              : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    ok = fclose(file) == 0 && ok;
    return ok && renameat(local->dir_fd, part, local->dir_fd, name) == 0;
}

static bool make(struct local *local)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool ok = key && cert && fill(cert, key) && write_pem(local, "tls.key", 0600, NULL, key) &&
              write_pem(local, "tls.crt", 0644, cert, NULL);

    X509_free(cert);
    EVP_PKEY_free(key);
    return ok;
}

bool certificate_find(struct local *local, char *why, size_t cap)
{
    const struct local_config *config = local->config;
    bool has_cert = config->tls_cert && *config->tls_cert;
    bool has_key = config->tls_key && *config->tls_key;

    if (has_cert != has_key) {
        snprintf(why, cap, "tls_cert and tls_key go together");
        return false;
    }
    if (has_cert) {
        local->tls_cert = strdup(config->tls_cert);
        local->tls_key = strdup(config->tls_key);
    } else if (config->tls) {
        if (asprintf(&local->tls_cert, "%s/tls.crt", local->dir) < 0)
            local->tls_cert = NULL;
        if (asprintf(&local->tls_key, "%s/tls.key", local->dir) < 0)
            local->tls_key = NULL;
    } else {
        return true;
    }
    if (!local->tls_cert || !local->tls_key) {
        snprintf(why, cap, "out of memory");
        return false;
    }
    if (has_cert || (is_good(local->tls_cert) && access(local->tls_key, R_OK) == 0) || make(local))
        return true;
    snprintf(why, cap, "cannot make a certificate in %s: %s", local->dir, strerror(errno));
    return false;
}
