local k = require "kpipe"

return {
  kpipe = 1,
  name = "shared",
  leases = "dynamdb",
  maxLeasesForWorker = 5,
  coordination = {
    layout = "kcl3",
    failover_time = "100ms",
    failoverTimeMillis = 10000,
    graceful_lease_handoff_timeout = 30,
    max_leases_for_worker = -1,
    max_leases_to_steal_at_one_time = 0,
    lease_assignment_strategy = "LEASE_COUNT_BASED",
    worker_identifier = "pod 3",
    initial_position = "latest",
  },
  flows = { main = { k.source.generate {}, k.sink.null { attempts = 3 } } },
}
