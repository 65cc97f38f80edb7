/* Check.java - results as "ok N - TEXT" or "not ok N - TEXT", and clients of one local AWS. */

import java.net.URI;
import java.util.Collection;
import java.util.Objects;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.interceptor.SdkExecutionAttribute;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;

final class Check {
    interface Body {
        void run() throws Exception;
    }

    static final String ACCOUNT = "000000000000";
    static final long SECONDS = 30L * Integer.parseInt(System.getenv().getOrDefault("SLOW", "1"));

    /* "kinesis PutRecord" of each operation that had a good answer. */
    static final TreeSet<String> called = new TreeSet<>();
    /* "kinesis application/x-amz-cbor-1.1" of each kind of request that went out. */
    static final TreeSet<String> kinds = new TreeSet<>();

    private static int count;
    private static int failed;

    private Check() {
    }

    static void check(String text, Body body) {
        count++;
        try {
            body.run();
            System.out.println("ok " + count + " - " + text);
        } catch (Throwable error) {
            failed++;
            System.out.println("not ok " + count + " - " + text);
            System.out.println("# " + String.valueOf(error).replace("\n", "\n# "));
            for (StackTraceElement at : error.getStackTrace()) {
                if (!at.getClassName().contains(".")) {
                    System.out.println("#     " + at);
                }
            }
        }
    }

    /* Ends the program. */
    static void finish() {
        System.out.println("1.." + count);
        System.out.flush();
        System.exit(failed == 0 ? 0 : 1);
    }

    static void is(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) {
            throw new AssertionError("got " + got + ", wanted " + wanted);
        }
    }

    static void yes(boolean is, String text) {
        if (!is) {
            throw new AssertionError(text);
        }
    }

    static void all(Collection<String> got, Collection<String> wanted) {
        TreeSet<String> missing = new TreeSet<>(wanted);

        missing.removeAll(got);
        yes(missing.isEmpty(), "missing: " + missing);
    }

    /* The answer of an asynchronous call, or what went wrong with it. */
    static <T> T got(CompletableFuture<T> call) {
        try {
            return call.get(SECONDS, TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException error) {
            if (error.getCause() instanceof RuntimeException) {
                throw (RuntimeException) error.getCause();
            }
            throw new CompletionException(error.getCause());
        } catch (InterruptedException | java.util.concurrent.TimeoutException error) {
            throw new CompletionException(error);
        }
    }

    /* The call must be refused with that class of error. */
    static <E extends Exception> E refused(Class<E> kind, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (Exception error) {
            if (kind.isInstance(error)) {
                return kind.cast(error);
            }
            throw error;
        }
        throw new AssertionError("it was accepted");
    }

    /* Asks until it is so; for states that are reached a moment later. */
    static void until(Callable<Boolean> probe) throws Exception {
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS); !probe.call();) {
            yes(System.nanoTime() < end, "still not so");
            Thread.sleep(10);
        }
    }

    private static final ExecutionInterceptor NOTES = new ExecutionInterceptor() {
        private String name(ExecutionAttributes about) {
            return about.getAttribute(SdkExecutionAttribute.SERVICE_NAME).toLowerCase();
        }

        @Override
        public void afterMarshalling(Context.AfterMarshalling context, ExecutionAttributes about) {
            synchronized (kinds) {
                context.httpRequest().firstMatchingHeader("Content-Type")
                        .ifPresent(type -> kinds.add(name(about) + " " + type));
            }
        }

        @Override
        public void afterExecution(Context.AfterExecution context, ExecutionAttributes about) {
            synchronized (called) {
                called.add(name(about) + " " + about.getAttribute(SdkExecutionAttribute.OPERATION_NAME));
            }
        }
    };

    /* Any client's builder, made to talk to `url` with that secret. */
    static <B extends AwsClientBuilder<B, C>, C> C client(B builder, String url, String secret) {
        return builder.endpointOverride(URI.create(url)).region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", secret)))
                .overrideConfiguration(how -> how.addExecutionInterceptor(NOTES)
                        .retryStrategy(DefaultRetryStrategy.doNotRetry()))
                .build();
    }
}
