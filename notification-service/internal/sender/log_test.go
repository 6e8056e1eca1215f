package sender_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/sender"
)

func TestLogWritesOneLineForAnyTitle(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ title, message string }{
		"plain":              {"Learn Go", "Notification: Task 'Learn Go' has been completed!"},
		"quotes":             {`say "it's"`, `Notification: Task 'say "it's"' has been completed!`},
		"control characters": {"a\nb\x1b[31m", "Notification: Task 'a\nb\x1b[31m' has been completed!"},
		"not Latin":          {"学ぶ 🐹", "Notification: Task '学ぶ 🐹' has been completed!"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := sender.NewLog(slog.New(slog.NewJSONHandler(&out, nil)), nil)
			if err := log.Send(t.Context(), notify.Notification{EventID: "e1", TaskID: 7, Title: test.title}); err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(out.Bytes(), []byte("\n")); lines != 1 {
				t.Errorf("%d lines, want 1", lines)
			}
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			want := map[string]any{"level": "INFO", "msg": test.message, "task_id": 7.0, "event_id": "e1"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// failing is a sender that fails that number of times before it delivers.
type failing int

func (f *failing) Send(context.Context, notify.Notification) error {
	if *f == 0 {
		return nil
	}
	*f--
	return errors.New("down")
}

func TestLogWritesOneLineAfterSeveralAttempts(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	first := failing(2)
	log := sender.NewLog(slog.New(slog.NewJSONHandler(&out, nil)), &first)
	for range 2 {
		if err := log.Send(t.Context(), notify.Notification{Title: "Learn Go"}); err == nil {
			t.Fatal("no error although the notification was not delivered")
		}
	}
	if out.Len() != 0 {
		t.Errorf("the log has a line before the delivery: %s", out.String())
	}
	if err := log.Send(t.Context(), notify.Notification{Title: "Learn Go"}); err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(out.Bytes(), []byte("\n")); lines != 1 {
		t.Errorf("%d lines, want 1", lines)
	}
}
