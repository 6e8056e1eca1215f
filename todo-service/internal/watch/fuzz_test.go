package watch_test

import (
	"log/slog"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/watch"
)

// A token is one that an announcement had, or it is refused.
func FuzzToken(f *testing.F) {
	for _, token := range []string{"", "0", "2", "4", "007", "+1", "-1", "1 ", "9223372036854775808", "\xff"} {
		f.Add(token)
	}
	log := &memoryLog{name: "ours", purged: 1}
	for range 3 {
		log.append()
	}
	hub := watch.NewHub(&lossyFeed{}, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	f.Fuzz(func(t *testing.T, token string) {
		_, err := hub.Watch(t.Context(), token)
		seq, broken := strconv.ParseInt(token, 10, 64)
		ours := token == "" || broken == nil && strconv.FormatInt(seq, 10) == token && seq >= 1 && seq <= 3
		if refused := apperr.Of(err); ours != (refused == nil) || refused != nil && refused.Kind != apperr.Invalid && refused.Kind != apperr.Gone {
			t.Errorf("%q: %v", token, err)
		}
	})
}
