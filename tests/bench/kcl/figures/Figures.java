/* Figures.java - what the programs here measure of themselves: lines "NAME VALUE" on standard output.
 *
 * start_cpu are the CPU seconds until begin(), which comes before any record is fetched or made; cpu those from then to
 * last(). start_seconds is from the start of this process to first(), the first record that is given to the program or
 * acknowledged; seconds from then to last(). half_cpu and half_records are of the second half of the records, in which the
 * code is compiled. CPU seconds are user and system, of this process (with compiler and garbage collector) and of its
 * child, if it has one; jvm_kb and child_kb are VmHWM.
 */

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;

final class Figures {
    private static final double TICKS = 100; /* USER_HZ, the same on all Linux machines */
    private static final ProcessHandle SELF = ProcessHandle.current();

    private final long wanted; /* records; the half of that is the half */
    private double startSeconds;
    private double startCpu;
    private double startChildCpu;
    private double halfCpu;
    private long halfRecords;
    private long firstNs;

    Figures(long wanted) {
        this.wanted = wanted;
    }

    private static double cpu(ProcessHandle process) {
        try {
            String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");

            return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / TICKS;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static long peakKb(ProcessHandle process) {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/" + process.pid() + "/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", ""));
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        throw new IllegalStateException("no VmHWM");
    }

    private static double childCpu() {
        return SELF.children().mapToDouble(Figures::cpu).sum();
    }

    void begin() {
        startCpu = cpu(SELF);
        startChildCpu = childCpu();
    }

    void first() {
        startSeconds = (System.currentTimeMillis() - SELF.info().startInstant().orElse(Instant.now()).toEpochMilli()) / 1e3;
        firstNs = System.nanoTime();
    }

    /* To be called now and then, from one thread at a time, with how many there are so far. */
    void have(long records) {
        if (halfRecords == 0 && records >= wanted / 2) {
            halfRecords = records;
            halfCpu = cpu(SELF) + childCpu();
        }
    }

    void last(long records) {
        double seconds = (System.nanoTime() - firstNs) / 1e9;
        double jvm = cpu(SELF);
        double child = childCpu();

        System.out.println("start_seconds " + startSeconds);
        System.out.println("start_cpu " + (startCpu + startChildCpu));
        System.out.println("seconds " + seconds);
        System.out.println("cpu " + (jvm - startCpu + child - startChildCpu));
        System.out.println("child_cpu " + (child - startChildCpu));
        System.out.println("records " + records);
        System.out.println("half_cpu " + (jvm + child - halfCpu));
        System.out.println("half_records " + (records - halfRecords));
        System.out.println("jvm_kb " + peakKb(SELF));
        SELF.children().forEach(process -> System.out.println("child_kb " + peakKb(process)));
    }
}
