package watch_test

import (
	"log/slog"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

// FuzzToken checks that Watch accepts exactly the tokens of announcements in the log.
func FuzzToken(f *testing.F) {
	for _, token := range []string{"", "0", "2", "4", "007", "+1", "-1", "1 ", "9223372036854775808", "\xff"} {
		f.Add(token)
	}
	log := &fakeEventLog{name: "ours", purged: 1}
	for range 3 {
		log.append(task.NoOwner)
	}
	hub := watch.NewHub(&lossyFeed{}, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	f.Fuzz(func(t *testing.T, token string) {
		_, err := hub.Watch(t.Context(), task.NoOwner, token)
		seq, malformed := strconv.ParseInt(token, 10, 64)
		valid := token == "" || malformed == nil && strconv.FormatInt(seq, 10) == token && seq >= 1 && seq <= 3
		if refused := apperr.Of(err); valid != (refused == nil) || refused != nil && refused.Kind != apperr.Invalid && refused.Kind != apperr.Gone {
			t.Errorf("%q: %v", token, err)
		}
	})
}
