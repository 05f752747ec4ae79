#include "storage/s3/endpoint.h"

#include "storage/storage_error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "storage/storage_banned.h"

/* Clouds whose hosts take (or insist on) the bucket as first label. */
static const struct provider {
    const char *domain;
    bool is_obs;
    bool is_aws;
} providers[] = {
    {"amazonaws.com", false, true},     {"amazonaws.com.cn", false, true},
    {"myhuaweicloud.com", true, false}, {"myhuaweicloud.eu", true, false},
    {"aliyuncs.com", false, false},     {"myqcloud.com", false, false},
};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Whether host is domain or below it; a port makes it another host. */
static bool is_below(const char *host, const char *domain)
{
    size_t length = strlen(host);
    size_t domain_length = strlen(domain);
    if (length < domain_length || strcmp(host + length - domain_length, domain) != 0) {
        return false;
    }
    return length == domain_length || host[length - domain_length - 1] == '.';
}

static const struct provider *find_provider(const char *host)
{
    for (size_t i = 0; i < sizeof providers / sizeof *providers; i++) {
        if (is_below(host, providers[i].domain)) {
            return &providers[i];
        }
    }
    return NULL;
}

static bool is_region(const char *text)
{
    size_t length =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return length > 0 && length <= ENDPOINT_REGION_MAX && text[length] == '\0';
}

static bool is_ip_address(const char *host)
{
    size_t length = strcspn(host, ":");
    return host[0] == '[' || strspn(host, "0123456789.") == length;
}

/*
 * The region that a host names: obs.REGION.…, s3.REGION.amazonaws.com and its older forms
 * (s3-REGION, s3.dualstack.REGION, bucket.vpce-….s3.REGION). "" when it names none.
 */
static void region_of_host(char region[ENDPOINT_REGION_MAX + 1], const char *host)
{
    const struct provider *provider = find_provider(host);
    region[0] = '\0';
    if (strncmp(host, "obs.", 4) == 0) {
        size_t length = strcspn(host + 4, ".:");
        if (host[4 + length] == '.' && memchr(host + 4, '-', length)) {
            snprintf(region, ENDPOINT_REGION_MAX + 1, "%.*s", (int)length, host + 4);
        }
    } else if (provider && provider->is_aws && strlen(host) > strlen(provider->domain)) {
        const char *end = host + strlen(host) - strlen(provider->domain) - 1;
        const char *label = end;
        while (label > host && label[-1] != '.') {
            label--;
        }
        label += strncmp(label, "s3-", 3) == 0 ? 3 : 0;
        if (memchr(label, '-', (size_t)(end - label))) {
            snprintf(region, ENDPOINT_REGION_MAX + 1, "%.*s", (int)(end - label), label);
        }
    }
}

static void set_aws_host(struct endpoint *endpoint)
{
    bool china = strncmp(endpoint->region, "cn-", 3) == 0;
    snprintf(endpoint->host, sizeof endpoint->host, "s3.%s.amazonaws.com%s", endpoint->region,
             china ? ".cn" : "");
}

/* Why the part after the host is no port; NULL: it is none, or one. */
static const char *port_fault(const char *port)
{
    size_t digits = strspn(port + (*port == ':'), "0123456789");
    if (!*port) {
        return NULL;
    }
    return *port == ':' && digits > 0 && digits <= 5 && !port[1 + digits]
               ? NULL
               : "the port is not a number";
}

/* Takes "host[:port]" in lower case, without the port that the scheme has anyway. */
static const char *take_host(struct endpoint *endpoint, const char *text, size_t length)
{
    if (length == 0) {
        return "the host is missing";
    }
    if (length > ENDPOINT_HOST_MAX) {
        return "the host is too long";
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (!is_alnum(c) && !strchr(".-_:[]", c)) {
            return c == '@' ? "keys are given with --ak and --sk, not in the endpoint"
                            : "the host holds a character that hosts do not have";
        }
        endpoint->host[i] = c;
    }
    endpoint->host[length] = '\0';
    char *port = endpoint->host[0] == '[' ? strchr(endpoint->host, ']') : NULL;
    if (endpoint->host[0] == '[' && !port) {
        return "the bracket is not closed";
    }
    port = port ? port + 1 : endpoint->host + strcspn(endpoint->host, ":");
    const char *fault = port_fault(port);
    if (fault) {
        return fault;
    }
    if (strcmp(port, endpoint->is_https ? ":443" : ":80") == 0) {
        *port = '\0';
    }
    return NULL;
}

static const char *parse_endpoint(struct endpoint *endpoint, const char *text)
{
    endpoint->is_https = true;
    if (strncasecmp(text, "https://", 8) == 0) {
        text += 8;
    } else if (strncasecmp(text, "http://", 7) == 0) {
        endpoint->is_https = false;
        text += 7;
    } else if (strstr(text, "://")) {
        return "only http:// and https:// are known";
    }
    size_t length = strcspn(text, "/?#");
    if (text[length] && strcmp(text + length, "/") != 0) {
        return "it must end after the host and port";
    }
    return take_host(endpoint, text, length);
}

/* Users paste "bucket.obs.region.…" from a console; the bucket is ours to add. */
static void drop_bucket(char *host, const char *bucket)
{
    size_t length = strlen(bucket);
    if (find_provider(host) && strncmp(host, bucket, length) == 0 && host[length] == '.' &&
        (strncmp(host + length + 1, "obs.", 4) == 0 || strncmp(host + length + 1, "s3", 2) == 0 ||
         strncmp(host + length + 1, "oss-", 4) == 0 ||
         strncmp(host + length + 1, "cos.", 4) == 0)) {
        memmove(host, host + length + 1, strlen(host + length + 1) + 1);
    }
}

enum storage_code endpoint_resolve(struct endpoint *endpoint, const char *bucket,
                                   const struct storage_access *access, struct storage_error *err)
{
    *endpoint = (struct endpoint){.is_https = true};
    bool has_region = access->region && *access->region;
    if (has_region && !is_region(access->region)) {
        return storage_fail(err, STORAGE_USAGE, "use region '%.64s': it is not a region's name",
                            access->region);
    }
    snprintf(endpoint->region, sizeof endpoint->region, "%s",
             has_region ? access->region : "us-east-1");
    if (access->endpoint && *access->endpoint) {
        const char *fault = parse_endpoint(endpoint, access->endpoint);
        if (fault) {
            const char *at = strrchr(access->endpoint, '@'); /* what is before it may be a key */
            storage_fail(err, STORAGE_USAGE, "use endpoint '%.256s': %s",
                         at ? at : access->endpoint, fault);
            storage_hint(err, "write http://host:port or https://host, as in "
                              "https://obs.cn-north-4.myhuaweicloud.com");
            return STORAGE_USAGE;
        }
        drop_bucket(endpoint->host, bucket);
        char region[ENDPOINT_REGION_MAX + 1];
        region_of_host(region, endpoint->host);
        if (!has_region && region[0]) {
            memcpy(endpoint->region, region, sizeof region);
        }
    } else {
        set_aws_host(endpoint);
    }
    const struct provider *provider = find_provider(endpoint->host);
    endpoint->is_obs = provider && provider->is_obs;
    bool dotted_aws = provider && provider->is_aws && strchr(bucket, '.'); /* TLS names have one */
    endpoint->is_virtual =
        access->addressing == STORAGE_ADDRESSING_VIRTUAL ||
        (access->addressing == STORAGE_ADDRESSING_AUTO && provider && !dotted_aws);
    if (endpoint->is_virtual && is_ip_address(endpoint->host)) {
        storage_fail(err, STORAGE_USAGE,
                     "use endpoint '%s': an IP address has no place for the "
                     "bucket's name",
                     endpoint->host);
        storage_hint(err, "use --addressing=path");
        return STORAGE_USAGE;
    }
    return STORAGE_OK;
}

/* The host of "https://bucket.host/…" or "host" when it may be followed from here. */
static bool take_redirect_host(struct endpoint *endpoint, const char *bucket, const char *text)
{
    const struct provider *from = find_provider(endpoint->host);
    struct endpoint next = *endpoint;
    const char *scheme = strstr(text, "://");
    text = scheme ? scheme + 3 : text;
    if (!from || take_host(&next, text, strcspn(text, "/?#"))) {
        return false;
    }
    drop_bucket(next.host, bucket);
    if (!is_below(next.host, from->domain) || strcmp(next.host, endpoint->host) == 0) {
        return false;
    }
    memcpy(endpoint->host, next.host, sizeof next.host);
    char region[ENDPOINT_REGION_MAX + 1];
    region_of_host(region, endpoint->host);
    if (region[0]) {
        memcpy(endpoint->region, region, sizeof region);
    }
    return true;
}

bool endpoint_redirect(struct endpoint *endpoint, const char *bucket, const char *region,
                       const char *host)
{
    const struct provider *provider = find_provider(endpoint->host);
    if (!is_region(region)) {
        return take_redirect_host(endpoint, bucket, host);
    }
    if (strcmp(region, endpoint->region) == 0) {
        return false;
    }
    snprintf(endpoint->region, sizeof endpoint->region, "%s", region);
    if (provider && provider->is_aws) {
        set_aws_host(endpoint);
    }
    return true;
}

void endpoint_add_host(struct buf *out, const struct endpoint *endpoint, const char *bucket)
{
    if (endpoint->is_virtual) {
        buf_format(out, "%s.", bucket);
    }
    buf_text(out, endpoint->host);
}

bool endpoint_is_aws(const struct endpoint *endpoint)
{
    const struct provider *provider = find_provider(endpoint->host);
    return provider && provider->is_aws;
}
