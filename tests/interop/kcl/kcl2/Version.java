/* Version.java - what only KCL 2.x has: `auditor` (ms between looks for holes). */

import java.util.Map;
import software.amazon.kinesis.coordinator.CoordinatorConfig;
import software.amazon.kinesis.leases.LeaseManagementConfig;

final class Version {
    private Version() {
    }

    static void tune(LeaseManagementConfig leases, CoordinatorConfig coordinator, Map<String, String> how) {
        leases.leasesRecoveryAuditorExecutionFrequencyMillis(Long.parseLong(how.getOrDefault("auditor", "5000")));
    }
}
