/* tls.c - libssl's side of a connection; see tls.h. */
#include "storage/http/tls.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_banned.h"

/* TLS 1.3's, in the order of what they cost. */
static const char suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL, openEuler */
    "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL from 7 on, without the link above
                                                          */
    "/etc/ssl/cert.pem",                                 /* BSD's, where others have it too */
};

struct tls {
    char *bundle;
    char *folder;
    bool insecure;
    pthread_mutex_t lock;
    X509_STORE *store; /* under lock; NULL: not read yet */
};

static bool copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

const char *tls_bundle(const char *built_in)
{
    if (built_in && access(built_in, R_OK) == 0) {
        return built_in;
    }
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
        if (access(bundles[i], R_OK) == 0) {
            return bundles[i];
        }
    }
    return built_in;
}

struct tls *tls_new(const char *bundle, const char *folder, bool insecure)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        return NULL;
    }
    pthread_mutex_init(&tls->lock, NULL);
    tls->insecure = insecure;
    if (!copy(&tls->bundle, bundle) || !copy(&tls->folder, folder)) {
        tls_free(tls);
        return NULL;
    }
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls) {
        X509_STORE_free(tls->store);
        pthread_mutex_destroy(&tls->lock);
        free(tls->bundle);
        free(tls->folder);
        free(tls);
    }
}

static X509_STORE *read_store(const struct tls *tls)
{
    X509_STORE *store = X509_STORE_new();
    if (!store) {
        return NULL;
    }
    bool has_bundle = tls->bundle && X509_STORE_load_file(store, tls->bundle) == 1;
    bool has_folder = !has_bundle && tls->folder && X509_STORE_load_path(store, tls->folder) == 1;
    if (!has_bundle && !has_folder) {
        X509_STORE_free(store);
        return NULL;
    }
    /* as curl has it: a trusted certificate ends the chain, also one that is no root */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    return store;
}

const char *tls_source(const struct tls *tls)
{
    return tls->bundle ? tls->bundle : tls->folder ? tls->folder : "";
}

bool tls_prepare(struct tls *tls, void *ssl_context)
{
    SSL_CTX *context = ssl_context;
    SSL_CTX_set_ciphersuites(context, suites);
    if (tls->insecure) {
        return true;
    }
    pthread_mutex_lock(&tls->lock);
    if (!tls->store) {
        tls->store = read_store(tls);
    }
    bool ok = tls->store != NULL;
    if (ok) {
        SSL_CTX_set1_cert_store(context, tls->store);
    }
    pthread_mutex_unlock(&tls->lock);
    return ok;
}
