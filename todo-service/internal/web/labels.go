package web

import (
	"fmt"
	"time"
)

// priorityLevel is a range of priorities under one name.
type priorityLevel struct {
	Name  string
	Least int // also the priority of a task that gets this level
}

// priorityLevels divide the priorities from 0 to 100, in ascending order. The script has
// the same table.
var priorityLevels = []priorityLevel{{"low", 0}, {"normal", 1}, {"high", 50}, {"urgent", 75}}

// defaultPriority is the priority that the form for adding has at first.
const defaultPriority = 1

// priorityName returns the name of the level of a priority.
func priorityName(priority int) string {
	name := ""
	for _, level := range priorityLevels {
		if priority >= level.Least {
			name = level.Name
		}
	}
	return name
}

// option is an option of a select element.
type option struct {
	Value    string
	Name     string
	Selected bool
}

// priorityOptions returns an option for each level. The selected one has the given
// priority itself as its value, so that a form that is sent unchanged changes nothing.
func priorityOptions(priority int) []option {
	options := make([]option, len(priorityLevels))
	for i, level := range priorityLevels {
		options[i] = option{Value: fmt.Sprint(level.Least), Name: level.Name}
		if level.Name == priorityName(priority) {
			options[i].Value, options[i].Selected = fmt.Sprint(priority), true
		}
	}
	return options
}

// age returns the time since t in its largest unit, or the day of t after 30 days.
func age(now, t time.Time) string {
	const day = 24 * time.Hour
	switch d := now.Sub(t); {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < 30*day:
		return fmt.Sprintf("%d d", d/day)
	}
	if t.UTC().Year() == now.UTC().Year() {
		return t.UTC().Format("2 Jan")
	}
	return t.UTC().Format("2 Jan 2006")
}

// formatTime returns t as a person reads it. The server does not know the browser's zone.
func formatTime(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// formatMachineTime returns t for the attribute datetime.
func formatMachineTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
