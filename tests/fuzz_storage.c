/*
 * libFuzzer entry for what storage/ reads from strangers: URLs, names, list pages, documents,
 * headers, dates and journals. The first byte chooses the reader.
 */
#include "storage/base/date.h"
#include "storage/base/digest.h"
#include "storage/base/url.h"
#include "storage/base/xml.h"
#include "storage/copy/journal.h"
#include "storage/http/http.h"
#include "storage/s3/endpoint.h"
#include "storage/storage.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fuzz_url(const char *text)
{
    struct storage_url url;
    if (storage_url_parse(&url, text, NULL) == STORAGE_OK) {
        char again[STORAGE_PATH_MAX + 80];
        struct storage_url second;
        storage_url_format(&url, again, sizeof again);
        bool is_path = url.kind == STORAGE_LOCAL; /* "file:///a:/b" prints as a path */
        assert(is_path || (storage_url_parse(&second, again, NULL) == STORAGE_OK &&
                           strcmp(second.key, url.key) == 0));
    }
}

static void fuzz_names(char *text)
{
    struct buf encoded;
    buf_init(&encoded, 1 << 20);
    url_encode_query(&encoded, text);
    if (buf_ok(&encoded) && encoded.length > 0) {
        assert(url_decode(encoded.data));
        assert(strcmp(encoded.data, text) == 0);
    }
    buf_release(&encoded);
    char joined[256];
    if (storage_name_is_safe(text, NULL) && storage_join(joined, sizeof joined, "base", text)) {
        assert(strncmp(joined, "base/", 5) == 0 && !strstr(joined, "/../"));
    }
    url_decode(text);
}

static void fuzz_page(const char *text, size_t size, bool encoded)
{
    struct xml_page page;
    xml_page_init(&page);
    if (xml_page_parse(&page, text, size, encoded)) {
        for (size_t i = 0; i < page.count; i++) {
            assert(xml_page_key(&page, i)[0]);
            assert(i == 0 || strcmp(xml_page_key(&page, i - 1), xml_page_key(&page, i)) <= 0);
        }
    }
    xml_page_release(&page);
}

static void fuzz_documents(const char *text, size_t size)
{
    struct xml_error error;
    struct xml_completed completed;
    struct xml_deleted deleted;
    char id[64];
    xml_error_parse(&error, text, size);
    xml_completed_parse(&completed, text, size);
    xml_deleted_parse(&deleted, text, size);
    xml_upload_id_parse(id, sizeof id, text, size);
    struct xml_parts parts = {0};
    xml_parts_parse(&parts, text, size);
    xml_parts_release(&parts);
    struct xml_pendings pendings = {0};
    xml_pendings_parse(&pendings, text, size);
    xml_pendings_release(&pendings);
}

/* A journal of these lines, with sums that are right, so that what they say is read. */
static void fuzz_journal(const char *text)
{
    static char path[] = "/tmp/fuzz-journal-XXXXXX";
    static int fd = -1;
    uint32_t seed = 0;
    fd = fd < 0 ? mkstemp(path) : fd;
    assert(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        uint32_t sum = storage_crc32(seed, line, length);
        dprintf(fd, "%08x %.*s\n", sum, (int)length, line);
        seed = line == text ? sum : seed;
        line += length + (line[length] == '\n');
    }
    struct journal *journal = journal_open(path);
    assert(journal);
    for (unsigned i = 0; i < 10; i++) {
        assert(strlen(journal_part(journal, i).tag) < JOURNAL_TAG_MAX);
    }
    if (journal_head(journal)) {
        assert(journal_head(journal)->part_size > 0);
        assert(journal_add(journal, 3, 7, "t"));
        assert(journal_part(journal, 3).crc32 == 7);
    }
    journal_close(journal);
}

static void fuzz_header(const char *text)
{
    struct http_response response;
    http_response_init(&response);
    http_response_header(&response, "HTTP/1.1 200 OK\r\n", 17);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        http_response_header(&response, line, length);
        line += length + (line[length] == '\n');
    }
    http_response_release(&response);
}

static void fuzz_texts(const char *text)
{
    int64_t value = 0;
    uint8_t sum[4];
    char out[32];
    date_parse_http(&value, text);
    date_parse_iso(&value, text);
    if (date_parse_decimal(&value, text)) {
        int64_t again = 0;
        date_format_decimal(out, sizeof out, value);
        assert(date_parse_decimal(&again, out) && again == value);
    }
    digest_decode_base64(sum, sizeof sum, text);
}

static void fuzz_endpoint(const char *text)
{
    struct storage_access access = {.endpoint = text};
    struct endpoint endpoint;
    if (endpoint_resolve(&endpoint, "bucket", &access, NULL) == STORAGE_OK) {
        assert(!strpbrk(endpoint.host, "/?#@ \r\n"));
    }
    access.endpoint = "https://s3.eu-west-1.amazonaws.com";
    assert(endpoint_resolve(&endpoint, "bucket", &access, NULL) == STORAGE_OK);
    endpoint_redirect(&endpoint, "bucket", "", text);
    assert(strstr(endpoint.host, "amazonaws.com"));
    endpoint_redirect(&endpoint, "bucket", text, "");
    assert(strstr(endpoint.host, "amazonaws.com"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    char *text = malloc(size);
    assert(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 9) {
    case 0:
        fuzz_url(text);
        break;
    case 1:
        fuzz_names(text);
        break;
    case 2:
        fuzz_page(text, size - 1, false);
        break;
    case 3:
        fuzz_page(text, size - 1, true);
        break;
    case 4:
        fuzz_documents(text, size - 1);
        break;
    case 5:
        fuzz_header(text);
        break;
    case 6:
        fuzz_texts(text);
        break;
    case 7:
        fuzz_journal(text);
        break;
    default:
        fuzz_endpoint(text);
    }
    free(text);
    return 0;
}
