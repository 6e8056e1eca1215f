package checker_test

import (
	"strings"

	"example.com/todo/scripts/prove/internal/history"
)

// users own the tasks in turn.
var users = []int64{101, 102}

func ownerOf(task int64) int64 { return users[task%int64(len(users))] }

// The requests that the scenario makes for a user's own tasks, and for those of another.
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

// signIn adds what users did beside their calls. They sign in at the start, and again after the flush of
// Redis at second 150.
func (b *historyBuilder) signIn() {
	b.Expected.SignIn, b.Owners = true, map[int64]int64{}
	for id := range b.state {
		b.Owners[id] = ownerOf(id)
	}
	for i, user := range users {
		for _, second := range []float64{-1, 150.01} {
			b.SignIns = append(b.SignIns, history.SignIn{User: user, Began: atSecond(second), Ended: atSecond(second)})
		}
		own := b.Events[i]
		for _, where := range ownReads {
			b.Sightings = append(b.Sightings, history.Sighting{
				User: own.UserID, TaskID: own.Task.ID, Title: own.Title, Where: where, At: atSecond(40), Times: 2,
			})
		}
		for _, request := range foreignRequests {
			status := "404"
			if strings.HasPrefix(request, "grpc") || strings.HasSuffix(request, "Task") || strings.HasSuffix(request, "Events") {
				status = "NotFound"
			}
			b.ForeignRequests = append(b.ForeignRequests, history.ForeignRequest{
				User: users[(i+1)%len(users)], TaskID: int64(len(users) + i), Request: request, At: atSecond(50), Status: status,
			})
		}
	}
}

func (b *historyBuilder) userReports() (reports []history.UserReport) {
	for replica := range 2 {
		for _, user := range users {
			r := history.UserReport{User: user, StatsReport: b.statsReport(replica, user)}
			for id, task := range b.state {
				switch {
				case ownerOf(id) != user:
					continue
				case task.Done:
					r.Tasks.Done++
				default:
					r.Tasks.Open++
				}
				r.Tasks.Total++
			}
			reports = append(reports, r)
		}
	}
	return reports
}
