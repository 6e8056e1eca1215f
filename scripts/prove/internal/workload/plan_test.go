package workload

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"example.com/todo/scripts/prove/internal/history"
)

func TestNewPlanDrawsOperationsByTheirPercentages(t *testing.T) {
	t.Parallel()
	const calls, hot = 20_000, 20
	n, shared, titles := map[history.Operation]int{}, 0, map[string]bool{}
	for i := range calls {
		p := newPlan(1, i, hot, 1)
		n[p.operation]++
		if p.hot >= 0 {
			shared++
			if i >= hot && (p.operation == history.Create || p.operation == history.Delete) {
				t.Fatalf("call %d: %s of a hot task", i, p.operation)
			}
		}
		if titles[p.title] || !utf8.ValidString(p.title) || strings.ContainsFunc(p.title, unicode.IsControl) ||
			strings.TrimSpace(p.title) != p.title || utf8.RuneCountInString(p.title) > 500 {
			t.Fatalf("call %d: title %q", i, p.title)
		}
		titles[p.title] = true
	}
	for operation, want := range map[history.Operation]int{
		history.Create: 25, history.Update: 25, history.Complete: 30, history.Reopen: 15, history.Delete: 5,
	} {
		if got := n[operation] * 100 / calls; got < want-1 || got > want+1 {
			t.Errorf("%s: %d of a hundred, want %d", operation, got, want)
		}
	}
	if shared < calls/6 {
		t.Errorf("%d of %d calls are for hot tasks", shared, calls)
	}
}
