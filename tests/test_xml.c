/* What stores answer in XML: pages of both versions, errors, uploads, deletes; and hostile input.
 */
#include "storage/base/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AWS_NS "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define OBS_NS "xmlns=\"http://obs.myhwclouds.com/doc/2015-06-30/\""

static bool parse_page(struct xml_page *page, const char *text, bool encoded)
{
    return xml_page_parse(page, text, strlen(text), encoded);
}

static void a_page_of_version_2(void **state)
{
    (void)state;
    struct xml_page page;
    xml_page_init(&page);
    assert_true(parse_page(
        &page,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult " AWS_NS ">\n"
        "  <Name>b</Name><Prefix>p/</Prefix><KeyCount>3</KeyCount><IsTruncated>true</IsTruncated>\n"
        "  <NextContinuationToken>1ueG+/=&amp;x</NextContinuationToken>\n"
        "  <Contents><Key>p/b</Key><LastModified>2024-10-12T08:12:38.500Z</LastModified>"
        "<ETag>&quot;abc-2&quot;</ETag><Size>12345678901</Size><StorageClass>STANDARD"
        "</StorageClass><Owner><ID>x</ID></Owner></Contents>\n"
        "  <Contents><Key>p/a &amp; <![CDATA[<b>]]></Key><Size>0</Size></Contents>\n"
        "  <CommonPrefixes><Prefix>p/ab/</Prefix></CommonPrefixes>\n"
        "</ListBucketResult>",
        false));
    assert_true(page.truncated);
    assert_false(page.doubtful);
    assert_string_equal(page.token.data, "1ueG+/=&x");
    assert_string_equal(page.marker.data, "");
    assert_int_equal(page.count, 3);
    assert_string_equal(xml_page_key(&page, 0), "p/a & <b>");
    assert_false(page.rows[0].is_prefix);
    assert_int_equal(page.rows[0].size, 0);
    assert_string_equal(page.rows[0].etag, "");
    assert_string_equal(xml_page_key(&page, 1), "p/ab/");
    assert_true(page.rows[1].is_prefix);
    assert_string_equal(xml_page_key(&page, 2), "p/b");
    assert_true(page.rows[2].size == 12345678901);
    assert_string_equal(page.rows[2].etag, "abc-2");
    assert_true(page.rows[2].mtime_ns == INT64_C(1728720758500000000));
    xml_page_release(&page);
}

static void a_page_of_obs(void **state)
{
    (void)state;
    struct xml_page page;
    xml_page_init(&page);
    assert_true(parse_page(&page,
                           "<o:ListBucketResult xmlns:o=\"http://obs.x/doc/2016-01-01/\">"
                           "<o:IsTruncated>false</o:IsTruncated><o:NextMarker>m</o:NextMarker>"
                           "<o:Contents><o:Key> </o:Key><o:Size>1</o:Size><o:ETag>\"e\"</o:ETag>"
                           "</o:Contents></o:ListBucketResult>",
                           false));
    assert_false(page.truncated);
    assert_string_equal(page.marker.data, "m");
    assert_int_equal(page.count, 1);
    assert_string_equal(xml_page_key(&page, 0), " ");
    /* The same struct again: nothing of the page before stays. */
    assert_true(parse_page(&page, "<ListBucketResult " OBS_NS "/>", false));
    assert_int_equal(page.count, 0);
    assert_string_equal(page.marker.data, "");
    xml_page_release(&page);
}

static void encoded_keys_are_decoded(void **state)
{
    (void)state;
    static const char text[] =
        "<ListBucketResult><EncodingType>url</EncodingType><NextMarker>a%2Fz</NextMarker>"
        "<NextContinuationToken>a%2Fz</NextContinuationToken>"
        "<Contents><Key>a%01b+c%2B</Key></Contents>"
        "<CommonPrefixes><Prefix>%C3%BC/</Prefix></CommonPrefixes></ListBucketResult>";
    struct xml_page page;
    xml_page_init(&page);
    assert_true(parse_page(&page, text, true));
    assert_string_equal(xml_page_key(&page, 0), "a\x01"
                                                "b c+");
    assert_string_equal(xml_page_key(&page, 1), "\xc3\xbc/");
    assert_string_equal(page.marker.data, "a/z");
    assert_string_equal(page.token.data, "a%2Fz"); /* opaque */
    assert_true(parse_page(&page, text, false));
    assert_string_equal(xml_page_key(&page, 0), "%C3%BC/");
    assert_string_equal(page.marker.data, "a%2Fz");
    xml_page_release(&page);
}

static void replaced_characters_are_noticed(void **state)
{
    (void)state;
    struct xml_page page;
    xml_page_init(&page);
    assert_true(parse_page(
        &page, "<ListBucketResult><Contents><Key>a\xef\xbf\xbd</Key></Contents></ListBucketResult>",
        false));
    assert_true(page.doubtful);
    xml_page_release(&page);
}

static void what_is_no_page_is_refused(void **state)
{
    (void)state;
#define PAGE(inside) "<ListBucketResult>" inside "</ListBucketResult>"
    static const char *const cases[] = {
        "",
        " ",
        "no xml",
        "<ListBucketResult>",
        "<ListBucketResult></ListBucketResult><more/>",
        "<html><body>a proxy's page</body></html>",
        "<ListBucketResultish/>",
        "<Error><Code>NoSuchBucket</Code></Error>",
        "<x>" PAGE("") "</x>",
        PAGE("<Contents><Size>1</Size></Contents>"),              /* no key */
        PAGE("<Contents><Key></Key></Contents>"),                 /* an empty one */
        PAGE("<Contents><Key/></Contents>"),                      /* the same */
        PAGE("<Contents><Key>a</Key><Size>-1</Size></Contents>"), /* sizes */
        PAGE("<Contents><Key>a</Key><Size>1e3</Size></Contents>"),
        PAGE("<Contents><Key>a</Key><Size></Size></Contents>"),
        PAGE("<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"),
        PAGE("<Contents><Key>a\x01</Key></Contents>"), /* no character of XML */
        PAGE("<Contents><Key>a&#1;</Key></Contents>"),
        PAGE("<Contents><Key>a&#0;b</Key></Contents>"),
        PAGE("<Contents><Key>\xff\xfe</Key></Contents>"), /* no UTF-8 */
        PAGE("<Contents><Key>a&nbsp;</Key></Contents>"),  /* an unknown entity */
        "<!DOCTYPE ListBucketResult>" PAGE("<Contents><Key>a</Key></Contents>"),
        "<!DOCTYPE x [<!ENTITY e \"text\">]>" PAGE("<Contents><Key>&e;</Key></Contents>"),
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>" PAGE(
            "<Contents><Key>&e;</Key></Contents>"),
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]>" PAGE(
            "<Contents><Key>&d;</Key></Contents>"),
        PAGE("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>"
             "</a></a></a></a></a></a></a>"), /* 17 levels */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xml_page page;
        xml_page_init(&page);
        if (parse_page(&page, cases[i], false)) {
            fail_msg("taken: %s", cases[i]);
        }
        xml_page_release(&page);
    }
    struct xml_page page;
    xml_page_init(&page);
    assert_false(parse_page(&page, PAGE("<Contents><Key>%zz</Key></Contents>"), true));
    assert_false(parse_page(&page, PAGE("<Contents><Key>%00</Key></Contents>"), true));
    assert_true(parse_page(&page, PAGE("<Contents><Key>%00</Key></Contents>"), false));
    assert_false(xml_page_parse(&page, PAGE("") "\0", sizeof PAGE(""), false)); /* NUL in it */
    xml_page_release(&page);
#undef PAGE
}

static char *repeat(const char *head, const char *text, size_t count, const char *tail)
{
    size_t size = strlen(head) + strlen(text) * count + strlen(tail) + 1;
    char *out = malloc(size);
    assert_non_null(out);
    size_t length = (size_t)snprintf(out, size, "%s", head);
    for (size_t i = 0; i < count; i++) {
        memcpy(out + length, text, strlen(text));
        length += strlen(text);
    }
    memcpy(out + length, tail, strlen(tail) + 1);
    return out;
}

static void ceilings_hold(void **state)
{
    (void)state;
    static const struct {
        const char *head, *text;
        size_t count;
        const char *tail;
        bool taken;
    } cases[] = {
        {"<ListBucketResult>", "<Contents><Key>a</Key></Contents>", XML_ROWS_MAX,
         "</ListBucketResult>", true},
        {"<ListBucketResult>", "<Contents><Key>a</Key></Contents>", XML_ROWS_MAX + 1,
         "</ListBucketResult>", false},
        {"<ListBucketResult><Contents><Key>", "a", XML_TEXT_MAX - 1,
         "</Key></Contents></ListBucketResult>", true},
        {"<ListBucketResult><Contents><Key>", "a", XML_TEXT_MAX + 1,
         "</Key></Contents></ListBucketResult>", false},
        {"<ListBucketResult>", "<a>", 100000, "", false},
        {"<ListBucketResult><", "n", 5000, "/></ListBucketResult>", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = repeat(cases[i].head, cases[i].text, cases[i].count, cases[i].tail);
        struct xml_page page;
        xml_page_init(&page);
        if (parse_page(&page, text, false) != cases[i].taken) {
            fail_msg("case %zu", i);
        }
        xml_page_release(&page);
        free(text);
    }
}

static void errors_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "  \n<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code><Message>There</Message>"
        "<RequestId>R1</RequestId><HostId> a b </HostId><Endpoint>b.obs.x-1.y.com</Endpoint>"
        "<Region>x-1</Region><Detail><Code>inner</Code></Detail></Error>";
    struct xml_error error;
    assert_true(xml_error_parse(&error, text, strlen(text)));
    assert_string_equal(error.code, "PermanentRedirect");
    assert_string_equal(error.message, "There");
    assert_string_equal(error.request_id, "R1");
    assert_string_equal(error.region, "x-1");
    assert_string_equal(error.endpoint, "b.obs.x-1.y.com");
    static const char *const bad[] = {"",
                                      "<Error/>",
                                      "<Error><Message>m</Message></Error>",
                                      "<Errors><Code>x</Code></Errors>",
                                      "{\"Code\":\"x\"}",
                                      "<CompleteMultipartUploadResult/>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(xml_error_parse(&error, bad[i], strlen(bad[i])));
    }
    char *long_text = repeat("<Error><Code>", "c", 1000, "</Code></Error>");
    assert_true(xml_error_parse(&error, long_text, strlen(long_text)));
    assert_int_equal(strlen(error.code), sizeof error.code - 1);
    free(long_text);
}

static void uploads_are_read(void **state)
{
    (void)state;
    char id[8];
    static const char begun[] = "<InitiateMultipartUploadResult><Bucket>b</Bucket>"
                                "<UploadId>1234567</UploadId></InitiateMultipartUploadResult>";
    assert_true(xml_upload_id_parse(id, sizeof id, begun, strlen(begun)));
    assert_string_equal(id, "1234567");
    assert_false(xml_upload_id_parse(id, 7, begun, strlen(begun))); /* half an id is none */
    static const char empty[] = "<InitiateMultipartUploadResult><UploadId/>"
                                "</InitiateMultipartUploadResult>";
    assert_false(xml_upload_id_parse(id, sizeof id, empty, strlen(empty)));

    struct xml_completed completed;
    static const char done[] = "<CompleteMultipartUploadResult><ETag>W/\"e-2\"</ETag>"
                               "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumType>FULL_OBJECT"
                               "</ChecksumType></CompleteMultipartUploadResult>";
    assert_true(xml_completed_parse(&completed, done, strlen(done)));
    assert_string_equal(completed.etag, "e-2");
    assert_string_equal(completed.crc32, "AAAAAA==");
    assert_string_equal(completed.checksum_type, "FULL_OBJECT");
    static const char error[] = "<Error><Code>InternalError</Code></Error>";
    assert_false(xml_completed_parse(&completed, error, strlen(error)));
}

static void refused_deletes_are_counted(void **state)
{
    (void)state;
    struct xml_deleted deleted;
    static const char text[] =
        "<DeleteResult><Deleted><Key>a</Key></Deleted>"
        "<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
        "<Error><Key>c</Key><Code>InternalError</Code></Error></DeleteResult>";
    assert_true(xml_deleted_parse(&deleted, text, strlen(text)));
    assert_int_equal(deleted.refused, 2);
    assert_string_equal(deleted.key, "b");
    assert_string_equal(deleted.code, "AccessDenied");
    assert_string_equal(deleted.message, "no");
    assert_true(xml_deleted_parse(&deleted, "<DeleteResult/>", 15));
    assert_int_equal(deleted.refused, 0);
    assert_false(xml_deleted_parse(&deleted, "<Other/>", 8));
}

static void escaping_names_what_xml_can_name(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1024);
    assert_true(xml_escape(&out, "a<b>&\"'\t\r\n\xc3\xbc"));
    assert_string_equal(out.data, "a&lt;b&gt;&amp;\"'&#9;&#13;&#10;\xc3\xbc");
    static const char *const bad[] = {"\x01", "a\x1f", "\xff", "\xc3", "\xef\xbf\xbe"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&out);
        assert_false(xml_escape(&out, bad[i]));
        assert_int_equal(out.length, 0);
    }
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_version_2),
        cmocka_unit_test(a_page_of_obs),
        cmocka_unit_test(encoded_keys_are_decoded),
        cmocka_unit_test(replaced_characters_are_noticed),
        cmocka_unit_test(what_is_no_page_is_refused),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(errors_are_read),
        cmocka_unit_test(uploads_are_read),
        cmocka_unit_test(refused_deletes_are_counted),
        cmocka_unit_test(escaping_names_what_xml_can_name),
    };
    xml_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
