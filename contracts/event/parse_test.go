package event_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/contracts/event"
)

// eventWith returns an event in the older shape, in which fields replaces the field
// replaced.
func eventWith(replaced, fields string) string {
	parts := map[string]string{
		"type":       `"type":"task.completed"`,
		"task_id":    `"task_id":1`,
		"task_title": `"task_title":"Learn Go"`,
		"timestamp":  `"timestamp":"2026-01-15T10:00:00Z"`,
	}
	all := []string{}
	if fields != "" {
		all = append(all, fields)
	}
	for _, name := range []string{"type", "task_id", "task_title", "timestamp"} {
		if name != replaced {
			all = append(all, parts[name])
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

// eventWithTask returns an event with a task, in which field replaces the task's field
// replaced.
func eventWithTask(replaced, field string) string {
	whole := []string{`"id":1`, `"title":"Learn Go"`, `"priority":1`, `"done":true`, `"created_at":"2026-01-15T10:00:00Z"`, `"version":2`}
	all := []string{}
	if field != "" {
		all = append(all, field)
	}
	for _, part := range whole {
		if !strings.HasPrefix(part, `"`+replaced+`"`) {
			all = append(all, part)
		}
	}
	return eventWith("", `"task":{`+strings.Join(all, ",")+`}`)
}

// sized returns an event of n bytes, most of them its title.
func sized(n int) string { return eventWith("task_title", `"task_title":"`+padding(n)+`"`) }

func padding(n int) string {
	return strings.Repeat("x", n-len(eventWith("task_title", `"task_title":""`)))
}

// randomBytes returns n random bytes, always the same ones.
func randomBytes(n int) string {
	source := rand.NewChaCha8([32]byte{1})
	data := make([]byte, n)
	_, _ = source.Read(data) // never fails
	return string(data)
}

// invalidInputs returns inputs that are not events, each with a part of the error.
func invalidInputs() map[string]struct{ data, err string } {
	return map[string]struct{ data, err string }{
		"nothing":           {"", "not a JSON object"},
		"spaces":            {" \n", "not a JSON object"},
		"not JSON":          {"not JSON", "not a JSON object"},
		"half an event":     {`{"type":"task.comp`, "not a JSON object"},
		"two events":        {eventWith("", "") + eventWith("", ""), "not a JSON object"},
		"null":              {"null", "not a JSON object"},
		"array":             {"[" + eventWith("", "") + "]", "not a JSON object"},
		"number":            {"7", "not a JSON object"},
		"string":            {`"task.completed"`, "not a JSON object"},
		"invalid UTF-8":     {eventWith("task_title", "\"task_title\":\"\xff\""), "UTF-8"},
		"60 kB of noise":    {randomBytes(60_000), "UTF-8"},
		"60 kB of brackets": {strings.Repeat("[", 60_000), "not a JSON object"},
		"60 kB of digits":   {eventWith("task_id", `"task_id":`+strings.Repeat("9", 60_000)), "task_id must be an integer"},
		"60 kB of letters":  {strings.Repeat("a", 60_000), "not a JSON object"},
		"900 kB of noise":   {randomBytes(900_000), "longer than"},
		"empty object":      {"{}", "type is missing"},

		"no type":                    {eventWith("type", ""), "type is missing"},
		"type null":                  {eventWith("type", `"type":null`), "type is missing"},
		"type empty":                 {eventWith("type", `"type":""`), "type must not be empty"},
		"type a number":              {eventWith("type", `"type":1`), "type must be a string"},
		"type in capitals":           {eventWith("type", `"TYPE":"task.completed"`), "type is missing"},
		"no task_id":                 {eventWith("task_id", ""), "task_id is missing"},
		"task_id a string":           {eventWith("task_id", `"task_id":"1"`), "task_id must be an integer"},
		"task_id a fraction":         {eventWith("task_id", `"task_id":1.5`), "task_id must be an integer"},
		"task_id 0":                  {eventWith("task_id", `"task_id":0`), "task_id must be positive"},
		"task_id negative":           {eventWith("task_id", `"task_id":-1`), "task_id must be positive"},
		"task_id above int64":        {eventWith("task_id", `"task_id":9223372036854775808`), "task_id must be an integer"},
		"no task_title":              {eventWith("task_title", ""), "task_title is missing"},
		"task_title an object":       {eventWith("task_title", `"task_title":{}`), "task_title must be a string"},
		"no timestamp":               {eventWith("timestamp", ""), "timestamp is missing"},
		"timestamp null":             {eventWith("timestamp", `"timestamp":null`), "timestamp is missing"},
		"timestamp in seconds":       {eventWith("timestamp", `"timestamp":1768471200`), "timestamp must be an RFC 3339 time"},
		"timestamp a date":           {eventWith("timestamp", `"timestamp":"2026-01-15"`), "timestamp must be an RFC 3339 time"},
		"timestamp without a zone":   {eventWith("timestamp", `"timestamp":"2026-01-15T10:00:00"`), "timestamp must be an RFC 3339 time"},
		"timestamp in February 30th": {eventWith("timestamp", `"timestamp":"2026-02-30T10:00:00Z"`), "timestamp must be an RFC 3339 time"},
		"id a number":                {eventWith("", `"id":1`), "id must be a string"},
		"user_id a string":           {eventWith("", `"user_id":"7"`), "user_id must be an integer"},

		"task a string":            {eventWith("", `"task":"Learn Go"`), "task must be an object"},
		"task an array":            {eventWith("", `"task":[]`), "task must be an object"},
		"task empty":               {eventWith("", `"task":{}`), "task.id is missing"},
		"task without a title":     {eventWithTask("title", ""), "task.title is missing"},
		"task: id 0":               {eventWithTask("id", `"id":0`), "task.id must be positive"},
		"task: priority a string":  {eventWithTask("priority", `"priority":"1"`), "task.priority must be an integer"},
		"task: done a number":      {eventWithTask("done", `"done":1`), "task.done must be a boolean"},
		"task: created_at a word":  {eventWithTask("created_at", `"created_at":"yesterday"`), "task.created_at must be an RFC 3339 time"},
		"task: completed_at true":  {eventWithTask("", `"completed_at":true`), "task.completed_at must be an RFC 3339 time"},
		"task: version 0":          {eventWithTask("version", `"version":0`), "task.version must be positive"},
		"task: version a fraction": {eventWithTask("version", `"version":1.5`), "task.version must be an integer"},
		"task without a version":   {eventWithTask("version", ""), "task.version is missing"},
	}
}

func TestParseAndSchemaRejectWhatIsNotAnEvent(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for name, tt := range invalidInputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := event.Parse([]byte(tt.data))
			if err == nil {
				t.Fatalf("Parse accepts it as %+v", got)
			}
			if !strings.Contains(err.Error(), tt.err) || len(err.Error()) > 100 {
				t.Errorf("the error is %.200q, want a short one with %q", err, tt.err)
			}
			if diff := cmp.Diff(event.Event{}, got); diff != "" {
				t.Errorf("something of it is returned (-want +got):\n%s", diff)
			}
			// The schema applies to JSON, which is always valid UTF-8.
			if tt.err != "UTF-8" && validate(schema, []byte(tt.data)) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}

// The schema cannot express these: JSON numbers have no 64-bit range, and RFC 3339 does
// not bound the year.
func TestParseRejectsMoreThanTheSchemaCanExpress(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"an integer with a fraction part": eventWith("task_id", `"task_id":1.0`),
		"an integer with an exponent":     eventWith("task_id", `"task_id":1e2`),
		"a byte too many":                 sized(event.MaxBytes + 1),
		"the year 0":                      eventWith("timestamp", `"timestamp":"0000-06-01T00:00:00Z"`),
		"the zero time":                   eventWith("timestamp", `"timestamp":"0001-01-01T00:00:00Z"`),
		"the year 10000 in UTC":           eventWith("timestamp", `"timestamp":"9999-12-31T23:59:59-01:00"`),
		"task: the year 10000 in UTC":     eventWithTask("", `"completed_at":"9999-12-31T23:59:59-01:00"`),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := event.Parse([]byte(data)); err == nil {
				t.Errorf("Parse accepts it as %+v", got)
			}
		})
	}
}

func TestParseAndSchemaAcceptAdditions(t *testing.T) {
	t.Parallel()
	older := goldens()["older.json"]
	with := func(change func(*event.Event)) event.Event {
		e := older
		change(&e)
		return e
	}
	tests := map[string]struct {
		data string
		want event.Event
	}{
		"an unknown field":          {eventWith("", `"mood":{"is":["good"]}`), older},
		"a field in other capitals": {eventWith("", `"Type":"task.deleted","TASK_ID":2`), older},
		"an unknown type":           {eventWith("type", `"type":"task.archived"`), with(func(e *event.Event) { e.Type = "task.archived" })},
		"nulls for absences":        {eventWith("", `"id":null,"user_id":null,"task":null`), older},
		"a name with escapes":       {strings.Replace(eventWith("", ""), `"type"`, `"\u0074ype"`, 1), older},
		"a name twice":              {eventWith("", `"type":"task.deleted","task_id":2`), older},
		"as long as can be":         {sized(event.MaxBytes), with(func(e *event.Event) { e.TaskTitle = padding(event.MaxBytes) })},
		"quotes and brackets":       {eventWith("", `"mood":["}",{"]":"\\\""},"{"]`), older},
		"spaces around and inside":  {" \n" + strings.ReplaceAll(eventWith("", ""), ",", " ,\n\t") + "\r\n", older},
		"another zone":              {eventWith("timestamp", `"timestamp":"2026-01-15T12:00:00+02:00"`), older},
		"an id that is no UUID":     {eventWith("", `"id":"first"`), with(func(e *event.Event) { e.ID = "first" })},
		"an empty title":            {eventWith("task_title", `"task_title":""`), with(func(e *event.Event) { e.TaskTitle = "" })},
		"half a surrogate pair":     {eventWith("task_title", `"task_title":"\ud83d"`), with(func(e *event.Event) { e.TaskTitle = "\uFFFD" })},
		"a task with a new field": {
			eventWithTask("", `"tags":["a"],"completed_at":null`),
			with(func(e *event.Event) {
				e.Task = &event.Task{ID: 1, Title: "Learn Go", Priority: 1, Done: true, CreatedAt: e.Timestamp, Version: 2}
			}),
		},
	}
	schema := compileSchema(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := event.Parse([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			if got.Timestamp.Location() != time.UTC {
				t.Errorf("the timestamp is in %s, want UTC: its day is counted", got.Timestamp.Location())
			}
			if err := validate(schema, []byte(tt.data)); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
}

// FuzzMembers compares splitObject with encoding/json.
func FuzzMembers(f *testing.F) {
	for name := range goldens() {
		f.Add(golden(f, name))
	}
	for _, text := range []string{`{}`, ` { "a" : 1 , "a":2}`, `{"a\u0062":[{"}":"\\\""}],"":null}`, `[]`, `1`, `"{"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || !utf8.Valid(data) {
			return
		}
		var want map[string]json.RawMessage
		err := json.Unmarshal(data, &want)
		got, ok := event.Members(data)
		if ok != (err == nil && want != nil) {
			t.Fatalf("an object: %t, encoding/json says %v", ok, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("members (-encoding/json +ours):\n%s", diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	for name := range goldens() {
		f.Add(golden(f, name))
	}
	for _, tt := range invalidInputs() {
		if len(tt.data) < 1_000 {
			f.Add([]byte(tt.data))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := event.Parse(data)
		if err != nil {
			return
		}
		wire, err := first.Marshal()
		if err != nil {
			t.Fatalf("Parse accepts %+v, Marshal does not: %v", first, err)
		}
		second, err := event.Parse(wire)
		if err != nil {
			t.Fatalf("Parse refuses what Marshal wrote, %s: %v", wire, err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("the way out and back changed the event (-first +second):\n%s", diff)
		}
		if again, err := second.Marshal(); err != nil || !bytes.Equal(wire, again) {
			t.Fatalf("one event has two wire forms (%v):\n%s\n%s", err, wire, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	data := golden(b, "completed.json")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
