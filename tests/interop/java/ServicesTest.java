/* ServicesTest.java URL - what the AWS SDK for Java 2 does its own way: DynamoDB answers are checked by
 * their CRC-32, messages of SQS by their MD5, S3 bodies go up in signed chunks with a signed checksum
 * behind them, and CloudWatch is spoken to in rpc-v2-cbor.
 */

import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.cloudwatch.CloudWatchClient;
import software.amazon.awssdk.services.cloudwatch.model.InvalidParameterCombinationException;
import software.amazon.awssdk.services.cloudwatch.model.MetricDataResult;
import software.amazon.awssdk.services.cloudwatch.model.StandardUnit;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.DynamoDbException;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.ReturnValue;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.UploadPartResponse;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.Message;
import software.amazon.awssdk.services.sqs.model.MessageAttributeValue;
import software.amazon.awssdk.services.sqs.model.QueueDoesNotExistException;
import software.amazon.awssdk.services.sqs.model.SendMessageResponse;
import software.amazon.awssdk.services.sts.StsClient;

@SuppressWarnings("unchecked") /* lists of generic builders as arguments */
public final class ServicesTest {
    private final String url;

    private ServicesTest(String url) {
        this.url = url;
    }

    private static AttributeValue text(String value) {
        return AttributeValue.fromS(value);
    }

    private static AttributeValue number(long value) {
        return AttributeValue.fromN(Long.toString(value));
    }

    /* As lease tables of stream workers have it. */
    private void dynamodb() throws Exception {
        Map<String, AttributeValue> key = Map.of("leaseKey", text("shardId-0"));

        try (DynamoDbClient dynamodb = Check.client(DynamoDbClient.builder(), url, "test")) {
            dynamodb.createTable(r -> r.tableName("leases").billingMode(BillingMode.PAY_PER_REQUEST)
                    .attributeDefinitions(a -> a.attributeName("leaseKey").attributeType(ScalarAttributeType.S))
                    .keySchema(k -> k.attributeName("leaseKey").keyType(KeyType.HASH)));
            dynamodb.waiter().waitUntilTableExists(r -> r.tableName("leases"));
            dynamodb.putItem(r -> r.tableName("leases").item(Map.of("leaseKey", text("shardId-0"), "leaseCounter",
                    number(0), "text", text("ü".repeat(1000)))).conditionExpression("attribute_not_exists(leaseKey)"));
            Check.is(dynamodb.updateItem(r -> r.tableName("leases").key(key)
                    .updateExpression("SET leaseCounter = leaseCounter + :one, leaseOwner = :me")
                    .conditionExpression("leaseCounter = :zero")
                    .expressionAttributeValues(Map.of(":one", number(1), ":zero", number(0), ":me", text("w")))
                    .returnValues(ReturnValue.UPDATED_NEW)).attributes(),
                    Map.of("leaseCounter", number(1), "leaseOwner", text("w")));

            ConditionalCheckFailedException failed = Check.refused(ConditionalCheckFailedException.class,
                    () -> dynamodb.updateItem(r -> r.tableName("leases").key(key).updateExpression("SET x = :zero")
                            .conditionExpression("leaseCounter = :zero")
                            .expressionAttributeValues(Map.of(":zero", number(0)))
                            .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD)));

            Check.is(failed.item().get("leaseOwner"), text("w"));
            Check.is(dynamodb.scan(r -> r.tableName("leases")).items().get(0).get("text"), text("ü".repeat(1000)));
            Check.is(Check.refused(TransactionCanceledException.class, () -> dynamodb.transactWriteItems(
                    r -> r.transactItems(i -> i.conditionCheck(c -> c.tableName("leases").key(key)
                            .conditionExpression("attribute_not_exists(leaseKey)"))))).cancellationReasons().get(0)
                    .code(), "ConditionalCheckFailed");
        }
        try (DynamoDbClient other = Check.client(DynamoDbClient.builder(), url, "wrong")) {
            Check.is(Check.refused(DynamoDbException.class, other::listTables).awsErrorDetails().errorCode(),
                    "InvalidSignatureException");
        }
    }

    private void sqs() throws Exception {
        try (SqsClient sqs = Check.client(SqsClient.builder(), url, "test")) {
            String queue = sqs.createQueue(r -> r.queueName("java")).queueUrl();
            Map<String, MessageAttributeValue> attributes = Map.of(
                    "kind", MessageAttributeValue.builder().dataType("String").stringValue("tést").build(),
                    "raw", MessageAttributeValue.builder().dataType("Binary")
                            .binaryValue(SdkBytes.fromByteArray(new byte[] {0, 1, -1})).build());
            SendMessageResponse sent = sqs.sendMessage(r -> r.queueUrl(queue).messageBody("<ü & 😀>")
                    .messageAttributes(attributes));
            Message message = sqs.receiveMessage(r -> r.queueUrl(queue).messageAttributeNames("All")).messages().get(0);

            Check.is(message.messageId(), sent.messageId());
            Check.is(message.body(), "<ü & 😀>");
            Check.is(message.messageAttributes(), attributes);
            sqs.deleteMessage(r -> r.queueUrl(queue).receiptHandle(message.receiptHandle()));
            Check.refused(QueueDoesNotExistException.class, () -> sqs.getQueueUrl(r -> r.queueName("none")));
        }
    }

    private static String hash(String algorithm, byte[] data) throws Exception {
        return java.util.Base64.getEncoder().encodeToString(MessageDigest.getInstance(algorithm).digest(data));
    }

    private void s3() throws Exception {
        byte[] data = new byte[300000];

        new Random(1).nextBytes(data);
        try (S3Client s3 = Check.client(S3Client.builder().forcePathStyle(true), url, "test")) {
            s3.createBucket(r -> r.bucket("java"));
            for (ChecksumAlgorithm algorithm : List.of(ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32_C,
                    ChecksumAlgorithm.SHA256)) {
                s3.putObject(r -> r.bucket("java").key("a b/ü").checksumAlgorithm(algorithm),
                        RequestBody.fromBytes(data));

                byte[] back = s3.getObjectAsBytes(r -> r.bucket("java").key("a b/ü")
                        .checksumMode(ChecksumMode.ENABLED)).asByteArrayUnsafe();

                Check.yes(Arrays.equals(back, data), algorithm + ": the bytes are the same");
            }
            Check.is(s3.headObject(r -> r.bucket("java").key("a b/ü").checksumMode(ChecksumMode.ENABLED))
                    .checksumSHA256(), hash("SHA-256", data));
            Check.refused(NoSuchKeyException.class, () -> s3.getObject(r -> r.bucket("java").key("none")));
            parts(s3);
        }
        try (S3AsyncClient s3 = Check.client(S3AsyncClient.builder().forcePathStyle(true), url, "test")) {
            Check.got(s3.putObject(r -> r.bucket("java").key("async"), AsyncRequestBody.fromBytes(data)));
            Check.is(Check.got(s3.headObject(r -> r.bucket("java").key("async"))).contentLength(), 300000L);
        }
        try (S3Client other = Check.client(S3Client.builder().forcePathStyle(true), url, "wrong")) {
            Check.is(Check.refused(S3Exception.class, other::listBuckets).awsErrorDetails().errorCode(),
                    "SignatureDoesNotMatch");
        }
    }

    private void parts(S3Client s3) throws Exception {
        byte[] first = new byte[5 << 20];
        String id = s3.createMultipartUpload(r -> r.bucket("java").key("parts")
                .checksumAlgorithm(ChecksumAlgorithm.CRC32)).uploadId();
        UploadPartResponse one = s3.uploadPart(r -> r.bucket("java").key("parts").uploadId(id).partNumber(1)
                .checksumAlgorithm(ChecksumAlgorithm.CRC32), RequestBody.fromBytes(first));
        UploadPartResponse two = s3.uploadPart(r -> r.bucket("java").key("parts").uploadId(id).partNumber(2)
                .checksumAlgorithm(ChecksumAlgorithm.CRC32), RequestBody.fromString("end"));
        String etag = s3.completeMultipartUpload(r -> r.bucket("java").key("parts").uploadId(id)
                .multipartUpload(m -> m.parts(
                        CompletedPart.builder().partNumber(1).eTag(one.eTag()).checksumCRC32(one.checksumCRC32()).build(),
                        CompletedPart.builder().partNumber(2).eTag(two.eTag()).checksumCRC32(two.checksumCRC32()).build())))
                .eTag();

        Check.yes(etag.endsWith("-2\""), "the ETag of two parts: " + etag);
        Check.is(s3.getObjectAsBytes(r -> r.bucket("java").key("parts").range("bytes=" + first.length + "-"))
                .asUtf8String(), "end");
    }

    private void cloudwatch() throws Exception {
        Instant minute = Instant.now().truncatedTo(ChronoUnit.MINUTES).minus(Duration.ofMinutes(5));

        try (CloudWatchClient cloudwatch = Check.client(CloudWatchClient.builder(), url, "test")) {
            cloudwatch.putMetricData(r -> r.namespace("java").metricData(
                    m -> m.metricName("Records").timestamp(minute).value(1.5).unit(StandardUnit.COUNT),
                    m -> m.metricName("Records").timestamp(minute).values(10.0, 20.0).counts(1.0, 2.0)
                            .unit(StandardUnit.COUNT)));

            MetricDataResult result = cloudwatch.getMetricData(r -> r.startTime(minute)
                    .endTime(minute.plus(Duration.ofMinutes(1)))
                    .metricDataQueries(q -> q.id("sum").metricStat(s -> s.period(60).stat("Sum")
                            .metric(m -> m.namespace("java").metricName("Records"))))).metricDataResults().get(0);

            Check.is(result.values(), List.of(51.5));
            Check.is(result.timestamps(), List.of(minute));
            Check.is(cloudwatch.listMetrics(r -> r.namespace("java")).metrics().get(0).metricName(), "Records");
            Check.refused(InvalidParameterCombinationException.class, () -> cloudwatch.putMetricData(
                    r -> r.namespace("java").metricData(m -> m.metricName("X").value(1.0)
                            .statisticValues(s -> s.sampleCount(1.0).sum(1.0).minimum(1.0).maximum(1.0)))));
        }
        Check.yes(Check.kinds.contains("cloudwatch application/cbor"), "it is CBOR: " + Check.kinds);
    }

    private void sts() {
        try (StsClient sts = Check.client(StsClient.builder(), url, "test")) {
            Check.is(sts.getCallerIdentity().account(), Check.ACCOUNT);
            Check.is(sts.assumeRole(r -> r.roleArn("arn:aws:iam::" + Check.ACCOUNT + ":role/r").roleSessionName("me"))
                    .assumedRoleUser().arn(), "arn:aws:sts::" + Check.ACCOUNT + ":assumed-role/r/me");
        }
    }

    public static void main(String[] args) {
        ServicesTest test = new ServicesTest(args[0]);

        Check.check("java: dynamodb", test::dynamodb);
        Check.check("java: sqs", test::sqs);
        Check.check("java: s3, in signed chunks", test::s3);
        Check.check("java: cloudwatch, in rpc-v2-cbor", test::cloudwatch);
        Check.check("java: sts", test::sts);
        Check.finish();
    }
}
