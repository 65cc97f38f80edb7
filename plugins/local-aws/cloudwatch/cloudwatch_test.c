/* CloudWatch: what was published is read back, in each of the three protocols. */
#include "plugins/local-aws/cloudwatch/cloudwatch.h"

#include <math.h>

#include "plugins/local-aws/service_test.h"
#include "sdk/wire/cbor.h"
#include "sdk/wire/gzip.h"
#include "sdk/wire/time.h"

#define GRANITE "GraniteServiceVersion20100801."
#define FORM    "Content-Type: application/x-www-form-urlencoded\r\n"

static void has(const char *body, const char *part)
{
    if (!strstr(body, part))
        fprintf(stderr, "wanted %s in %s\n", part, body);
    YES(strstr(body, part) != NULL);
}

static const char *form(struct harness *h, int status, const char *text)
{
    const char *body = "";

    EQ_INT(harness_request(h, "POST", "/", FORM, text, strlen(text), &body), status);
    return body;
}

/* The beginning of this minute, ms. */
static int64_t minute(void)
{
    return kp->wall_ms() - kp->wall_ms() % 60000;
}

static const char *iso(int64_t ms)
{
    static char text[4][KPW_ISO8601_SIZE];
    static unsigned turn;
    char *out = text[turn++ % 4];

    kpw_iso8601_format_s(ms / 1000, out);
    return out;
}

/* ---- JSON */

TEST(samples_of_a_minute_are_summed_up)
{
    struct harness *h = service_start(NULL);
    long long now_s = minute() / 1000;
    json_t *out;

    SERVICE_DO(h, 200, GRANITE "PutMetricData",
               "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':1,'Unit':'Count',"
               "'Timestamp':%lld,'Dimensions':[{'Name':'b','Value':'2'},{'Name':'a','Value':'1'}]},"
               "{'MetricName':'m','Values':[2,3],'Counts':[2,1],'Unit':'Count','Timestamp':%lld,"
               "'Dimensions':[{'Name':'a','Value':'1'},{'Name':'b','Value':'2'}]}]}",
               now_s + 1, now_s + 59);
    out = service_ask(h, 200, GRANITE "GetMetricStatistics",
                      "{'Namespace':'App','MetricName':'m','Dimensions':[{'Name':'a','Value':'1'},"
                      "{'Name':'b','Value':'2'}],'StartTime':%lld,'EndTime':%lld,'Period':60,"
                      "'Statistics':['Sum','Average','Minimum','Maximum','SampleCount'],"
                      "'ExtendedStatistics':['p50','p100']}",
                      now_s, now_s + 60);
    EQ_STR(service_at(out, "Label"), "m");
    EQ_INT(json_number_value(
               json_object_get(json_array_get(json_object_get(out, "Datapoints"), 0), "Timestamp")),
           now_s);
    EQ_STR(service_at(out, "Datapoints.0.Sum"), "8");
    EQ_STR(service_at(out, "Datapoints.0.Average"), "2");
    EQ_STR(service_at(out, "Datapoints.0.Minimum"), "1");
    EQ_STR(service_at(out, "Datapoints.0.Maximum"), "3");
    EQ_STR(service_at(out, "Datapoints.0.SampleCount"), "4");
    EQ_STR(service_at(out, "Datapoints.0.Unit"), "Count");
    EQ_STR(service_at(out, "Datapoints.0.ExtendedStatistics.p50"), "2");
    EQ_STR(service_at(out, "Datapoints.0.ExtendedStatistics.p100"), "3");
    EQ_STR(service_at(out, "Datapoints.1.Unit"), "");
    json_decref(out);
    out = service_ask(h, 200, GRANITE "GetMetricStatistics", /* not all of its dimensions */
                      "{'Namespace':'App','MetricName':'m','Dimensions':[{'Name':'a','Value':'1'}],"
                      "'StartTime':%lld,'EndTime':%lld,'Period':60,'Statistics':['Sum']}",
                      now_s, now_s + 60);
    EQ_INT(json_array_size(json_object_get(out, "Datapoints")), 0);
    json_decref(out);
    harness_free(h);
}

TEST(metric_data_comes_in_periods_pages_and_both_orders)
{
    struct harness *h = service_start(NULL);
    long long now_s = minute() / 1000;
    json_t *out, *next;

    for (int i = 0; i < 6; i++)
        SERVICE_DO(h, 200, GRANITE "PutMetricData",
                   "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':%d,"
                   "'Timestamp':%lld}]}",
                   i, now_s - 60 * i);
#define QUERY(more)                                                                              \
    "{'StartTime':%lld,'EndTime':%lld,'MetricDataQueries':[{'Id':'q','MetricStat':{'Metric':"    \
    "{'Namespace':'App','MetricName':'m'},'Period':60,'Stat':'Sum'}},{'Id':'none','Label':'x',"  \
    "'MetricStat':{'Metric':{'Namespace':'App','MetricName':'other'},'Period':60,'Stat':'p99'}}" \
    "]" more "}"
    out = service_ask(h, 200, GRANITE "GetMetricData", QUERY(""), now_s - 300, now_s);
    EQ_STR(service_at(out, "MetricDataResults.0.Id"), "q");
    EQ_STR(service_at(out, "MetricDataResults.0.Label"), "m");
    EQ_STR(service_at(out, "MetricDataResults.0.StatusCode"), "Complete");
    EQ_STR(service_at(out, "MetricDataResults.0.Values.0"), "1"); /* the end is exclusive */
    EQ_STR(service_at(out, "MetricDataResults.0.Values.4"), "5"); /* the start is not */
    EQ_STR(service_at(out, "MetricDataResults.1.Label"), "x");
    EQ_INT(json_array_size(json_object_get(out, "MetricDataResults")), 2);
    json_decref(out);
    out =
        service_ask(h, 200, GRANITE "GetMetricData",
                    QUERY(",'ScanBy':'TimestampAscending','MaxDatapoints':3"), now_s - 300, now_s);
    EQ_STR(service_at(out, "MetricDataResults.0.Values.0"), "5");
    EQ_STR(service_at(out, "MetricDataResults.0.StatusCode"), "PartialData");
    next = service_ask(h, 200, GRANITE "GetMetricData",
                       QUERY(",'ScanBy':'TimestampAscending','MaxDatapoints':3,'NextToken':'%s'"),
                       now_s - 300, now_s, service_at(out, "NextToken"));
    EQ_STR(service_at(next, "MetricDataResults.0.Values.0"), "2");
    EQ_STR(service_at(next, "MetricDataResults.0.Values.1"), "1");
    EQ_STR(service_at(next, "MetricDataResults.0.StatusCode"), "Complete");
    EQ_STR(service_at(next, "NextToken"), "");
    json_decref(next);
    json_decref(out);
    harness_free(h);
}

TEST(metrics_are_listed_by_page_and_dimension)
{
    struct harness *h = service_start(NULL);
    json_t *out, *next;

    for (int page = 0; page < 2; page++) {
        char *text = strdup("[");

        for (int i = 0; i < 400; i++) {
            char *more = NULL;

            REQUIRE(asprintf(&more,
                             "%s%s{'MetricName':'m%d','Value':1,'Dimensions':[{'Name':'shard',"
                             "'Value':'%d'}]}",
                             text, i ? "," : "", page * 400 + i, i % 2) > 0);
            free(text);
            text = more;
        }
        SERVICE_DO(h, 200, GRANITE "PutMetricData", "{'Namespace':'App','MetricData':%s]}", text);
        free(text);
    }
    out = service_ask(h, 200, GRANITE "ListMetrics", "{'Namespace':'App'}");
    EQ_INT(json_array_size(json_object_get(out, "Metrics")), 500);
    next = service_ask(h, 200, GRANITE "ListMetrics", "{'Namespace':'App','NextToken':'%s'}",
                       service_at(out, "NextToken"));
    EQ_INT(json_array_size(json_object_get(next, "Metrics")), 300);
    EQ_STR(service_at(next, "NextToken"), "");
    EQ_STR(service_at(next, "Metrics.299.MetricName"), "m799");
    json_decref(next);
    json_decref(out);
    out = service_ask(h, 200, GRANITE "ListMetrics",
                      "{'Dimensions':[{'Name':'shard','Value':'1'}],'RecentlyActive':'PT3H'}");
    EQ_INT(json_array_size(json_object_get(out, "Metrics")), 400);
    json_decref(out);
    out = service_ask(h, 200, GRANITE "ListMetrics",
                      "{'MetricName':'m3','Dimensions':[{'Name':'shard'}]}");
    EQ_STR(service_at(out, "Metrics.0.Dimensions.0.Value"), "1");
    json_decref(out);
    SERVICE_DO(h, 400, GRANITE "ListMetrics", "{'NextToken':'AAAA'}");
    harness_free(h);
}

TEST(what_was_published_survives_and_gets_old)
{
    const char *dir = kptest_dir();
    struct harness *h = service_start(dir);
    const char *body;
    json_t *out;

    SERVICE_DO(h, 200, GRANITE "PutMetricData",
               "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':1}]}");
    harness_free(h);
    h = service_start(dir);
    out = service_ask(h, 200, GRANITE "ListMetrics", "{}");
    EQ_STR(service_at(out, "Metrics.0.MetricName"), "m");
    json_decref(out);
    EQ_INT(harness_get(h, "POST", "/_kpipe/faults", "{\"clock_ms\":1300000000}", &body), 200);
    harness_advance(h, 600000); /* the sweep */
    EQ_INT(harness_get(h, "GET", "/_kpipe/state", NULL, &body), 200);
    has(body, "\"metrics\":0,\"datapoints\":0");
    harness_free(h);
}

TEST(with_fsync_an_answer_comes_when_its_data_is_on_the_disk)
{
    struct harness *h = harness_new("local-aws", KP_SERVICE, "{ durability = 'fsync' }");
    json_t *out;

    harness_start(h);
    SERVICE_DO(h, 200, GRANITE "PutMetricData",
               "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':1}]}");
    out = service_ask(h, 200, GRANITE "ListMetrics", "{}");
    EQ_STR(service_at(out, "Metrics.0.MetricName"), "m");
    json_decref(out);
    has(form(h, 200,
             "Action=PutMetricData&Version=2010-08-01&Namespace=App&MetricData.member.1."
             "MetricName=m&MetricData.member.1.Value=1"),
        "PutMetricDataResponse");
    harness_free(h);
}

/* ---- refusals */

static void refused(const char *operation, const char *members, const char *type,
                    const char *message)
{
    struct harness *h = service_start(NULL);
    char target[100];
    json_t *out;

    snprintf(target, sizeof target, GRANITE "%s", operation);
    out = service_ask(h, 400, target, "%s", members);
    EQ_STR(service_at(out, "__type"), type);
    EQ_STR(service_at(out, "message"), message);
    json_decref(out);
    harness_free(h);
}

TEST(wrong_data_is_refused_in_the_services_words)
{
    refused("PutMetricData", "{'MetricData':[]}", "MissingRequiredParameterException",
            "The parameter Namespace is required.");
    refused("PutMetricData", "{'Namespace':'App'}", "MissingRequiredParameterException",
            "The parameter MetricData is required.");
    refused("PutMetricData", "{'Namespace':'AWS/X','MetricData':[{'MetricName':'m','Value':1}]}",
            "InvalidParameterValueException",
            "The value AWS/X for parameter Namespace is invalid.");
    refused("PutMetricData", "{'Namespace':'App','MetricData':[{'Value':1}]}",
            "MissingRequiredParameterException",
            "The parameter MetricData.member.1.MetricName is required.");
    refused("PutMetricData",
            "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':1,'StatisticValues':"
            "{'SampleCount':1,'Sum':1,'Minimum':1,'Maximum':1}}]}",
            "InvalidParameterCombinationException",
            "The parameters MetricData.member.1.Value and MetricData.member.1.StatisticValues are "
            "mutually exclusive and you have specified both.");
    refused("PutMetricData",
            "{'Namespace':'App','MetricData':[{'MetricName':'m','Values':[1],'Counts':[1,2]}]}",
            "InvalidParameterValueException",
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of "
            "the same size.");
    refused("PutMetricData", "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':'NaN'}]}",
            "InvalidParameterValueException",
            "The value NaN for parameter MetricData.member.1.Value is invalid.");
    refused("PutMetricData",
            "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':1,'Unit':'Apples'}]}",
            "InvalidParameterValueException",
            "The value Apples for parameter MetricData.member.1.Unit is invalid.");
    refused("PutMetricData",
            "{'Namespace':'App','MetricData':[{'MetricName':'m','Value':1,'Timestamp':1000}]}",
            "InvalidParameterValueException",
            "The parameter MetricData.member.1.Timestamp must specify a time within the past two "
            "weeks or the next two hours.");
    refused("GetMetricStatistics",
            "{'Namespace':'App','MetricName':'m','StartTime':0,'EndTime':86460,'Period':60,"
            "'Statistics':['Sum']}",
            "InvalidParameterCombinationException",
            "You have requested up to 1441 datapoints, which exceeds the limit of 1440. You may "
            "reduce the datapoints requested by increasing Period, or decreasing the time range.");
    refused("GetMetricStatistics",
            "{'Namespace':'App','MetricName':'m','StartTime':60,'EndTime':60,'Period':60,"
            "'Statistics':['Sum']}",
            "InvalidParameterValueException",
            "The parameter StartTime must be less than the parameter EndTime.");
    refused("GetMetricData",
            "{'StartTime':0,'EndTime':60,'MetricDataQueries':[{'Id':'a','Expression':'b*2'}]}",
            "ValidationException",
            "The local AWS does not evaluate expressions: MetricDataQueries.member.1.Expression. "
            "Ask for MetricStat and compute with its values.");
}

TEST(nothing_of_a_refused_request_is_kept)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    SERVICE_DO(h, 400, GRANITE "PutMetricData",
               "{'Namespace':'App','MetricData':[{'MetricName':'good','Value':1},"
               "{'MetricName':'bad'}]}");
    out = service_ask(h, 200, GRANITE "ListMetrics", "{}");
    EQ_INT(json_array_size(json_object_get(out, "Metrics")), 0);
    json_decref(out);
    SERVICE_DO(h, 400, GRANITE "PutMetricData", "[]");
    SERVICE_DO(h, 400, GRANITE "PutMetricData", "{'Namespace':");
    harness_free(h);
}

/* ---- query protocol */

TEST(the_query_protocol_reads_back_as_xml)
{
    struct harness *h = service_start(NULL);
    char text[1000];

    snprintf(text, sizeof text,
             "Action=PutMetricData&Version=2010-08-01&Namespace=A%%26B&MetricData.member.1."
             "MetricName=m&MetricData.member.1.Values.member.1=1.5&MetricData.member.1.Values."
             "member.2=2.5&MetricData.member.1.Timestamp=%s&MetricData.member.1.Dimensions."
             "member.1.Name=d&MetricData.member.1.Dimensions.member.1.Value=v&MetricData.member.1."
             "Unit=Seconds",
             iso(minute()));
    has(form(h, 200, text),
        "<PutMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">"
        "<ResponseMetadata><RequestId>");
    has(form(h, 200, "Action=ListMetrics&Version=2010-08-01"),
        "<ListMetricsResult><Metrics><member><Namespace>A&amp;B</Namespace><MetricName>m"
        "</MetricName><Dimensions><member><Name>d</Name><Value>v</Value></member></Dimensions>"
        "</member></Metrics></ListMetricsResult>");
    snprintf(text, sizeof text,
             "Action=GetMetricStatistics&Version=2010-08-01&Namespace=A%%26B&MetricName=m&"
             "Dimensions.member.1.Name=d&Dimensions.member.1.Value=v&StartTime=%s&EndTime=%s&"
             "Period=60&Statistics.member.1=Sum&ExtendedStatistics.member.1=p50",
             iso(minute()), iso(minute() + 60000));
    has(form(h, 200, text),
        "<Sum>4</Sum><Unit>Seconds</Unit><ExtendedStatistics><entry><key>p50</key><value>2</value>"
        "</entry></ExtendedStatistics></member></Datapoints>");
    has(form(h, 400,
             "Action=PutMetricData&Version=2010-08-01&Namespace=A&MetricData.member.1.Value=1"),
        "<Code>MissingParameter</Code><Message>The parameter MetricData.member.1.MetricName is "
        "required.</Message>");
    has(form(h, 400, "Action=ListMetrics&Version=2010-08-01&Dimensions.member.x.Name=1"),
        "<Code>MalformedInput</Code>");
    harness_free(h);
}

TEST(a_compressed_form_is_read_like_a_plain_one)
{
    struct harness *h = service_start(NULL);
    static const char text[] = "Action=PutMetricData&Version=2010-08-01&Namespace=App&"
                               "MetricData.member.1.MetricName=m&MetricData.member.1.Value=1";
    static const char headers[] =
        FORM "Content-Encoding: gzip\r\n"
             "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/"
             "aws4_request, SignedHeaders=host, Signature=00\r\n";
    struct kpw_buf packed = KPW_BUF_INIT;
    const char *body;

    REQUIRE(kpw_gzip_compress(&packed, text, sizeof text - 1, KPW_GZIP_BEST));
    EQ_INT(harness_request(h, "POST", "/", headers, packed.ptr, packed.len, &body), 200);
    has(body, "PutMetricDataResponse");
    EQ_INT(harness_request(h, "POST", "/", headers, packed.ptr, packed.len - 9, &body), 400);
    has(form(h, 200, "Action=ListMetrics&Version=2010-08-01"), "<MetricName>m</MetricName>");
    kpw_buf_fini(&packed);
    harness_free(h);
}

TEST(a_small_body_cannot_fill_the_memory)
{
    struct harness *h = service_start(NULL);
    size_t len = (size_t)64 << 20;
    char *zeros = calloc(1, len);
    struct kpw_buf packed = KPW_BUF_INIT;
    const char *body;

    REQUIRE(zeros && kpw_gzip_compress(&packed, zeros, len, KPW_GZIP_BEST));
    EQ_INT(harness_request(h, "POST", "/",
                           "Content-Type: application/x-amz-json-1.0\r\nContent-Encoding: gzip\r\n"
                           "X-Amz-Target: " GRANITE "PutMetricData\r\n",
                           packed.ptr, packed.len, &body),
           400);
    has(body, "SerializationException");
    kpw_buf_fini(&packed);
    free(zeros);
    harness_free(h);
}

/* ---- rpc-v2-cbor */

/* [borrowed until the next request] The answer of an operation to a CBOR body. */
static const char *rpc(struct harness *h, int status, const char *operation, struct kpw_buf *in)
{
    char path[200];
    const char *body = "";

    snprintf(path, sizeof path, "/service/GraniteServiceVersion20100801/operation/%s", operation);
    EQ_INT(harness_request(h, "POST", path,
                           "smithy-protocol: rpc-v2-cbor\r\nContent-Type: application/cbor\r\n"
                           "x-amzn-query-mode: true\r\n",
                           in->ptr, in->len, &body),
           status);
    EQ_STR(harness_response_header(h, "smithy-protocol"), "rpc-v2-cbor");
    EQ_STR(harness_response_header(h, "content-type"), "application/cbor");
    kpw_buf_fini(in);
    return body;
}

TEST(rpc_v2_cbor_has_the_same_operations)
{
    struct harness *h = service_start(NULL);
    struct kpw_buf in = KPW_BUF_INIT;

    kpw_cbor_put_map_any(&in); /* indefinite, as clients send it */
    kpw_cbor_put_cstr(&in, "Namespace");
    kpw_cbor_put_cstr(&in, "App");
    kpw_cbor_put_cstr(&in, "MetricData");
    kpw_cbor_put_list_any(&in);
    kpw_cbor_put_map(&in, 3);
    kpw_cbor_put_cstr(&in, "MetricName");
    kpw_cbor_put_cstr(&in, "m");
    kpw_cbor_put_cstr(&in, "Value");
    kpw_cbor_put_double(&in, 0.1);
    kpw_cbor_put_cstr(&in, "Timestamp");
    kpw_cbor_put_head(&in, KPW_CBOR_MAJOR_TAG, 1);
    kpw_cbor_put_double(&in, (double)minute() / 1000);
    kpw_cbor_put_break(&in);
    kpw_cbor_put_break(&in);
    EQ_STR(rpc(h, 200, "PutMetricData", &in), "\xbf\xff");
    EQ_STR(rpc(h, 200, "ListMetrics", &in), "\xbf\x67Metrics\x9f\xbf\x69Namespace\x63"
                                            "App\x6aMetricName\x61m\x6a"
                                            "Dimensions\x9f\xff\xff\xff\xff");
    kpw_cbor_put_map(&in, 0);
    has(rpc(h, 400, "PutMetricData", &in), "MissingRequiredParameterException");
    EQ_STR(harness_response_header(h, "x-amzn-query-error"), "MissingParameter;Sender");
    kpw_buf_puts(&in, "\xbf\x61"); /* torn */
    has(rpc(h, 400, "PutMetricData", &in), "SerializationException");
    harness_free(h);
}

/* ---- alarms */

TEST(alarms_are_stored_described_and_deleted)
{
    struct harness *h = service_start(NULL);
    json_t *out;

    for (int i = 0; i < 3; i++)
        SERVICE_DO(h, 200, GRANITE "PutMetricAlarm",
                   "{'AlarmName':'a%d','MetricName':'m','Namespace':'App','Statistic':'Sum',"
                   "'Period':60,'EvaluationPeriods':2,'Threshold':1.5,'ComparisonOperator':"
                   "'GreaterThanThreshold','AlarmActions':['arn:x']}",
                   i);
    out = service_ask(h, 200, GRANITE "DescribeAlarms", "{'AlarmNamePrefix':'a','MaxRecords':2}");
    EQ_INT(json_array_size(json_object_get(out, "MetricAlarms")), 2);
    EQ_STR(service_at(out, "MetricAlarms.0.AlarmArn"),
           "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a0");
    EQ_STR(service_at(out, "MetricAlarms.0.StateValue"), "INSUFFICIENT_DATA");
    EQ_STR(service_at(out, "MetricAlarms.0.AlarmActions.0"), "arn:x");
    EQ_STR(service_at(out, "NextToken"), "a1");
    json_decref(out);
    SERVICE_DO(h, 200, GRANITE "DeleteAlarms", "{'AlarmNames':['a0','a1','gone']}");
    out = service_ask(h, 200, GRANITE "DescribeAlarms", "{}");
    EQ_STR(service_at(out, "MetricAlarms.0.AlarmName"), "a2");
    EQ_INT(json_array_size(json_object_get(out, "MetricAlarms")), 1);
    json_decref(out);
    SERVICE_DO(h, 400, GRANITE "PutMetricAlarm", "{'AlarmName':'x'}");
    harness_free(h);
}
