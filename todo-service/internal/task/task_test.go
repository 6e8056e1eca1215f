package task_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

var (
	early = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	late  = early.Add(time.Hour)
)

func TestTitleIsNormalizedOrRefused(t *testing.T) {
	t.Parallel()
	const (
		control   = "must not contain control characters"
		invisible = "must contain a visible character"
	)
	tests := []struct {
		name, title, want, problem string
	}{
		{name: "plain", title: "Learn Go", want: "Learn Go"},
		{name: "trimmed", title: " \t\r\n\u00a0\u0085Learn Go\u3000\n", want: "Learn Go"},
		{name: "spaces inside stay", title: "Learn  Go", want: "Learn  Go"},
		{name: "one character", title: "é", want: "é"},
		{name: "500 characters", title: strings.Repeat("ü", 500), want: strings.Repeat("ü", 500)},
		{name: "500 characters of four bytes", title: strings.Repeat("🐹", 500), want: strings.Repeat("🐹", 500)},
		{name: "500 characters after trimming", title: " " + strings.Repeat("x", 500) + " ", want: strings.Repeat("x", 500)},
		{name: "501 characters", title: strings.Repeat("ü", 501), problem: "must have at most 500 characters, has 501"},
		{name: "empty", title: "", problem: "must not be empty"},
		{name: "blank", title: " \t\u2003\n", problem: "must not be empty"},
		{name: "invalid UTF-8", title: "Learn \xff", problem: "must be valid UTF-8"},
		{name: "half a character", title: "Learn \xf0\x9f\x90", problem: "must be valid UTF-8"},
		{name: "surrogate", title: "Learn \xed\xa0\x80", problem: "must be valid UTF-8"},
		{name: "NUL", title: "Learn\x00Go", problem: control},
		{name: "NUL at the end", title: "Learn Go\x00", problem: control},
		{name: "tab inside", title: "Learn\tGo", problem: control},
		{name: "newline inside", title: "Learn\nGo", problem: control},
		{name: "escape", title: "Learn \x1b[31mGo", problem: control},
		{name: "DEL", title: "Learn\x7fGo", problem: control},
		{name: "C1", title: "Learn\u0080Go", problem: control},
		{name: "last of C1", title: "Learn\u009fGo", problem: control},

		{name: "composed", title: "Cafe\u0301", want: "Caf\u00e9"},
		{name: "composed from marks in another order", title: "a\u0323\u0302", want: "\u1ead"},
		{name: "composed Hangul", title: "\u1112\u1161\u11ab", want: "\ud55c"},
		{name: "a singleton", title: "5 k\u2126 \u212b", want: "5 k\u03a9 \u00c5"},
		{name: "no compatibility composition", title: "\ufb01x \u2460", want: "\ufb01x \u2460"},
		{name: "500 characters after composition", title: strings.Repeat("e\u0301", 500), want: strings.Repeat("\u00e9", 500)},
		{name: "501 characters after composition", title: strings.Repeat("e\u0301", 501), problem: "must have at most 500 characters, has 501"},
		{name: "501 characters that composition makes", title: strings.Repeat("\u0958", 250) + "x", problem: "must have at most 500 characters, has 501"},
		{name: "a mark behind a blank", title: " \u0301a", want: "\u0301a"},

		{name: "a zero width space", title: "\u200b", problem: invisible},
		{name: "an override", title: "\u202e", problem: invisible},
		{name: "a Hangul filler", title: "\u3164", problem: invisible},
		{name: "a Hangul filler of half width", title: "\uffa0", problem: invisible},
		{name: "Hangul fillers of syllables", title: "\u115f\u1160", problem: invisible},
		{name: "a blank Braille pattern", title: "\u2800", problem: invisible},
		{name: "a soft hyphen", title: "\u00ad", problem: invisible},
		{name: "a byte order mark", title: "\ufeff", problem: invisible},
		{name: "word and grapheme joiners", title: "\u2060\u034f\u200d\u200c", problem: invisible},
		{name: "marks alone", title: "\u0301\u20dd", problem: invisible},
		{name: "a spacing mark alone", title: "\u093e", problem: invisible},
		{name: "tag characters", title: "\U000e0001\U000e0041\U000e007f", problem: invisible},
		{name: "variation selectors", title: "\ufe0f\U000e0100\u180b", problem: invisible},
		{name: "isolates", title: "\u2066\u2069\u200e\u061c", problem: invisible},
		{name: "line separators and filler", title: "\u3164\u2028\u3164", problem: invisible},
		{name: "blanks between", title: "\u200b \u2800\u00a0\u200b", problem: invisible},
		{name: "blanks of music and hieroglyphs", title: "\U0001d159\U00013441\U00013442", problem: invisible},
		{name: "unassigned and ignored", title: "\u2065\ufff0\U000e0fff", problem: invisible},
		{name: "noncharacters", title: "\uffff\ufdd0\U0010fffe", problem: invisible},
		{name: "invisible and visible", title: "\u200bA\u3164", want: "\u200bA\u3164"},
		{name: "a mark on something", title: "x\u0488", want: "x\u0488"},
		{name: "a family", title: "\U0001f468\u200d\U0001f469\ufe0f", want: "\U0001f468\u200d\U0001f469\ufe0f"},
		{name: "a flag", title: "\U0001f1f1\U0001f1fb", want: "\U0001f1f1\U0001f1fb"},
		{name: "an Arabic number sign", title: "\u0600", want: "\u0600"},
		{name: "private use", title: "\uf8ff", want: "\uf8ff"},
		{name: "unassigned", title: "\U0001faff", want: "\U0001faff"},
		{name: "punctuation", title: "!", want: "!"},
		{name: "half a width of a blank Braille", title: "\u2801", want: "\u2801"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := task.New(tt.title, 0, early)
			if tt.problem == "" {
				if err != nil {
					t.Fatal(err)
				}
				want := task.Task{Title: tt.want, CreatedAt: early, Version: 1}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("task (-want +got):\n%s", diff)
				}
				return
			}
			wantInvalid(t, err, apperr.Field{Name: "title", Problem: tt.problem})

			before := task.Task{ID: 1, Title: "before", CreatedAt: early, Version: 4}
			after := before
			_, err = after.Apply(task.Change{Title: &tt.title}, late)
			wantInvalid(t, err, apperr.Field{Name: "title", Problem: tt.problem})
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("a refused change altered the task (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPriorityOutOfBoundsIsRefused(t *testing.T) {
	t.Parallel()
	const problem = "must be from 0 to 100"
	for priority, problem := range map[int]string{
		-1: problem, 0: "", 1: "", 100: "", 101: problem, -1 << 63: problem, 1<<63 - 1: problem,
	} {
		got, err := task.New("Learn Go", priority, early)
		if problem != "" {
			wantInvalid(t, err, apperr.Field{Name: "priority", Problem: problem})
		} else if err != nil || got.Priority != priority {
			t.Errorf("priority %d: got %d, error %v", priority, got.Priority, err)
		}
	}
}

func TestNewNamesEveryInvalidField(t *testing.T) {
	t.Parallel()
	_, err := task.New("", 101, early)
	wantInvalid(t, err,
		apperr.Field{Name: "title", Problem: "must not be empty"},
		apperr.Field{Name: "priority", Problem: "must be from 0 to 100"})
	if want := "title must not be empty; priority must be from 0 to 100"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestNewStoresTimesInUTCWithMicroseconds(t *testing.T) {
	t.Parallel()
	local := time.Date(2026, 1, 15, 12, 0, 0, 123_456_789, time.FixedZone("east", 2*60*60))
	got, err := task.New("Learn Go", 0, local)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 1, 15, 10, 0, 0, 123_456_000, time.UTC); got.CreatedAt != want {
		t.Errorf("got %v, want %v", got.CreatedAt, want)
	}
}

func TestApplyChangesTheTaskAndReturnsItsEvent(t *testing.T) {
	t.Parallel()
	open := task.Task{ID: 1, Title: "Learn Go", Priority: 1, CreatedAt: early, Version: 1}
	done := task.Task{ID: 1, Title: "Learn Go", Priority: 1, Done: true, CreatedAt: early, CompletedAt: &early, Version: 2}
	title, priority, yes, no := "Learn more Go", 7, true, false
	same, padded, one := "Learn Go", "  Learn Go ", 1
	composed, decomposed := "Caf\u00e9", "Cafe\u0301"
	cafe := task.Task{ID: 1, Title: composed, CreatedAt: early, Version: 1}
	old := task.Task{ID: 1, Title: decomposed, CreatedAt: early, Version: 1} // from before titles were stored in NFC

	tests := []struct {
		name   string
		before task.Task
		change task.Change
		event  task.EventType
		after  task.Task
	}{
		{"nothing", open, task.Change{}, "", open},
		{"the same", open, task.Change{Title: &same, Priority: &one, Done: &no}, "", open},
		{"the same after trimming", open, task.Change{Title: &padded}, "", open},
		{"the same after composition", cafe, task.Change{Title: &decomposed}, "", cafe},
		{"an old title, composed", old, task.Change{Title: &decomposed}, task.Updated,
			task.Task{ID: 1, Title: composed, CreatedAt: early, Version: 2}},
		{"the priority of a task with an old title", old, task.Change{Priority: &one}, task.Updated,
			task.Task{ID: 1, Title: decomposed, Priority: 1, CreatedAt: early, Version: 2}},
		{"completing a done task", done, task.Change{Done: &yes}, "", done},
		{"title", open, task.Change{Title: &title}, task.Updated,
			task.Task{ID: 1, Title: title, Priority: 1, CreatedAt: early, Version: 2}},
		{"title of a done task", done, task.Change{Title: &title, Done: &yes}, task.Updated,
			task.Task{ID: 1, Title: title, Priority: 1, Done: true, CreatedAt: early, CompletedAt: &early, Version: 3}},
		{"priority", open, task.Change{Priority: &priority}, task.Updated,
			task.Task{ID: 1, Title: "Learn Go", Priority: 7, CreatedAt: early, Version: 2}},
		{"complete", open, task.Change{Done: &yes}, task.Completed,
			task.Task{ID: 1, Title: "Learn Go", Priority: 1, Done: true, CreatedAt: early, CompletedAt: &late, Version: 2}},
		{"complete and rename", open, task.Change{Title: &title, Priority: &priority, Done: &yes}, task.Completed,
			task.Task{ID: 1, Title: title, Priority: 7, Done: true, CreatedAt: early, CompletedAt: &late, Version: 2}},
		{"reopen", done, task.Change{Done: &no}, task.Reopened,
			task.Task{ID: 1, Title: "Learn Go", Priority: 1, CreatedAt: early, Version: 3}},
		{"reopen and rename", done, task.Change{Title: &title, Done: &no}, task.Reopened,
			task.Task{ID: 1, Title: title, Priority: 1, CreatedAt: early, Version: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			after := tt.before
			event, err := after.Apply(tt.change, late)
			if err != nil {
				t.Fatal(err)
			}
			if event != tt.event {
				t.Errorf("got event %q, want %q", event, tt.event)
			}
			if diff := cmp.Diff(tt.after, after); diff != "" {
				t.Errorf("task (-want +got):\n%s", diff)
			}
		})
	}
}

func wantInvalid(t *testing.T, err error, want ...apperr.Field) {
	t.Helper()
	var refusal *apperr.Error
	if !errors.As(err, &refusal) || refusal.Kind != apperr.Invalid {
		t.Fatalf("got %v, want apperr.Invalid with %v", err, want)
	}
	if diff := cmp.Diff(want, refusal.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
