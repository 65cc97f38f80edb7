/* document_test.c - S3 through HTTP: buckets, and the documents kept for them. */
#include "plugins/local-aws/s3/s3_test.h"

TEST(a_document_is_kept_as_it_was_put)
{
    static const struct {
        const char *name, *document, *missing; /* error before a PUT; NULL: a default */
        int put, removed;                      /* removed 0: cannot be */
    } cases[] = {
        {"policy", "{\"Version\":\"2012-10-17\",\"Statement\":[]}", "NoSuchBucketPolicy", 204, 204},
        {"lifecycle", "<LifecycleConfiguration><Rule/></LifecycleConfiguration>",
         "NoSuchLifecycleConfiguration", 200, 204},
        {"encryption", "<ServerSideEncryptionConfiguration/>", NULL, 200, 204},
        {"tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
         "NoSuchTagSet", 200, 204},
        {"cors", "<CORSConfiguration/>", "NoSuchCORSConfiguration", 200, 204},
        {"website", "<WebsiteConfiguration/>", "NoSuchWebsiteConfiguration", 200, 204},
        {"publicAccessBlock", "<PublicAccessBlockConfiguration/>",
         "NoSuchPublicAccessBlockConfiguration", 200, 204},
        {"ownershipControls", "<OwnershipControls/>", "OwnershipControlsNotFoundError", 200, 204},
        {"notification", "<NotificationConfiguration/>", NULL, 200, 0},
        {"logging", "<BucketLoggingStatus/>", NULL, 200, 0},
        {"accelerate", "<AccelerateConfiguration/>", NULL, 200, 0},
        {"requestPayment", "<RequestPaymentConfiguration/>", NULL, 200, 0},
    };
    struct harness *h = start(NULL);
    char target[60];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(target, sizeof(target), "/bucket?%s", cases[i].name);
        EQ_INT(ask(h, "GET", target, "", ""), cases[i].missing ? 404 : 200);
        EQ_STR(element("Code", 0), cases[i].missing ? cases[i].missing : "");
        EQ_INT(ask(h, "PUT", target, "", "<Other/>"), 400);
        EQ_INT(
            ask(h, "PUT", target, "Content-MD5: GL6SfCZ6sFOMR2q83hQmlw==\r\n", cases[i].document),
            400);
        EQ_STR(element("Code", 0), "BadDigest");
        EQ_INT(ask(h, "PUT", target, "", cases[i].document), cases[i].put);
        EQ_INT(ask(h, "GET", target, "", ""), 200);
        EQ_STR(body, cases[i].document);
        EQ_INT(ask(h, "DELETE", target, "", ""), cases[i].removed ? cases[i].removed : 405);
        EQ_INT(ask(h, "GET", target, "", ""), cases[i].removed && cases[i].missing ? 404 : 200);
    }
    EQ_INT(ask(h, "GET", "/none?policy", "", ""), 404);
    EQ_STR(element("Code", 0), "NoSuchBucket");
    harness_free(h);
}

TEST(what_a_bucket_cannot_promise_is_refused)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "GET", "/bucket?versioning", "", ""), 200);
    EQ_STR(element("Status", 0), "");
    EQ_INT(ask(h, "PUT", "/bucket?versioning", "",
               "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
           501);
    EQ_INT(ask(h, "PUT", "/bucket?versioning", "",
               "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
           200);
    EQ_INT(ask(h, "GET", "/bucket?versioning", "", ""), 200);
    EQ_STR(element("Status", 0), "Suspended");
    EQ_INT(ask(h, "PUT", "/bucket?versioning", "", "<VersioningConfiguration/>"), 400);
    EQ_STR(element("Code", 0), "IllegalVersioningConfigurationException");
    EQ_INT(ask(h, "GET", "/bucket?object-lock", "", ""), 404);
    EQ_INT(ask(h, "PUT", "/bucket?object-lock", "", "<ObjectLockConfiguration/>"), 409);
    EQ_INT(ask(h, "PUT", "/bucket?replication", "", "<ReplicationConfiguration/>"), 400);
    EQ_INT(ask(h, "GET", "/bucket?inventory", "", ""), 501);
    EQ_INT(ask(h, "PUT", "/locked", "x-amz-bucket-object-lock-enabled: true\r\n", ""), 501);
    harness_free(h);
}

TEST(a_policy_is_json_with_statements)
{
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/bucket?policy", "", " {\"Statement\":[]}"), 400);
    EQ_STR(element("Code", 0), "MalformedPolicy");
    EQ_INT(ask(h, "PUT", "/bucket?policy", "", "{\"Statement\":[}"), 400);
    EQ_INT(ask(h, "PUT", "/bucket?policy", "", "{}"), 400);
    EQ_STR(element("Message", 0), "Missing required field Statement");
    EQ_INT(ask(h, "GET", "/bucket?policyStatus", "", ""), 404);
    EQ_INT(ask(h, "PUT", "/bucket?policy", "",
               "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"}}]}"),
           204);
    EQ_INT(ask(h, "GET", "/bucket?policyStatus", "", ""), 200);
    EQ_STR(element("IsPublic", 0), "TRUE");
    EQ_INT(ask(h, "PUT", "/bucket?policy", "",
               "{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Condition\":{}}}"),
           204);
    EQ_INT(ask(h, "GET", "/bucket?policyStatus", "", ""), 200);
    EQ_STR(element("IsPublic", 0), "FALSE");
    harness_free(h);
}

TEST(a_bucket_is_made_where_its_constraint_says)
{
#define IN(region)                                                                   \
    "<CreateBucketConfiguration><LocationConstraint>" region "</LocationConstraint>" \
    "</CreateBucketConfiguration>"
#define FROM(region)                                                                        \
    "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/" region "/s3/aws4_request, " \
    "SignedHeaders=host, Signature=00\r\n"
    struct harness *h = start(NULL);

    EQ_INT(ask(h, "PUT", "/east", "", IN("eu-west-1")), 400);
    EQ_STR(element("Code", 0), "IllegalLocationConstraintException");
    EQ_INT(ask(h, "PUT", "/east", "", IN("us-east-1")), 400);
    EQ_STR(element("Code", 0), "InvalidLocationConstraint");
    EQ_INT(ask(h, "PUT", "/east", "", "<Create"), 400);
    EQ_STR(element("Code", 0), "MalformedXML");
    EQ_INT(harness_request(h, "PUT", "/west", FROM("eu-west-1"), "", 0, &body), 400);
    EQ_INT(harness_request(h, "PUT", "/west", FROM("eu-west-1"), IN("eu-west-1"),
                           strlen(IN("eu-west-1")), &body),
           200);
    EQ_STR(header(h, "location"), "http://west.127.0.0.1/");
    EQ_INT(harness_request(h, "PUT", "/west", FROM("eu-west-1"), IN("eu-west-1"),
                           strlen(IN("eu-west-1")), &body),
           409);
    EQ_STR(element("Code", 0), "BucketAlreadyOwnedByYou");
    EQ_INT(ask(h, "HEAD", "/west", "", ""), 200);
    EQ_STR(header(h, "x-amz-bucket-region"), "eu-west-1");
    EQ_INT(ask(h, "GET", "/west?location", "", ""), 200);
    YES(strstr(body, ">eu-west-1</LocationConstraint>") != NULL);
    EQ_INT(ask(h, "GET", "/bucket?location", "", ""), 200);
    YES(strstr(body, "eu-west-1") == NULL);
    EQ_INT(ask(h, "PUT", "/bucket", "", ""), 200); /* again, by its owner */
    harness_free(h);
}

TEST(names_of_buckets_are_checked)
{
    static const char *const bad[] = {"ab",   "Upper",       "a_b", "-ab",    "ab-",
                                      "a..b", "192.168.0.1", "..",  "%2e%2e", "a%2fb"};
    struct harness *h = start(NULL);
    char target[100];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(target, sizeof(target), "/%s", bad[i]);
        EQ_INT(ask(h, "PUT", target, "", ""), 400);
        EQ_STR(element("Code", 0), "InvalidBucketName");
    }
    harness_free(h);
}

TEST(buckets_are_listed_in_pages)
{
    struct harness *h = start(NULL);
    char target[200];

    EQ_INT(ask(h, "PUT", "/alpha", "", ""), 200);
    EQ_INT(ask(h, "PUT", "/beta", "", ""), 200);
    EQ_INT(ask(h, "GET", "/?max-buckets=2", "", ""), 200);
    EQ_STR(element("Name", 0), "alpha");
    EQ_STR(element("Name", 1), "beta");
    EQ_STR(element("Name", 2), "");
    snprintf(target, sizeof(target), "/?max-buckets=2&continuation-token=%s",
             element("ContinuationToken", 0));
    EQ_INT(ask(h, "GET", target, "", ""), 200);
    EQ_STR(element("Name", 0), "bucket");
    EQ_STR(element("ContinuationToken", 0), "");
    EQ_INT(ask(h, "GET", "/?prefix=b", "", ""), 200);
    EQ_STR(element("Name", 0), "beta");
    EQ_STR(element("Name", 1), "bucket");
    EQ_INT(ask(h, "GET", "/?bucket-region=eu-west-1", "", ""), 200);
    EQ_STR(element("Name", 0), "");
    EQ_INT(ask(h, "GET", "/?max-buckets=0", "", ""), 400);
    EQ_INT(ask(h, "POST", "/", "", ""), 405);
    harness_free(h);
}
