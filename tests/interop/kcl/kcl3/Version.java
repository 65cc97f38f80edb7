/* Version.java - what only KCL 3.x has: `client` (a ClientVersionConfig, short: 3X, COMPATIBLE_WITH_2X,
 * COMPATIBLE_WITH_2X_PHASE1), `assign` (ms between the leader's assignments), `report` (ms between metrics),
 * `lock` (ms that the leader's lock lasts), `balance` (UTILIZATION or COUNT). */

import java.util.Map;
import software.amazon.kinesis.coordinator.CoordinatorConfig;
import software.amazon.kinesis.leases.LeaseAssignmentStrategy;
import software.amazon.kinesis.leases.LeaseManagementConfig;

final class Version {
    private Version() {
    }

    static void tune(LeaseManagementConfig leases, CoordinatorConfig coordinator, Map<String, String> how) {
        long lock = Long.parseLong(how.getOrDefault("lock", "120000"));

        leases.leasesRecoveryAuditorExecutionFrequencyMillis(Long.parseLong(how.getOrDefault("auditor", "5000")));
        if (how.containsKey("assign")) {
            leases.leaseAssignmentIntervalMillis(Long.valueOf(how.get("assign")));
        }
        leases.workerUtilizationAwareAssignmentConfig()
                .workerMetricsReporterFreqInMillis(Long.parseLong(how.getOrDefault("report", "30000")));
        leases.dynamoDbLockBasedLeaderLeaseDurationInMillis(lock)
                .dynamoDbLockBasedLeaderHeartbeatPeriodInMillis(lock / 4)
                .leaseAssignmentStrategy(how.getOrDefault("balance", "UTILIZATION").equals("COUNT")
                        ? LeaseAssignmentStrategy.LEASE_COUNT_BASED : LeaseAssignmentStrategy.WORKER_UTILIZATION_AWARE);
        coordinator.clientVersionConfig(CoordinatorConfig.ClientVersionConfig
                .valueOf("CLIENT_VERSION_CONFIG_" + how.getOrDefault("client", "3X")));
    }
}
