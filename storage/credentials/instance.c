/*
 * instance.c - the metadata service of a virtual machine: Huawei's ECS agency, AWS's instance role.
 *
 * Both are asked in two steps, a session token first, then the keys with it. Huawei's service also
 * has an older form without the token, for machines that do not know the newer one; AWS's older
 * form is not spoken, as it gives keys to whoever can make the machine send a GET.
 *
 * A service that does not answer its first request is not there; one that has no agency or role to
 * give is as good as not there. When neither has keys, requests are anonymous for as long as the
 * place is open.
 */
#include "storage/base/buf.h"
#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/base/url.h"
#include "storage/credentials/exchange.h"
#include "storage/storage_error.h"

#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    URL_MAX = 1024,
    TOKEN_HEADER_MAX = 4096
};

/* Link-local in both clouds, and the same. */
static const char metadata_host[] = "http://169.254.169.254";

/* One service while it is asked. */
struct inquiry {
    struct exchange exchange;
    const char *base; /* its address */
    struct buf url;
    struct buf token_header; /* "": none */
};

static enum storage_code ask(struct inquiry *inquiry, const char *method, const char *path,
                             const char *ttl_header, struct storage_error *err)
{
    const char *headers[2];
    size_t count = 0;
    if (ttl_header) {
        headers[count++] = ttl_header;
    }
    if (inquiry->token_header.length > 0) {
        headers[count++] = inquiry->token_header.data;
    }
    size_t length = strlen(inquiry->base);
    length -= length > 0 && inquiry->base[length - 1] == '/';
    buf_clear(&inquiry->url);
    buf_format(&inquiry->url, "%.*s%s", (int)length, inquiry->base, path);
    if (!buf_ok(&inquiry->url)) {
        return keys_fail(inquiry->exchange.source, err, STORAGE_USAGE, "its address is too long");
    }
    return exchange_send(&inquiry->exchange, method, inquiry->url.data, headers, count, NULL, err);
}

/* Keeps the answer as the header that later requests carry; an empty or odd one is none. */
static void keep_token(struct inquiry *inquiry, const char *header)
{
    char *token = inquiry->exchange.answer;
    secret_trim(token);
    for (const char *at = token; *at; at++) {
        if (*at <= ' ' || *at > '~') {
            return;
        }
    }
    if (token[0]) {
        buf_format(&inquiry->token_header, "%s: %s", header, token);
    }
}

/* ---- Huawei --------------------------------------------------------------------------------- */

static const struct key_paths huawei_paths = {"credential/access", "credential/secret",
                                              "credential/securitytoken", "credential/expires_at"};

/* *keys stays NULL when nobody has any. */
static enum storage_code ask_huawei(struct inquiry *inquiry, struct credentials_keys **keys,
                                    struct storage_error *err)
{
    const struct exchange *exchange = &inquiry->exchange;
    enum storage_code code = ask(inquiry, "PUT", "/meta-data/latest/api/token",
                                 "X-securitykey-Token-Ttl-Seconds: 21600", err);
    if (code != STORAGE_OK) {
        return code == STORAGE_UNREACHABLE ? STORAGE_OK : code;
    }
    int status = exchange->response.status;
    if (status == 200) {
        keep_token(inquiry, "X-securitykey-Token");
    } else if (status != 404 && status != 405) { /* those: it knows only the older form */
        return exchange_refused(exchange, "ask for a session", "", err);
    }
    code = ask(inquiry, "GET", "/openstack/latest/securitykey", NULL, err);
    if (code != STORAGE_OK || exchange->response.status == 404) {
        return code;
    }
    if (exchange->response.status != 200) {
        return exchange_refused(exchange, "ask for the agency's keys", "", err);
    }
    return keys_from_json(exchange->source, exchange->answer, exchange->response.body_size,
                          &huawei_paths, keys, err);
}

/* ---- AWS ------------------------------------------------------------------------------------ */

static enum storage_code take_aws(const struct exchange *exchange, struct credentials_keys **keys,
                                  struct storage_error *err)
{
    struct json *json = json_parse(exchange->answer, exchange->response.body_size);
    const char *word = json_find_text(json, "Code");
    enum storage_code code = STORAGE_OK;
    if (word && strcmp(word, "Success") != 0) {
        code = keys_fail(exchange->source, err, STORAGE_DENIED, "it answered %.64s", word);
    } else {
        code = keys_from_json(exchange->source, exchange->answer, exchange->response.body_size,
                              &key_paths_aws, keys, err);
    }
    json_free(json);
    return code;
}

static enum storage_code ask_aws(struct inquiry *inquiry, struct credentials_keys **keys,
                                 struct storage_error *err)
{
    static const char roles[] = "/latest/meta-data/iam/security-credentials/";
    const struct exchange *exchange = &inquiry->exchange;
    struct buf path;
    enum storage_code code = ask(inquiry, "PUT", "/latest/api/token",
                                 "X-aws-ec2-metadata-token-ttl-seconds: 21600", err);
    if (code != STORAGE_OK) {
        return code == STORAGE_UNREACHABLE ? STORAGE_OK : code;
    }
    int status = exchange->response.status;
    if (status == 403 || status == 404 || status == 405) {
        return STORAGE_OK; /* switched off, or not AWS's */
    }
    if (status == 200) {
        keep_token(inquiry, "X-aws-ec2-metadata-token");
    }
    if (inquiry->token_header.length == 0) {
        return exchange_refused(exchange, "ask for a session", "", err);
    }
    code = ask(inquiry, "GET", roles, NULL, err);
    if (code != STORAGE_OK || exchange->response.status == 404) {
        return code;
    }
    if (exchange->response.status != 200) {
        return exchange_refused(exchange, "ask for the role", "", err);
    }
    buf_init(&path, URL_MAX);
    buf_text(&path, roles);
    exchange->answer[strcspn(exchange->answer, "\r\n")] = '\0';
    url_encode_path(&path, exchange->answer);
    code = ask(inquiry, "GET", path.data, NULL, err);
    buf_release(&path);
    if (code == STORAGE_OK && exchange->response.status != 200) {
        code = exchange_refused(exchange, "ask for the role's keys", "", err);
    }
    return code == STORAGE_OK ? take_aws(exchange, keys, err) : code;
}

/* ---- either --------------------------------------------------------------------------------- */

typedef enum storage_code ask_fn(struct inquiry *inquiry, struct credentials_keys **keys,
                                 struct storage_error *err);

static enum storage_code inquire(const struct key_source *source, ask_fn *ask_service,
                                 const char *base, struct credentials_keys **keys,
                                 struct storage_error *err)
{
    struct inquiry inquiry = {.base = base ? base : metadata_host};
    buf_init(&inquiry.url, URL_MAX);
    buf_init(&inquiry.token_header, TOKEN_HEADER_MAX);
    enum storage_code code = exchange_start(&inquiry.exchange, source, EXCHANGE_NEAR, err);
    if (code == STORAGE_OK) {
        code = ask_service(&inquiry, keys, err);
    }
    exchange_end(&inquiry.exchange);
    digest_wipe(inquiry.token_header.data, inquiry.token_header.length);
    buf_release(&inquiry.token_header);
    buf_release(&inquiry.url);
    return code;
}

enum storage_code keys_from_instance(const struct key_source *source,
                                     struct credentials_keys **keys, struct storage_error *err)
{
    enum storage_code code = STORAGE_OK;
    *keys = NULL;
    if (source->asks_huawei) {
        code = inquire(source, ask_huawei, source->is.huawei_metadata, keys, err);
    }
    if (code == STORAGE_OK && !*keys && source->asks_aws) {
        code = inquire(source, ask_aws, source->is.aws_metadata, keys, err);
    }
    if (code == STORAGE_OK && !*keys) {
        code = credentials_keys_new(keys, source->name, "", "", "", 0, err);
    }
    return code;
}
