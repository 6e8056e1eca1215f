package event

import (
	"bytes"
	"errors"
	"time"
)

var errNotTime = errors.New("not a time of RFC 3339")

// parseTime returns the time in UTC of a text of RFC 3339, with t and z in either case. A
// leap second becomes the second before it.
func parseTime(text []byte) (time.Time, error) {
	const hour, second, shortest = len("2006-01-02T"), len("2006-01-02T15:04:"), len("2006-01-02T15:04:05Z")
	if len(text) < shortest {
		return time.Time{}, errNotTime
	}
	leap := string(text[second:second+2]) == "60"
	if leap || bytes.ContainsAny(text, "tz") {
		text = bytes.ToUpper(text)
	}
	if leap {
		copy(text[second:], "59")
	}
	var at time.Time
	if err := at.UnmarshalText(text); err != nil {
		return time.Time{}, errNotTime
	}
	utc, zone := at.UTC(), text[len(text)-len("07:00"):]
	switch {
	// Package time accepts more than RFC 3339: an hour of one digit, a comma before a
	// fraction, and any offset.
	case text[hour+1] == ':', bytes.IndexByte(text, ',') >= 0,
		text[len(text)-1] != 'Z' && (string(zone[:2]) > "23" || string(zone[3:]) > "59"):
		return time.Time{}, errNotTime
	// A leap second is at the end of a day in UTC, whatever the offset of the text.
	case leap && (utc.Hour() != 23 || utc.Minute() != 59):
		return time.Time{}, errNotTime
	}
	return utc, nil
}
