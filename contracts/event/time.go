package event

import (
	"bytes"
	"errors"
	"time"
)

var errNotTime = errors.New("not a time of RFC 3339")

// parseTime parses a time of RFC 3339, with t and z in either case. A leap second becomes
// the second before it.
func parseTime(text []byte) (at time.Time, err error) {
	// Package time accepts digits, commas and offsets that RFC 3339 does not. This checks
	// the form, and package time the ranges of the numbers.
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
	// A leap second is at the end of a day in UTC, whatever the offset of the text.
	if utc := at.UTC(); leap && (utc.Hour() != 23 || utc.Minute() != 59) {
		return time.Time{}, errNotTime
	}
	return at, nil
}

// isDateTime reports whether text has the form of date-time in RFC 3339, section 5.6. It
// does not check the ranges of the date and the time.
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

// matchesForm reports whether text equals form, where 0 stands for any digit and T for a
// letter T in either case.
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
