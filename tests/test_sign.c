/*
 * Signatures against results that others computed: the vectors in tests/data/sign, and where it
 * lies beside the project AWS's own SigV4 suite, each of its cases in three stages, in the header
 * and in the query.
 */
#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"
#include "storage/s3/sign.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char suite_path[] = TEST_SOURCE_DIR "/../shared/vectors/sigv4";

/* A whole file; "" when there is none. Trailing line ends go when trim. */
static char *read_text(const char *folder, const char *name, bool trim)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    FILE *file = fopen(path, "rb");
    if (file) {
        size_t length = fread(text, 1, 65535, file);
        fclose(file);
        while (trim && length > 0 && text[length - 1] == '\n') {
            text[--length] = '\0';
        }
    }
    return text;
}

/* ---- our vectors ---------------------------------------------------------------------------- */

enum {
    PAIRS = 16
};

struct vector {
    const char *name, *dialect, *method, *path, *resource, *date, *time, *region, *payload;
    const char *string, *expect;
    struct sign_pair query[PAIRS], headers[PAIRS];
    size_t query_count, header_count;
};

static void add_pair(struct sign_pair *pairs, size_t *count, char *text, const char *separator)
{
    assert_true(*count < PAIRS);
    char *cut = strstr(text, separator);
    if (cut) {
        *cut = '\0';
        cut += strlen(separator);
    }
    pairs[(*count)++] = (struct sign_pair){text, cut};
}

static void take_field(struct vector *vector, const char *field, char *value)
{
    const struct {
        const char *name;
        const char **target;
    } fields[] = {
        {"dialect", &vector->dialect},   {"method", &vector->method}, {"path", &vector->path},
        {"resource", &vector->resource}, {"date", &vector->date},     {"time", &vector->time},
        {"region", &vector->region},     {"string", &vector->string}, {"expect", &vector->expect},
        {"payload", &vector->payload},
    };
    if (strcmp(field, "query") == 0) {
        add_pair(vector->query, &vector->query_count, value, "=");
        return;
    }
    if (strcmp(field, "header") == 0) {
        add_pair(vector->headers, &vector->header_count, value, ": ");
        return;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(field, fields[i].name) == 0) {
            *fields[i].target = value;
            return;
        }
    }
    fail_msg("%s: unknown field %s", vector->name, field);
}

static const char *header_of(const struct vector *vector, const char *name)
{
    for (size_t i = 0; i < vector->header_count; i++) {
        if (strcmp(vector->headers[i].name, name) == 0) {
            return vector->headers[i].value;
        }
    }
    return NULL;
}

static int64_t seconds_of(const char *amz)
{
    char iso[32];
    int64_t nanoseconds = 0;
    snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", amz, amz + 4, amz + 6, amz + 9,
             amz + 11, amz + 13);
    assert_true(date_parse_iso(&nanoseconds, iso));
    return nanoseconds / 1000000000;
}

static void check_string(const struct vector *vector, const char *string)
{
    if (!vector->string) {
        return;
    }
    struct buf want;
    buf_init(&want, 4096);
    for (const char *at = vector->string; *at; at++) {
        bool newline = at[0] == '\\' && at[1] == 'n';
        buf_char(&want, newline ? '\n' : *at);
        at += newline;
    }
    assert_string_equal(string, want.data);
    buf_release(&want);
}

static void check_vector(const struct vector *vector)
{
    static const char secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    struct sign_keys keys = {"AKIAIOSFODNN7EXAMPLE", secret, vector->region, "s3", NULL, 0};
    struct buf path, canonical, string, result;
    buf_init(&path, 4096);
    buf_init(&canonical, 4096);
    buf_init(&string, 4096);
    buf_init(&result, 4096);
    url_encode_path(&path, vector->path ? vector->path : vector->resource);
    struct sign_request request = {
        .method = vector->method,
        .path = path.data,
        .resource = path.data,
        .query = vector->query,
        .query_count = vector->query_count,
        .headers = vector->headers,
        .header_count = vector->header_count,
        .payload = vector->payload ? vector->payload : header_of(vector, "x-amz-content-sha256"),
    };
    if (strcmp(vector->dialect, "v4") == 0) {
        int64_t seconds = seconds_of(vector->time);
        sign_v4_canonical(&canonical, &request);
        sign_v4_string(&string, canonical.data, &keys, seconds);
        sign_v4_signature(&result, string.data, &keys, seconds);
    } else {
        enum sign_dialect dialect = strcmp(vector->dialect, "obs") == 0 ? SIGN_OBS : SIGN_V2;
        const char *date = vector->date ? vector->date : header_of(vector, "Date");
        sign_obs_canonical(&canonical, &request, dialect);
        sign_obs_string(&string, canonical.data, &request, date ? date : "");
        check_string(vector, string.data);
        sign_obs_signature(&result, string.data, &keys);
    }
    assert_true(buf_ok(&path) && buf_ok(&canonical) && buf_ok(&string) && buf_ok(&result));
    if (strcmp(result.data, vector->expect) != 0) {
        fail_msg("%s: %s instead of %s\n%s\n--\n%s", vector->name, result.data, vector->expect,
                 canonical.data, string.data);
    }
    buf_release(&path);
    buf_release(&canonical);
    buf_release(&string);
    buf_release(&result);
}

static void vectors_give_their_signatures(void **state)
{
    (void)state;
    char *text = read_text(TEST_SOURCE_DIR, "tests/data/sign/vectors.txt", true);
    struct vector vector = {0};
    unsigned count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, ' ');
        if (*line == '#' || !value) {
            continue;
        }
        *value++ = '\0';
        if (strcmp(line, "case") != 0) {
            take_field(&vector, line, value);
            continue;
        }
        if (vector.name) {
            check_vector(&vector);
        }
        vector = (struct vector){.name = value};
        count++;
    }
    assert_non_null(vector.name);
    check_vector(&vector);
    assert_int_equal(count, 15);
    free(text);
}

static void authorization_values_are_whole(void **state)
{
    (void)state;
    struct sign_keys keys = {"AK", "SK", "cn-north-4", "s3", NULL, 0};
    const struct sign_pair headers[] = {{"x-amz-date", "20241012T081238Z"}, {"Host", "h"}};
    struct sign_request request = {"GET", "/", "/", NULL, 0, headers, 2, "UNSIGNED-PAYLOAD"};
    struct buf out;
    buf_init(&out, 4096);
    sign_v4_authorization(&out, "x", &request, &keys, seconds_of("20241012T081238Z"));
    assert_non_null(strstr(out.data, "AWS4-HMAC-SHA256 Credential=AK/20241012/cn-north-4/s3/"
                                     "aws4_request, SignedHeaders=host;x-amz-date, Signature="));
    buf_clear(&out);
    sign_obs_authorization(&out, "x", &keys, SIGN_OBS);
    assert_int_equal(strncmp(out.data, "OBS AK:", 7), 0);
    buf_clear(&out);
    sign_obs_authorization(&out, "x", &keys, SIGN_V2);
    assert_int_equal(strncmp(out.data, "AWS AK:", 7), 0);
    buf_release(&out);
}

/* What is kept must give what is derived, and must not outlive its day, key or region. */
static void a_kept_day_key_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *access, *secret, *region, *time;
        uint64_t generation;
    } turns[] = {{"AK", "SK", "cn-north-4", "20241012T081238Z", 0},
                 {"AK", "SK", "cn-north-4", "20241012T235959Z", 0},
                 {"AK", "SK", "cn-north-4", "20241013T000000Z", 0},
                 {"AK", "SK", "cn-east-3", "20241013T000000Z", 0},
                 {"BK", "other", "cn-east-3", "20241013T000000Z", 0},
                 {"BK", "later", "cn-east-3", "20241013T000000Z", 1}};
    struct sign_day_key kept = {0};
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        struct sign_keys keys = {turns[i].access,    turns[i].secret, turns[i].region, "s3", NULL,
                                 turns[i].generation};
        struct buf derived;
        struct buf used;
        buf_init(&derived, 64);
        buf_init(&used, 64);
        sign_v4_signature(&derived, "x", &keys, seconds_of(turns[i].time));
        keys.day_key = &kept;
        sign_v4_signature(&used, "x", &keys, seconds_of(turns[i].time)); /* maybe derives */
        buf_clear(&used);
        sign_v4_signature(&used, "x", &keys, seconds_of(turns[i].time)); /* surely does not */
        assert_string_equal(used.data, derived.data);
        buf_release(&derived);
        buf_release(&used);
    }
}

/* Session tokens in a URL, names that sort among the others, equal names: only the first. */
static void obs_counts_only_what_names_a_thing(void **state)
{
    (void)state;
    const struct sign_pair query[] = {
        {"x-obs-security-token", "T/+"},
        {"versionId", "7"},
        {"versionId", "8"},
        {"acl", ""},
        {"max-keys", "3"},
        {"position", "1"},
        {"append", NULL},
        {"response-content-type", "a/b c"},
        {"list-type", "2"},
    };
    struct sign_request request = {
        .resource = "/b/k", .query = query, .query_count = sizeof query / sizeof *query};
    struct buf out;
    buf_init(&out, 4096);
    sign_obs_canonical(&out, &request, SIGN_OBS);
    assert_string_equal(out.data, "/b/k?acl&append&position=1&response-content-type=a/b c&"
                                  "versionId=7&x-obs-security-token=T/+");
    buf_release(&out);
}

/* ---- the shared suite ------------------------------------------------------------------------ */

/* The text of "name": "…" or of a bare value in a context.json; "" when absent. */
static void json_field(char *out, size_t size, const char *json, const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(json, quoted);
    out[0] = '\0';
    if (!at) {
        return;
    }
    at += strlen(quoted);
    at += strspn(at, " \"");
    snprintf(out, size, "%.*s", (int)strcspn(at, "\",\n}"), at);
}

struct suite_case {
    const char *name;
    char folder[1024];
    char access[64], secret[128], token[1024], region[32], service[32], stamp[DATE_AMZ_SIZE];
    char *request_text;
    struct buf path;
    struct sign_pair query[PAIRS], headers[PAIRS];
    size_t query_count, header_count;
    char hash[65];
};

/* A line of request.txt and those folded below it, as one header. */
static void take_header(struct suite_case *c, char *line, char **rest)
{
    while (*rest && (**rest == ' ' || **rest == '\t')) {
        (*rest)[-1] = ' '; /* where strsep cut */
        char *end = strchr(*rest, '\n');
        if (end) {
            *end = '\0';
        }
        *rest = end ? end + 1 : NULL;
    }
    add_pair(c->headers, &c->header_count, line, ":");
}

static void parse_request(struct suite_case *c, struct sign_request *request)
{
    char *rest = c->request_text;
    char *line = strsep(&rest, "\n");
    request->method = strsep(&line, " ");
    char *end = strstr(line, " HTTP/1.1");
    assert_non_null(end);
    *end = '\0';
    char *target = line;
    char *path = strsep(&target, "?");
    url_encode_path(&c->path, path);
    while (target && *target) {
        char *pair = strsep(&target, "&");
        add_pair(c->query, &c->query_count, pair, "=");
        struct sign_pair *last = &c->query[c->query_count - 1];
        assert_true(url_decode((char *)(uintptr_t)last->name));
        assert_true(!last->value || url_decode((char *)(uintptr_t)last->value));
    }
    while (rest && (line = strsep(&rest, "\n")) && *line) {
        take_header(c, line, &rest);
    }
    uint8_t hash[SHA256_SIZE];
    const char *body = rest ? rest : "";
    assert_true(digest_sha256(hash, body, strlen(body)));
    for (size_t i = 0; i < sizeof hash; i++) {
        snprintf(c->hash + 2 * i, 3, "%02x", hash[i]);
    }
    request->path = c->path.data;
    request->payload = c->hash;
}

static void check_stage(const struct suite_case *c, const char *file, const struct buf *got)
{
    char *want = read_text(c->folder, file, true);
    if (!buf_ok(got) || strcmp(got->data, want) != 0) {
        fail_msg("%s/%s: got\n%s\ninstead of\n%s", c->name, file, got->data, want);
    }
    free(want);
}

static void check_stages(const struct suite_case *c, const struct sign_request *request,
                         const char *kind)
{
    struct sign_keys keys = {c->access, c->secret, c->region, c->service, NULL, 0};
    int64_t seconds = seconds_of(c->stamp);
    struct buf canonical, string, signature;
    char file[64];
    buf_init(&canonical, 65536);
    buf_init(&string, 65536);
    buf_init(&signature, 65536);
    sign_v4_canonical(&canonical, request);
    snprintf(file, sizeof file, "%s-canonical-request.txt", kind);
    check_stage(c, file, &canonical);
    sign_v4_string(&string, canonical.data, &keys, seconds);
    snprintf(file, sizeof file, "%s-string-to-sign.txt", kind);
    check_stage(c, file, &string);
    sign_v4_signature(&signature, string.data, &keys, seconds);
    snprintf(file, sizeof file, "%s-signature.txt", kind);
    check_stage(c, file, &signature);
    buf_release(&canonical);
    buf_release(&string);
    buf_release(&signature);
}

static void check_in_header(struct suite_case *c, struct sign_request request, bool sign_body,
                            bool omit_token)
{
    struct sign_pair headers[PAIRS + 3];
    size_t count = c->header_count;
    memcpy(headers, c->headers, count * sizeof *headers);
    headers[count++] = (struct sign_pair){"X-Amz-Date", c->stamp};
    if (sign_body) {
        headers[count++] = (struct sign_pair){"x-amz-content-sha256", c->hash};
    }
    if (c->token[0] && !omit_token) {
        headers[count++] = (struct sign_pair){"X-Amz-Security-Token", c->token};
    }
    request.headers = headers;
    request.header_count = count;
    request.query = c->query;
    request.query_count = c->query_count;
    check_stages(c, &request, "header");
}

static void check_in_query(struct suite_case *c, struct sign_request request, bool omit_token)
{
    struct sign_keys keys = {c->access, c->secret, c->region, c->service, NULL, 0};
    struct sign_pair query[PAIRS + 6];
    size_t count = c->query_count;
    struct buf credential, names;
    buf_init(&credential, 4096);
    buf_init(&names, 4096);
    request.headers = c->headers;
    request.header_count = c->header_count;
    buf_format(&credential, "%s/", c->access);
    sign_v4_scope(&credential, &keys, seconds_of(c->stamp));
    sign_v4_signed_headers(&names, &request);
    memcpy(query, c->query, count * sizeof *query);
    query[count++] = (struct sign_pair){"X-Amz-Algorithm", "AWS4-HMAC-SHA256"};
    query[count++] = (struct sign_pair){"X-Amz-Credential", credential.data};
    query[count++] = (struct sign_pair){"X-Amz-Date", c->stamp};
    query[count++] = (struct sign_pair){"X-Amz-Expires", "3600"};
    query[count++] = (struct sign_pair){"X-Amz-SignedHeaders", names.data};
    if (c->token[0] && !omit_token) {
        query[count++] = (struct sign_pair){"X-Amz-Security-Token", c->token};
    }
    request.query = query;
    request.query_count = count;
    check_stages(c, &request, "query");
    buf_release(&credential);
    buf_release(&names);
}

/* Returns whether the case applies to S3, which does not normalise paths. */
static bool check_case(const char *name)
{
    struct suite_case c = {.name = name};
    struct sign_request request = {0};
    char flag[16], time[32];
    snprintf(c.folder, sizeof c.folder, "%s/%s", suite_path, name);
    char *context = read_text(c.folder, "context.json", false);
    c.request_text = read_text(c.folder, "request.txt", false);
    buf_init(&c.path, 4096);
    json_field(c.access, sizeof c.access, context, "access_key_id");
    json_field(c.secret, sizeof c.secret, context, "secret_access_key");
    json_field(c.token, sizeof c.token, context, "token");
    json_field(c.region, sizeof c.region, context, "region");
    json_field(c.service, sizeof c.service, context, "service");
    json_field(time, sizeof time, context, "timestamp");
    snprintf(c.stamp, sizeof c.stamp, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", time, time + 5, time + 8,
             time + 11, time + 14, time + 17);
    json_field(flag, sizeof flag, context, "omit_session_token");
    bool omit_token = strcmp(flag, "true") == 0;
    json_field(flag, sizeof flag, context, "sign_body");
    bool sign_body = strcmp(flag, "true") == 0;
    json_field(flag, sizeof flag, context, "normalize");
    bool normalize = strcmp(flag, "true") == 0;

    parse_request(&c, &request);
    bool plain = !strstr(c.path.data, "/.") && !strstr(c.path.data, "//");
    bool applies = !normalize || plain;
    if (applies) {
        check_in_header(&c, request, sign_body, omit_token);
        check_in_query(&c, request, omit_token);
    }
    buf_release(&c.path);
    free(c.request_text);
    free(context);
    return applies;
}

static void the_shared_suite_agrees(void **state)
{
    (void)state;
    DIR *folder = opendir(suite_path);
    if (!folder) {
        print_message("the shared SigV4 suite is not here\n");
        skip();
    }
    unsigned checked = 0, normalised = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] != '.') {
            bool applies = check_case(entry->d_name);
            checked += applies;
            normalised += !applies;
        }
    }
    closedir(folder);
    assert_int_equal(checked, 32);
    assert_int_equal(normalised, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_give_their_signatures),
        cmocka_unit_test(authorization_values_are_whole),
        cmocka_unit_test(a_kept_day_key_changes_nothing),
        cmocka_unit_test(obs_counts_only_what_names_a_thing),
        cmocka_unit_test(the_shared_suite_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
