/* KclWorker.java - one worker of the Kinesis Client Library, 2.x or 3.x, that notes what it is given.
 *
 * Arguments are NAME=VALUE: endpoint, dynamodb (another endpoint for the table), stream, application, worker,
 * out (a file that is appended to), mode (polling or fan-out), metrics (a level of KCL's), failover (ms),
 * prepare (true: in two phases, with a state of the application), and those of Version.java.
 *
 * Lines of `out`, with tabs; times are Unix milliseconds:
 *   R TIME SHARD SEQUENCE SUB KEY DATA   a record, before it is checkpointed
 *   E TIME WHAT SHARD [SEQUENCE SUB]     init, lost, ended, requested
 *   S TIME STATE                         of the worker, "running" once it has leases to look at
 * What was written is with the kernel: it outlives a kill of the worker.
 */

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
import software.amazon.kinesis.coordinator.CoordinatorConfig;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.coordinator.WorkerStateChangeListener;
import software.amazon.kinesis.leases.LeaseManagementConfig;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.MetricsLevel;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.kpl.ExtendedSequenceNumber;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

public final class KclWorker {
    private static OutputStream out;

    private KclWorker() {
    }

    private static synchronized void write(String lines) {
        try {
            out.write(lines.getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static void event(String kind, String text) {
        write(kind + "\t" + System.currentTimeMillis() + "\t" + text + "\n");
    }

    private static final class Processor implements ShardRecordProcessor {
        private final boolean prepares;
        private String shard;

        Processor(boolean prepares) {
            this.prepares = prepares;
        }

        @Override
        public void initialize(InitializationInput input) {
            ExtendedSequenceNumber at = input.extendedSequenceNumber();

            shard = input.shardId();
            event("E", "init\t" + shard + "\t" + at.sequenceNumber() + "\t" + at.subSequenceNumber());
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            List<KinesisClientRecord> records = input.records();
            StringBuilder lines = new StringBuilder();
            long now = System.currentTimeMillis();

            for (KinesisClientRecord record : records) {
                String data = StandardCharsets.UTF_8.decode(record.data().duplicate()).toString();

                lines.append("R\t" + now + "\t" + shard + "\t" + record.sequenceNumber() + "\t"
                        + record.subSequenceNumber() + "\t" + record.partitionKey() + "\t" + data + "\n");
            }
            write(lines.toString());
            if (!records.isEmpty()) {
                checkpoint(input.checkpointer());
            }
        }

        private void checkpoint(RecordProcessorCheckpointer checkpointer) {
            try {
                if (prepares) {
                    checkpointer.prepareCheckpoint("state".getBytes(StandardCharsets.UTF_8)).checkpoint();
                } else {
                    checkpointer.checkpoint();
                }
            } catch (Exception error) { /* the lease is lost, or is about to be */
                event("E", "unsaved\t" + shard + "\t" + error.getClass().getSimpleName());
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            event("E", "lost\t" + shard);
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            event("E", "ended\t" + shard);
            checkpoint(input.checkpointer());
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            event("E", "requested\t" + shard);
            checkpoint(input.checkpointer());
        }
    }

    private static <B extends AwsClientBuilder<B, C>, C> B builder(B builder, String url) {
        return builder.endpointOverride(URI.create(url)).region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")));
    }

    /* KCL's graceful stop does not end while leases of finished shards are held. */
    private static void stop(Scheduler scheduler, Thread run) {
        try {
            event("S", "graceful " + scheduler.startGracefulShutdown().get(15, TimeUnit.SECONDS));
        } catch (Exception error) {
            event("S", "not graceful " + error.getClass().getSimpleName());
            scheduler.shutdown();
        }
        try {
            run.join(15000);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> how = new HashMap<>();

        for (String argument : arguments) {
            how.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
        }
        out = new FileOutputStream(how.get("out"), true);
        String url = how.get("endpoint");
        String stream = how.get("stream");
        long failover = Long.parseLong(how.getOrDefault("failover", "10000"));
        KinesisAsyncClient kinesis =
                KinesisClientUtil.createKinesisAsyncClient(builder(KinesisAsyncClient.builder(), url));
        InitialPositionInStreamExtended start =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder config = new ConfigsBuilder(new SingleStreamTracker(stream, start), how.get("application"), kinesis,
                builder(DynamoDbAsyncClient.builder(), how.getOrDefault("dynamodb", url)).build(),
                builder(CloudWatchAsyncClient.builder(), url).build(), how.get("worker"),
                () -> new Processor(Boolean.parseBoolean(how.get("prepare"))));
        LeaseManagementConfig leases =
                config.leaseManagementConfig().failoverTimeMillis(failover).shardSyncIntervalMillis(5000);
        CoordinatorConfig coordinator = config.coordinatorConfig().parentShardPollIntervalMillis(1000)
                .schedulerInitializationBackoffTimeMillis(500).workerStateChangeListener(new WorkerStateChangeListener() {
                    @Override
                    public void onWorkerStateChange(WorkerState state) {
                        event("S", state.name());
                    }

                    @Override
                    public void onAllInitializationAttemptsFailed(Throwable error) {
                        event("S", "FAILED " + error);
                    }
                });

        Version.tune(leases, coordinator, how);
        Scheduler scheduler = new Scheduler(config.checkpointConfig(), coordinator, leases, config.lifecycleConfig(),
                config.metricsConfig().metricsLevel(MetricsLevel.valueOf(how.getOrDefault("metrics", "NONE"))),
                config.processorConfig(),
                config.retrievalConfig().retrievalSpecificConfig(how.getOrDefault("mode", "polling").equals("fan-out")
                        ? new FanOutConfig(kinesis).streamName(stream).applicationName(how.get("application"))
                        : new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(500)));
        Thread run = new Thread(scheduler, "scheduler");

        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(scheduler, run)));
        run.start();
        run.join();
    }
}
