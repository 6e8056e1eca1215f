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
}

func testCount(s fixture) {
	var ids []int64
	for range 5 {
		ids = append(ids, s.create("Learn Go", 0).Task.ID)
	}
	for _, step := range []struct {
		change func()
		want   task.Counts
	}{
		{func() {}, task.Counts{Total: 5, Open: 5}},
		{func() { s.update(ids[0], apply(eventID(), task.Change{Done: new(true)}, start)) }, task.Counts{Total: 5, Open: 4, Done: 1}},
		{func() { s.update(ids[3], apply(eventID(), task.Change{Done: new(true)}, start)) }, task.Counts{Total: 5, Open: 3, Done: 2}},
		{func() { s.update(ids[3], apply(eventID(), task.Change{Done: new(false)}, start)) }, task.Counts{Total: 5, Open: 4, Done: 1}},
		{func() { s.update(ids[0], remove(eventID(), start)) }, task.Counts{Total: 4, Open: 4}},
	} {
		step.change()
		got, err := s.Count(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		s.wantEqual("counts", step.want, got)
	}
}

// Two of three tasks share their priority, so that the order by id is seen, too.
func testOrder(s fixture) {
	var ids []int64
	for i, priority := range []int{50, 0, 100, 50, 0, 7, 50, 100, 0} {
		ids = append(ids, s.create("Learn Go", priority).Task.ID)
		if i%2 == 1 {
			s.update(ids[i], apply(eventID(), task.Change{Done: new(true)}, start))
		}
	}
	pick := func(indexes ...int) (picked []int64) {
		for _, i := range indexes {
			picked = append(picked, ids[i])
		}
		return picked
	}
	at := func(o task.Order, i, priority int) task.Query {
		return task.Query{Order: o, After: ids[i], AfterPriority: priority}
	}
	limited := func(q task.Query, offset, limit int, done *bool, part string) task.Query {
		q.Offset, q.Limit, q.Done, q.Contains = offset, limit, done, part
		return q
	}
	const up, down, newest = task.ByPriority, task.ByPriorityDescending, task.ByIDDescending
	for name, tt := range map[string]struct {
		q    task.Query
		want []int64
	}{
		"no order":                    {limited(task.Query{}, 0, 9, nil, ""), ids},
		"by id":                       {limited(task.Query{Order: task.ByID}, 0, 9, nil, ""), ids},
		"by id, after":                {limited(at(task.ByID, 6, 0), 0, 9, nil, ""), ids[7:]},
		"-id":                         {limited(task.Query{Order: newest}, 0, 9, nil, ""), pick(8, 7, 6, 5, 4, 3, 2, 1, 0)},
		"-id, after":                  {limited(at(newest, 3, 0), 0, 2, nil, ""), pick(2, 1)},
		"-id, after the first":        {limited(at(newest, 0, 0), 0, 2, nil, ""), nil},
		"-id, done, offset":           {limited(at(newest, 8, 0), 1, 2, new(true), ""), pick(5, 3)},
		"priority":                    {limited(task.Query{Order: up}, 0, 9, nil, ""), pick(1, 4, 8, 5, 0, 3, 6, 2, 7)},
		"priority, one page":          {limited(task.Query{Order: up}, 0, 4, nil, ""), pick(1, 4, 8, 5)},
		"priority, after":             {limited(at(up, 0, 50), 0, 3, nil, ""), pick(3, 6, 2)},
		"priority, after one of 0":    {limited(at(up, 4, 0), 0, 2, nil, ""), pick(8, 5)},
		"priority, after the last":    {limited(at(up, 7, 100), 0, 9, nil, ""), nil},
		"priority, offset":            {limited(at(up, 1, 0), 3, 2, nil, ""), pick(0, 3)},
		"priority, done":              {limited(task.Query{Order: up}, 0, 9, new(true), ""), pick(1, 5, 3, 7)},
		"priority, open, after":       {limited(at(up, 8, 0), 1, 2, new(false), ""), pick(6, 2)},
		"-priority":                   {limited(task.Query{Order: down}, 0, 9, nil, ""), pick(2, 7, 0, 3, 6, 5, 1, 4, 8)},
		"-priority, one page":         {limited(task.Query{Order: down}, 0, 3, nil, ""), pick(2, 7, 0)},
		"-priority, after":            {limited(at(down, 3, 50), 0, 3, nil, ""), pick(6, 5, 1)},
		"-priority, after the last":   {limited(at(down, 8, 0), 0, 9, nil, ""), nil},
		"-priority, offset":           {limited(task.Query{Order: down}, 7, 9, nil, ""), pick(4, 8)},
		"-priority, offset past it":   {limited(task.Query{Order: down}, task.MaxOffset, 9, nil, ""), nil},
		"-priority, done":             {limited(task.Query{Order: down}, 0, 9, new(true), ""), pick(7, 3, 5, 1)},
		"-priority, open, after":      {limited(at(down, 0, 50), 0, 2, new(false), ""), pick(6, 4)},
		"-priority, found":            {limited(at(down, 7, 100), 0, 2, nil, "learn"), pick(0, 3)},
		"-priority, open and found":   {limited(task.Query{Order: down}, 1, 2, new(false), "GO"), pick(0, 6)},
		"-priority, found nowhere":    {limited(task.Query{Order: down}, 0, 9, nil, "rust"), nil},
		"after a task that is gone":   {limited(task.Query{Order: down, After: ids[5], AfterPriority: 60}, 0, 2, nil, ""), pick(0, 3)},
		"after a priority of no task": {limited(task.Query{Order: up, After: ids[8] + 1, AfterPriority: 50}, 0, 9, nil, ""), pick(2, 7)},
	} {
		s.wantIDs(name, tt.q, tt.want...)
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
		e := task.Event{ID: eventID(), Type: task.Updated, Owner: s.owner, At: start.Add(time.Duration(i+1) * time.Minute)}
		e.Task = s.update(id, apply(e.ID, task.Change{Priority: new(i + 1)}, e.At))
		all = append(all, e)
	}
	deleted := task.Event{ID: eventID(), Type: task.Deleted, Owner: s.owner, At: start.Add(time.Hour)}
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
