package checker

import (
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// minReplicaShare is the fraction of all successful calls that each replica must have answered.
const minReplicaShare = 0.2

// checkWorkload checks the coverage of the workload: enough changes, of every kind, over both
// transports, on both replicas.
func checkWorkload(ix *index, found *violations) string {
	outcomes, operations := map[history.Outcome]int{}, map[history.Operation]int{}
	transports, replicas, retried := map[string]int{}, map[int]int{}, 0
	for _, c := range ix.Calls {
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
		found.add("only %d changes were committed, of %d", len(ix.Events), ix.Changes)
	}
	for _, o := range sortedKeys(eventTypes) {
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
			found.add("replica %d answered %d of %d", replica, replicas[replica], done)
		}
	}
	return sprintf("%d calls: %d done, %d refused, %d unknown; %d creations retried; done by replica: %s",
		len(ix.Calls), done, outcomes[history.Refused], outcomes[history.Unknown], retried, fmt.Sprint(replicas))
}
