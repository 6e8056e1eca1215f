package event

import (
	"bytes"
	"errors"
	"time"
)

var errNotTime = errors.New("not a time of RFC 3339")

// parseTime reads a time as RFC 3339 writes it, with t and z in either case. A leap
// second is taken as the second before it.
func parseTime(text []byte) (at time.Time, err error) {
	// Package time is laxer than RFC 3339 in digits, commas and offsets, so the form is
	// checked here and package time only finds numbers that are out of range.
	if !isDateTime(text) {
		return time.Time{}, errNotTime
	}
	const second = len("2006-01-02T15:04:")
	leap := string(text[second:second+2]) == "60"
	if leap || bytes.ContainsAny(text, "tz") {
		text = bytes.ToUpper(text)
	}
	if leap {
		copy(text[second:], "59")
	}
	if err := at.UnmarshalText(text); err != nil {
		return time.Time{}, errNotTime
	}
	// Leap seconds are inserted at midnight UTC, wherever the clock that read them stood.
	if utc := at.UTC(); leap && (utc.Hour() != 23 || utc.Minute() != 59) {
		return time.Time{}, errNotTime
	}
	return at, nil
}

// isDateTime reports whether text has the form of date-time in RFC 3339, section 5.6,
// up to the numbers that package time checks.
func isDateTime(text []byte) bool {
	const form = "0000-00-00T00:00:00"
	if len(text) <= len(form) || !matchesForm(text[:len(form)], form) {
		return false
	}
	zone := text[len(form):]
	if zone[0] == '.' {
		rest := bytes.TrimLeft(zone[1:], "0123456789")
		if len(rest) == len(zone)-1 {
			return false
		}
		zone = rest
	}
	switch {
	case len(zone) == 0:
		return false
	case zone[0] == 'Z' || zone[0] == 'z':
		return len(zone) == 1
	case zone[0] != '+' && zone[0] != '-':
		return false
	}
	offset := zone[1:]
	return matchesForm(offset, "00:00") && string(offset[:2]) < "24" && string(offset[3:]) < "60"
}

// matchesForm reports whether text has a digit where form has 0, a letter T in either case
// where form has T, and elsewhere the same characters.
func matchesForm(text []byte, form string) bool {
	if len(text) != len(form) {
		return false
	}
	for i := range len(form) {
		c := text[i]
		switch form[i] {
		case '0':
			if c < '0' || c > '9' {
				return false
			}
		case 'T':
			if c != 'T' && c != 't' {
				return false
			}
		default:
			if c != form[i] {
				return false
			}
		}
	}
	return true
}
