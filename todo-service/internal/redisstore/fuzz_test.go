package redisstore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What comes over the live feed is an announcement, whole, or none: anybody may
// publish on its channel.
func FuzzAnnouncement(f *testing.F) {
	const event = `"id":"e1","type":"task.created","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00Z"`
	const task = `"task":{"id":1,"title":"A","priority":0,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	f.Add(`{` + event + `,` + task + `,"seq":7}`)
	f.Add(`{` + event + `,"seq":7}`)
	f.Add(`{` + event + `,` + task + `,"seq":7,"SEQ":-1}`)
	f.Add(`{"seq":1e3}`)
	f.Fuzz(func(t *testing.T, payload string) {
		got, err := decode(payload)
		if err != nil {
			return
		}
		if got.Seq < 1 || got.Event.Type == "" || got.Event.Task.ID < 1 {
			t.Errorf("%q is %+v", payload, got)
		}
		again, err := encode(got)
		if err != nil {
			return // it carries what this service would not have written
		}
		if back, err := decode(string(again)); err != nil || !cmp.Equal(got, back) {
			t.Errorf("%q is %+v, then %+v, %v", payload, got, back, err)
		}
	})
}
