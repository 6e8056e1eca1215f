package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/todo-service/internal/task"
)

func testList(t *testing.T, s task.Store) {
	all, err := s.List(t.Context(), task.Query{Limit: 10})
	if err != nil || all == nil || len(all) != 0 {
		t.Fatalf("an empty store listed %#v, error %v", all, err)
	}
	var ids []int64
	for i := range 6 { // the even ones are completed, in another order
		ids = append(ids, create(t, s, "Learn Go", i).Task.ID)
	}
	for _, i := range []int{4, 0, 2} {
		if _, err := s.Update(t.Context(), ids[i], apply(eventID(), task.Change{Done: new(true)}, start)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		q    task.Query
		want []int64
	}{
		{"all", task.Query{Limit: 10}, ids},
		{"as many as there are", task.Query{Limit: 6}, ids},
		{"the first", task.Query{Limit: 2}, ids[:2]},
		{"after", task.Query{After: ids[1], Limit: 2}, ids[2:4]},
		{"after the last", task.Query{After: ids[5], Limit: 2}, nil},
		{"after everything", task.Query{After: 1<<63 - 1, Limit: 2}, nil},
		{"offset", task.Query{Offset: 4, Limit: 10}, ids[4:]},
		{"offset and after", task.Query{Offset: 1, After: ids[2], Limit: 1}, ids[4:5]},
		{"offset past the end", task.Query{Offset: task.MaxOffset, Limit: 10}, nil},
		{"done", task.Query{Done: new(true), Limit: 10}, []int64{ids[0], ids[2], ids[4]}},
		{"open", task.Query{Done: new(false), Limit: 10}, []int64{ids[1], ids[3], ids[5]}},
		{"done, a later page", task.Query{Done: new(true), After: ids[0], Offset: 1, Limit: 1}, ids[4:5]},
	} {
		wantIDs(t, s, tt.name, tt.q, tt.want)
	}
	for done, want := range map[*bool]int64{nil: 6, new(true): 3, new(false): 3} {
		if got, err := s.Count(t.Context(), done); err != nil || got != want {
			t.Errorf("counted %d, want %d, error %v", got, want, err)
		}
	}
}

func testSearch(t *testing.T, s task.Store) {
	ids := map[string]int64{}
	for _, title := range []string{"Learn Go", "50% done", "500 done", "snake_case", "snakeXcase", `back\slash`, "Gopher"} {
		ids[title] = create(t, s, title, 0).Task.ID
	}
	for part, want := range map[string][]string{
		"go":    {"Learn Go", "Gopher"},
		"LEARN": {"Learn Go"},
		"n G":   {"Learn Go"},
		"50%":   {"50% done"},
		"%":     {"50% done"},
		"e_c":   {"snake_case"},
		"_":     {"snake_case"},
		`\`:     {`back\slash`},
		`\s`:    {`back\slash`},
		"'":     nil,
		"rust":  nil,
	} {
		var wantedIDs []int64
		for _, title := range want {
			wantedIDs = append(wantedIDs, ids[title])
		}
		wantIDs(t, s, part, task.Query{Contains: part, Limit: 10}, wantedIDs)
	}
	// task.New normalizes titles, so the title of an older version is set directly.
	old := created(t, "Cafe 100%", 0)
	old.Task.Title = "Cafe\u0301 100%"
	stored, err := s.Create(t.Context(), old, task.IdempotencyKey{})
	if err != nil {
		t.Fatal(err)
	}
	decomposed := stored.ID
	for part, want := range map[string][]int64{"caf\u00e9": {decomposed}, "\u00e9 1": {decomposed}, "100%": {decomposed}, "\u00e8": nil} {
		wantIDs(t, s, part, task.Query{Contains: part, Limit: 10}, want)
	}
	wantIDs(t, s, "with every filter", task.Query{Contains: "o", Done: new(false), After: ids["Learn Go"], Offset: 1, Limit: 1},
		[]int64{ids["500 done"]})
}

func wantIDs(t *testing.T, s task.Store, name string, q task.Query, want []int64) {
	t.Helper()
	tasks, err := s.List(t.Context(), q)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var got []int64
	for _, listed := range tasks {
		got = append(got, listed.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
