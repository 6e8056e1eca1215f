package redisstore

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A message of the live feed is a whole announcement or an error: any client of Redis
// may publish on the channel.
func FuzzAnnouncement(f *testing.F) {
	const event = `"id":"e1","type":"task.created","task_id":1,"task_title":"A","timestamp":"2026-01-15T10:00:00Z"`
	const task = `"task":{"id":1,"title":"A","priority":0,"done":false,"created_at":"2026-01-15T10:00:00Z","version":1}`
	f.Add(`{` + event + `,` + task + `,"seq":7}`)
	f.Add(`{` + event + `,"seq":7}`)
	f.Add(`{` + event + `,` + task + `,"seq":7,"SEQ":-1}`)
	f.Add(`{"seq":1e3}`)
	f.Fuzz(func(t *testing.T, payload string) {
		got, err := decodeAnnouncement(payload)
		if err != nil {
			return
		}
		if got.Seq < 1 || got.Event.Type == "" || got.Event.Task.ID < 1 {
			t.Errorf("%q is %+v", payload, got)
		}
		again, err := encodeAnnouncement(got)
		if err != nil {
			return // this service would not have written it
		}
		if back, err := decodeAnnouncement(string(again)); err != nil || !cmp.Equal(got, back) {
			t.Errorf("%q is %+v, then %+v, %v", payload, got, back, err)
		}
	})
}

// A list from Redis is one that was stored there or an error: any client of Redis may
// write to the key.
func FuzzCachedList(f *testing.F) {
	f.Add([]byte(`[]`), `{"link":"","etag":"\"x\"","crc32c":0}`, false)
	f.Add([]byte(`[{"id":1}]`), `null`, true)
	f.Add([]byte("\xff"), `{"crc32c":-1}`, true)
	f.Fuzz(func(t *testing.T, body []byte, text string, valid bool) {
		if valid {
			encoded, err := json.Marshal(metadata{Link: text, ETag: "x", Sum: checksum(body)})
			if err != nil {
				t.Fatal(err)
			}
			text = string(encoded)
		}
		list, err := decodeList(string(body), text)
		if valid && err != nil || err == nil && (!list.Hit || list.ETag == "" || string(list.Body) != string(body)) {
			t.Errorf("%q with metadata %q is %+v, %v", body, text, list, err)
		}
	})
}
