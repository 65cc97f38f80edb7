/* Writer.java - the Kinesis Producer Library writes records, aggregated, as fast as it takes them.
 *
 * Arguments are NAME=VALUE: host, port (with TLS), stream, temp (where its native program goes), count, size (bytes of
 * each record), keys (how many different ones; each record takes one at random), threads (of the native program: a pool of
 * so many; 0: one per request, KPL's default). Pacing is lifted; the tracker of the oldest record, which searches a list
 * for each record that arrives, and metrics are off; all else as it comes. As users of the KPL are told to, it waits while
 * too many records are on their way. Start-up ends when one record was acknowledged.
 */

import com.google.common.util.concurrent.FutureCallback;
import com.google.common.util.concurrent.Futures;
import com.google.common.util.concurrent.MoreExecutors;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

public final class Writer {
    private static final int ON_THE_WAY = 20000;

    private Writer() {
    }

    private static final class Outcome implements FutureCallback<UserRecordResult> {
        private final Figures figures;
        private volatile long records;

        Outcome(Figures figures) {
            this.figures = figures;
        }

        @Override
        public synchronized void onSuccess(UserRecordResult result) {
            records++;
            figures.have(records);
        }

        @Override
        public void onFailure(Throwable error) {
            System.err.println("KPL failed: " + error);
            Runtime.getRuntime().halt(1);
        }
    }

    private static KinesisProducerConfiguration configuration(Map<String, String> how) {
        String host = how.get("host");
        long port = Long.parseLong(how.get("port"));
        int threads = Integer.parseInt(how.getOrDefault("threads", "0"));
        KinesisProducerConfiguration config = new KinesisProducerConfiguration().setRegion("us-east-1")
                .setKinesisEndpoint(host).setKinesisPort(port).setCloudwatchEndpoint(host).setCloudwatchPort(port)
                .setStsEndpoint(host).setStsPort(port).setVerifyCertificate(false).setTempDirectory(how.get("temp"))
                .setMetricsLevel("none").setAggregationEnabled(true).setRecordMaxBufferedTime(100)
                .setRateLimit(1000000000L).setEnableOldestFutureTracker(false).setLogLevel("warning")
                .setCredentialsProvider(
                        StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")));

        return threads == 0 ? config : config.setThreadPoolSize(threads)
                .setThreadingModel(KinesisProducerConfiguration.ThreadingModel.POOLED);
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> how = new HashMap<>();

        for (String argument : arguments) {
            how.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
        }
        String stream = how.get("stream");
        long count = Long.parseLong(how.get("count"));
        String[] keys = new String[Integer.parseInt(how.get("keys"))];
        byte[] data = new byte[Integer.parseInt(how.get("size"))];
        Figures figures = new Figures(count);
        Outcome outcome = new Outcome(figures);

        Arrays.setAll(keys, i -> "k" + (i + 1));
        Arrays.fill(data, (byte) 'x');
        KinesisProducer producer = new KinesisProducer(configuration(how));

        producer.addUserRecord(stream, keys[0], ByteBuffer.wrap(data)).get();
        figures.first();
        figures.begin();
        for (long i = 0; i < count; i++) {
            while (producer.getOutstandingRecordsCount() > ON_THE_WAY) {
                Thread.sleep(1);
            }
            Futures.addCallback(producer.addUserRecord(stream, keys[ThreadLocalRandom.current().nextInt(keys.length)],
                    ByteBuffer.wrap(data)), outcome, MoreExecutors.directExecutor());
        }
        producer.flush();
        while (outcome.records < count) {
            Thread.sleep(1);
        }
        figures.last(count);
        producer.destroy();
        System.exit(0);
    }
}
