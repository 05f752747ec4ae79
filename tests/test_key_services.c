/*
 * The services that hand out keys, by script: Huawei's agency, AWS's instance role, a container's
 * service, STS with a web identity. What goes over the wire, what comes of it, refusals, garbage.
 */
#include "scratch.h"
#include "scripted_server.h"

#include "storage/credentials/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS(array) array, sizeof(array) / sizeof *(array)

/* One source before one script. */
struct desk {
    struct scripted_server *server;
    struct storage_config config;
    struct key_place place;
    struct credentials *credentials;
    struct credentials_keys *keys;
    struct storage_error err;
    char url[128];
    char traced[512];
};

static void on_trace(void *context, const char *line)
{
    struct desk *desk = context;
    snprintf(desk->traced, sizeof desk->traced, "%s", line);
}

static void desk_start(struct desk *desk, enum storage_keys_kind kind,
                       const struct script_step *steps, size_t count)
{
    memset(desk, 0, sizeof *desk);
    desk->server = scripted_server_start(steps, count);
    desk->place.region = "us-east-1";
    desk->config.access.keys.kind = kind;
    desk->config.trace = on_trace;
    desk->config.trace_context = desk;
    snprintf(desk->url, sizeof desk->url, "%s", scripted_server_endpoint(desk->server));
}

static enum storage_code desk_ask(struct desk *desk)
{
    if (credentials_open(&desk->credentials, &desk->config, &desk->place, &desk->err)) {
        fail_msg("%s", desk->err.message);
    }
    assert_non_null(desk->credentials);
    return credentials_take(desk->credentials, &desk->keys, &desk->err);
}

static void desk_must(struct desk *desk, const char *access_key, const char *secret_key,
                      const char *token, int64_t expires)
{
    if (desk_ask(desk) != STORAGE_OK) {
        fail_msg("%s", desk->err.message);
    }
    assert_string_equal(desk->keys->access_key, access_key);
    assert_string_equal(desk->keys->secret_key, secret_key);
    assert_string_equal(desk->keys->session_token, token);
    assert_int_equal(desk->keys->expires, expires);
    assert_null(strstr(desk->traced, "SECRET"));
    assert_non_null(strstr(desk->traced, "keys from "));
}

/* Fails with code, in words that hold word, and no secret. */
static void desk_must_fail(struct desk *desk, enum storage_code code, const char *word)
{
    enum storage_code got = desk_ask(desk);
    if (got != code || !strstr(desk->err.message, word) || strstr(desk->err.message, "SECRET")) {
        fail_msg("%d: %s", (int)got, desk->err.message);
    }
    assert_null(desk->keys);
}

static void desk_finish(struct desk *desk)
{
    credentials_give(desk->keys);
    credentials_free(desk->credentials);
    scripted_server_finish(desk->server);
}

static void assert_sent(const struct desk *desk, size_t n, const char *text, bool is_there)
{
    const char *request = scripted_server_request(desk->server, n);
    if ((strstr(request, text) != NULL) != is_there) {
        fail_msg("request %zu: %s %s in\n%s", n, text, is_there ? "is not" : "is", request);
    }
}

/* 2030-10-12T08:12:38Z */
enum {
    EXPIRES = 1918023158
};

#define HUAWEI_KEYS                                                                          \
    "200 OK\n\n{\"credential\":{\"access\":\"HA\",\"secret\":\"HSECRET\",\"securitytoken\":" \
    "\"HT\",\"expires_at\":\"2030-10-12T08:12:38.587000Z\"}}"
#define AWS_KEYS(token)                                                                       \
    "200 OK\n\n{\"Code\":\"Success\",\"AccessKeyId\":\"AA\",\"SecretAccessKey\":\"ASECRET\"," \
    "\"" token "\":\"AT\",\"Expiration\":\"2030-10-12T08:12:38Z\",\"LastUpdated\":\"x\"}"

/* ---- Huawei's agency ------------------------------------------------------------------------ */

static void an_agency_is_asked_with_a_session(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /meta-data/latest/api/token", "200 OK\n\nSESSION\n"},
        {"GET /openstack/latest/securitykey", HUAWEI_KEYS},
    };
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_INSTANCE, STEPS(steps));
    desk.config.access.keys.huawei_metadata = desk.url;
    desk_must(&desk, "HA", "HSECRET", "HT", EXPIRES);
    assert_sent(&desk, 0, "X-securitykey-Token-Ttl-Seconds: 21600\r\n", true);
    assert_sent(&desk, 1, "X-securitykey-Token: SESSION\r\n", true);
    desk_finish(&desk);
}

/* Machines that do not know sessions say 404 or 405, or nothing. */
static void an_older_agency_is_asked_without(void **state)
{
    (void)state;
    static const char *const answers[] = {"404 No", "405 No", "200 OK\n\n"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct script_step steps[] = {
            {"PUT /meta-data/latest/api/token", answers[i]},
            {"GET /openstack/latest/securitykey", HUAWEI_KEYS},
        };
        struct desk desk;
        desk_start(&desk, STORAGE_KEYS_INSTANCE, STEPS(steps));
        desk.config.access.keys.huawei_metadata = desk.url;
        desk_must(&desk, "HA", "HSECRET", "HT", EXPIRES);
        assert_sent(&desk, 1, "X-securitykey-Token", false);
        desk_finish(&desk);
    }
}

/* ---- AWS's instance role -------------------------------------------------------------------- */

static void a_role_is_asked_with_a_session(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /latest/api/token", "200 OK\n\nSESSION"},
        {"GET /latest/meta-data/iam/security-credentials/", "200 OK\n\nmy role\nother"},
        {"GET /latest/meta-data/iam/security-credentials/my%20role", AWS_KEYS("Token")},
    };
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_INSTANCE, STEPS(steps));
    desk.config.access.keys.aws_metadata = desk.url;
    desk_must(&desk, "AA", "ASECRET", "AT", EXPIRES);
    assert_sent(&desk, 0, "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", true);
    assert_sent(&desk, 1, "X-aws-ec2-metadata-token: SESSION\r\n", true);
    assert_sent(&desk, 2, "X-aws-ec2-metadata-token: SESSION\r\n", true);
    desk_finish(&desk);
}

/* No agency: AWS's service is asked next. No role either: anonymous. */
static void a_machine_without_agency_and_role_is_anonymous(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"PUT /meta-data/latest/api/token", "200 OK\n\nH"},
        {"GET /openstack/latest/securitykey", "404 Not Found"},
        {"PUT /latest/api/token", "200 OK\n\nA"},
        {"GET /latest/meta-data/iam/security-credentials/", "404 Not Found"},
    };
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_INSTANCE, STEPS(steps));
    desk.config.access.keys.huawei_metadata = desk.url;
    desk.config.access.keys.aws_metadata = desk.url;
    desk_must(&desk, "", "", "", 0);
    assert_non_null(strstr(desk.traced, "anonymous"));
    desk_finish(&desk);
}

static void nobody_at_the_address_is_anonymous(void **state)
{
    (void)state;
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_INSTANCE, NULL, 0);
    desk.config.access.keys.huawei_metadata = "http://127.0.0.1:1";
    desk.config.access.keys.aws_metadata = "http://127.0.0.1:1";
    desk_must(&desk, "", "", "", 0);
    desk_finish(&desk);
}

/* A local store, or a stranger's: no metadata service is thought of, so nothing is waited for. */
static void services_are_asked_only_where_a_cloud_is_meant(void **state)
{
    (void)state;
    static const struct {
        struct key_place place;
        bool disabled;
        bool is_asked;
    } cases[] = {
        {{"us-east-1", false, false}, false, false},
        {{"us-east-1", false, true}, false, true},
        {{"us-east-1", false, true}, true, false},
        {{"cn-north-4", true, false}, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_config config = {.access.keys = {.kind = STORAGE_KEYS_INSTANCE}};
        struct credentials *credentials = NULL;
        config.access.keys.aws_metadata_disabled = cases[i].disabled;
        assert_int_equal(credentials_open(&credentials, &config, &cases[i].place, NULL),
                         STORAGE_OK);
        assert_int_equal(credentials != NULL, cases[i].is_asked);
        credentials_free(credentials);
    }
}

static void a_services_trouble_is_told(void **state)
{
    (void)state;
    static const struct {
        struct script_step steps[4];
        size_t count;
        enum storage_code code;
        const char *word;
    } cases[] = {
        {{{"PUT /latest/api/token", "500 No"}, {"PUT /latest/api/token", "500 No"}},
         2,
         STORAGE_UNREACHABLE,
         "500"},
        {{{"PUT /latest/api/token", "400 No"}}, 1, STORAGE_DENIED, "400"},
        {{{"PUT /latest/api/token", "200 OK\n\na b"}}, 1, STORAGE_DENIED, "session"},
        {{{"PUT /latest/api/token", "200 OK\n\nS"},
          {"GET /latest/meta-data/iam/security-credentials/", "200 OK\n\nr"},
          {"GET /latest/meta-data/iam/security-credentials/r", "200 OK\n\n<html>SECRET"}},
         3,
         STORAGE_DENIED,
         "no JSON"},
        {{{"PUT /latest/api/token", "200 OK\n\nS"},
          {"GET /latest/meta-data/iam/security-credentials/", "200 OK\n\nr"},
          {"GET /latest/meta-data/iam/security-credentials/r",
           "200 OK\n\n{\"Code\":\"AssumeRoleUnauthorizedAccess\"}"}},
         3,
         STORAGE_DENIED,
         "AssumeRoleUnauthorizedAccess"},
        {{{"PUT /latest/api/token", "200 OK\n\nS"},
          {"GET /latest/meta-data/iam/security-credentials/", "200 OK\n\nr"},
          {"GET /latest/meta-data/iam/security-credentials/r",
           "200 OK\n\n{\"AccessKeyId\":\"A\"}"}},
         3,
         STORAGE_USAGE,
         "secret key"},
        {{{"PUT /latest/api/token", "200 OK\n\nS"},
          {"GET /latest/meta-data/iam/security-credentials/", "200 OK\n\nr"},
          {"GET /latest/meta-data/iam/security-credentials/r",
           "200 OK\n\n{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\","
           "\"Expiration\":\"soon\"}"}},
         3,
         STORAGE_DENIED,
         "expire"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct desk desk;
        desk_start(&desk, STORAGE_KEYS_INSTANCE, cases[i].steps, cases[i].count);
        desk.config.access.keys.aws_metadata = desk.url;
        desk_must_fail(&desk, cases[i].code, cases[i].word);
        assert_non_null(strstr(desk.err.message, "metadata service"));
        desk_finish(&desk);
    }
}

/* ---- a container's service ------------------------------------------------------------------ */

static void a_container_is_asked_with_its_authorization(void **state)
{
    static const struct script_step steps[] = {{"GET /v2/keys?id=1", AWS_KEYS("Token")}};
    char url[160];
    for (int from_file = 0; from_file < 2; from_file++) {
        struct desk desk;
        desk_start(&desk, STORAGE_KEYS_CONTAINER, STEPS(steps));
        snprintf(url, sizeof url, "%s/v2/keys?id=1", desk.url);
        scratch_write(*state, "authorization", "FROMFILE\n", 9);
        desk.config.access.keys.url = url;
        desk.config.access.keys.authorization = "Bearer GIVEN";
        desk.config.access.keys.authorization_file =
            from_file ? scratch_path(*state, "authorization") : NULL;
        desk_must(&desk, "AA", "ASECRET", "AT", EXPIRES);
        assert_sent(&desk, 0,
                    from_file ? "\r\nAuthorization: FROMFILE\r\n"
                              : "\r\nAuthorization: Bearer GIVEN\r\n",
                    true);
        desk_finish(&desk);
    }
}

static void a_containers_refusal_is_told(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /", "403 No\n\n{\"code\":\"NotYours\",\"message\":\"SECRET\"}"}};
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_CONTAINER, STEPS(steps));
    desk.config.access.keys.url = desk.url;
    desk_must_fail(&desk, STORAGE_DENIED, "403 NotYours");
    desk_finish(&desk);
}

/* An answer that breaks off; the second try gets a whole one. */
static void an_answer_that_breaks_off_is_asked_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /", "200 OK\nContent-Length: 5000\n\n{"}, /* cut short */
        {"GET /", AWS_KEYS("Token")},
    };
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_CONTAINER, STEPS(steps));
    desk.config.access.keys.url = desk.url;
    desk_must(&desk, "AA", "ASECRET", "AT", EXPIRES);
    desk_finish(&desk);
}

/* One that takes the connection and says nothing: time-outs end that, whatever the test's is. */
static void a_silent_service_is_given_up(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(silent, 8), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &size), 0);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_CONTAINER, NULL, 0);
    desk.config.access.keys.url = url;
    desk_must_fail(&desk, STORAGE_UNREACHABLE, "container's credential service");
    desk_finish(&desk);
    close(silent);
}

/* The authorization must not go in the clear to another machine, whatever its name looks like. */
static void plain_http_stays_on_the_machine(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://10.0.0.1/",
                                       "http://127.0.0.1.example.com/",
                                       "http://localhost.example/",
                                       "http://localhost@example/",
                                       "http://127.0.0.1:80@example.com/",
                                       "http://169.254.170.20/",
                                       "ftp://127.0.0.1/",
                                       "http://169.254.170.2.example/x"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct desk desk;
        desk_start(&desk, STORAGE_KEYS_CONTAINER, NULL, 0);
        desk.config.access.keys.url = urls[i];
        desk_must_fail(&desk, STORAGE_USAGE, "must be https");
        desk_finish(&desk);
    }
}

static void an_authorization_is_one_line(void **state)
{
    (void)state;
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_CONTAINER, NULL, 0);
    desk.config.access.keys.url = desk.url;
    desk.config.access.keys.authorization = "a\r\nX-Other: SECRET";
    desk_must_fail(&desk, STORAGE_USAGE, "line end");
    desk_finish(&desk);
}

/* ---- web identity --------------------------------------------------------------------------- */

#define STS_KEYS                                                                            \
    "200 OK\n\n<AssumeRoleWithWebIdentityResponse "                                         \
    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>" \
    "<Credentials><AccessKeyId>WA</AccessKeyId><SecretAccessKey>WSECRET</SecretAccessKey>"  \
    "<SessionToken>WT</SessionToken><Expiration>2030-10-12T08:12:38Z</Expiration>"          \
    "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"

static void set_identity(struct desk *desk, const char *folder)
{
    scratch_write(folder, "token", "ey.J+/=SECRET\n", 14);
    desk->config.access.keys.role_arn = "arn:aws:iam::1:role/r";
    desk->config.access.keys.file = scratch_path(folder, "token");
    desk->config.access.keys.sts_endpoint = desk->url;
}

static void a_token_is_exchanged_for_keys(void **state)
{
    static const struct script_step steps[] = {{"POST /", STS_KEYS}};
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_WEB_IDENTITY, STEPS(steps));
    set_identity(&desk, *state);
    desk.config.access.keys.session_name = "se";
    desk_must(&desk, "WA", "WSECRET", "WT", EXPIRES);
    assert_sent(&desk, 0, "Content-Type: application/x-www-form-urlencoded\r\n", true);
    assert_sent(&desk, 0,
                "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15"
                "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=se"
                "&WebIdentityToken=ey.J%2B%2F%3DSECRET",
                true);
    assert_sent(&desk, 0, "Authorization", false);
    assert_sent(&desk, 0, "%0A", false); /* the file's line end is not the token's */
    desk_finish(&desk);
}

static void the_exchanges_trouble_is_told(void **state)
{
    static const struct {
        const char *answer;
        enum storage_code code;
        const char *word;
    } cases[] = {
        {"400 No\n\n<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>SECRET"
         "</Message></Error></ErrorResponse>",
         STORAGE_DENIED, "400 ExpiredTokenException"},
        {"200 OK\n\n<html>", STORAGE_DENIED, "holds no keys"},
        {"200 OK\n\n", STORAGE_DENIED, "holds no keys"},
        {"200 OK\n\n<AssumeRoleWithWebIdentityResponse/>", STORAGE_DENIED, "holds no keys"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {{"POST /", cases[i].answer}};
        struct desk desk;
        desk_start(&desk, STORAGE_KEYS_WEB_IDENTITY, STEPS(steps));
        set_identity(&desk, *state);
        desk_must_fail(&desk, cases[i].code, cases[i].word);
        desk_finish(&desk);
    }
    struct desk desk;
    desk_start(&desk, STORAGE_KEYS_WEB_IDENTITY, NULL, 0);
    set_identity(&desk, *state);
    desk.config.access.keys.file = scratch_path(*state, "nowhere");
    desk_must_fail(&desk, STORAGE_DENIED, "token file");
    desk_finish(&desk);
}

/* ---- any ------------------------------------------------------------------------------------ */

static void a_source_needs_its_words(void **state)
{
    (void)state;
    static const struct storage_key_source cases[] = {
        {.kind = STORAGE_KEYS_FILE, .section = "x"},
        {.kind = STORAGE_KEYS_PROCESS, .command = ""},
        {.kind = STORAGE_KEYS_WEB_IDENTITY, .file = "f"},
        {.kind = STORAGE_KEYS_WEB_IDENTITY, .role_arn = "r"},
        {.kind = STORAGE_KEYS_CONTAINER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct storage_config config = {.access.keys = cases[i]};
        struct key_place place = {.region = "r"};
        struct credentials *credentials = NULL;
        assert_int_equal(credentials_open(&credentials, &config, &place, NULL), STORAGE_USAGE);
        assert_null(credentials);
    }
}

static int set_up(void **state)
{
    *state = scratch_make();
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(*state);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_agency_is_asked_with_a_session),
        TEST(an_older_agency_is_asked_without),
        TEST(a_role_is_asked_with_a_session),
        TEST(a_machine_without_agency_and_role_is_anonymous),
        TEST(nobody_at_the_address_is_anonymous),
        TEST(services_are_asked_only_where_a_cloud_is_meant),
        TEST(a_services_trouble_is_told),
        TEST(a_container_is_asked_with_its_authorization),
        TEST(a_containers_refusal_is_told),
        TEST(an_answer_that_breaks_off_is_asked_again),
        TEST(a_silent_service_is_given_up),
        TEST(plain_http_stays_on_the_machine),
        TEST(an_authorization_is_one_line),
        TEST(a_token_is_exchanged_for_keys),
        TEST(the_exchanges_trouble_is_told),
        TEST(a_source_needs_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
