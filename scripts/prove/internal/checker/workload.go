package checker

import "example.com/todo/scripts/prove/internal/history"

// minReplicaShare is the fraction of all successful calls that each replica must have answered.
const minReplicaShare = 0.2

// checkWorkload checks the coverage of the workload: enough changes, of every kind, over both
// transports, on both replicas.
func checkWorkload(ix *index) Check {
	var found violations
	outcomes, operations := map[history.Outcome]int{}, map[history.Operation]int{}
	transports, replicas, retried := map[string]int{}, map[int]int{}, 0
	for i := range ix.Calls {
		c := &ix.Calls[i]
		outcomes[c.Outcome]++
		if c.Key != "" && c.Tries > 1 {
			retried++
		}
		if c.Outcome == history.Done {
			operations[c.Operation]++
			transports[c.Transport]++
			replicas[c.Replica]++
		}
	}
	done := outcomes[history.Done]
	if len(ix.Events) < max(ix.Changes, 1) {
		found.add("only %s changes were committed, of %s", groupThousands(len(ix.Events)), groupThousands(ix.Changes))
	}
	for _, o := range []history.Operation{history.Create, history.Update, history.Complete, history.Reopen, history.Delete} {
		if operations[o] == 0 {
			found.add("no change of the kind %q was made", o)
		}
	}
	if len(transports) < 2 {
		found.add("all calls went over %v", sortedKeys(transports))
	}
	if len(replicas) < 2 {
		found.add("all calls were answered by replica %v", sortedKeys(replicas))
	}
	for _, replica := range sortedKeys(replicas) {
		if float64(replicas[replica]) < minReplicaShare*float64(done) {
			found.add("replica %d answered %s of %s", replica, groupThousands(replicas[replica]), groupThousands(done))
		}
	}
	return found.check("workload", "the workload has every kind of change, over both transports, on both replicas",
		"%s calls: %s done, %s refused, %s unknown; %s creations retried; done by replica: %v",
		groupThousands(len(ix.Calls)), groupThousands(done), groupThousands(outcomes[history.Refused]), groupThousands(outcomes[history.Unknown]), groupThousands(retried), replicas)
}
