package task_test

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// FuzzKey checks that a key is the same bare and quoted, and everything else is invalid.
func FuzzKey(f *testing.F) {
	for _, value := range []string{"8e03978e", `"8e03978e"`, `"a\"b\\c"`, `"a\b"`, `"`, `""`, "a b", "é", "\x7f", `a"b`} {
		f.Add(value)
	}
	visible := regexp.MustCompile(`^[!-~]{1,255}$`)
	f.Fuzz(func(t *testing.T, value string) {
		key, err := task.ParseIdempotencyKey([]string{value})
		if err != nil {
			if apperr.Of(err).Kind != apperr.Invalid {
				t.Errorf("%q: %v", value, err)
			}
			return
		}
		if !visible.MatchString(key.String()) {
			t.Errorf("%q is the key %q", value, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key.String()) + `"`
		if again, err := task.ParseIdempotencyKey([]string{quoted}); err != nil || again != key {
			t.Errorf("%q is the key %q, %q the key %q, %v", value, key, quoted, again, err)
		}
	})
}

// FuzzCursor checks that a cursor is accepted if it is the one that a task within the bounds
// has in this order, and only then.
func FuzzCursor(f *testing.F) {
	for _, cursor := range []string{"", "0", "7", "07", "-1", "9223372036854775807", "9223372036854775808", "priority.5.7", "-priority.5.7", "priority.5",
		"priority.101.7", "priority.-1.7", "priority.5.0", "priority.05.7", "priority.5.7.", "priority.5.-7", "priority..7", "id.7"} {
		for _, order := range []string{"", "id", "-id", "priority", "-priority", "title"} {
			f.Add(order, cursor)
		}
	}
	form := map[task.Order]*regexp.Regexp{
		task.ByPriority:           regexp.MustCompile(`^priority\.(?:[1-9]?[0-9]|100)\.[1-9][0-9]*$`),
		task.ByPriorityDescending: regexp.MustCompile(`^-priority\.(?:[1-9]?[0-9]|100)\.[1-9][0-9]*$`),
	}
	number := regexp.MustCompile(`^(?:0|[1-9][0-9]*)$`)
	f.Fuzz(func(t *testing.T, order, cursor string) {
		q := task.Query{Order: task.Order(order)}
		problem := q.SetAfter(cursor)
		shape := cmp.Or(form[q.Order], number)
		_, overflow := strconv.ParseInt(cursor[strings.LastIndex(cursor, ".")+1:], 10, 64)
		if valid := shape.MatchString(cursor) && overflow == nil; valid != (problem == "") {
			t.Errorf("order %q: the cursor %q has the problem %q", order, cursor, problem)
		}
		if last := (task.Task{ID: q.After, Priority: q.AfterPriority}); problem == "" && q.Order.Cursor(last) != cursor {
			t.Errorf("order %q: the cursor %q became the position %+v", order, cursor, last)
		}
		if problem != "" && q != (task.Query{Order: q.Order}) {
			t.Errorf("order %q: the refused cursor %q left %+v", order, cursor, q)
		}
	})
}

// FuzzTitle checks that New normalizes a title to NFC, trims it, and changes nothing else.
func FuzzTitle(f *testing.F) {
	for _, title := range []string{"Learn Go", " \t\u00a0x\u3000\n", "\x1cA", "\xff", "\x00", strings.Repeat("ü", task.MaxTitle),
		"Cafe\u0301", "\u1112\u1161\u11ab", "\u0958", "\u200b", "x" + strings.Repeat("\u0301", 40), " \u0301", "\u2000x\u2001"} {
		f.Add(title)
	}
	f.Fuzz(func(t *testing.T, title string) {
		made, err := task.New(title, 0, early)
		if err != nil {
			return
		}
		again, err := task.New(made.Title, 0, early)
		if err != nil || again.Title != made.Title || !strings.Contains(norm.NFC.String(title), made.Title) || !norm.NFC.IsNormalString(made.Title) {
			t.Errorf("%q became %q, then %q, %v", title, made.Title, again.Title, err)
		}
	})
}
