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

// topic is a fake one; what it holds is in order.
type topic []kafka.Record

func (t topic) scan(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
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

// shadow is a fake; each asking takes the next of live, and of swaps.
type shadow struct {
	live    []map[int32]int64
	origin  string // of all of them
	swaps   []error
	calls   []string
	foreign map[int32]int64 // as the last swap was told
}

func (s *shadow) next(call string) (map[int32]stats.Place, error) {
	s.calls = append(s.calls, call)
	places := map[int32]stats.Place{}
	for partition, offset := range s.live[0] {
		places[partition] = stats.Place{Offset: offset, Origin: s.origin}
	}
	if len(s.live) > 1 {
		s.live = s.live[1:]
	}
	return places, nil
}

func (s *shadow) Live(context.Context) (map[int32]stats.Place, error) { return s.next("live") }
func (s *shadow) Hold(context.Context) (map[int32]stats.Place, error) { return s.next("hold") }
func (s *shadow) Swap(_ context.Context, foreign map[int32]int64) (stats.Swap, error) {
	s.calls, s.foreign = append(s.calls, "swap"), foreign
	if len(s.swaps) == 0 {
		return stats.Swap{After: 1}, nil
	}
	err := s.swaps[0]
	s.swaps = s.swaps[1:]
	return stats.Swap{}, err
}

// at is where the live count of the one partition stands.
func at(offset int64) map[int32]int64 { return map[int32]int64{partition: offset} }

func rebuild(t *testing.T, c *counter, s *shadow, sources consumer.Sources) (consumer.Summary, error) {
	t.Helper()
	sources.Group = "counters"
	if sources.DeadLetters == nil {
		sources.DeadLetters = topic{}.scan
	}
	if sources.Oldest == nil {
		sources.Oldest = begins(0)
	}
	if sources.Ends == nil {
		sources.Ends = begins(10_000)
	}
	sources.Owns = kafka.PartitionLog{TopicID: "a"}.Matches
	return consumer.NewRebuild(c, s, sources, func(int64, int64) {}).Run(t.Context())
}

// begins is the start of the one partition's log, or its end.
func begins(offset int64) func(context.Context) (map[int32]int64, error) {
	return func(context.Context) (map[int32]int64, error) { return at(offset), nil }
}

func headed(r kafka.Record, headers ...string) kafka.Record {
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, kafka.Header{Key: headers[i], Value: headers[i+1]})
	}
	return r
}

// letter is the dead letter of a record of the topic.
func letter(group string, offset int) kafka.Record {
	return letterOf(full[offset], group, offset)
}

func letterOf(record kafka.Record, group string, offset int) kafka.Record {
	return headed(kafka.Record{Key: record.Key, Value: record.Value}, "consumer-group", group, "original-partition", strconv.Itoa(partition), "original-offset", strconv.Itoa(offset))
}

var full = topic{
	event(0, "task.completed"),
	record(1, "rubbish"),
	event(2, "task.archived"),
	event(3, "task.completed"), // dead-lettered
	headed(event(4, "task.completed"), "replay-group", "others"),
	headed(event(5, "task.completed"), "replay-group", "counters"),
	event(6, "task.completed"),
}

var letters = topic{letter("counters", 3), letter("others", 0), letter("others", 6), headed(kafka.Record{}, "consumer-group", "counters")}

func TestARebuildGoesAsFarAsTheLiveCount(t *testing.T) {
	t.Parallel()
	c, s := &counter{}, &shadow{live: []map[int32]int64{at(6)}}
	got, err := rebuild(t, c, s, consumer.Sources{Log: full.scan, DeadLetters: letters.scan})
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
		t.Errorf("it ended at %d, want 6", last.Next)
	}
	want := consumer.Summary{Records: 6, Unreadable: 1, Unknown: 1, NotOurs: 2, Swap: stats.Swap{After: 1}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "Counted", "Duplicates")); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// The service has yet to put the rubbish aside: it begins there.
func TestWithoutALiveCountARebuildStopsAtWhatIsYetToBeDeadLettered(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		letters topic
		want    int64
	}{
		"not yet":                       {nil, 1},
		"put aside":                     {topic{letter("counters", 1)}, 7},
		"by others":                     {topic{letter("others", 1)}, 1},
		"another one":                   {topic{letter("counters", 2)}, 1},
		"of a topic that was made anew": {topic{letterOf(full[0], "counters", 1)}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := &counter{}, &shadow{live: []map[int32]int64{{}}}
			if _, err := rebuild(t, c, s, consumer.Sources{Log: full.scan, DeadLetters: test.letters.scan}); err != nil {
				t.Fatal(err)
			}
			if last := c.calls[len(c.calls)-1]; last.Next != test.want {
				t.Errorf("it ended at %d, want %d", last.Next, test.want)
			}
		})
	}
}

// Nobody but the live count dead-letters what is unreadable, and that has not been
// in this log yet.
func TestARebuildDoesNotGoByAPlaceInAnotherLog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		live    map[int32]int64
		origin  string
		letters topic
		want    int64
		foreign map[int32]int64
	}{
		"beyond the log's end":                 {at(900), "", topic{letter("counters", 1)}, 7, at(900)},
		"far beyond it":                        {at(9_000_000), "", topic{letter("counters", 1)}, 7, at(9_000_000)},
		"beyond what is yet to be put aside":   {at(900), "id a", nil, 1, at(900)},
		"in an earlier topic":                  {at(5), "id before a", nil, 1, at(5)},
		"in a partition that it has not":       {map[int32]int64{9: 3}, "id a", nil, 1, map[int32]int64{9: 3}},
		"in this log":                          {at(5), "id a", nil, 5, map[int32]int64{}},
		"in this log, says an earlier version": {at(5), "", nil, 5, map[int32]int64{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := &counter{}, &shadow{live: []map[int32]int64{test.live}, origin: test.origin}
			if _, err := rebuild(t, c, s, consumer.Sources{Log: full.scan, DeadLetters: test.letters.scan, Ends: begins(7)}); err != nil {
				t.Fatal(err)
			}
			if last := c.calls[len(c.calls)-1]; last.Next != test.want {
				t.Errorf("it ended at %d, want %d", last.Next, test.want)
			}
			if diff := cmp.Diff(test.foreign, s.foreign); diff != "" {
				t.Errorf("foreign (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLiveCountIsHeldOnlyWhenLittleIsLeft(t *testing.T) {
	t.Parallel()
	var long topic
	for offset := range int64(9_000) {
		long = append(long, event(offset, "task.created"))
	}
	c := &counter{}
	s := &shadow{
		live:  []map[int32]int64{at(4_000), at(7_000), at(7_500), at(8_000), at(8_100), at(8_200)},
		swaps: []error{stats.ErrLiveAhead},
	}
	if _, err := rebuild(t, c, s, consumer.Sources{Log: long.scan}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"live", "live", "live", "hold", "swap", "live", "hold", "swap"}, s.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last := c.calls[len(c.calls)-1]; last.Next != 8_200 {
		t.Errorf("it ended at %d, want 8200", last.Next)
	}
}

func TestARebuildThatNeverCatchesUpGivesUp(t *testing.T) {
	t.Parallel()
	s := &shadow{live: []map[int32]int64{at(1)}}
	for range 1_000 {
		s.swaps = append(s.swaps, stats.ErrLiveAhead)
	}
	if _, err := rebuild(t, &counter{}, s, consumer.Sources{Log: full.scan}); err == nil {
		t.Error("it says it succeeded")
	}
}

func TestARebuildForgetsNothingUnasked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		log    topic
		oldest int64
		live   map[int32]int64
	}{
		"the first records are gone": {full[2:], 2, at(6)},
		"all records are gone":       {nil, 7, at(6)},
		"and some meanwhile":         {full[2:], 3, at(6)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
				next, err := test.log.scan(ctx, from, visit)
				next[partition] = max(next[partition], 7)
				return next, err
			}
			s := &shadow{live: []map[int32]int64{test.live}}
			_, err := rebuild(t, &counter{}, s, consumer.Sources{Log: ends, Oldest: begins(test.oldest)})
			var gap *consumer.GapError
			if !errors.As(err, &gap) || gap.Partition != partition {
				t.Errorf("got %v, want a GapError", err)
			}
			c := &counter{}
			if _, err := rebuild(t, c, s, consumer.Sources{Log: ends, Oldest: begins(test.oldest), AcceptGap: true}); err != nil {
				t.Fatal(err)
			}
			if s.calls[len(s.calls)-1] != "swap" {
				t.Errorf("no swap: %v", s.calls)
			}
		})
	}
}

// Aborted records and transactions' markers have offsets, and nothing to count.
func TestARebuildCountsFromTheLogsStartWhereNoReaderIsGivenARecord(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]topic{"before the first record": full[2:], "in the whole partition": nil} {
		c, s := &counter{}, &shadow{live: []map[int32]int64{at(7)}}
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

// A fake's tries each take one of its errors.
func TestARebuildOutlivesAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	lost := errors.New("the answer was lost")
	tests := map[string]struct {
		errs      []error
		beginning stats.ResumePoint // said after the loss
		want      error
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
				c, s := &counter{beginning: test.beginning, errs: test.errs}, &shadow{live: []map[int32]int64{at(1)}}
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

func TestARebuildWithoutItsLockEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := &shadow{live: []map[int32]int64{at(1)}, swaps: []error{stats.ErrLockLost}}
	if _, err := rebuild(t, &counter{}, s, consumer.Sources{Log: full.scan}); !errors.Is(err, stats.ErrLockLost) {
		t.Errorf("got %v, want ErrUnlocked", err)
	}
	s = &shadow{live: []map[int32]int64{at(1)}, swaps: []error{stats.ErrOffsetMismatch}}
	if _, err := rebuild(t, &counter{}, s, consumer.Sources{Log: full.scan}); !errors.Is(err, consumer.ErrShadowLost) {
		t.Errorf("got %v, want ErrShadowLost", err)
	}
}
