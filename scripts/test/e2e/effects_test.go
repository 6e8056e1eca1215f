package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

type statsJSON struct {
	CompletedTotal int64 `json:"completed_total"`
	CompletedToday int64 `json:"completed_today"`
	ByDay          []struct {
		Day       string `json:"day"`
		Completed int64  `json:"completed"`
	} `json:"by_day"`
	AsOf     time.Time `json:"as_of"`
	Lag      *int64    `json:"lag"`
	Complete bool      `json:"complete"`
}

// stats returns the statistics of all tasks.
func stats(t *testing.T) statsJSON {
	t.Helper()
	path := "/stats"
	if secure {
		path += "?scope=all"
	}
	return decode[statsJSON](t, getStats(t, system.admin(t), path), http.StatusOK)
}

func getStats(t *testing.T, u user, path string) answer {
	t.Helper()
	return requestAs(t, u, http.MethodGet, system.url("STATS_HTTP_ADDR", path), "")
}

// settled waits until stats-service has counted every record in the topic.
func settled(t *testing.T, client sarama.Client) statsJSON {
	t.Helper()
	consumed(t, client, "stats-service")
	var s statsJSON
	eventually(t, 10*time.Second, func() error {
		if s = stats(t); !s.Complete || s.Lag == nil || *s.Lag != 0 {
			return fmt.Errorf("incomplete, or behind the topic: %+v", s)
		}
		return nil
	})
	return s
}

// notifications returns the notified titles in order.
func notifications(t *testing.T) []string {
	t.Helper()
	var titles []string
	for line := range strings.Lines(system.log(t, "notification-service")) {
		var entry struct {
			Msg string `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		if rest, ok := strings.CutPrefix(entry.Msg, "Notification: Task '"); ok {
			titles = append(titles, strings.TrimSuffix(rest, "' has been completed!"))
		}
	}
	return titles
}

// notified waits until the notified titles with this prefix are those of want, in order. To exclude a further
// notification, call consumed before.
func notified(t *testing.T, prefix string, want ...string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		if got := withPrefix(notifications(t), prefix); strings.Join(got, "\n") != strings.Join(want, "\n") {
			return fmt.Errorf("notified %q, want %q", got, want)
		}
		return nil
	})
}

func withPrefix(titles []string, prefix string) []string {
	var kept []string
	for _, title := range titles {
		if strings.HasPrefix(title, prefix) {
			kept = append(kept, title)
		}
	}
	return kept
}
