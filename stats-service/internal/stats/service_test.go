package stats_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/stats-service/internal/stats"
)

func TestServiceCountsCompletionsByTheirDedupKeys(t *testing.T) {
	t.Parallel()
	when := time.Date(2024, 1, 15, 23, 30, 0, 0, time.FixedZone("", -3600)) // the 16th in UTC
	events := []stats.Event{
		{Type: "task.created", DedupKey: "a", Timestamp: when, Offset: 100},
		{Type: "task.completed", DedupKey: "b", Timestamp: when, Offset: 101},
		{Type: "task.reopened", DedupKey: "c", Timestamp: when, Offset: 102},
		{Type: "task.completed", DedupKey: "d", User: "7", Timestamp: when, Offset: 103},
		{Type: "task.deleted", DedupKey: "e", Timestamp: when, Offset: 104},
	}
	s := &fakeStore{}
	tally, err := stats.NewService(s, fakeLogEnds{}, 6, time.Now).Count(t.Context(), 3, 100, 107, events)
	if err != nil {
		t.Fatal(err)
	}
	if tally.Counted != 2 {
		t.Errorf("%d counted, want 2", tally.Counted)
	}
	want := []stats.Batch{{Partition: 3, From: 100, Next: 107, Completions: []stats.Completion{
		{DedupKey: "b", Day: "2024-01-16", Offset: 101},
		{DedupKey: "d", User: "7", Day: "2024-01-16", Offset: 103},
	}}}
	if diff := cmp.Diff(want, s.applied); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The stored offset must advance, otherwise each restart would read the batch again.
func TestServiceAppliesABatchWithoutCompletions(t *testing.T) {
	t.Parallel()
	s := &fakeStore{}
	if _, err := stats.NewService(s, fakeLogEnds{}, 6, time.Now).Count(t.Context(), 0, 5, 6, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]stats.Batch{{Partition: 0, From: 5, Next: 6}}, s.applied); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCountReturnsAnOffsetMismatch(t *testing.T) {
	t.Parallel()
	s := &fakeStore{err: stats.ErrOffsetMismatch}
	if _, err := stats.NewService(s, fakeLogEnds{}, 6, time.Now).Count(t.Context(), 0, 5, 6, nil); !errors.Is(err, stats.ErrOffsetMismatch) {
		t.Errorf("got %v, want ErrOffsetMismatch", err)
	}
}

func TestServiceResumesAtTheStoredOffsetOrRecounts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stored int64
		log    stats.LogRange // as given by the caller
		ends   fakeLogEnds    // as requested
		want   stats.ResumePoint
	}{
		"in the log":                {5, stats.LogRange{Oldest: 0, Newest: 9}, nil, stats.ResumePoint{Offset: 5}},
		"at its start":              {3, stats.LogRange{Oldest: 3, Newest: 9}, nil, stats.ResumePoint{Offset: 3}},
		"at its end":                {9, stats.LogRange{Oldest: 3, Newest: 9}, nil, stats.ResumePoint{Offset: 9}},
		"the given end is outdated": {20, stats.LogRange{Oldest: 0, Newest: 9}, fakeLogEnds{0: 20}, stats.ResumePoint{Offset: 20}},
		"the stored offset is beyond the end": {
			20, stats.LogRange{Oldest: 0, Newest: 9}, fakeLogEnds{0: 10},
			stats.ResumePoint{Offset: 0, Recount: stats.OutsideLog, Stored: 20},
		},
		"the stored offset is before the start": {
			2, stats.LogRange{Oldest: 3, Newest: 9}, fakeLogEnds{0: 10},
			stats.ResumePoint{Offset: 3, Recount: stats.OutsideLog, Stored: 2},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := stats.NewService(&fakeStore{stored: test.stored}, test.ends, 1, time.Now)
			got, err := service.Resume(t.Context(), 0, test.log)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestServiceResetsCountersOfAnotherTopic(t *testing.T) {
	t.Parallel()
	kafkaDown := errors.New("kafka is down")
	matches := func(_ context.Context, incarnation string) (bool, error) {
		if incarnation == "unknown" {
			return false, kafkaDown
		}
		return incarnation != "id old", nil
	}
	for name, test := range map[string]struct {
		stored      int64
		incarnation string
		want        stats.ResumePoint
		err         error
	}{
		"of this log":                    {5, "id new", stats.ResumePoint{Offset: 5, Incarnation: "id new"}, nil},
		"of an earlier version":          {5, "", stats.ResumePoint{Offset: 5}, nil},
		"of another log":                 {5, "id old", stats.ResumePoint{Recount: stats.AnotherTopic, Stored: 5}, nil},
		"of another log, beyond the end": {20, "id old", stats.ResumePoint{Recount: stats.AnotherTopic, Stored: 20}, nil},
		"while Kafka is down":            {5, "unknown", stats.ResumePoint{}, kafkaDown},
	} {
		service := stats.NewService(&fakeStore{stored: test.stored, incarnation: test.incarnation}, fakeLogEnds{0: 9}, 1, time.Now)
		got, err := service.Resume(t.Context(), 0, stats.LogRange{Newest: 9, Matches: matches})
		if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.err) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// A member that has not detected the new topic yet may still count the old one.
func TestServiceReturnsAMismatchWhenTheOffsetMovesDuringAReset(t *testing.T) {
	t.Parallel()
	matches := func(_ context.Context, incarnation string) (bool, error) { return incarnation != "id old", nil }
	for name, s := range map[string]*fakeStore{
		"of another log":  {stored: 5, incarnation: "id old", moved: true},
		"outside the log": {stored: 20, moved: true},
	} {
		service := stats.NewService(s, fakeLogEnds{0: 9}, 1, time.Now)
		if got, err := service.Resume(t.Context(), 0, stats.LogRange{Newest: 9, Matches: matches}); !errors.Is(err, stats.ErrOffsetMismatch) {
			t.Errorf("%s: %+v, %v; want ErrOffsetMismatch", name, got, err)
		}
	}
}

func TestBatchHasTheIncarnationOfItsLastEvent(t *testing.T) {
	t.Parallel()
	s := &fakeStore{}
	events := []stats.Event{{Type: "task.completed", Incarnation: "record 5 a"}, {Type: "task.created", Incarnation: "record 6 b"}}
	if _, err := stats.NewService(s, fakeLogEnds{}, 6, time.Now).Count(t.Context(), 0, 5, 7, events); err != nil {
		t.Fatal(err)
	}
	if got := s.applied[0].Incarnation; got != "record 6 b" {
		t.Errorf("the incarnation is %q", got)
	}
}

func TestServiceDoesNotResumeWhileTheLogEndIsUnknown(t *testing.T) {
	t.Parallel()
	service := stats.NewService(&fakeStore{stored: 20}, fakeLogEnds(nil), 1, time.Now)
	if _, err := service.Resume(t.Context(), 0, stats.LogRange{Newest: 9}); err == nil {
		t.Error("no error although the log-end offsets are unknown")
	}
}
