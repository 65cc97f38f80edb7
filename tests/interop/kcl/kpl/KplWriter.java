/* KplWriter.java - the Kinesis Producer Library writes records, aggregated, and says what became of each.
 *
 * Arguments are NAME=VALUE: host, port (with TLS), stream, temp (where its native program goes), keys, each
 * (records a key), tag. Record n of key k is "k:TAG:n"; every third has an explicit hash key. A line each for what
 * arrived, with tabs: SHARD SEQUENCE KEY DATA; then "attempts N", how many calls for records it took.
 */

import com.google.common.util.concurrent.ListenableFuture;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

public final class KplWriter {
    private KplWriter() {
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> how = new HashMap<>();

        for (String argument : arguments) {
            how.put(argument.substring(0, argument.indexOf('=')), argument.substring(argument.indexOf('=') + 1));
        }
        String host = how.get("host");
        long port = Long.parseLong(how.get("port"));
        KinesisProducer producer = new KinesisProducer(new KinesisProducerConfiguration().setRegion("us-east-1")
                .setKinesisEndpoint(host).setKinesisPort(port).setCloudwatchEndpoint(host).setCloudwatchPort(port)
                .setStsEndpoint(host).setStsPort(port).setVerifyCertificate(false).setTempDirectory(how.get("temp"))
                .setMetricsLevel("none").setAggregationEnabled(true).setRecordMaxBufferedTime(100)
                .setLogLevel(how.getOrDefault("log", "warning"))
                .setCredentialsProvider(
                        StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"))));
        int keys = Integer.parseInt(how.get("keys"));
        int each = Integer.parseInt(how.get("each"));
        BigInteger step = BigInteger.ONE.shiftLeft(128).divide(BigInteger.valueOf(keys));
        List<ListenableFuture<UserRecordResult>> results = new ArrayList<>();
        List<String> records = new ArrayList<>();

        for (int i = 0; i < keys * each; i++) {
            String key = "k" + i % keys;
            String data = key + ":" + how.get("tag") + ":" + i / keys;
            /* Of a key always the same, so that its records stay in one shard. */
            String hash = i % keys % 3 == 0 ? step.multiply(BigInteger.valueOf(i % keys)).toString() : null;

            records.add(key + "\t" + data);
            results.add(producer.addUserRecord(how.get("stream"), key, hash,
                    ByteBuffer.wrap(data.getBytes(StandardCharsets.UTF_8))));
        }
        producer.flush();
        int attempts = 0;
        for (int i = 0; i < results.size(); i++) {
            UserRecordResult result = results.get(i).get(60, TimeUnit.SECONDS);

            attempts += result.getAttempts().size();
            System.out.println(result.getShardId() + "\t" + result.getSequenceNumber() + "\t" + records.get(i));
        }
        System.out.println("attempts " + attempts);
        producer.destroy();
        System.exit(0);
    }
}
