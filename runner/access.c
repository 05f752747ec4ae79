#include "runner/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_banned.h"

static const char *first_of(const char *a, const char *b)
{
    return a && a[0] ? a : b;
}

/* An environment variable that is set and not empty, else NULL. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static const char *side_environment(enum side side, const char *name)
{
    char whole[64];
    snprintf(whole, sizeof whole, "JOBFERRY_%s_%s", side == SIDE_DATA ? "DATA" : "TRAIN", name);
    return environment(whole);
}

/* Takes a key pair when its access key is there. Half a pair is an error, not the next source. */
static bool take_keys(struct access *access, const char *source, const char *ak, const char *sk,
                      const char *token)
{
    if (!ak || !ak[0]) {
        return false;
    }
    access->source = source;
    access->storage.access_key = ak;
    access->storage.secret_key = sk;
    access->storage.session_token = token;
    return true;
}

static void read_profile_files(struct access *access, const char *name, bool *found)
{
    const char *home = first_of(environment("HOME"), "");
    char credentials[512];
    char config[512];
    snprintf(credentials, sizeof credentials, "%s/.aws/credentials", home);
    snprintf(config, sizeof config, "%s/.aws/config", home);
    const char *files[] = {
        first_of(environment("AWS_SHARED_CREDENTIALS_FILE"), credentials),
        first_of(environment("AWS_CONFIG_FILE"), config),
        environment("CREDENTIAL_PROFILES_FILE"),
    };
    *found = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] && profile_read(&access->profile, files[i], name)) {
            *found = true;
        }
    }
}

static void resolve_keys(struct access *access, const struct access_flags *flags,
                         const struct access_flags *both, enum side side, bool profile_named)
{
    const struct profile *profile = &access->profile;
    if (take_keys(access, "flags", flags->ak, flags->sk, flags->token) ||
        take_keys(access, "flags", both->ak, both->sk, both->token) ||
        take_keys(access, "the side's environment", side_environment(side, "ACCESS_KEY_ID"),
                  side_environment(side, "SECRET_ACCESS_KEY"),
                  side_environment(side, "SESSION_TOKEN")) ||
        (profile_named && take_keys(access, "--profile", profile->access_key, profile->secret_key,
                                    profile->session_token)) ||
        take_keys(access, "AWS_ACCESS_KEY_ID", environment("AWS_ACCESS_KEY_ID"),
                  environment("AWS_SECRET_ACCESS_KEY"), environment("AWS_SESSION_TOKEN")) ||
        take_keys(access, "OBS_ACCESS_KEY_ID", environment("OBS_ACCESS_KEY_ID"),
                  environment("OBS_SECRET_ACCESS_KEY"), environment("OBS_SECURITY_TOKEN")) ||
        take_keys(access, "ACCESS_KEY_ID", environment("ACCESS_KEY_ID"),
                  environment("SECRET_ACCESS_KEY"), NULL) ||
        take_keys(access, "a profile file", profile->access_key, profile->secret_key,
                  profile->session_token)) {
        return;
    }
    access->source = "anonymous";
}

/* S3_ENDPOINT may lack its scheme; S3_USE_HTTPS=0 then means http (the names of ModelArts). */
static const char *moxing_endpoint(struct access *access)
{
    const char *endpoint = environment("S3_ENDPOINT");
    const char *use_https = environment("S3_USE_HTTPS");
    if (!endpoint || strstr(endpoint, "://")) {
        return endpoint;
    }
    snprintf(access->endpoint, sizeof access->endpoint, "%s://%s",
             use_https && strcmp(use_https, "0") == 0 ? "http" : "https", endpoint);
    return access->endpoint;
}

static void resolve_place(struct access *access, const struct access_flags *flags,
                          const struct access_flags *both, enum side side)
{
    const struct profile *profile = &access->profile;
    struct storage_access *storage = &access->storage;
    storage->endpoint = first_of(flags->server, both->server);
    storage->endpoint = first_of(storage->endpoint, side_environment(side, "ENDPOINT"));
    storage->endpoint = first_of(storage->endpoint, profile->endpoint);
    storage->endpoint = first_of(storage->endpoint, environment("AWS_ENDPOINT_URL_S3"));
    storage->endpoint = first_of(storage->endpoint, environment("AWS_ENDPOINT_URL"));
    storage->endpoint = first_of(storage->endpoint, moxing_endpoint(access));

    storage->region = first_of(flags->region, both->region);
    storage->region = first_of(storage->region, side_environment(side, "REGION"));
    storage->region = first_of(storage->region, profile->region);
    storage->region = first_of(storage->region, environment("AWS_REGION"));
    storage->region = first_of(storage->region, environment("AWS_DEFAULT_REGION"));

    storage->ca_file = first_of(flags->ca_file, both->ca_file);
    storage->ca_file = first_of(storage->ca_file, side_environment(side, "CA_FILE"));
    storage->ca_file = first_of(storage->ca_file, profile->ca_file);
    storage->ca_file = first_of(storage->ca_file, environment("AWS_CA_BUNDLE"));
}

static enum storage_signature signature_of(const char *name)
{
    static const char *const names[] = {"auto", "v4", "obs", "v2", "none"};
    for (size_t i = 0; name && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum storage_signature)i;
        }
    }
    return STORAGE_SIGN_AUTO;
}

static enum storage_addressing addressing_of(const char *name)
{
    return !name                          ? STORAGE_ADDRESSING_AUTO
           : strcmp(name, "virtual") == 0 ? STORAGE_ADDRESSING_VIRTUAL
           : strcmp(name, "path") == 0    ? STORAGE_ADDRESSING_PATH
                                          : STORAGE_ADDRESSING_AUTO;
}

static bool is_loopback(const char *endpoint)
{
    const char *host = strstr(endpoint, "://");
    host = host ? host + 3 : endpoint;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 ||
           strncmp(host, "[::1]", 5) == 0;
}

static void warn_about(const struct access *access, const char *verify, struct log *log)
{
    const struct storage_access *storage = &access->storage;
    const char *verify_ssl = environment("S3_VERIFY_SSL");
    if (!verify && verify_ssl && strcmp(verify_ssl, "0") == 0) {
        log_warn(log, "S3_VERIFY_SSL=0 is not followed: certificates are verified; "
                      "--verify_ssl=0 switches that off");
    }
    if (storage->session_token && storage->endpoint &&
        strncmp(storage->endpoint, "http://", 7) == 0 && !is_loopback(storage->endpoint)) {
        log_warn(log, "a session token goes over plain http to %s", storage->endpoint);
    }
}

enum exit_code access_resolve(struct access *access, const struct settings *settings,
                              enum side side, struct log *log)
{
    memset(access, 0, sizeof *access);
    const struct access_flags *flags = side == SIDE_DATA ? &settings->data : &settings->train;
    const struct access_flags *both = &settings->both;
    const char *named = first_of(flags->profile, both->profile);
    named = first_of(named, side_environment(side, "PROFILE"));
    bool found = false;
    const char *profile = first_of(named, first_of(environment("AWS_PROFILE"), "default"));
    read_profile_files(access, profile, &found);
    if (named && !found) {
        return log_fail(log, settings->json, EXIT_CONFIG,
                        "profile '%s' is in none of the profile files", named);
    }
    resolve_keys(access, flags, both, side, named != NULL);
    resolve_place(access, flags, both, side);

    struct storage_access *storage = &access->storage;
    if (storage->access_key && (!storage->secret_key || !storage->secret_key[0])) {
        return log_fail(log, settings->json, EXIT_USAGE,
                        "an access key without its secret key, from %s", access->source);
    }
    const char *verify = first_of(flags->verify_ssl, both->verify_ssl);
    storage->tls_insecure = verify && strcmp(verify, "0") == 0;
    storage->signature = signature_of(first_of(flags->sign, both->sign));
    storage->addressing = addressing_of(first_of(flags->addressing, both->addressing));
    storage->unsigned_payload = settings->unsigned_payload;
    warn_about(access, verify, log);
    return EXIT_DONE;
}

void access_release(struct access *access)
{
    profile_release(&access->profile);
    memset(access, 0, sizeof *access);
}
