package checker

import "example.com/todo/scripts/prove/internal/history"

// minReplicaShare is the least that each replica has to answer, of all answers.
const minReplicaShare = 0.2

// checkWorkload asks that there was work: enough of it, of every kind, on every road.
func checkWorkload(f *index) Check {
	var bad violations
	outcomes, operations := map[history.Outcome]int{}, map[history.Operation]int{}
	roads, replicas, again := map[string]int{}, map[int]int{}, 0
	for i := range f.Calls {
		c := &f.Calls[i]
		outcomes[c.Outcome]++
		if c.Key != "" && c.Tries > 1 {
			again++
		}
		if c.Outcome == history.Done {
			operations[c.Operation]++
			roads[c.Transport]++
			replicas[c.Replica]++
		}
	}
	done := outcomes[history.Done]
	if len(f.Events) < max(f.Changes, 1) {
		bad.add("only %s changes were committed, of %s", groupThousands(len(f.Events)), groupThousands(f.Changes))
	}
	for _, o := range []history.Operation{history.Create, history.Update, history.Complete, history.Reopen, history.Delete} {
		if operations[o] == 0 {
			bad.add("nothing of the kind %q was done", o)
		}
	}
	if len(roads) < 2 {
		bad.add("all went over %v", sortedKeys(roads))
	}
	if len(replicas) < 2 {
		bad.add("all was answered by replica %v", sortedKeys(replicas))
	}
	for _, replica := range sortedKeys(replicas) {
		if float64(replicas[replica]) < minReplicaShare*float64(done) {
			bad.add("replica %d did %s of %s", replica, groupThousands(replicas[replica]), groupThousands(done))
		}
	}
	return bad.check("workload", "the work is of every kind, over both transports, on both replicas",
		"%s calls: %s done, %s refused, %s unknown; %s creations tried again; done by replica %v",
		groupThousands(len(f.Calls)), groupThousands(done), groupThousands(outcomes[history.Refused]), groupThousands(outcomes[history.Unknown]), groupThousands(again), replicas)
}
