package consumer_test

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/stats"
)

// fakeTopic has records in the order of their offsets.
type fakeTopic []kafka.Record

func (t fakeTopic) scan(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
	next := map[int32]int64{}
	maps.Copy(next, from)
	skipped := map[int32]bool{}
	for _, record := range t {
		at := record.Partition
		if skipped[at] || record.Offset < from[at] {
			continue
		}
		err := visit(ctx, []kafka.Record{record})
		if errors.Is(err, reader.SkipPartition) {
			skipped[at] = true
			continue
		}
		if err != nil {
			return next, err
		}
		next[at] = record.Offset + 1
	}
	return next, nil
}

// fakeShadow returns the next of live, and of swaps, at each call.
type fakeShadow struct {
	live        []map[int32]int64
	incarnation string // of all offsets
	swaps       []error
	calls       []string
	foreign     map[int32]int64 // of the last swap
}

func (s *fakeShadow) LivePositions(_ context.Context, pause bool) (map[int32]stats.Position, error) {
	s.calls = append(s.calls, map[bool]string{false: "live", true: "pause"}[pause])
	positions := map[int32]stats.Position{}
	for partition, offset := range s.live[0] {
		positions[partition] = stats.Position{Offset: offset, Incarnation: s.incarnation}
	}
	if len(s.live) > 1 {
		s.live = s.live[1:]
	}
	return positions, nil
}

func (s *fakeShadow) Swap(_ context.Context, foreign map[int32]int64) (stats.SwapResult, error) {
	s.calls, s.foreign = append(s.calls, "swap"), foreign
	if len(s.swaps) == 0 {
		return stats.SwapResult{After: 1}, nil
	}
	err := s.swaps[0]
	s.swaps = s.swaps[1:]
	return stats.SwapResult{}, err
}

// position is where the live count of the one partition stands.
func offsetAt(offset int64) map[int32]int64 { return map[int32]int64{partition: offset} }

func rebuild(t *testing.T, c *fakeCounter, s *fakeShadow, sources consumer.Sources) (consumer.Summary, error) {
	t.Helper()
	sources.Group = "counters"
	if sources.DeadLetters == nil {
		sources.DeadLetters = fakeTopic{}.scan
	}
	if sources.OldestOffsets == nil {
		sources.OldestOffsets = offsetsOf(0)
	}
	if sources.LogEndOffsets == nil {
		sources.LogEndOffsets = offsetsOf(10_000)
	}
	sources.Matches = kafka.PartitionLog{TopicID: "a"}.Matches
	return consumer.NewRebuild(c, s, sources, func(int64, int64) {}).Run(t.Context())
}

// offsetsOf returns a function that returns an offset of the only partition.
func offsetsOf(offset int64) func(context.Context) (map[int32]int64, error) {
	return func(context.Context) (map[int32]int64, error) { return offsetAt(offset), nil }
}

func withHeaders(r kafka.Record, headers ...string) kafka.Record {
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, kafka.Header{Key: headers[i], Value: headers[i+1]})
	}
	return r
}

// deadLetter returns the dead letter of a record in full.
func deadLetter(group string, offset int) kafka.Record {
	return deadLetterOf(full[offset], group, offset)
}

func deadLetterOf(record kafka.Record, group string, offset int) kafka.Record {
	return withHeaders(kafka.Record{Key: record.Key, Value: record.Value}, "consumer-group", group, "original-partition", strconv.Itoa(partition), "original-offset", strconv.Itoa(offset))
}

var full = fakeTopic{
	event(0, "task.completed"),
	record(1, "not JSON"),
	event(2, "task.archived"),
	event(3, "task.completed"), // dead-lettered
	withHeaders(event(4, "task.completed"), "replay-group", "others"),
	withHeaders(event(5, "task.completed"), "replay-group", "counters"),
	event(6, "task.completed"),
}

var deadLetters = fakeTopic{deadLetter("counters", 3), deadLetter("others", 0), deadLetter("others", 6), withHeaders(kafka.Record{}, "consumer-group", "counters")}

func TestRebuildStopsAtTheLiveOffsets(t *testing.T) {
	t.Parallel()
	c, s := &fakeCounter{}, &fakeShadow{live: []map[int32]int64{offsetAt(6)}}
	got, err := rebuild(t, c, s, consumer.Sources{Log: full.scan, DeadLetters: deadLetters.scan})
	if err != nil {
		t.Fatal(err)
	}
	var counted []int64
	for _, e := range c.events {
		counted = append(counted, e.Offset)
	}
	if diff := cmp.Diff([]int64{0, 5}, counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if last := c.calls[len(c.calls)-1]; last.Next != 6 {
		t.Errorf("the rebuild ended at %d, want 6", last.Next)
	}
	want := consumer.Summary{Records: 6, Unreadable: 1, Unknown: 1, Excluded: 2, Swap: stats.SwapResult{After: 1}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "Counted", "Duplicates")); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// The service starts at the undecodable record and has yet to dead-letter it.
func TestRebuildWithoutLiveOffsetsStopsAtARecordYetToBeDeadLettered(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		letters fakeTopic
		want    int64
	}{
		"not yet":             {nil, 1},
		"dead-lettered":       {fakeTopic{deadLetter("counters", 1)}, 7},
		"by another group":    {fakeTopic{deadLetter("others", 1)}, 1},
		"another record":      {fakeTopic{deadLetter("counters", 2)}, 1},
		"of an earlier topic": {fakeTopic{deadLetterOf(full[0], "counters", 1)}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := &fakeCounter{}, &fakeShadow{live: []map[int32]int64{{}}}
			if _, err := rebuild(t, c, s, consumer.Sources{Log: full.scan, DeadLetters: test.letters.scan}); err != nil {
				t.Fatal(err)
			}
			if last := c.calls[len(c.calls)-1]; last.Next != test.want {
				t.Errorf("the rebuild ended at %d, want %d", last.Next, test.want)
			}
		})
	}
}

// Only the live handler dead-letters undecodable records, and it has not read this log yet.
func TestRebuildIgnoresForeignOffsets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		live        map[int32]int64
		incarnation string
		letters     fakeTopic
		want        int64
		foreign     map[int32]int64
	}{
		"beyond the log's end":                      {offsetAt(900), "", fakeTopic{deadLetter("counters", 1)}, 7, offsetAt(900)},
		"far beyond it":                             {offsetAt(9_000_000), "", fakeTopic{deadLetter("counters", 1)}, 7, offsetAt(9_000_000)},
		"beyond a record yet to be dead-lettered":   {offsetAt(900), "id a", nil, 1, offsetAt(900)},
		"in an earlier topic":                       {offsetAt(5), "id before a", nil, 1, offsetAt(5)},
		"in a partition that the log does not have": {map[int32]int64{9: 3}, "id a", nil, 1, map[int32]int64{9: 3}},
		"in this log":                               {offsetAt(5), "id a", nil, 5, map[int32]int64{}},
		"in this log, without an incarnation":       {offsetAt(5), "", nil, 5, map[int32]int64{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := &fakeCounter{}, &fakeShadow{live: []map[int32]int64{test.live}, incarnation: test.incarnation}
			if _, err := rebuild(t, c, s, consumer.Sources{Log: full.scan, DeadLetters: test.letters.scan, LogEndOffsets: offsetsOf(7)}); err != nil {
				t.Fatal(err)
			}
			if last := c.calls[len(c.calls)-1]; last.Next != test.want {
				t.Errorf("the rebuild ended at %d, want %d", last.Next, test.want)
			}
			if diff := cmp.Diff(test.foreign, s.foreign); diff != "" {
				t.Errorf("foreign (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRebuildPausesTheLiveCountersOnlyForTheLastRecords(t *testing.T) {
	t.Parallel()
	var long fakeTopic
	for offset := range int64(9_000) {
		long = append(long, event(offset, "task.created"))
	}
	c := &fakeCounter{}
	s := &fakeShadow{
		live:  []map[int32]int64{offsetAt(4_000), offsetAt(7_000), offsetAt(7_500), offsetAt(8_000), offsetAt(8_100), offsetAt(8_200)},
		swaps: []error{stats.ErrLiveAhead},
	}
	if _, err := rebuild(t, c, s, consumer.Sources{Log: long.scan}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"live", "live", "live", "pause", "swap", "live", "pause", "swap"}, s.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last := c.calls[len(c.calls)-1]; last.Next != 8_200 {
		t.Errorf("the rebuild ended at %d, want 8200", last.Next)
	}
}

func TestRebuildFailsWhenItNeverCatchesUp(t *testing.T) {
	t.Parallel()
	s := &fakeShadow{live: []map[int32]int64{offsetAt(1)}}
	for range 1_000 {
		s.swaps = append(s.swaps, stats.ErrLiveAhead)
	}
	if _, err := rebuild(t, &fakeCounter{}, s, consumer.Sources{Log: full.scan}); err == nil {
		t.Error("no error")
	}
}

func TestRebuildFailsOnAGapUnlessItIsAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		log    fakeTopic
		oldest int64
		live   map[int32]int64
	}{
		"the first records were deleted": {full[2:], 2, offsetAt(6)},
		"all records were deleted":       {nil, 7, offsetAt(6)},
		"and more were deleted":          {full[2:], 3, offsetAt(6)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
				next, err := test.log.scan(ctx, from, visit)
				next[partition] = max(next[partition], 7)
				return next, err
			}
			s := &fakeShadow{live: []map[int32]int64{test.live}}
			_, err := rebuild(t, &fakeCounter{}, s, consumer.Sources{Log: ends, OldestOffsets: offsetsOf(test.oldest)})
			if !errors.Is(err, consumer.ErrGap) {
				t.Errorf("got %v, want ErrGap", err)
			}
			c := &fakeCounter{}
			if _, err := rebuild(t, c, s, consumer.Sources{Log: ends, OldestOffsets: offsetsOf(test.oldest), AcceptGap: true}); err != nil {
				t.Fatal(err)
			}
			if s.calls[len(s.calls)-1] != "swap" {
				t.Errorf("no swap: %v", s.calls)
			}
		})
	}
}

// Aborted records and transaction markers have offsets, but no reader receives them.
func TestRebuildCountsFromTheLogStartWithoutARecordThere(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]fakeTopic{"before the first record": full[2:], "in the whole partition": nil} {
		c, s := &fakeCounter{}, &fakeShadow{live: []map[int32]int64{offsetAt(7)}}
		scan := func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
			next, err := log.scan(ctx, from, visit)
			next[partition] = 7
			return next, err
		}
		if _, err := rebuild(t, c, s, consumer.Sources{Log: scan}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if first, last := c.calls[0], c.calls[len(c.calls)-1]; first.From != 0 || last.Next != 7 {
			t.Errorf("%s: counted from %d to %d, want 0 to 7", name, first.From, last.Next)
		}
	}
}

// Each attempt returns the next error.
func TestRebuildSurvivesLostReplies(t *testing.T) {
	t.Parallel()
	lost := errors.New("the reply was lost")
	tests := map[string]struct {
		errs        []error
		resumePoint stats.ResumePoint // returned afterwards
		want        error
	}{
		"not counted":              {[]error{nil, lost, lost}, stats.ResumePoint{}, nil},
		"counted":                  {[]error{nil, lost, stats.ErrOffsetMismatch}, stats.ResumePoint{Offset: 1}, nil},
		"the shadow is gone":       {[]error{nil, stats.ErrOffsetMismatch}, stats.ResumePoint{Offset: 0, Recount: stats.NothingKnown}, consumer.ErrShadowLost},
		"the shadow is elsewhere":  {[]error{nil, stats.ErrOffsetMismatch}, stats.ResumePoint{Offset: 9}, consumer.ErrShadowLost},
		"Redis does not come back": {append([]error{nil}, repeat(lost, 100)...), stats.ResumePoint{}, lost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := &fakeCounter{resumePoint: test.resumePoint, errs: test.errs}, &fakeShadow{live: []map[int32]int64{offsetAt(1)}}
				if _, err := rebuild(t, c, s, consumer.Sources{Log: full.scan}); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}

func repeat(err error, times int) (errs []error) {
	for range times {
		errs = append(errs, err)
	}
	return errs
}

func TestRebuildEndsAtOnceWithoutItsLock(t *testing.T) {
	t.Parallel()
	s := &fakeShadow{live: []map[int32]int64{offsetAt(1)}, swaps: []error{stats.ErrLockLost}}
	if _, err := rebuild(t, &fakeCounter{}, s, consumer.Sources{Log: full.scan}); !errors.Is(err, stats.ErrLockLost) {
		t.Errorf("got %v, want ErrLockLost", err)
	}
	s = &fakeShadow{live: []map[int32]int64{offsetAt(1)}, swaps: []error{stats.ErrOffsetMismatch}}
	if _, err := rebuild(t, &fakeCounter{}, s, consumer.Sources{Log: full.scan}); !errors.Is(err, consumer.ErrShadowLost) {
		t.Errorf("got %v, want ErrShadowLost", err)
	}
}
