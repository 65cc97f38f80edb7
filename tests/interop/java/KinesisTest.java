/* KinesisTest.java URL OPERATIONS - every operation of Kinesis with the AWS SDK for Java 2: its
 * asynchronous client (CBOR, HTTP/2 with prior knowledge) for all, and the synchronous one (HTTP/1.1)
 * with CBOR and with JSON for records. OPERATIONS is the list to be covered.
 */

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.*;
import software.amazon.awssdk.services.kinesis.model.Record;

public final class KinesisTest extends KinesisCalls {
    private static final BigInteger WHOLE = BigInteger.ONE.shiftLeft(128);

    private KinesisTest(String url) {
        super(url);
    }

    private void streams() throws Exception {
        create("life", 3);

        StreamDescription stream = got(kinesis.describeStream(r -> r.streamName("life"))).streamDescription();

        Check.is(stream.streamARN(), arn("life"));
        Check.is(stream.streamStatus(), StreamStatus.ACTIVE);
        Check.is(stream.shards().size(), 3);
        Check.is(stream.retentionPeriodHours(), 24);
        Check.is(stream.encryptionType(), EncryptionType.NONE);
        Check.is(stream.hasMoreShards(), false);
        near(stream.streamCreationTimestamp());
        Check.is(stream.shards().get(2).hashKeyRange().endingHashKey(), WHOLE.subtract(BigInteger.ONE).toString());
        Check.is(got(kinesis.listStreams()).streamNames().contains("life"), true);
        Check.is(summary("life").openShardCount(), 3);
        Check.is(summary("life").maxRecordSizeInKiB(), 1024);
        Check.yes(got(kinesis.describeLimits()).openShardCount() >= 3, "the open shards are counted");
        Check.is(Check.refused(ResourceInUseException.class,
                () -> got(kinesis.createStream(r -> r.streamName("life").shardCount(1))))
                .awsErrorDetails().errorMessage(), "Stream life under account " + Check.ACCOUNT + " already exists.");
        got(kinesis.deleteStream(r -> r.streamName("life")));
        Check.until(() -> !got(kinesis.listStreams()).streamNames().contains("life"));
        Check.is(Check.refused(ResourceNotFoundException.class, () -> summary("life"))
                .awsErrorDetails().errorMessage(), "Stream life under account " + Check.ACCOUNT + " not found.");
    }

    private void refusals() throws Exception {
        KinesisException error = Check.refused(KinesisException.class,
                () -> got(kinesis.createStream(r -> r.streamName("not a name").shardCount(0))));

        Check.is(error.awsErrorDetails().errorCode(), "ValidationException");
        Check.yes(error.awsErrorDetails().errorMessage().startsWith("2 validation errors detected: "), error.toString());
        Check.is(error.statusCode(), 400);
        Check.yes(error.requestId() != null && !error.requestId().isEmpty(), "there is a request id");
        Check.refused(InvalidArgumentException.class, () -> got(kinesis.getRecords(r -> r.shardIterator("x"))));
        try (KinesisAsyncClient other = Check.client(KinesisAsyncClient.builder(), url, "wrong")) {
            Check.is(Check.refused(KinesisException.class, () -> got(other.listStreams())).awsErrorDetails().errorCode(),
                    "InvalidSignatureException");
        }
    }

    private void records() throws Exception {
        byte[] every = new byte[256];
        List<PutRecordsRequestEntry> entries = new ArrayList<>();

        for (int i = 0; i < 256; i++) {
            every[i] = (byte) i;
        }
        create("records", 2);

        PutRecordResponse one = got(kinesis.putRecord(r -> r.streamName("records").partitionKey("ü 😀")
                .data(SdkBytes.fromByteArray(every))));
        Record back = read("records", one.shardId()).get(0);

        Check.is(back.partitionKey(), "ü 😀");
        Check.is(back.sequenceNumber(), one.sequenceNumber());
        Check.yes(Arrays.equals(back.data().asByteArray(), every), "all bytes are as they were");
        near(back.approximateArrivalTimestamp());
        for (int i = 0; i < 500; i++) {
            entries.add(PutRecordsRequestEntry.builder().partitionKey("" + i).data(bytes("record " + i)).build());
        }

        PutRecordsResponse many = got(kinesis.putRecords(r -> r.streamARN(arn("records")).records(entries)));

        Check.is(many.failedRecordCount(), 0);
        for (String shard : List.of("shardId-000000000000", "shardId-000000000001")) {
            List<String> wanted = IntStream.range(0, 500).filter(i -> many.records().get(i).shardId().equals(shard))
                    .mapToObj(i -> "record " + i).collect(Collectors.toList());
            List<String> found = texts(read("records", shard)).stream().filter(t -> t.startsWith("record "))
                    .collect(Collectors.toList());

            Check.yes(wanted.size() > 100, "both shards have many");
            Check.is(found, wanted);
        }

        Instant before = Instant.now().minus(Duration.ofHours(1));
        String at = got(kinesis.getShardIterator(r -> r.streamName("records").shardId(one.shardId())
                .shardIteratorType(ShardIteratorType.AT_TIMESTAMP).timestamp(before))).shardIterator();

        Check.is(got(kinesis.getRecords(r -> r.shardIterator(at).limit(1))).records().get(0), back);
        Check.refused(InvalidArgumentException.class, () -> got(kinesis.getShardIterator(r -> r.streamName("records")
                .shardId(one.shardId()).shardIteratorType(ShardIteratorType.AT_TIMESTAMP)
                .timestamp(Instant.now().plus(Duration.ofHours(1))))));
    }

    private void shards() throws Exception {
        String half = WHOLE.shiftRight(1).toString();

        create("cut", 1);
        put("cut", "before");
        got(kinesis.splitShard(r -> r.streamName("cut").shardToSplit("shardId-000000000000").newStartingHashKey(half)));
        active("cut");

        List<Shard> shards = got(kinesis.listShards(r -> r.streamName("cut"))).shards();

        Check.is(shards.size(), 3);
        Check.is(shards.get(2).hashKeyRange().startingHashKey(), half);
        Check.is(shards.get(2).parentShardId(), "shardId-000000000000");
        Check.yes(shards.get(0).sequenceNumberRange().endingSequenceNumber() != null, "the parent is closed");

        GetRecordsResponse end = got(kinesis.getRecords(r -> r.shardIterator(iterator("cut", "shardId-000000000000"))));

        while (end.nextShardIterator() != null) {
            String next = end.nextShardIterator();

            end = got(kinesis.getRecords(r -> r.shardIterator(next)));
        }
        Check.is(end.childShards().stream().map(ChildShard::shardId).collect(Collectors.toList()),
                List.of("shardId-000000000001", "shardId-000000000002"));
        got(kinesis.mergeShards(r -> r.streamName("cut").shardToMerge("shardId-000000000001")
                .adjacentShardToMerge("shardId-000000000002")));
        active("cut");
        Check.is(summary("cut").openShardCount(), 1);

        UpdateShardCountResponse scaled = got(kinesis.updateShardCount(r -> r.streamName("cut").targetShardCount(2)
                .scalingType(ScalingType.UNIFORM_SCALING)));

        Check.is(scaled.currentShardCount(), 1);
        Check.is(scaled.targetShardCount(), 2);
        active("cut");
        Check.is(got(kinesis.listShards(r -> r.streamName("cut")
                .shardFilter(f -> f.type(ShardFilterType.AT_LATEST)))).shards().size(), 2);
    }

    private void settings() throws Exception {
        create("set", 1);
        got(kinesis.increaseStreamRetentionPeriod(r -> r.streamName("set").retentionPeriodHours(8760)));
        active("set");
        Check.is(summary("set").retentionPeriodHours(), 8760);
        got(kinesis.decreaseStreamRetentionPeriod(r -> r.streamName("set").retentionPeriodHours(24)));
        active("set");
        Check.refused(InvalidArgumentException.class,
                () -> got(kinesis.decreaseStreamRetentionPeriod(r -> r.streamName("set").retentionPeriodHours(23))));
        got(kinesis.startStreamEncryption(r -> r.streamName("set").encryptionType(EncryptionType.KMS)
                .keyId("alias/aws/kinesis")));
        active("set");
        Check.is(summary("set").keyId(), "alias/aws/kinesis");
        Check.is(put("set", "x").encryptionType(), EncryptionType.KMS);
        got(kinesis.stopStreamEncryption(r -> r.streamName("set").encryptionType(EncryptionType.KMS)
                .keyId("alias/aws/kinesis")));
        active("set");
        Check.is(summary("set").encryptionType(), EncryptionType.NONE);
        Check.is(got(kinesis.enableEnhancedMonitoring(r -> r.streamName("set").shardLevelMetrics(MetricsName.ALL)))
                .desiredShardLevelMetrics().size(), 7);
        active("set");
        Check.is(got(kinesis.disableEnhancedMonitoring(r -> r.streamName("set")
                .shardLevelMetrics(MetricsName.INCOMING_BYTES))).desiredShardLevelMetrics().size(), 6);
        active("set");
        got(kinesis.updateMaxRecordSize(r -> r.streamARN(arn("set")).maxRecordSizeInKiB(10240)));
        active("set");
        Check.is(summary("set").maxRecordSizeInKiB(), 10240);

        byte[] large = new byte[10000000];
        String shard = got(kinesis.putRecord(r -> r.streamName("set").partitionKey("k")
                .data(SdkBytes.fromByteArray(large)))).shardId();
        List<Record> records = read("set", shard);

        Check.is(records.get(records.size() - 1).data().asByteArrayUnsafe().length, large.length);
    }

    private void demand() throws Exception {
        got(kinesis.updateAccountSettings(r -> r.minimumThroughputBillingCommitment(
                c -> c.status(MinimumThroughputBillingCommitmentInputStatus.ENABLED))));

        MinimumThroughputBillingCommitmentOutput commitment = got(kinesis.describeAccountSettings(r -> { }))
                .minimumThroughputBillingCommitment();

        Check.is(commitment.statusAsString(), "ENABLED");
        near(commitment.startedAt());
        create("demand", 4);
        got(kinesis.updateStreamMode(r -> r.streamARN(arn("demand"))
                .streamModeDetails(m -> m.streamMode(StreamMode.ON_DEMAND))));
        active("demand");
        Check.is(summary("demand").streamModeDetails().streamMode(), StreamMode.ON_DEMAND);
        Check.is(got(kinesis.updateStreamWarmThroughput(r -> r.streamName("demand").warmThroughputMiBps(10)))
                .warmThroughput().targetMiBps(), 10);
        active("demand");
        Check.refused(ValidationException.class, () -> got(kinesis.updateShardCount(r -> r.streamName("demand")
                .targetShardCount(8).scalingType(ScalingType.UNIFORM_SCALING))));
    }

    private void tagsAndPolicies() throws Exception {
        String policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":"
                + "{\"AWS\":\"111111111111\"},\"Action\":\"kinesis:PutRecord\",\"Resource\":\"" + arn("tagged") + "\"}]}";

        create("tagged", 1);
        got(kinesis.addTagsToStream(r -> r.streamName("tagged").tags(Map.of("a", "1", "b", "2"))));
        got(kinesis.tagResource(r -> r.resourceARN(arn("tagged")).tags(Map.of("c", "3"))));
        Check.is(got(kinesis.listTagsForStream(r -> r.streamName("tagged"))).tags().stream()
                .map(t -> t.key() + t.value()).collect(Collectors.joining(" ")), "a1 b2 c3");
        got(kinesis.removeTagsFromStream(r -> r.streamName("tagged").tagKeys("a")));
        got(kinesis.untagResource(r -> r.resourceARN(arn("tagged")).tagKeys("b")));
        Check.is(got(kinesis.listTagsForResource(r -> r.resourceARN(arn("tagged")))).tags(),
                List.of(Tag.builder().key("c").value("3").build()));
        got(kinesis.putResourcePolicy(r -> r.resourceARN(arn("tagged")).policy(policy)));
        Check.is(got(kinesis.getResourcePolicy(r -> r.resourceARN(arn("tagged")))).policy(), policy);
        got(kinesis.deleteResourcePolicy(r -> r.resourceARN(arn("tagged"))));
        Check.is(got(kinesis.getResourcePolicy(r -> r.resourceARN(arn("tagged")))).policy(), "{}");
    }

    private void consumers() throws Exception {
        create("heard", 1);

        String consumer = register("heard", "ear");

        Check.is(got(kinesis.describeStreamConsumer(r -> r.consumerARN(consumer))).consumerDescription()
                .streamARN(), arn("heard"));
        Check.is(got(kinesis.listStreamConsumers(r -> r.streamARN(arn("heard")))).consumers().get(0)
                .consumerARN(), consumer);
        Check.refused(ResourceInUseException.class, () -> register("heard", "ear"));
        got(kinesis.deregisterStreamConsumer(r -> r.consumerARN(consumer)));
        Check.until(() -> got(kinesis.listStreamConsumers(r -> r.streamARN(arn("heard")))).consumers().isEmpty());
    }

    /* What is there, what comes, and the end when the shard is split. */
    private void subscription() throws Exception {
        create("pushed", 1);
        put("pushed", "there");

        String consumer = register("pushed", "one");
        List<SubscribeToShardEvent> events = new ArrayList<>();
        AtomicInteger seen = new AtomicInteger();
        BiPredicate<SubscribeToShardEvent, Integer> next = (event, count) -> {
            if (count == 1 && seen.getAndSet(1) == 0) {
                CompletableFuture.runAsync(() -> put("pushed", "comes"));
            } else if (count == 2 && seen.getAndSet(2) == 1) {
                kinesis.splitShard(r -> r.streamName("pushed").shardToSplit("shardId-000000000000")
                        .newStartingHashKey(WHOLE.shiftRight(1).toString()));
            }
            return true;
        };

        subscribe(consumer, StartingPosition.builder().type(ShardIteratorType.TRIM_HORIZON).build(), events, next);
        Check.is(events.stream().flatMap(e -> e.records().stream()).map(r -> r.data().asUtf8String())
                .collect(Collectors.toList()), List.of("there", "comes"));
        near(events.get(0).records().get(0).approximateArrivalTimestamp());
        Check.is(events.get(events.size() - 1).childShards().stream().map(ChildShard::shardId)
                .collect(Collectors.toList()), List.of("shardId-000000000001", "shardId-000000000002"));

        String other = register("pushed", "two");
        List<SubscribeToShardEvent> rest = new ArrayList<>();
        String after = events.stream().filter(e -> !e.records().isEmpty()).findFirst().get()
                .continuationSequenceNumber();

        subscribe(other, StartingPosition.builder().type(ShardIteratorType.AFTER_SEQUENCE_NUMBER)
                .sequenceNumber(after).build(), rest, (event, count) -> true);
        Check.is(rest.stream().flatMap(e -> e.records().stream()).map(r -> r.data().asUtf8String())
                .collect(Collectors.toList()), List.of("comes"));
        Check.refused(ResourceNotFoundException.class, () -> {
            subscribe(arn("pushed") + "/consumer/nobody:1", StartingPosition.builder()
                    .type(ShardIteratorType.LATEST).build(), rest, (event, count) -> false);
            return null;
        });
    }

    /* Records with the synchronous client, on its own stream. */
    private void synchronous(String name) throws Exception {
        create(name, 1);
        try (KinesisClient client = Check.client(KinesisClient.builder(), url, "test")) {
            String shard = client.putRecord(r -> r.streamName(name).partitionKey("k").data(bytes("one"))).shardId();

            Check.is(client.putRecords(r -> r.streamName(name).records(
                    PutRecordsRequestEntry.builder().partitionKey("k").data(bytes("two")).build(),
                    PutRecordsRequestEntry.builder().partitionKey("l").data(bytes("")).build())).failedRecordCount(), 0);

            GetRecordsResponse answer = client.getRecords(r -> r.shardIterator(client.getShardIterator(
                    i -> i.streamName(name).shardId(shard).shardIteratorType(ShardIteratorType.AT_TIMESTAMP)
                            .timestamp(Instant.now().minusSeconds(3600))).shardIterator()));

            Check.is(texts(answer.records()), List.of("one", "two", ""));
            near(answer.records().get(0).approximateArrivalTimestamp());
            Check.is(Check.refused(ResourceNotFoundException.class,
                    () -> client.describeStreamSummary(r -> r.streamName("none"))).awsErrorDetails().errorMessage(),
                    "Stream none under account " + Check.ACCOUNT + " not found.");
            Check.refused(InvalidArgumentException.class, () -> client.getRecords(r -> r.shardIterator("x")));
        }
    }

    private static List<String> operations(String path) throws Exception {
        return Files.readAllLines(Path.of(path), StandardCharsets.UTF_8).stream()
                .filter(line -> line.startsWith("kinesis ")).collect(Collectors.toList());
    }

    public static void main(String[] args) throws Exception {
        KinesisTest test = new KinesisTest(args[0]);
        List<String> wanted = operations(args[1]);

        Check.check("java, HTTP/2 and CBOR: streams", test::streams);
        Check.check("java, HTTP/2 and CBOR: bad requests are told what is wrong with them", test::refusals);
        Check.check("java, HTTP/2 and CBOR: records", test::records);
        Check.check("java, HTTP/2 and CBOR: shards are split, merged and scaled", test::shards);
        Check.check("java, HTTP/2 and CBOR: retention, encryption, monitoring, record size", test::settings);
        Check.check("java, HTTP/2 and CBOR: on demand", test::demand);
        Check.check("java, HTTP/2 and CBOR: tags and policies", test::tagsAndPolicies);
        Check.check("java, HTTP/2 and CBOR: consumers", test::consumers);
        Check.check("java, HTTP/2: subscriptions", test::subscription);
        Check.check("java: all " + wanted.size() + " operations of Kinesis were called",
                () -> Check.all(Check.called, wanted));
        Check.check("java, HTTP/1.1 and CBOR: records", () -> test.synchronous("plain-cbor"));
        Check.check("java: all that was in CBOR", () -> {
            TreeSet<String> json = new TreeSet<>(Check.kinds);

            json.removeIf(kind -> kind.contains("cbor"));
            Check.yes(Check.kinds.size() > json.size(), "CBOR was used: " + Check.kinds);
        });
        System.setProperty("aws.cborEnabled", "false");
        Check.check("java, HTTP/1.1 and JSON: records", () -> test.synchronous("plain-json"));
        test.kinesis.close();
        Check.finish();
    }
}
