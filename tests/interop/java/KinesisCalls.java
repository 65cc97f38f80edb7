/* KinesisCalls.java - calls that several tests of Kinesis make. */

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiPredicate;
import java.util.stream.Collectors;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.*;
import software.amazon.awssdk.services.kinesis.model.Record;

class KinesisCalls {
    final String url;
    final KinesisAsyncClient kinesis;

    KinesisCalls(String url) {
        this.url = url;
        this.kinesis = Check.client(KinesisAsyncClient.builder(), url, "test");
    }

    static <T> T got(CompletableFuture<T> call) {
        return Check.got(call);
    }

    static String arn(String name) {
        return "arn:aws:kinesis:us-east-1:" + Check.ACCOUNT + ":stream/" + name;
    }

    static SdkBytes bytes(String text) {
        return SdkBytes.fromUtf8String(text);
    }

    static List<String> texts(List<Record> records) {
        return records.stream().map(r -> new String(r.data().asByteArrayUnsafe(), StandardCharsets.UTF_8))
                .collect(Collectors.toList());
    }

    static void near(Instant time) {
        Check.yes(Duration.between(time, Instant.now()).abs().compareTo(Duration.ofMinutes(1)) < 0, "time is " + time);
    }

    StreamDescriptionSummary summary(String name) {
        return got(kinesis.describeStreamSummary(r -> r.streamName(name))).streamDescriptionSummary();
    }

    void active(String name) throws Exception {
        Check.until(() -> summary(name).streamStatus() == StreamStatus.ACTIVE);
    }

    void create(String name, int shards) throws Exception {
        got(kinesis.createStream(r -> r.streamName(name).shardCount(shards)));
        active(name);
    }

    PutRecordResponse put(String name, String data) {
        return got(kinesis.putRecord(r -> r.streamName(name).partitionKey("k").data(bytes(data))));
    }

    String iterator(String name, String shard) {
        return got(kinesis.getShardIterator(r -> r.streamName(name).shardId(shard)
                .shardIteratorType(ShardIteratorType.TRIM_HORIZON))).shardIterator();
    }

    /* All that an open shard has. */
    List<Record> read(String name, String shard) {
        List<Record> records = new ArrayList<>();
        String at = iterator(name, shard);

        for (;;) {
            String from = at;
            GetRecordsResponse answer = got(kinesis.getRecords(r -> r.shardIterator(from)));

            records.addAll(answer.records());
            if (answer.records().isEmpty() && answer.millisBehindLatest() == 0) {
                return records;
            }
            at = answer.nextShardIterator();
        }
    }

    String register(String stream, String name) throws Exception {
        String arn = got(kinesis.registerStreamConsumer(r -> r.streamARN(arn(stream)).consumerName(name)))
                .consumer().consumerARN();

        Check.until(() -> got(kinesis.describeStreamConsumer(r -> r.consumerARN(arn))).consumerDescription()
                .consumerStatus() == ConsumerStatus.ACTIVE);
        return arn;
    }

    /* Adds the events of shard 0 to `events` until the stream ends or `more`, which is told the event and
     * how many records have come, gives false. */
    void subscribe(String consumer, StartingPosition from, List<SubscribeToShardEvent> events,
                   BiPredicate<SubscribeToShardEvent, Integer> more) {
        Subscriber<SubscribeToShardEventStream> subscriber = new Subscriber<>() {
            private Subscription subscription;
            private int records;

            @Override
            public void onSubscribe(Subscription given) {
                subscription = given;
                given.request(1);
            }

            @Override
            public void onNext(SubscribeToShardEventStream event) {
                if (event instanceof SubscribeToShardEvent) {
                    SubscribeToShardEvent data = (SubscribeToShardEvent) event;

                    events.add(data);
                    records += data.records().size();
                    if (!more.test(data, records)) {
                        subscription.cancel();
                        return;
                    }
                }
                subscription.request(1);
            }

            @Override
            public void onError(Throwable error) {
            }

            @Override
            public void onComplete() {
            }
        };

        got(kinesis.subscribeToShard(
                r -> r.consumerARN(consumer).shardId("shardId-000000000000").startingPosition(from),
                SubscribeToShardResponseHandler.builder().subscriber(() -> subscriber).build()));
    }
}
