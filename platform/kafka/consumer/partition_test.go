package consumer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
)

func TestHandlerMayHandleABatchInParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var began []int64
		start := time.Now()
		p := startConsumer(t, scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
			began = append(began, batch[0].Offset)
			return (len(batch) + 1) / 2, nil
		}}, 10, 11, 12, 13, 14)
		synctest.Wait()
		if diff := cmp.Diff([]int64{10, 13, 14}, began); diff != "" || p.lastCommitted() != 15 {
			t.Errorf("committed %v, began at (-want +got):\n%s", p.committed, diff)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("%v were spent on delays", took)
		}
		p.endSession()
	})
}

func TestAHandlerThatHandlesNothingIsRetriedAfterADelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		p := startConsumer(t, scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
			if calls.Add(1) == 1 {
				return 0, nil
			}
			return len(batch), nil
		}}, 10, 11)
		if synctest.Wait(); calls.Load() != 1 {
			t.Errorf("%d calls without a delay", calls.Load())
		}
		if advanceClock(2 * retryBackoff.Min); calls.Load() != 2 || p.lastCommitted() != 12 {
			t.Errorf("%d calls, committed %v", calls.Load(), p.committed)
		}
		p.endSession()
	})
}

func TestIdlePartitionVerifiesTheStoredOffset(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer int64
		err    error
		fenced bool
	}{
		"where the handler was left":    {answer: 12},
		"past records it was not shown": {answer: 13},
		"at the next record to read":    {answer: 14},
		"moved back":                    {answer: 11, fenced: true},
		"lost":                          {answer: 0, fenced: true},
		"moved ahead":                   {answer: 15, fenced: true},
		"no stored offset":              {answer: -1},
		"away":                          {answer: 0, err: errors.New("the store is unavailable")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := startConsumer(t, scriptedHandler{handle: handleAll, start: func(oldest, newest int64) (int64, error) {
					if oldest != 0 || newest != 100 {
						t.Errorf("asked with the log from %d to %d", oldest, newest)
					}
					return test.answer, test.err
				}})
				replayed := func(offset int64) {
					p.batches <- recordBatch{next: offset + 1, records: []kafka.Record{
						{Offset: offset, Headers: []kafka.Header{{Key: headers.ReplayGroup, Value: "others"}}},
					}}
				}
				p.send(10, 11)
				replayed(12) // 12 and 13 the handler does not see
				advanceClock(idleInterval - time.Second)
				replayed(13)
				advanceClock(idleInterval - time.Second)
				if ended, _ := p.ended(); ended {
					t.Fatal("a busy partition asked")
				}
				advanceClock(2 * time.Second)
				ended, err := p.ended()
				if ended != test.fenced || test.fenced && !errors.Is(err, ErrFenced) {
					t.Errorf("ended: %v, with %v", ended, err)
				}
				if p.lastCommitted() != 14 {
					t.Errorf("committed %v, want 14 at last", p.committed)
				}
			})
		})
	}
}

// Its answer would bind the store to the earlier topic again.
func TestIdlePartitionOfAReplacedTopicEndsBeforeItAsksTheOffsetStore(t *testing.T) {
	t.Parallel()
	away := errors.New("Kafka is unavailable")
	for name, test := range map[string]struct {
		found, now string
		err        error
		asked      bool
		ends       bool
	}{
		"the same topic":             {found: "a", now: "a", asked: true},
		"another topic":              {found: "a", now: "b", ends: true},
		"brokers without ids":        {asked: true},
		"brokers that get ids":       {now: "b", asked: true},
		"while Kafka is unavailable": {found: "a", err: away},
		"brokers that lose ids":      {found: "a", asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := false
			group := newTestGroup(scriptedHandler{}, nil)
			c := &partitionConsumer{
				group: group, log: group.log, sessionCtx: t.Context(),
				currentTopicID:    func(context.Context) (string, error) { return test.now, test.err },
				partitionPosition: partitionPosition{logAtStart: kafka.PartitionLog{TopicID: test.found}},
			}
			err := c.verifyStoredOffset(scriptedHandler{start: func(int64, int64) (int64, error) { asked = true; return -1, nil }})
			if asked != test.asked || errors.Is(err, errTopicReplaced) != test.ends || err != nil && !test.ends {
				t.Errorf("asked: %t, %v", asked, err)
			}
		})
	}
}

func TestRetryDelaysGrowAndEndWithTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		p := startConsumer(t, scriptedHandler{handle: func(context.Context, []kafka.Record) (int, error) {
			attempts = append(attempts, time.Now())
			return 0, errors.New("the store is unavailable")
		}})
		p.send(10)
		advanceClock(2 * time.Minute)
		delay := retryBackoff.Min
		for i := 1; i < len(attempts); i++ {
			most := min(delay*3/2, 10*time.Second)
			if gap := attempts[i].Sub(attempts[i-1]); gap < delay/2 || gap > most {
				t.Errorf("delay %d is %v, want %v to %v", i, gap, delay/2, most)
			}
			delay = min(2*delay, retryBackoff.Max)
		}
		if len(attempts) < 12 || len(p.committed) > 0 {
			t.Errorf("%d attempts, committed %v", len(attempts), p.committed)
		}
		before := time.Now()
		p.endSession()
		if ended, err := p.ended(); !ended || err != nil || time.Since(before) > 0 {
			t.Errorf("ended: %v with %v after %v", ended, err, time.Since(before))
		}
	})
}

func TestAttemptsAreCountedPerRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := make(map[int64]int)
		p := startConsumer(t, scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
			for i, record := range batch {
				if attempts[record.Offset]++; attempts[record.Offset] < 3 {
					return i, errors.New("not yet")
				}
			}
			return len(batch), nil
		}})
		p.send(10, 11, 12)
		advanceClock(time.Minute)
		if diff := cmp.Diff(map[int64]int{10: 3, 11: 3, 12: 3}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if !slices.IsSorted(p.committed) || p.lastCommitted() != 13 {
			t.Errorf("committed %v", p.committed)
		}
	})
}

func TestOnlyPanicsOfItsOwnDeadLetterARecord(t *testing.T) {
	t.Parallel()
	steps := func(kind byte, count int) string { return strings.Repeat(string(kind), count) }
	for name, test := range map[string]struct {
		ways      []string // per record from 10 on, how its attempts end: 'e' in an error, 'p' in a panic, 's' well
		committed int64
	}{
		"panics after many passing failures": {[]string{steps('e', 9) + "ps"}, 11},
		"panics among passing failures":      {[]string{"pepepeep" + "s"}, 11},
		"panics of the record before":        {[]string{steps('p', 4) + "s", "ps"}, 12},
		"five in a row":                      {[]string{steps('p', 5)}, 0},
		"five among passing failures":        {[]string{"ee" + "pepepepep"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				left := slices.Clone(test.ways)
				p := startConsumer(t, scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
					way := &left[batch[0].Offset-10]
					if *way == "" {
						t.Error("tried again after its last panic")
						return 1, nil
					}
					step := (*way)[0]
					*way = (*way)[1:]
					switch step {
					case 'e':
						return 0, errors.New("the store is unavailable")
					case 'p':
						panic("stepped on it")
					}
					return 1, nil
				}})
				for i := range test.ways {
					p.send(10 + int64(i))
					advanceClock(10 * time.Minute)
				}
				// Without a broker the dead letter is never acknowledged, so its record is held.
				if p.lastCommitted() != test.committed || strings.Join(left, "") != "" {
					t.Errorf("committed %v, want %d at last; attempts left: %q", p.committed, test.committed, left)
				}
			})
		})
	}
}

func TestABatchThatPanicsIsRetriedRecordByRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts [][]int64
		panics := 2
		p := startConsumer(t, scriptedHandler{handle: func(_ context.Context, batch []kafka.Record) (int, error) {
			var offsets []int64
			for _, record := range batch {
				offsets = append(offsets, record.Offset)
			}
			attempts = append(attempts, offsets)
			if slices.Contains(offsets, 11) && panics > 0 {
				panics--
				panic("stepped on it")
			}
			return len(batch), nil
		}}, 10, 11, 12)
		advanceClock(time.Minute)
		if diff := cmp.Diff([][]int64{{10, 11, 12}, {10}, {11}, {11}, {12}}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if p.lastCommitted() != 13 {
			t.Errorf("committed %v, want 13 at last", p.committed)
		}
	})
}

func TestResultsThatBreakTheHandlersContractAreRetried(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		count     int
		err       error
		retry     bool
		committed int64
	}{
		"more than given":            {count: 3, retry: true},
		"less than none":             {count: -1, retry: true},
		"some without an error":      {count: 1, retry: true, committed: 11},
		"some with an error":         {count: 1, err: broken, retry: true, committed: 11},
		"all with an error about it": {count: 2, err: broken, committed: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				p := startConsumer(t, scriptedHandler{handle: func(context.Context, []kafka.Record) (int, error) {
					if calls++; calls > 1 {
						return 0, broken
					}
					return test.count, test.err
				}}, 10, 11)
				advanceClock(time.Second)
				if calls > 1 != test.retry {
					t.Errorf("%d calls", calls)
				}
				if p.lastCommitted() != test.committed {
					t.Errorf("committed %v, want %d", p.committed, test.committed)
				}
			})
		})
	}
}

func TestABatchInProgressMayFinishAfterItsSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		takes     time.Duration
		committed bool
	}{
		"for a while":   {drainTimeout - time.Second, true},
		"not for ever":  {drainTimeout + time.Second, false},
		"with retrying": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := startConsumer(t, scriptedHandler{handle: func(ctx context.Context, batch []kafka.Record) (int, error) {
					if test.takes == 0 {
						return 0, errors.New("the store is unavailable")
					}
					select {
					case <-time.After(test.takes):
						return len(batch), nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				}})
				p.send(10, 11)
				synctest.Wait()
				p.endSession()
				advanceClock(drainTimeout + 2*time.Second)
				if ended, err := p.ended(); !ended || err != nil {
					t.Errorf("ended: %v with %v", ended, err)
				}
				if committed := len(p.committed) > 0; committed != test.committed {
					t.Errorf("committed %v", p.committed)
				}
			})
		})
	}
}

func TestAReadErrorEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := startConsumer(t, scriptedHandler{handle: handleAll})
		p.batches <- recordBatch{err: errors.New("the offset is not in the log")}
		if ended, err := p.ended(); !ended || err == nil {
			t.Errorf("ended: %v with %v", ended, err)
		}
	})
}
