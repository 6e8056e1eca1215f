package checker

import (
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// The requests that must have shown each user its tasks, and those that must have been made for the
// tasks of others.
var (
	ownReads = []string{
		"GET /tasks", "GET /tasks/{id}", "GET /tasks/{id}/events", "GET /events", "http create", "http complete",
		"ListTasks", "GetTask", "ListTaskEvents", "WatchTasks", "grpc create", "grpc complete",
	}
	foreignRequests = []string{
		"GET /tasks/{id}", "GET /tasks/{id}/events", "http change", "http complete", "http reopen", "http delete",
		"GetTask", "ListTaskEvents", "grpc change", "grpc complete", "grpc reopen", "grpc delete",
	}
)

// checkOwners checks that tasks, events, records, statistics and responses belong to the user whose
// call created the task, and that a call needed a session.
func checkOwners(ix *index, found *violations) string {
	ix.checkStoredOwners(found)
	if !ix.Expected.SignIn {
		return "without sign-in"
	}
	users := map[int64]bool{}
	for _, s := range ix.SignIns {
		users[s.User] = true
	}
	if len(users) < 2 {
		found.add("%d users signed in", len(users))
	}
	shown, foreign := ix.checkSightings(sortedKeys(users), found)
	answered := ix.checkForeignRequests(found)
	ix.checkSessions(sortedKeys(users), found)
	if len(ix.UserReports) == 0 {
		found.add("no user was shown its statistics")
	}
	ix.compareUserReports(ix.UserReports, found)
	notAdmitted := 0
	for _, c := range ix.Calls {
		notAdmitted += c.NotAdmitted
	}
	return sprintf("%d of %d tasks shown to %d users were another's; %d of %d requests for another's were not answered by 404; "+
		"%d sign-ins, %d attempts not admitted",
		foreign, shown, len(users), answered, len(ix.ForeignRequests), len(ix.SignIns), notAdmitted)
}

// checkStoredOwners compares the user of each row and record with that of the call.
func (ix *index) checkStoredOwners(found *violations) {
	for _, t := range ix.Tasks {
		if user := ix.Owners[t.ID]; user != ix.owners[t.ID] {
			found.add("task %d was created by user %d and belongs to user %d", t.ID, ix.owners[t.ID], user)
		}
	}
	for _, e := range ix.Events {
		if owner := ix.owners[e.Task.ID]; e.UserID != owner {
			found.add("event %s of task %d, which user %d created, has user %d", e.ID, e.Task.ID, owner, e.UserID)
		}
	}
	for _, r := range ix.records {
		if r.event != nil && r.user != ix.owners[r.event.Task.ID] {
			found.add("record %s of task %d, which user %d created, has user_id %d",
				r.Position, r.event.Task.ID, ix.owners[r.event.Task.ID], r.user)
		}
	}
}

// checkSightings checks that users were shown tasks of their own, with titles that these had. It
// returns how many they were shown, and how many of these were another's.
func (ix *index) checkSightings(users []int64, found *violations) (shown, foreign int) {
	type place struct {
		user  int64
		where string
	}
	seen := map[place]bool{}
	for _, s := range ix.Sightings {
		shown += s.Times
		seen[place{s.User, s.Where}] = true
		owner, known := ix.owners[s.TaskID]
		hadTitle := slices.ContainsFunc(ix.eventsByTask[s.TaskID], func(e *history.Event) bool { return e.Title == s.Title })
		switch {
		case !known || owner != s.User:
			foreign += s.Times
			found.add("%s: replica %d showed user %d task %d of user %d, %q, by %s, %d times",
				formatTime(s.At), s.Replica, s.User, s.TaskID, owner, s.Title, s.Where, s.Times)
		case !hadTitle:
			found.add("%s: replica %d showed user %d task %d with a title that it never had, %q, by %s",
				formatTime(s.At), s.Replica, s.User, s.TaskID, s.Title, s.Where)
		}
	}
	for _, user := range users {
		for _, where := range ownReads {
			if !seen[place{user, where}] {
				found.add("user %d was shown no task by %s", user, where)
			}
		}
	}
	return shown, foreign
}

// checkForeignRequests checks that a task of another user was not found. It returns how many requests
// had another answer.
func (ix *index) checkForeignRequests(found *violations) (answered int) {
	made := map[string]bool{}
	for _, r := range ix.ForeignRequests {
		made[r.Request] = true
		owner := ix.owners[r.TaskID]
		switch {
		case owner == r.User || owner == 0:
			found.add("%s of task %d by user %d is no request for the task of another: a defect of the workload",
				r.Request, r.TaskID, r.User)
		case r.Status != "404" && r.Status != "NotFound":
			answered++
			found.add("%s: replica %d answered %s to user %d for %s of task %d, which belongs to user %d",
				formatTime(r.At), r.Replica, r.Status, r.User, r.Request, r.TaskID, owner)
		}
	}
	for _, request := range foreignRequests {
		if !made[request] {
			found.add("no user requested %s of another's task", request)
		}
	}
	return answered
}

// outageMargin is how long after the start of a fault of Redis requests may have been admitted before
// it.
const outageMargin = time.Second

// checkSessions checks that calls succeeded only with a session in Redis: none while Redis was away,
// and after a flush none until its user had signed in again.
func (ix *index) checkSessions(users []int64, found *violations) {
	away := ix.faultIntervals(0, func(fault history.Fault) bool {
		return fault.Target == "redis" && (fault.Kind == "outage" || fault.Kind == "freeze")
	})
	for i := range away {
		away[i].start = away[i].start.Add(outageMargin)
		away[i].end = away[i].start.Add(away[i].end.Sub(away[i].start) / 2) // it returns before the fault has ended
	}
	for _, c := range ix.Calls {
		if c.Outcome == history.Done && away.include(c.Began, c.Ended) {
			found.add("call %d of user %d at %s succeeded while Redis was away", c.Number, c.User, formatTime(c.Began))
		}
	}
	for _, flush := range ix.Faults {
		if !isRedisFlush(flush) {
			continue
		}
		for _, user := range users {
			ix.checkSignInAfter(flush, user, found)
		}
	}
}

// checkSignInAfter checks that no call of the user succeeded between a flush of Redis and the user's
// next sign-in, or one during the flush, which may have stored its session afterwards.
func (ix *index) checkSignInAfter(flush history.Fault, user int64, found *violations) {
	signedOut := interval{flush.Ended, ix.EndedAt}
	for _, s := range ix.SignIns {
		if s.User == user && s.Ended.After(flush.Began) && s.Began.Before(signedOut.end) {
			signedOut.end = s.Began
		}
	}
	for _, c := range ix.Calls {
		if c.User == user && c.Outcome == history.Done && (intervals{signedOut}).include(c.Began, c.Ended) {
			found.add("call %d of user %d at %s succeeded after the flush of %s, without a sign-in",
				c.Number, user, formatTime(c.Began), formatTime(flush.Ended))
		}
	}
}

// countTasks returns the tasks of each user at the end.
func (ix *index) countTasks() map[int64]history.Counts {
	counts := map[int64]history.Counts{}
	for task, events := range ix.eventsByTask {
		last, n := events[len(events)-1], counts[ix.owners[task]]
		switch {
		case last.Type == deleted:
			continue
		case last.Done:
			n.Done++
		default:
			n.Open++
		}
		n.Total++
		counts[ix.owners[task]] = n
	}
	return counts
}

// compareUserReports compares what users were shown of themselves with SQL.
func (ix *index) compareUserReports(reports []history.UserReport, found *violations) {
	tasks := ix.countTasks()
	for _, r := range reports {
		name := sprintf("user %d at replica %d", r.User, r.Replica)
		want := ix.expectedCounts(func(task int64) bool { return ix.owners[task] == r.User })
		compareReport(name, r.StatsReport, want, found)
		if r.Tasks != tasks[r.User] {
			found.add("%s: %+v tasks, SQL says %+v", name, r.Tasks, tasks[r.User])
		}
	}
}
