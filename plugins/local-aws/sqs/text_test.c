/* text_test.c - SQS's query protocol and digests, without a server. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/local-aws/sqs/text.h"
#include "tests/kptest.h"

static const char *input_of(const char *form)
{
    static char out[2048];
    json_t *input = sqs_form_read(form, strlen(form));
    char *text = input ? json_dumps(input, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    snprintf(out, sizeof(out), "%s", text ? text : "refused");
    for (char *p = out; *p; p++)
        if (*p == '"')
            *p = '\'';
    free(text);
    json_decref(input);
    return out;
}

TEST(forms_become_the_json_they_stand_for)
{
    EQ_STR(input_of("Action=SendMessage&MessageBody=a+b%26c&QueueUrl=http%3A%2F%2Fh%2F0%2Fq"),
           "{'Action':'SendMessage','MessageBody':'a b&c','QueueUrl':'http://h/0/q'}");
    EQ_STR(input_of("AttributeName.2=B&AttributeName.1=A&AttributeName.10=C"),
           "{'AttributeNames':['A','B','C']}");
    EQ_STR(input_of("Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Attribute.2.Name=Policy"),
           "{'Attributes':{'DelaySeconds':'5','Policy':''}}");
    EQ_STR(input_of("Tag.1.Key=k&Tag.1.Value=v"), "{'Tags':{'k':'v'}}");
    EQ_STR(input_of("MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String&"
                    "MessageAttribute.1.Value.StringValue=s"),
           "{'MessageAttributes':{'n':{'DataType':'String','StringValue':'s'}}}");
    EQ_STR(
        input_of("SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x"
                 "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n"
                 "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Number"
                 "&SendMessageBatchRequestEntry.2.Id=b"),
        "{'Entries':[{'Id':'a','MessageAttributes':{'n':{'DataType':'Number'}},'MessageBody':'x'},"
        "{'Id':'b'}]}");
    EQ_STR(input_of("DeleteMessageBatchRequestEntry="), "{'Entries':[]}");
}

TEST(forms_that_make_no_sense_are_survived)
{
    EQ_STR(input_of("a=%zz"), "refused");
    EQ_STR(input_of("a.b.c.d.e.f.g.h=1"), "refused");
    EQ_STR(input_of("&&a=1&&"), "{'a':'1'}");
    EQ_STR(input_of("a=1&a.b=2"), "{'a':'1'}");
    EQ_STR(input_of("a.b=2&a=1"), "{'a':{'b':'2'}}");
    EQ_STR(input_of("AttributeName=x"), "{'AttributeNames':[]}");
    EQ_STR(input_of("a=%FF"), "refused");
}

TEST(answers_become_flattened_xml)
{
    json_t *out = json_pack("{s:[{s:s,s:{s:s},s:{s:{s:s,s:s}}}]}", "Messages", "Body", "<a&b>",
                            "Attributes", "SentTimestamp", "1", "MessageAttributes", "n",
                            "DataType", "String", "StringValue", "v");
    char *xml = sqs_xml_answer("ReceiveMessage", out, "rid");

    EQ_STR(
        xml,
        "<?xml version=\"1.0\"?><ReceiveMessageResponse "
        "xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><ReceiveMessageResult><Message>"
        "<Body>&lt;a&amp;b&gt;</Body><Attribute><Name>SentTimestamp</Name><Value>1</Value>"
        "</Attribute><MessageAttribute><Name>n</Name><Value><DataType>String</DataType>"
        "<StringValue>v</StringValue></Value></MessageAttribute></Message></ReceiveMessageResult>"
        "<ResponseMetadata><RequestId>rid</RequestId></ResponseMetadata></ReceiveMessageResponse>");
    free(xml);
    json_decref(out);
    xml = sqs_xml_answer("DeleteQueue", NULL, "rid");
    YES(strstr(xml, "Result>") == NULL);
    free(xml);
}

TEST(digests_match_the_known_vectors)
{
    char md5[SQS_MD5_MAX];
    json_t *attributes =
        json_pack("{s:{s:s,s:s}}", "Foo", "DataType", "String", "StringValue", "Bar");
    json_t *other = json_pack("{s:{s:s,s:s},s:{s:s,s:s}}", "b", "DataType", "Binary", "BinaryValue",
                              "aGk=", "a", "DataType", "Number", "StringValue", "1");
    char again[SQS_MD5_MAX];

    sqs_md5_attributes(attributes, md5);
    EQ_STR(md5, "ae7155c6026991b6d54b11589678bf9c");
    sqs_md5("hello", 5, md5);
    EQ_STR(md5, "5d41402abc4b2a76b9719d911017c592");
    EQ_INT(sqs_attributes_size(attributes), 12);
    /* Sorted by name: the order of sending does not matter. */
    sqs_md5_attributes(other, md5);
    json_object_set_new(attributes, "x", json_null());
    json_object_clear(attributes);
    json_object_set(attributes, "a", json_object_get(other, "a"));
    json_object_set(attributes, "b", json_object_get(other, "b"));
    sqs_md5_attributes(attributes, again);
    EQ_STR(md5, again);
    json_decref(attributes);
    json_decref(other);
}

TEST(bodies_hold_only_characters_of_xml)
{
    YES(sqs_is_body("a\tb\r\n\xE2\x82\xAC", 8));
    NO(sqs_is_body("a\x01", 2));
    NO(sqs_is_body("\xEF\xBF\xBF", 3));
    YES(sqs_is_body("\xEF\xBF\xBD", 3));
    NO(sqs_is_body("\xFF", 1));
}
