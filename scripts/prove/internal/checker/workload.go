package checker

import "example.com/todo/scripts/prove/internal/history"

// fairShare is the least that each replica has to answer, of all answers.
const fairShare = 0.2

// workload asks that there was work: enough of it, of every kind, on every road.
func workload(f *facts) Row {
	var bad findings
	outcomes, operations := map[history.Outcome]int{}, map[history.Operation]int{}
	roads, replicas, again := map[string]int{}, map[int]int{}, 0
	for i := range f.Journal {
		c := &f.Journal[i]
		outcomes[c.Outcome]++
		if c.Key != "" && c.Tries > 1 {
			again++
		}
		if c.Outcome == history.Done {
			operations[c.Operation]++
			roads[c.Via]++
			replicas[c.Replica]++
		}
	}
	done := outcomes[history.Done]
	if len(f.Events) < max(f.Changes, 1) {
		bad.add("only %s changes were committed, of %s", count(len(f.Events)), count(f.Changes))
	}
	for _, o := range []history.Operation{history.Create, history.Change, history.Complete, history.Reopen, history.Delete} {
		if operations[o] == 0 {
			bad.add("nothing of the kind %q was done", o)
		}
	}
	if len(roads) < 2 {
		bad.add("all went over %v", inOrder(roads))
	}
	if len(replicas) < 2 {
		bad.add("all was answered by replica %v", inOrder(replicas))
	}
	for _, replica := range inOrder(replicas) {
		if float64(replicas[replica]) < fairShare*float64(done) {
			bad.add("replica %d did %s of %s", replica, count(replicas[replica]), count(done))
		}
	}
	return bad.row("workload", "the work is of every kind, over both transports, on both replicas",
		"%s calls: %s done, %s refused, %s unknown; %s creations tried again; done by replica %v",
		count(len(f.Journal)), count(done), count(outcomes[history.Refused]), count(outcomes[history.Unknown]), count(again), replicas)
}
