package event

import (
	"errors"
	"strings"
	"time"
)

var errNoTime = errors.New("not a time of RFC 3339")

// parseTime reads a time as RFC 3339 writes it, with t and z in either case. A leap
// second is taken as the second before it.
func parseTime(text string) (time.Time, error) {
	// time.Parse is laxer than RFC 3339 in digits, commas and offsets, so the form is
	// checked here and time.Parse only finds days that do not exist.
	if !isDateTime(text) {
		return time.Time{}, errNoTime
	}
	text = strings.ToUpper(text)
	const second = len("2006-01-02T15:04:")
	before, after := text[:second], text[second+2:]
	leap := text[second:second+2] == "60"
	if leap {
		text = before + "59" + after
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errNoTime
	}
	// Leap seconds are inserted at midnight UTC, wherever the clock that read them stood.
	if utc := at.UTC(); leap && (utc.Hour() != 23 || utc.Minute() != 59) {
		return time.Time{}, errNoTime
	}
	return at, nil
}

// isDateTime reports whether text has the form of date-time in RFC 3339, section 5.6,
// up to the numbers that time.Parse checks.
func isDateTime(text string) bool {
	const form = "0000-00-00T00:00:00"
	if len(text) <= len(form) || !hasForm(text[:len(form)], form) {
		return false
	}
	zone := text[len(form):]
	if zone[0] == '.' {
		rest := strings.TrimLeft(zone[1:], "0123456789")
		if len(rest) == len(zone)-1 {
			return false
		}
		zone = rest
	}
	switch {
	case zone == "Z" || zone == "z":
		return true
	case zone == "" || zone[0] != '+' && zone[0] != '-':
		return false
	}
	offset := zone[1:]
	return hasForm(offset, "00:00") && offset[:2] < "24" && offset[3:] < "60"
}

// hasForm reports whether text has a digit where form has 0, a letter T in either case
// where form has T, and elsewhere the same characters.
func hasForm(text, form string) bool {
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
