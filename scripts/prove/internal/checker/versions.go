package checker

import (
	"fmt"
	"strconv"
	"strings"

	"example.com/todo/scripts/prove/internal/history"
)

// checkServerErrors judges the responses of a run without a fault but the replacement of versions. A request without
// a response, because its replica was stopping, is none of them: a load balancer chooses another replica.
func checkServerErrors(ix *index, found *violations) string {
	if len(ix.Expected.Versions) == 0 {
		return sprintf("%d responses were a 5xx; not judged, because the scenario makes servers fail", len(ix.ServerErrors))
	}
	for _, e := range ix.ServerErrors {
		found.add("%s: replica %d responded %s to %s", formatTime(e.At), e.Replica, e.Status, e.Request)
	}
	unresolved := 0
	for _, c := range ix.Calls {
		if c.Outcome == history.Unknown && !c.ClientCanceled {
			unresolved++
		}
	}
	return sprintf("%d responses to %d calls and %d reads of the list were a 5xx; %d calls had no response and could not be repeated",
		len(ix.ServerErrors), len(ix.Calls), len(ix.Reads), unresolved)
}

// checkVersions checks that each replica ran the version that the scenario says, and did a part of the work while
// the others ran theirs.
func checkVersions(ix *index, found *violations) string {
	if len(ix.Expected.Versions) == 0 {
		return "the working tree only"
	}
	if ix.Released == "" {
		found.add("the released version has no name")
	}
	shares := map[string]history.Share{}
	for _, s := range ix.Shares {
		shares[s.Replica] = s
	}
	var figures []string
	for _, replica := range sortedKeys(ix.Expected.Versions) {
		want, s := ix.Expected.Versions[replica], shares[replica]
		done, unit := s.Records, "records"
		if strings.HasPrefix(replica, "todo-service") {
			done, unit = ix.callsDoneBy(s), "calls"
		}
		switch {
		case s.Version != want:
			found.add("%s ran the version %q, not %q", replica, s.Version, want)
		case done <= 0:
			found.add("%s, %s version, handled no %s while both versions ran", replica, s.Version, unit)
		}
		figures = append(figures, sprintf("%s %s %d %s", replica, s.Version, done, unit))
	}
	return fmt.Sprintf("released is %s; %s", ix.Released, strings.Join(figures, ", "))
}

// callsDoneBy returns the number of calls that a replica of todo-service answered with success in the time of its
// share.
func (ix *index) callsDoneBy(s history.Share) (n int64) {
	span := intervals{{s.Began, s.Ended}}
	for _, c := range ix.Calls {
		// The workload numbers the replicas from 0.
		isBy := strings.HasSuffix(s.Replica, "-"+strconv.Itoa(c.Replica+1))
		if isBy && c.Outcome == history.Done && span.include(c.Began, c.Ended) {
			n++
		}
	}
	return n
}
