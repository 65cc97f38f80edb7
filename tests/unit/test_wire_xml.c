/* test_wire_xml.c - writing, reading, and everything that must be refused. */
#include <stdio.h>
#include <stdlib.h>

#include "sdk/wire/random.h"
#include "sdk/wire/xml.h"
#include "tests/kptest.h"

/* ---- writer */

static struct kpw_buf buf;

static const char *written(void)
{
    static char text[1024];

    REQUIRE(!buf.failed && buf.len < sizeof text);
    memcpy(text, kpw_buf_cstr(&buf), buf.len + 1);
    kpw_buf_fini(&buf);
    return text;
}

TEST(a_document_is_written)
{
    kpw_xml_put_declaration(&buf);
    kpw_xml_put_open(&buf, "List", "http://s3.amazonaws.com/doc/2006-03-01/?a&b");
    kpw_xml_put_open(&buf, "In", NULL);
    kpw_xml_put_element(&buf, "Key", "a<b", 3);
    kpw_xml_put_element_cstr(&buf, "Name", "x & y");
    kpw_xml_put_element_int(&buf, "Size", INT64_MIN);
    kpw_xml_put_element(&buf, "Empty", NULL, 0);
    kpw_xml_put_close(&buf, "In");
    kpw_xml_put_close(&buf, "List");
    EQ_STR(written(), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<List xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/?a&amp;b\"><In>"
                      "<Key>a&lt;b</Key><Name>x &amp; y</Name><Size>-9223372036854775808</Size>"
                      "<Empty></Empty></In></List>");
}

TEST(text_is_escaped_or_replaced)
{
    const char *odd = "<>&\"'\r\n\t]]> \xc3\xa9 \xf0\x9f\x98\x80";

    kpw_xml_put_text(&buf, odd, strlen(odd));
    EQ_STR(written(), "&lt;&gt;&amp;&quot;&#39;&#13;\n\t]]&gt; \xc3\xa9 \xf0\x9f\x98\x80");
    kpw_xml_put_text(&buf, "a\0b\x01\x1f\x7f", 6);
    EQ_STR(written(), "a\xef\xbf\xbd"
                      "b\xef\xbf\xbd\xef\xbf\xbd\x7f");
    kpw_xml_put_text(&buf, "\xff\xc3(\xef\xbf\xbe\xef\xbf\xbf\xed\xa0\x80", 12);
    EQ_STR(written(), "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd"
                      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    kpw_xml_put_text(&buf, NULL, 0);
    EQ_STR(written(), "");
}

/* ---- reader */

/* All tokens as "(a(b|text|)b)a" plus "." at the end or "!" and the error. [static] */
static const char *tokens_of(const char *text, size_t len)
{
    static char out[2048];
    struct kpw_buf line = KPW_BUF_INIT;
    struct kpw_xml x;

    kpw_xml_init(&x, text, len);
    for (;;) {
        enum kpw_xml_type type = kpw_xml_next(&x);
        int n = (int)x.value.len;

        if (type == KPW_XML_OPEN)
            kpw_buf_appendf(&line, "(%.*s", n, x.value.ptr);
        else if (type == KPW_XML_CLOSE)
            kpw_buf_appendf(&line, ")%.*s", n, x.value.ptr);
        else if (type == KPW_XML_TEXT)
            kpw_buf_appendf(&line, "%s%.*s|", x.has_entity ? "&|" : "|", n, x.value.ptr);
        else
            break;
    }
    kpw_buf_appendf(&line, "%s", x.type == KPW_XML_END ? "." : "!");
    if (x.type == KPW_XML_ERROR)
        kpw_buf_puts(&line, x.error);
    EQ_INT(kpw_xml_next(&x), x.type); /* stays so */
    YES((x.type == KPW_XML_ERROR) == (x.error != NULL));
    snprintf(out, sizeof out, "%s", kpw_buf_cstr(&line));
    kpw_buf_fini(&line);
    return out;
}

static const char *tokens(const char *text)
{
    return tokens_of(text, strlen(text));
}

TEST(elements_and_texts_come_in_order)
{
    EQ_STR(tokens("<a/>"), "(a)a.");
    EQ_STR(tokens("<a></a >"), "(a)a.");
    EQ_STR(tokens(" <a >x<b />y</a>\n"), "(a|x|(b)b|y|)a.");
    EQ_STR(tokens("<n:a xmlns:n='u'><n:b>1</n:b></n:a>"), "(n:a(n:b|1|)n:b)n:a.");
    EQ_STR(tokens("<a> \n<b> </b></a>"), "(a| \n|(b| |)b)a.");
    EQ_STR(tokens("<a>1 &lt; 2</a>"), "(a&|1 &lt; 2|)a.");
    EQ_STR(tokens("<a>1 ]] > 2</a>"), "(a|1 ]] > 2|)a.");
    EQ_STR(tokens("<\xc3\xa9-1._\xc2\xb7/>"), "(\xc3\xa9-1._\xc2\xb7)\xc3\xa9-1._\xc2\xb7.");
}

TEST(what_is_no_content_is_passed_over)
{
    EQ_STR(tokens("\xef\xbb\xbf<?xml version=\"1.0\"?><a/>"), "(a)a.");
    EQ_STR(tokens("<?xml version='1.0' encoding='utf-8' standalone=\"yes\" ?>\n<a/>"), "(a)a.");
    EQ_STR(tokens("<?xml version=\"1.1\" encoding=\"US-ASCII\"?><a/>"), "(a)a.");
    EQ_STR(tokens("<!-- - <b> & -> --><a>x<!---->y<?p i < ? > ?>z<?q?></a><!-- end -->"),
           "(a|x||y||z|)a.");
    EQ_STR(tokens("<a><![CDATA[]]><![CDATA[<b>&amp;]] >]]]]><![CDATA[>]]></a>"),
           "(a|<b>&amp;]] >]]||>|)a.");
}

static const char *const damaged[][2] = {
    {"", "!there is no element"},
    {" \n", "!there is no element"},
    {"<!-- only -->", "!there is no element"},
    {"x", "!there is text outside of the root element"},
    {"<a/>x", "(a)a!there is text outside of the root element"},
    {"<a/>&amp;", "(a)a!there is text outside of the root element"},
    {"<a/><![CDATA[x]]>", "(a)a!there is text outside of the root element"},
    {"<a/><b/>", "(a)a!there is a second element behind the root"},
    {"<a>", "(a!the text ends too early"},
    {"<a>x", "(a|x|!the text ends too early"},
    {"<a></b>", "(a!this tag closes no open element"},
    {"<a></ab>", "(a!this tag closes no open element"},
    {"<ab></a>", "(ab!this tag closes no open element"},
    {"<a><b></a></b>", "(a(b!this tag closes no open element"},
    {"</a>", "!this tag closes no open element"},
    {"<a></a", "(a!a '>' must be here"},
    {"<a></a x>", "(a!a '>' must be here"},
    {"<", "!not a tag"},
    {"<a><", "(a!not a tag"},
    {"< a/>", "!not a tag"},
    {"<1a/>", "!not a tag"},
    {"<-a/>", "!not a tag"},
    {"<a", "!the text ends inside of a tag"},
    {"<a ", "!the text ends inside of a tag"},
    {"<a/", "!a '>' must be here"},
    {"<a/ >", "!a '>' must be here"},
    {"<a b>", "!a '=' must follow the name of an attribute"},
    {"<a b=>", "!the value of an attribute must stand in quotes"},
    {"<a b=c>", "!the value of an attribute must stand in quotes"},
    {"<a b=\"c>", "!the value of an attribute is not closed"},
    {"<a b=\"c'>", "!the value of an attribute is not closed"},
    {"<a b=\"<\">", "!the value of an attribute is not closed"},
    {"<a b=\"c\"d=\"e\">", "!not a name of an element, or a blank is missing"},
    {"<a 1=\"c\">", "!not a name of an attribute"},
    {"<a b='1' b='2'/>", "!an attribute is there twice"},
    {"<a b='&x;'/>", "!not a reference that XML knows without a document type"},
    {"<a>&nbsp;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>& x</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#x;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#0;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#xd800;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#x110000;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#99999999999;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#12x;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#X41;</a>", "(a!not a reference that XML knows without a document type"},
    {"<a>&#65", "(a!not a reference that XML knows without a document type"},
    {"<a>x]]>y</a>", "(a!\"]]>\" stands outside of a CDATA section"},
    {"<a><![CDATA[x</a>", "(a!a CDATA section is not closed"},
    {"<a><!-- x</a>", "(a!a comment is not closed"},
    {"<a><!-- x -- y --></a>", "(a!\"--\" stands inside of a comment"},
    {"<a><!-- x ---></a>", "(a!\"--\" stands inside of a comment"},
    {"<a><!x></a>", "(a!a document type is not allowed"},
    {"<!DOCTYPE a><a/>", "!a document type is not allowed"},
    {"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "!a document type is not allowed"},
    {"<?xml version=\"1.0\"?", "!a processing instruction is not closed"},
    {"<? x?><a/>", "!not a processing instruction"},
    {"<?x<y?><a/>", "!not a processing instruction"},
    {" <?xml version=\"1.0\"?><a/>", "!an XML declaration must stand at the beginning"},
    {"<a><?xml version=\"1.0\"?></a>", "(a!an XML declaration must stand at the beginning"},
    {"<?XML version=\"1.0\"?><a/>", "!an XML declaration must stand at the beginning"},
    {"<?xml version=\"2.0\"?><a/>", "!the XML declaration must say version 1"},
    {"<?xml ?><a/>", "!the XML declaration must say version 1"},
    {"<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>", "!the encoding must be UTF-8"},
    {"<?xml version=\"1.0\"encoding=\"UTF-8\"?><a/>", "!the XML declaration is broken"},
    {"<?xml version?><a/>", "!the XML declaration is broken"},
    {"<?xml version=\"1.0?><a/>", "!the XML declaration is broken"},
    {"<a>\x01</a>", "(a!a character that XML does not allow"},
    {"<a>\xef\xbf\xbf</a>", "(a!a character that XML does not allow"},
    {"<a>\xff</a>", "(a!the text is not UTF-8"},
    {"<a><!-- \xff --></a>", "(a!the text is not UTF-8"},
    {"<a b='\x02'/>", "!a character that XML does not allow"},
    {"<a>\xc3</a>", "(a!the text is not UTF-8"},
};

TEST(damage_is_refused_with_its_reason)
{
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        const char *got = tokens(damaged[i][0]);

        if (strcmp(got, damaged[i][1]))
            fprintf(stderr, "%s: %s\n", damaged[i][0], got);
        EQ_STR(got, damaged[i][1]);
    }
    EQ_STR(tokens_of("<a>\0</a>", 8), "(a!a character that XML does not allow");
    EQ_STR(tokens_of(NULL, 0), "!there is no element");
}

TEST(depth_and_attributes_are_limited)
{
    for (size_t depth = KPW_XML_DEPTH; depth <= KPW_XML_DEPTH + 1; depth++) {
        struct kpw_buf text = KPW_BUF_INIT;
        const char *got;

        for (size_t i = 0; i < depth; i++)
            kpw_buf_puts(&text, "<a>");
        for (size_t i = 0; i < depth; i++)
            kpw_buf_puts(&text, "</a>");
        got = tokens(kpw_buf_cstr(&text));
        YES((strstr(got, "!nested too deeply") != NULL) == (depth > KPW_XML_DEPTH));
        kpw_buf_fini(&text);
    }
    for (int n = 64; n <= 65; n++) {
        struct kpw_buf text = KPW_BUF_INIT;

        kpw_buf_puts(&text, "<a");
        for (int i = 0; i < n; i++)
            kpw_buf_appendf(&text, " a%d='%d'", i, i);
        kpw_buf_puts(&text, "/>");
        EQ_STR(tokens(kpw_buf_cstr(&text)), n == 64 ? "(a)a." : "!too many attributes");
        kpw_buf_fini(&text);
    }
}

TEST(attributes_are_found_by_name)
{
    const char *text = "<a x=\"1\" n:y = '2&amp;\"'\n z=''><b/></a>";
    struct kpw_slice value = {NULL, 0};
    struct kpw_xml x;

    kpw_xml_init(&x, text, strlen(text));
    NO(kpw_xml_attribute(&x, "x", &value));
    REQUIRE(kpw_xml_next(&x) == KPW_XML_OPEN);
    YES(kpw_xml_attribute(&x, "x", &value) && kpw_slice_is(value, "1"));
    YES(kpw_xml_attribute(&x, "n:y", &value) && kpw_slice_is(value, "2&amp;\""));
    YES(kpw_xml_attribute(&x, "z", &value) && kpw_slice_is(value, ""));
    NO(kpw_xml_attribute(&x, "y", &value));
    NO(kpw_xml_attribute(&x, "1", &value));
    kpw_xml_next(&x);
    NO(kpw_xml_attribute(&x, "x", &value)); /* of the inner element, which has none */
}

static const char *text_of(const char *doc, const char *path)
{
    static char out[256];
    struct kpw_buf found = KPW_BUF_INIT;

    kpw_buf_puts(&found, "<");
    snprintf(out, sizeof out, "%s", kpw_xml_find(kpw_slice_cstr(doc), path, &found) ? "" : "no ");
    snprintf(out + strlen(out), 200, "%s", kpw_buf_cstr(&found) + 1);
    kpw_buf_fini(&found);
    return out;
}

TEST(the_text_of_an_element_is_found_by_path)
{
    const char *doc = "<e:R xmlns:e='u'><A><B/></A><Error><X><Code>no</Code></X><Code>Slow&#x44;own"
                      "</Code></Error><A><C>1</C></A><Error><Code>second</Code></Error></e:R>";

    EQ_STR(text_of(doc, "R/Error/Code"), "SlowDown");
    EQ_STR(text_of(doc, "R/A/C"), "1"); /* in the second A */
    EQ_STR(text_of(doc, "R/A/B"), "");
    EQ_STR(text_of(doc, "R/Code"), "no ");
    EQ_STR(text_of(doc, "Error/Code"), "no ");
    EQ_STR(text_of(doc, "R/Error"), "no "); /* elements inside; nothing is left behind */
    EQ_STR(text_of(doc, "R/Error/Code/x"), "no ");
    EQ_STR(text_of("<a>x</a>", "a"), "x");
    EQ_STR(text_of("<a>x</b>", "a"), "no ");
    EQ_STR(text_of("<a>x<b/></a>", "a"), "no ");
    EQ_STR(text_of("<a><b>1</b><x", "a/b"), "1"); /* damage behind it does not count */
    EQ_STR(text_of("<a><c><x</c><b>1</b></a>", "a/b"), "no ");
    EQ_STR(text_of("", "a"), "no ");
}

TEST(text_is_joined_and_unescaped)
{
    EQ_STR(text_of("<a>1<!-- x -->2<![CDATA[&lt;]]>3<?p?>&lt;&gt;&amp;&quot;&apos;</a>", "a"),
           "12&lt;3<>&\"'");
    EQ_STR(text_of("<a>&#65;&#x42;&#x20AC;&#128512;&#xE9;</a>", "a"),
           "AB\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9");
    EQ_STR(text_of("<a>1\r\n2\r3\n4&#13;</a>", "a"), "1\n2\n3\n4\r");
    EQ_STR(text_of("<a><![CDATA[1\r\n2]]></a>", "a"), "1\n2");
    EQ_STR(text_of("<a>\r</a>", "a"), "\n");
}

TEST(unescaping_leaves_what_is_no_reference)
{
    struct kpw_buf out = KPW_BUF_INIT;

    kpw_xml_unescape(kpw_slice_cstr("a & b &x; &lt"), &out);
    EQ_STR(kpw_buf_cstr(&out), "a & b &x; &lt");
    kpw_xml_unescape(kpw_slice(NULL, 0), &out);
    EQ_INT(out.len, 13);
    kpw_buf_fini(&out);
}

TEST(skipping_stands_at_the_close)
{
    const char *text = "<a><b><b>x</b><b/></b><c/>y</a>", *broken = "<a><b><c></b></a>";
    struct kpw_xml x;

    kpw_xml_init(&x, text, strlen(text));
    EQ_INT(kpw_xml_next(&x), KPW_XML_OPEN);
    EQ_INT(x.depth, 1);
    EQ_INT(kpw_xml_next(&x), KPW_XML_OPEN);
    EQ_INT(x.depth, 2);
    YES(kpw_xml_skip(&x));
    EQ_INT(x.type, KPW_XML_CLOSE);
    EQ_INT(x.depth, 1);
    YES(kpw_slice_is(x.value, "b"));
    YES(kpw_xml_skip(&x)); /* not after OPEN: nothing */
    EQ_INT(kpw_xml_next(&x), KPW_XML_OPEN);
    YES(kpw_slice_is(x.value, "c"));
    YES(kpw_xml_skip(&x));
    EQ_INT(kpw_xml_next(&x), KPW_XML_TEXT);
    EQ_INT(kpw_xml_next(&x), KPW_XML_CLOSE);
    EQ_INT(x.depth, 0);
    EQ_INT(kpw_xml_next(&x), KPW_XML_END);
    kpw_xml_init(&x, broken, strlen(broken));
    kpw_xml_next(&x);
    NO(kpw_xml_skip(&x));
    EQ_INT(x.type, KPW_XML_ERROR);
    NO(kpw_xml_skip(&x));
}

TEST(a_name_loses_its_prefix)
{
    YES(kpw_slice_is(kpw_xml_local(kpw_slice_cstr("s3:Key")), "Key"));
    YES(kpw_slice_is(kpw_xml_local(kpw_slice_cstr("Key")), "Key"));
    YES(kpw_slice_is(kpw_xml_local(kpw_slice_cstr("a:")), ""));
    YES(kpw_slice_is(kpw_xml_local(kpw_slice(NULL, 0)), ""));
}

TEST(an_error_has_a_place)
{
    const char *text = "<a>\n  <b>\n  </c>\n</a>";
    uint32_t line, column;
    struct kpw_xml x;

    kpw_xml_init(&x, text, strlen(text));
    while (kpw_xml_next(&x) != KPW_XML_ERROR)
        REQUIRE(x.type != KPW_XML_END);
    kpw_xml_position(&x, &line, &column);
    EQ_INT(line, 3);
    EQ_INT(column, 3);
}

TEST(a_text_comes_back_as_it_was_written)
{
    struct kpw_random random;

    kpw_random_init_from(&random, 9);
    for (int round = 0; round < 2000; round++) {
        struct kpw_buf doc = KPW_BUF_INIT, back = KPW_BUF_INIT;
        char text[41];
        size_t len = kpw_random_below(&random, sizeof text);

        for (size_t i = 0; i < len; i++)
            text[i] = "ab<>&\"'\r\n\t];!-[ \x7f"[kpw_random_below(&random, 17)];
        kpw_xml_put_element(&doc, "a", text, len);
        if (!kpw_xml_find(kpw_buf_slice(&doc), "a", &back) ||
            !kpw_slice_eq(kpw_buf_slice(&back), kpw_slice(text, len)))
            CU_FAIL("another text came back");
        kpw_buf_fini(&doc);
        kpw_buf_fini(&back);
    }
}

/* Cut anywhere, a document is never whole; the memory ends where the text does. */
TEST(every_cut_of_a_document_is_seen)
{
    const char *doc = "<?xml version='1.0'?><!--c--><a x='&lt;'>t&#x41;<b/><![CDATA[]]x]]></a>";
    size_t len = strlen(doc);

    for (size_t n = 0; n < len; n++) {
        char *exact = malloc(n + !n);

        REQUIRE(exact != NULL);
        memcpy(exact, doc, n);
        CU_ASSERT_TRUE(strchr(tokens_of(exact, n), '!') != NULL);
        free(exact);
    }
    EQ_STR(tokens(doc), "(a&|t&#x41;|(b)b|]]x|)a.");
}
