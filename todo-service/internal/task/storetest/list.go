package storetest

import (
	"math"
	"time"

	"example.com/todo/todo-service/internal/task"
)

func testList(s fixture) {
	all, err := s.List(s.Context(), task.Query{Limit: 10})
	if err != nil || all == nil || len(all) != 0 {
		s.Fatalf("an empty store listed %#v, error %v", all, err)
	}
	var ids []int64
	for i := range 6 { // the even ones are completed, in another order
		ids = append(ids, s.create("Learn Go", i).Task.ID)
	}
	for _, i := range []int{4, 0, 2} {
		s.update(ids[i], apply(eventID(), task.Change{Done: new(true)}, start))
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
		{"after everything", task.Query{After: math.MaxInt64, Limit: 2}, nil},
		{"offset", task.Query{Offset: 4, Limit: 10}, ids[4:]},
		{"offset and after", task.Query{Offset: 1, After: ids[2], Limit: 1}, ids[4:5]},
		{"offset past the end", task.Query{Offset: task.MaxOffset, Limit: 10}, nil},
		{"done", task.Query{Done: new(true), Limit: 10}, []int64{ids[0], ids[2], ids[4]}},
		{"open", task.Query{Done: new(false), Limit: 10}, []int64{ids[1], ids[3], ids[5]}},
		{"done, a later page", task.Query{Done: new(true), After: ids[0], Offset: 1, Limit: 1}, ids[4:5]},
	} {
		s.wantIDs(tt.name, tt.q, tt.want...)
	}
	for done, want := range map[*bool]int64{nil: 6, new(true): 3, new(false): 3} {
		if got, err := s.Count(s.Context(), done); err != nil || got != want {
			s.Errorf("counted %d, want %d, error %v", got, want, err)
		}
	}
}

func testSearch(s fixture) {
	ids := map[string]int64{}
	for _, title := range []string{"Learn Go", "50% done", "500 done", "snake_case", "snakeXcase", `back\slash`, "Gopher"} {
		ids[title] = s.create(title, 0).Task.ID
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
		s.wantIDs(part, task.Query{Contains: part, Limit: 10}, wantedIDs...)
	}
	s.wantIDs("with every filter", task.Query{Contains: "o", Done: new(false), After: ids["Learn Go"], Offset: 1, Limit: 1}, ids["500 done"])

	// task.New normalizes titles, so the title of an older version is set directly.
	old := s.created("Cafe 100%", 0, start)
	old.Task.Title = "Cafe\u0301 100%"
	decomposed := s.store(old, noKey).ID
	for _, part := range []string{"caf\u00e9", "\u00e9 1", "100%"} {
		s.wantIDs(part, task.Query{Contains: part, Limit: 10}, decomposed)
	}
	s.wantIDs("another accent", task.Query{Contains: "\u00e8", Limit: 10})
}

func (s fixture) wantIDs(name string, q task.Query, want ...int64) {
	s.Helper()
	tasks, err := s.List(s.Context(), q)
	if err != nil {
		s.Errorf("%s: %v", name, err)
		return
	}
	var got []int64
	for _, listed := range tasks {
		got = append(got, listed.ID)
	}
	s.wantEqual(name, want, got)
}

func testHistoryPages(s fixture) {
	all := []task.Event{s.create("Learn Go", 0)}
	id := all[0].Task.ID
	s.create("Another", 0)
	for i := range 4 {
		e := task.Event{ID: eventID(), Type: task.Updated, At: start.Add(time.Duration(i+1) * time.Minute)}
		e.Task = s.update(id, apply(e.ID, task.Change{Priority: new(i + 1)}, e.At))
		all = append(all, e)
	}
	deleted := task.Event{ID: eventID(), Type: task.Deleted, At: start.Add(time.Hour)}
	deleted.Task = s.update(id, remove(deleted.ID, deleted.At))
	all = append(all, deleted)
	for _, page := range []struct {
		after int64
		limit int
		want  []task.Event
	}{
		{0, 2, all[:2]},
		{2, 2, all[2:4]},
		{4, 2, all[4:]},
		{4, 1, all[4:5]},
		{5, 100, all[5:]},
		{6, 1, []task.Event{}},
		{math.MaxInt64, 1, []task.Event{}},
	} {
		got, err := s.History(s.Context(), id, page.after, page.limit)
		if err != nil {
			s.Fatal(err)
		}
		s.wantEqual("page", page.want, got)
	}
}
