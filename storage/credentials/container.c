/*
 * container.c - the credential service beside a container, as AWS's ECS, EKS and Greengrass have
 * it: one GET, with an authorization that the platform gave.
 *
 * Plain http is spoken only to addresses that do not leave the machine or its link.
 */
#include "storage/base/buf.h"
#include "storage/base/digest.h"
#include "storage/base/json.h"
#include "storage/credentials/exchange.h"
#include "storage/storage_error.h"

#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

enum {
    URL_MAX = 4096
};

static const char task_host[] = "http://169.254.170.2";

static bool may_be_plain(const char *url)
{
    static const char *const hosts[] = {"127.",          "localhost",      "[::1]",
                                        "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    const char *host = url + strlen("http://");
    size_t length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    if (memchr(host, '@', strcspn(host, "/?#"))) {
        return false; /* what stands before it is no host */
    }
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t known = strlen(hosts[i]);
        bool is_prefix = i == 0 && strspn(host, "0123456789.") == length;
        if ((length == known || (is_prefix && length > known)) &&
            strncasecmp(host, hosts[i], known) == 0) {
            return true;
        }
    }
    return false;
}

static bool build_url(struct buf *url, const char *given)
{
    if (given[0] == '/') {
        buf_format(url, "%s%s", task_host, given);
        return true;
    }
    buf_text(url, given);
    return strncasecmp(given, "https://", 8) == 0 ||
           (strncasecmp(given, "http://", 7) == 0 && may_be_plain(given));
}

/* The header with the authorization; none is fine, and then header is left empty. */
static enum storage_code build_header(struct buf *header, const struct key_source *source,
                                      struct storage_error *err)
{
    char *text = NULL;
    size_t size = 0;
    const char *value = source->is.authorization;
    enum storage_code code = STORAGE_OK;
    if (source->is.authorization_file) {
        int failed =
            secret_file_read(&text, &size, source->is.authorization_file, CREDENTIALS_TOKEN_MAX);
        if (failed) {
            char word[128];
            return keys_fail(source, err, STORAGE_DENIED, "read the authorization file %s: %s",
                             source->is.authorization_file, strerror_r(failed, word, sizeof word));
        }
        secret_trim(text);
        value = text;
    }
    if (value && strpbrk(value, "\r\n")) {
        code = keys_fail(source, err, STORAGE_USAGE, "the authorization holds a line end");
    } else if (value && value[0]) {
        buf_format(header, "Authorization: %s", value);
    }
    secret_free(text);
    return code;
}

enum storage_code keys_from_container(const struct key_source *source,
                                      struct credentials_keys **keys, struct storage_error *err)
{
    struct exchange exchange = {0};
    struct buf url;
    struct buf header;
    buf_init(&url, URL_MAX);
    buf_init(&header, CREDENTIALS_TOKEN_MAX + 64);
    enum storage_code code = build_header(&header, source, err);
    if (code == STORAGE_OK && (!build_url(&url, source->is.url) || !buf_ok(&url))) {
        code = keys_fail(source, err, STORAGE_USAGE,
                         "its URL must be https, or http on this machine's own addresses");
    }
    if (code == STORAGE_OK) {
        code = exchange_start(&exchange, source, EXCHANGE_NEAR, err);
    }
    if (code == STORAGE_OK) {
        const char *lines[] = {"Accept: application/json", header.data};
        code =
            exchange_send(&exchange, "GET", url.data, lines, header.length > 0 ? 2 : 1, NULL, err);
    }
    if (code == STORAGE_OK && exchange.response.status != 200) {
        struct json *json = json_parse(exchange.response.body.data, exchange.response.body.length);
        const char *word = json_find_text(json, "code");
        code = exchange_refused(&exchange, "ask for them", word ? word : "", err);
        json_free(json);
    } else if (code == STORAGE_OK) {
        code = keys_from_json(source, exchange.answer, exchange.response.body_size, &key_paths_aws,
                              keys, err);
    }
    exchange_end(&exchange);
    digest_wipe(header.data, header.length);
    buf_release(&header);
    buf_release(&url);
    return code;
}
