package event_test

import (
	"encoding/json"
	"testing"
	"time"

	"example.com/todo/contracts/event"
)

// timeCase is a timestamp and its time; the zero time means that it is invalid.
type timeCase struct {
	text string
	want time.Time
}

// timeCases returns valid and invalid timestamps of events.
func timeCases() map[string]timeCase {
	day := time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)
	at := day.Add(time.Hour)
	last := day.Add(24*time.Hour - time.Second) // 23:59:59
	return map[string]timeCase{
		"upper case":                     {"2026-01-15T01:00:00Z", at},
		"lower case":                     {"2026-01-15t01:00:00z", at},
		"lower case t":                   {"2026-01-15t01:00:00Z", at},
		"lower case z":                   {"2026-01-15T01:00:00z", at},
		"lower case with an offset":      {"2026-01-15t03:00:00+02:00", at},
		"a fraction":                     {"2026-01-15T01:00:00.123Z", at.Add(123 * time.Millisecond)},
		"a fraction of one digit":        {"2026-01-15T01:00:00.5z", at.Add(500 * time.Millisecond)},
		"a fraction of twelve digits":    {"2026-01-15T01:00:00.000000001999Z", at.Add(1)},
		"an offset":                      {"2026-01-15T03:30:00+02:30", at},
		"an offset to the day before":    {"2026-01-14T20:00:00-05:00", at},
		"an unknown offset":              {"2026-01-15T01:00:00-00:00", at},
		"the largest offset":             {"2026-01-16T00:59:00+23:59", at},
		"a leap second":                  {"2026-01-15T23:59:60Z", last},
		"a leap second in lower case":    {"2026-01-15t23:59:60z", last},
		"a leap second with a fraction":  {"2026-01-15T23:59:60.5Z", last.Add(500 * time.Millisecond)},
		"a leap second east":             {"2026-01-16T01:59:60+02:00", last},
		"a leap second west":             {"2026-01-15T15:59:60-08:00", last},
		"the leap day":                   {"2024-02-29T00:00:00Z", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		"escapes":                        {`2026-01-15\u005401:00:00\u005a`, at},
		"nothing":                        {"", time.Time{}},
		"a space for the T":              {"2026-01-15 01:00:00Z", time.Time{}},
		"a comma for the point":          {"2026-01-15T01:00:00,123Z", time.Time{}},
		"a point without digits":         {"2026-01-15T01:00:00.Z", time.Time{}},
		"no zone":                        {"2026-01-15T01:00:00", time.Time{}},
		"no seconds":                     {"2026-01-15T01:00Z", time.Time{}},
		"an hour of one digit":           {"2026-01-15T1:00:00Z", time.Time{}},
		"an hour of a sign and a digit":  {"2026-01-15T+1:00:00Z", time.Time{}},
		"an hour with a blank":           {"2026-01-15T 1:00:00Z", time.Time{}},
		"a month of one digit":           {"2026-1-15T01:00:00Z", time.Time{}},
		"digits of another script":       {"2026-01-15T01:00:0\u0660Z", time.Time{}},
		"the hour 24":                    {"2026-01-15T24:00:00Z", time.Time{}},
		"the minute 60":                  {"2026-01-15T01:60:00Z", time.Time{}},
		"the second 61":                  {"2026-01-15T23:59:61Z", time.Time{}},
		"a leap second at noon":          {"2026-01-15T12:00:60Z", time.Time{}},
		"a leap second of local time":    {"2026-01-15T23:59:60+02:00", time.Time{}},
		"February 29th of a common year": {"2026-02-29T00:00:00Z", time.Time{}},
		"an offset of 24 hours":          {"2026-01-15T01:00:00+24:00", time.Time{}},
		"an offset of 60 minutes":        {"2026-01-15T01:00:00+01:60", time.Time{}},
		"an offset without a colon":      {"2026-01-15T01:00:00+0100", time.Time{}},
		"an offset of hours":             {"2026-01-15T01:00:00+01", time.Time{}},
		"an offset with a sign within":   {"2026-01-15T01:00:00++1:00", time.Time{}},
		"a zone by name":                 {"2026-01-15T01:00:00UTC", time.Time{}},
		"something behind":               {"2026-01-15T01:00:00Z ", time.Time{}},
		"a line break behind":            {`2026-01-15T01:00:00Z\n`, time.Time{}},
		"something before":               {" 2026-01-15T01:00:00Z", time.Time{}},
	}
}

func TestParseAndSchemaAgreeOnTimes(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for name, tt := range timeCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			literal := `"` + tt.text + `"`
			for field, data := range map[string]string{
				"timestamp":         eventWith("timestamp", `"timestamp":`+literal),
				"task.created_at":   eventWithTask("created_at", `"created_at":`+literal),
				"task.completed_at": eventWithTask("", `"completed_at":`+literal),
			} {
				e, err := event.Parse([]byte(data))
				if tt.want.IsZero() != (err != nil) {
					t.Errorf("%s: Parse says %v", field, err)
				}
				if refusal := validate(schema, []byte(data)); tt.want.IsZero() != (refusal != nil) {
					t.Errorf("%s: the schema says %v", field, refusal)
				}
				if err != nil {
					continue
				}
				got := e.Timestamp
				switch field {
				case "task.created_at":
					got = e.Task.CreatedAt
				case "task.completed_at":
					got = *e.Task.CompletedAt
				}
				if !got.Equal(tt.want) || got.Location() != time.UTC {
					t.Errorf("%s is %v, want %v", field, got, tt.want)
				}
			}
		})
	}
}

// FuzzTime compares Parse with the schema, except for the range of years, which the schema
// cannot express.
func FuzzTime(f *testing.F) {
	for _, tt := range timeCases() {
		f.Add(tt.text)
	}
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, text string) {
		literal, err := json.Marshal(text)
		if err != nil || len(text) > 100 || len(text) > 3 && (text[:4] == "0000" || text[:4] == "0001" || text[:4] == "9999") {
			return
		}
		data := []byte(eventWith("timestamp", `"timestamp":`+string(literal)))
		_, err = event.Parse(data)
		if refusal := validate(schema, data); (err == nil) != (refusal == nil) {
			t.Errorf("%q: Parse says %v, the schema %v", text, err, refusal)
		}
	})
}
