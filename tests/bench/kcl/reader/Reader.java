/* Reader.java - the Kinesis Client Library, 2.x or 3.x, reads a stream and counts the records.
 *
 * Arguments are NAME=VALUE: endpoint, stream, application, count (of records; it ends when it has them), most (records of
 * one call), idle (ms from one call for a shard to the next). It is set up for throughput: 10,000 records, 200 ms, which is the
 * least that KCL 3.x takes and what five calls a second make, Kinesis's limit; no metrics; all else as it comes. With less than
 * that it spends its time on asking shards that have nothing more. A shard is checkpointed once in five seconds, kpipe's interval.
 */

import java.net.URI;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

public final class Reader {
    private static final long CHECKPOINT_NS = TimeUnit.SECONDS.toNanos(5);

    private Reader() {
    }

    /* Of all shards; told once for what a call brought. */
    private static final class Count {
        private final long wanted;
        private final Figures figures;
        private final CountDownLatch done = new CountDownLatch(1);
        private boolean begun;
        private long records;
        private long bytes;

        Count(long wanted) {
            this.wanted = wanted;
            figures = new Figures(wanted);
        }

        synchronized void begin() {
            if (!begun) {
                figures.begin();
                begun = true;
            }
        }

        synchronized void add(long more, long moreBytes) {
            if (more == 0 || done.getCount() == 0) {
                return;
            }
            if (records == 0) {
                figures.first();
            }
            records += more;
            bytes += moreBytes;
            figures.have(records);
            if (records >= wanted) {
                figures.last(records);
                System.out.println("bytes " + bytes);
                done.countDown();
            }
        }
    }

    private static final class Processor implements ShardRecordProcessor {
        private final Count count;
        private long checkpointNs = System.nanoTime();

        Processor(Count count) {
            this.count = count;
        }

        @Override
        public void initialize(InitializationInput input) {
            count.begin();
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            long bytes = 0;

            for (KinesisClientRecord record : input.records()) {
                bytes += record.data().remaining();
            }
            count.add(input.records().size(), bytes);
            if (System.nanoTime() - checkpointNs > CHECKPOINT_NS) {
                checkpoint(input.checkpointer());
                checkpointNs = System.nanoTime();
            }
        }

        private static void checkpoint(RecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
            } catch (InvalidStateException | ShutdownException error) {
                System.err.println("no checkpoint: " + error);
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            System.err.println("a lease was lost");
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            checkpoint(input.checkpointer());
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            checkpoint(input.checkpointer());
        }
    }

    private static <B extends AwsClientBuilder<B, C>, C> B builder(B builder, String url) {
        return builder.endpointOverride(URI.create(url)).region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> how = new HashMap<>();

        for (String argument : arguments) {
            how.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
        }
        String url = how.get("endpoint");
        String stream = how.get("stream");
        Count count = new Count(Long.parseLong(how.get("count")));
        KinesisAsyncClient kinesis =
                KinesisClientUtil.createKinesisAsyncClient(builder(KinesisAsyncClient.builder(), url));
        InitialPositionInStreamExtended start =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder config = new ConfigsBuilder(new SingleStreamTracker(stream, start), how.get("application"), kinesis,
                builder(DynamoDbAsyncClient.builder(), url).build(), builder(CloudWatchAsyncClient.builder(), url).build(),
                "bench", () -> new Processor(count));
        PollingConfig polling = new PollingConfig(stream, kinesis)
                .maxRecords(Integer.parseInt(how.getOrDefault("most", "10000")))
                .idleTimeBetweenReadsInMillis(Long.parseLong(how.getOrDefault("idle", "200")));
        Scheduler scheduler = new Scheduler(config.checkpointConfig(), config.coordinatorConfig(),
                config.leaseManagementConfig(), config.lifecycleConfig(),
                config.metricsConfig().metricsFactory(new NullMetricsFactory()), config.processorConfig(),
                config.retrievalConfig().retrievalSpecificConfig(polling));

        new Thread(scheduler, "scheduler").start();
        count.done.await();
        System.out.flush();
        Runtime.getRuntime().halt(0); /* all is measured; what is left to stop is of no interest */
    }
}
