#include "runner/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* ---- keys ----------------------------------------------------------------------------------- */

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

static bool take_source(struct access *access, enum storage_keys_kind kind, const char *name)
{
    access->source = name;
    access->storage.keys.kind = kind;
    access->storage.keys.name = name;
    return true;
}

/* Moves a text that is not there yet. */
static void move_text(char **to, char **from)
{
    if (!*to) {
        *to = *from;
        *from = NULL;
    }
}

/* Of two files with the same profile the first says what it can; keys are never put together. */
static void merge_profile(struct access *access, struct storage_profile *more, const char *file)
{
    struct storage_profile *profile = &access->profile;
    if (!profile->access_key && more->access_key) {
        access->keys_file = file;
        move_text(&profile->access_key, &more->access_key);
        move_text(&profile->secret_key, &more->secret_key);
        move_text(&profile->session_token, &more->session_token);
    }
    if (!profile->role_arn && more->role_arn) {
        move_text(&profile->role_arn, &more->role_arn);
        move_text(&profile->session_name, &more->session_name);
        move_text(&profile->token_file, &more->token_file);
    }
    move_text(&profile->process, &more->process);
    move_text(&profile->borrowed, &more->borrowed);
    move_text(&profile->region, &more->region);
    move_text(&profile->endpoint, &more->endpoint);
    move_text(&profile->ca_file, &more->ca_file);
}

/* Whether any file has the profile. */
static bool read_profile_files(struct access *access, const char *name)
{
    static const char *const below_home[] = {".aws/credentials", ".aws/config", ".obsutilconfig"};
    const char *home = first_of(environment("HOME"), "");
    bool found = false;
    for (size_t i = 0; i < sizeof access->paths / sizeof access->paths[0]; i++) {
        snprintf(access->paths[i], sizeof access->paths[i], "%s/%s", home, below_home[i]);
    }
    const char *files[] = {
        first_of(environment("AWS_SHARED_CREDENTIALS_FILE"), access->paths[0]),
        first_of(environment("AWS_CONFIG_FILE"), access->paths[1]),
        environment("CREDENTIAL_PROFILES_FILE"),
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct storage_profile profile = {0};
        if (files[i] && storage_profile_read(&profile, files[i], name)) {
            found = true;
            merge_profile(access, &profile, files[i]);
        }
        storage_profile_release(&profile);
    }
    snprintf(access->name, sizeof access->name, "profile '%s'", name);
    return found;
}

static bool take_web_identity(struct access *access, const char *name, const char *role_arn,
                              const char *session_name, const char *token_file)
{
    struct storage_key_source *keys = &access->storage.keys;
    if (!role_arn || !token_file) {
        return false;
    }
    keys->role_arn = role_arn;
    keys->session_name = session_name;
    keys->file = token_file;
    keys->sts_endpoint =
        first_of(environment("AWS_ENDPOINT_URL_STS"), environment("AWS_ENDPOINT_URL"));
    return take_source(access, STORAGE_KEYS_WEB_IDENTITY, name);
}

/* What a profile offers: its keys, else a command, else a role with a token. */
static bool take_profile(struct access *access, const char *section)
{
    const struct storage_profile *profile = &access->profile;
    struct storage_key_source *keys = &access->storage.keys;
    if (profile->access_key) {
        keys->file = access->keys_file;
        keys->section = section;
        return take_source(access, STORAGE_KEYS_FILE, access->name);
    }
    if (profile->process) {
        keys->command = profile->process;
        return take_source(access, STORAGE_KEYS_PROCESS, access->name);
    }
    return take_web_identity(access, access->name, profile->role_arn, profile->session_name,
                             profile->token_file);
}

static bool take_obsutil(struct access *access, struct log *log)
{
    const char *file = access->paths[2];
    if (!storage_profile_read_obsutil(&access->obsutil, file)) {
        return false;
    }
    if (access->obsutil.is_encrypted) {
        log_warn_once(
            log,
            "%s is not used: obsutil has encrypted its keys, and only obsutil can read them; "
            "give keys in the environment or in a profile file",
            file);
        return false;
    }
    access->storage.keys.file = file;
    return take_source(access, STORAGE_KEYS_FILE, ".obsutilconfig");
}

static bool take_container(struct access *access)
{
    struct storage_key_source *keys = &access->storage.keys;
    const char *relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    keys->url = first_of(relative, environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    keys->authorization = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    keys->authorization_file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    return keys->url && take_source(access, STORAGE_KEYS_CONTAINER, "the container's service");
}

/* storage/ asks a metadata service only where the endpoint, or one of these, speaks of one. */
static bool take_instance(struct access *access)
{
    struct storage_key_source *keys = &access->storage.keys;
    const char *disabled = environment("AWS_EC2_METADATA_DISABLED");
    keys->huawei_metadata = environment("JOBFERRY_ECS_METADATA_ENDPOINT");
    keys->aws_metadata = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    keys->aws_metadata_disabled = disabled && strcasecmp(disabled, "true") == 0;
    return take_source(access, STORAGE_KEYS_INSTANCE, "the machine's metadata service");
}

static const char aws_environment[] = "AWS_ACCESS_KEY_ID";

static bool take_environment(struct access *access)
{
    return take_keys(access, aws_environment, environment("AWS_ACCESS_KEY_ID"),
                     environment("AWS_SECRET_ACCESS_KEY"), environment("AWS_SESSION_TOKEN")) ||
           take_keys(access, "OBS_ACCESS_KEY_ID", environment("OBS_ACCESS_KEY_ID"),
                     environment("OBS_SECRET_ACCESS_KEY"), environment("OBS_SECURITY_TOKEN")) ||
           take_keys(access, "ACCESS_KEY_ID", environment("ACCESS_KEY_ID"),
                     environment("SECRET_ACCESS_KEY"), NULL);
}

/* Whether the profile has keys, but in a way that we do not follow. */
static bool is_out_of_reach(const struct storage_profile *profile)
{
    return profile->borrowed && !profile->access_key && !profile->process && !profile->token_file;
}

static const char out_of_reach[] =
    "%s takes its keys by source_profile, credential_source or SSO, which jobferry does not do; "
    "a profile with 'credential_process = aws configure export-credentials --profile NAME --format "
    "process' (AWS CLI 2) does";

/* named: the profile that flags or the side's environment ask for, or NULL. */
static enum exit_code resolve_keys(struct access *access, const struct settings *settings,
                                   enum side side, const char *profile, const char *named,
                                   struct log *log)
{
    const struct access_flags *flags = side == SIDE_DATA ? &settings->data : &settings->train;
    const struct access_flags *both = &settings->both;
    if (take_keys(access, "flags", flags->ak, flags->sk, flags->token) ||
        take_keys(access, "flags", both->ak, both->sk, both->token) ||
        take_keys(access, "the side's environment", side_environment(side, "ACCESS_KEY_ID"),
                  side_environment(side, "SECRET_ACCESS_KEY"),
                  side_environment(side, "SESSION_TOKEN")) ||
        (named && take_profile(access, profile))) {
        return EXIT_DONE;
    }
    if (named && is_out_of_reach(&access->profile)) {
        return log_fail(log, settings->json, EXIT_CONFIG, out_of_reach, access->name);
    }
    if (take_environment(access) || take_profile(access, profile)) {
        return EXIT_DONE;
    }
    if (is_out_of_reach(&access->profile)) {
        log_warn_once(log, out_of_reach, access->name);
    }
    if (!take_obsutil(access, log) &&
        !take_web_identity(access, "AWS_WEB_IDENTITY_TOKEN_FILE", environment("AWS_ROLE_ARN"),
                           environment("AWS_ROLE_SESSION_NAME"),
                           environment("AWS_WEB_IDENTITY_TOKEN_FILE")) &&
        !take_container(access)) {
        take_instance(access);
    }
    return EXIT_DONE;
}

/* ---- the place ------------------------------------------------------------------------------ */

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
    const struct storage_profile *profile = &access->profile;
    struct storage_access *storage = &access->storage;
    storage->endpoint = first_of(flags->server, both->server);
    storage->endpoint = first_of(storage->endpoint, side_environment(side, "ENDPOINT"));
    storage->endpoint = first_of(storage->endpoint, profile->endpoint);
    storage->endpoint = first_of(storage->endpoint, environment("AWS_ENDPOINT_URL_S3"));
    storage->endpoint = first_of(storage->endpoint, environment("AWS_ENDPOINT_URL"));
    storage->endpoint = first_of(storage->endpoint, moxing_endpoint(access));
    storage->endpoint = first_of(storage->endpoint, access->obsutil.endpoint); /* with its keys */

    storage->region = first_of(flags->region, both->region);
    storage->region = first_of(storage->region, side_environment(side, "REGION"));
    storage->region = first_of(storage->region, profile->region);
    storage->region = first_of(storage->region, environment("AWS_REGION"));
    storage->region = first_of(storage->region, environment("AWS_DEFAULT_REGION"));

    storage->ca_file = first_of(flags->ca_file, both->ca_file);
    storage->ca_file = first_of(storage->ca_file, side_environment(side, "CA_FILE"));
    storage->ca_file = first_of(storage->ca_file, profile->ca_file);
    storage->ca_file = first_of(storage->ca_file, environment("AWS_CA_BUNDLE"));
    storage->ca_file =
        first_of(storage->ca_file, environment("SSL_CERT_FILE")); /* as curl and OpenSSL */
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
        log_warn_once(log, "S3_VERIFY_SSL=0 is not followed: certificates are verified; "
                           "--verify_ssl=0 switches that off");
    }
    bool has_token =
        storage->session_token || access->profile.session_token || access->obsutil.session_token;
    if (has_token && storage->endpoint && strncmp(storage->endpoint, "http://", 7) == 0 &&
        !is_loopback(storage->endpoint)) {
        log_warn_once(log, "a session token goes over plain http to %s", storage->endpoint);
    }
}

/* The first half of a pair that lacks the second; keys that are fetched are looked at then. */
static bool is_half_a_pair(const struct access *access)
{
    const struct storage_access *storage = &access->storage;
    const char *secret = storage->secret_key;
    if (storage->keys.kind == STORAGE_KEYS_FILE) {
        secret = storage->keys.section ? access->profile.secret_key : access->obsutil.secret_key;
    } else if (storage->keys.kind != STORAGE_KEYS_GIVEN || !storage->access_key) {
        return false;
    }
    return !secret || !secret[0];
}

enum exit_code access_resolve(struct access *access, const struct settings *settings,
                              enum side side, struct log *log)
{
    memset(access, 0, sizeof *access);
    const struct access_flags *flags = side == SIDE_DATA ? &settings->data : &settings->train;
    const struct access_flags *both = &settings->both;
    struct storage_access *storage = &access->storage;
    const char *named = first_of(flags->profile, both->profile);
    named = first_of(named, side_environment(side, "PROFILE"));
    const char *profile = first_of(named, first_of(environment("AWS_PROFILE"), "default"));
    if (!read_profile_files(access, profile) && named) {
        return log_fail(log, settings->json, EXIT_CONFIG,
                        "profile '%s' is in none of the profile files", named);
    }
    storage->signature = signature_of(first_of(flags->sign, both->sign));
    access->source = "nobody: --sign=none";
    if (storage->signature != STORAGE_SIGN_NONE) {
        enum exit_code code = resolve_keys(access, settings, side, profile, named, log);
        if (code) {
            return code;
        }
    }
    resolve_place(access, flags, both, side);
    if (is_half_a_pair(access)) {
        return log_fail(log, settings->json, EXIT_USAGE,
                        "an access key without its secret key, from %s", access->source);
    }
    const char *verify = first_of(flags->verify_ssl, both->verify_ssl);
    storage->tls_insecure = verify && strcmp(verify, "0") == 0;
    storage->addressing = addressing_of(first_of(flags->addressing, both->addressing));
    storage->unsigned_payload = settings->unsigned_payload;
    warn_about(access, verify, log);
    if (settings->verbose) {
        log_info(log, "keys for %s: from %s", side == SIDE_DATA ? "data" : "train", access->source);
    }
    return EXIT_DONE;
}

bool access_has_fixed_token(const struct access *access, int64_t *expires)
{
    const char *expiration = environment("AWS_CREDENTIAL_EXPIRATION");
    *expires = 0;
    if (expiration && strcmp(access->source, aws_environment) == 0 &&
        !storage_keys_parse_expiry(expires, expiration)) {
        *expires = 0;
    }
    const struct storage_access *storage = &access->storage;
    const char *token = storage->session_token;
    if (storage->keys.kind == STORAGE_KEYS_FILE) {
        token =
            storage->keys.section ? access->profile.session_token : access->obsutil.session_token;
    } else if (storage->keys.kind != STORAGE_KEYS_GIVEN) {
        return false;
    }
    return token && token[0];
}

void access_release(struct access *access)
{
    storage_profile_release(&access->profile);
    storage_profile_release(&access->obsutil);
    memset(access, 0, sizeof *access);
}
