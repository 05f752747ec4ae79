/*
 * web_identity.c - a token that a platform has put into a file, exchanged for temporary keys at
 * AWS's Security Token Service, or one that speaks as it does (MinIO's).
 *
 * The request is AssumeRoleWithWebIdentity of API version 2011-06-15: a form, not signed.
 */
#include "storage/base/digest.h"
#include "storage/base/url.h"
#include "storage/base/xml.h"
#include "storage/credentials/exchange.h"
#include "storage/storage_error.h"

#include <stdio.h>
#include <string.h>

#include "storage/storage_banned.h"

enum {
    FORM_MAX = 3 * CREDENTIALS_TOKEN_MAX + 4096, /* every byte of a token may be encoded */
    URL_MAX = 1024
};

static void add_field(struct buf *form, const char *name, const char *value)
{
    buf_format(form, "%s%s=", form->length > 0 ? "&" : "", name);
    url_encode_query(form, value);
}

static void build_form(struct buf *form, const struct key_source *source, const char *token)
{
    add_field(form, "Action", "AssumeRoleWithWebIdentity");
    add_field(form, "Version", "2011-06-15");
    add_field(form, "RoleArn", source->is.role_arn);
    add_field(form, "RoleSessionName",
              source->is.session_name ? source->is.session_name : "jobferry");
    add_field(form, "WebIdentityToken", token);
}

static void build_url(struct buf *url, const struct key_source *source)
{
    if (source->is.sts_endpoint) {
        const char *given = source->is.sts_endpoint;
        size_t length = strlen(given);
        buf_format(url, "%s%s", given, length > 0 && given[length - 1] == '/' ? "" : "/");
    } else {
        buf_format(url, "https://sts.%s.amazonaws.com%s/", source->region,
                   strncmp(source->region, "cn-", 3) == 0 ? ".cn" : "");
    }
}

static enum storage_code take_answer(const struct exchange *exchange,
                                     struct credentials_keys **keys, struct storage_error *err)
{
    const struct key_source *source = exchange->source;
    struct xml_session session;
    struct xml_error refusal = {0};
    int64_t expires = 0;
    enum storage_code code = STORAGE_OK;
    xml_session_init(&session);
    if (exchange->response.status / 100 != 2) {
        xml_error_parse(&refusal, exchange->response.body.data, exchange->response.body.length);
        code = exchange_refused(exchange, source->is.role_arn, refusal.code, err);
    } else if (!xml_session_parse(&session, exchange->answer, exchange->response.body_size) ||
               !keys_parse_expiry(&expires, session.expires.data)) {
        code = keys_fail(source, err, STORAGE_DENIED, "the answer holds no keys with their expiry");
    } else {
        code =
            credentials_keys_new(keys, source->name, session.access_key.data,
                                 session.secret_key.data, session.session_token.data, expires, err);
    }
    xml_session_release(&session);
    return code;
}

enum storage_code keys_from_web_identity(const struct key_source *source,
                                         struct credentials_keys **keys, struct storage_error *err)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          "Accept: application/xml"};
    struct exchange exchange = {0};
    char *token = NULL;
    size_t size = 0;
    struct buf form;
    struct buf url;
    enum storage_code code = STORAGE_BUG;
    buf_init(&form, FORM_MAX);
    buf_init(&url, URL_MAX);
    int failed = secret_file_read(&token, &size, source->is.file, CREDENTIALS_TOKEN_MAX);
    if (failed) {
        char text[128];
        code = keys_fail(source, err, STORAGE_DENIED, "read the token file %s: %s", source->is.file,
                         strerror_r(failed, text, sizeof text));
        goto done;
    }
    secret_trim(token);
    build_form(&form, source, token);
    build_url(&url, source);
    if (!buf_ok(&form) || !buf_ok(&url)) {
        code = keys_fail(source, err, STORAGE_USAGE, "the endpoint or the role's name is too long");
        goto done;
    }
    code = exchange_start(&exchange, source, EXCHANGE_FAR, err);
    if (code == STORAGE_OK) {
        code = exchange_send(&exchange, "POST", url.data, headers, sizeof headers / sizeof *headers,
                             form.data, err);
    }
    if (code == STORAGE_OK) {
        code = take_answer(&exchange, keys, err);
    }
done:
    exchange_end(&exchange);
    digest_wipe(form.data, form.length);
    buf_release(&form);
    buf_release(&url);
    secret_free(token);
    return code;
}
