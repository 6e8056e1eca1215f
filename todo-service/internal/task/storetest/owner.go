package storetest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// owned is what an owner has.
type owned struct {
	Tasks  []task.Task
	Counts task.Counts
	Events [][]task.Event // of each of the ids 1 to the highest
}

// fillOthers creates tasks of each other owner, in many states, and returns what they have.
func (s fixture) fillOthers() []owned {
	for _, other := range s.others {
		for i, title := range []string{"Learn Go", "50% done", "snake_case", "Another", "Learn Go", "Café 100%"} {
			e := other.created(title, i*20, start)
			e.Task.ID = other.store(e, other.parseKey(fmt.Sprintf("k%d", i))).ID
			if i%2 == 0 {
				other.update(e.Task.ID, apply(eventID(), task.Change{Done: new(true)}, start))
			}
			if i == 4 {
				other.update(e.Task.ID, remove(eventID(), start))
			}
		}
		other.store(other.created("Learn Go", 0, start), other.parseKey("k"))
	}
	return s.readOthers()
}

// readOthers returns what each other owner has.
func (s fixture) readOthers() (all []owned) {
	for _, other := range s.others {
		var has owned
		var err error
		if has.Tasks, err = other.List(s.Context(), task.Query{Limit: math.MaxInt32}); err != nil {
			s.Fatal(err)
		}
		if has.Counts, err = other.Count(s.Context()); err != nil {
			s.Fatal(err)
		}
		for id := int64(1); id <= has.Tasks[len(has.Tasks)-1].ID; id++ {
			has.Events = append(has.Events, other.history(id))
		}
		all = append(all, has)
	}
	return all
}

// anyOf returns a task of the owner.
func (s fixture) anyOf() task.Task {
	s.Helper()
	tasks, err := s.List(s.Context(), task.Query{Limit: 1})
	if err != nil || len(tasks) != 1 {
		s.Fatalf("got %d tasks, error %v", len(tasks), err)
	}
	return tasks[0]
}

// Every method answers for another's task exactly as for one that does not exist.
func testAnothersTask(s fixture) {
	own := s.create("Learn Go", 5)
	for _, other := range s.others {
		id := other.anyOf().ID
		_, err := s.Get(s.Context(), id)
		s.wantEqual("error of Get", task.NotFoundError(id).Error(), fmt.Sprint(err))
		s.wantKind(err, apperr.NotFound)
		_, err = s.Update(s.Context(), id, func(*task.Task) (*task.Event, error) {
			s.Error("change was called for another's task")
			return nil, nil
		})
		s.wantEqual("error of Update", task.NotFoundError(id).Error(), fmt.Sprint(err))
		s.wantKind(err, apperr.NotFound)
		s.wantEqual("history", []task.Event{}, s.history(id))
	}
	for _, q := range everyQuery(own.Task) {
		tasks, err := s.List(s.Context(), q)
		if err != nil || slices.ContainsFunc(tasks, func(t task.Task) bool { return t != own.Task }) {
			s.Errorf("%+v: got %+v, error %v", q, tasks, err)
		}
	}
	s.wantEqual("the whole list", []task.Task{own.Task}, s.list(task.Query{Limit: 100}))
	s.wantTasks(1)
}

// everyQuery returns a query for each order, filter and kind of position.
func everyQuery(last task.Task) (all []task.Query) {
	for _, order := range []task.Order{"", task.ByID, task.ByIDDescending, task.ByPriority, task.ByPriorityDescending} {
		for _, done := range []*bool{nil, new(true), new(false)} {
			for _, contains := range []string{"", "learn", "100%", "caf"} {
				for _, after := range []task.Task{{}, {ID: 1}, last, {ID: math.MaxInt64, Priority: 50}} {
					all = append(all, task.Query{Order: order, Done: done, Contains: contains, After: after.ID, AfterPriority: after.Priority, Limit: 100})
				}
			}
		}
	}
	return all
}

func (s fixture) list(q task.Query) []task.Task {
	s.Helper()
	tasks, err := s.List(s.Context(), q)
	if err != nil {
		s.Fatal(err)
	}
	return tasks
}

// Two owners use one key at the same time: each has a task, and later the same one.
func testAnothersKey(s fixture) {
	key := s.parseKey("k") // the others have used it, too
	own := s.store(s.created("Mine", 3, start), key)
	s.wantEqual("repetition", own, s.store(s.created("Mine", 3, start.Add(time.Hour)), key))
	s.wantEqual("the whole list", []task.Task{own}, s.list(task.Query{Limit: 100}))
	for _, other := range s.others {
		again := other.store(other.created("Learn Go", 0, start.Add(time.Hour)), key)
		if again.ID == own.ID || again.Title != "Learn Go" {
			s.Errorf("the repetition of owner %d got %+v", other.owner, again)
		}
	}
}

// A client cannot choose the id of an event. If it could, another's would tell nothing.
func testAnothersEvent(s fixture) {
	own := s.create("Learn Go", 1)
	for _, other := range s.others {
		theirs := other.history(other.anyOf().ID)[0]
		for _, key := range []task.IdempotencyKey{noKey, s.parseKey("k")} {
			taken := s.created("Mine", 1, start)
			taken.ID = theirs.ID
			if got, err := s.Create(s.Context(), taken, key); err == nil || got.ID != 0 && got.ID == theirs.Task.ID || got.Title == theirs.Task.Title {
				s.Errorf("a creation with another's event id got %+v, error %v", got, err)
			}
		}
		got, err := s.Update(s.Context(), own.Task.ID, apply(theirs.ID, task.Change{Done: new(true)}, start))
		if err == nil || got.ID == theirs.Task.ID {
			s.Errorf("a change with another's event id got %+v, error %v", got, err)
		}
	}
	s.wantStored(own.Task, own)
	s.wantTasks(1)
}
