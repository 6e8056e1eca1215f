package checker

import (
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// sprintf is fmt.Sprintf with commas between the thousands of a number.
func sprintf(format string, args ...any) string {
	return message.NewPrinter(language.English).Sprintf(format, args...)
}

// formatTime formats a time for the details of a check.
func formatTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }
