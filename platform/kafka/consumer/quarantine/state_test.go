package quarantine

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/platform/kafka"
)

// crashCounts takes pairs of an offset and a count.
func crashCounts(pairs ...int64) map[int64]int {
	counts := map[int64]int{}
	for i := 0; i < len(pairs); i += 2 {
		counts[pairs[i]] = int(pairs[i+1])
	}
	return counts
}

func TestTakenOverMakesRecordsInFlightSuspects(t *testing.T) {
	t.Parallel()
	const position = 10
	for name, test := range map[string]struct{ found, want State }{
		"nothing in flight":                  {State{}, State{}},
		"a batch":                            {State{InFlight: OffsetRange{10, 15}}, State{Suspects: OffsetRange{10, 15}}},
		"a batch, partly done":               {State{InFlight: OffsetRange{8, 15}}, State{Suspects: OffsetRange{10, 15}}},
		"a batch, done but for one":          {State{InFlight: OffsetRange{8, 11}}, State{Suspects: OffsetRange{10, 11}}},
		"a batch that was done":              {State{InFlight: OffsetRange{5, 10}}, State{}},
		"a record alone":                     {State{InFlight: OffsetRange{10, 11}}, State{Suspects: OffsetRange{10, 11}, Crashes: crashCounts(10, 1)}},
		"a record alone that was done":       {State{InFlight: OffsetRange{9, 10}, Suspects: OffsetRange{9, 12}, Crashes: crashCounts(9, 4)}, State{Suspects: OffsetRange{10, 12}, Crashes: crashCounts()}},
		"the first suspect":                  {State{InFlight: OffsetRange{20, 21}, Suspects: OffsetRange{20, 30}}, State{Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 1)}},
		"the first suspect, once more":       {State{InFlight: OffsetRange{20, 21}, Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3)}, State{Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 4)}},
		"another suspect":                    {State{InFlight: OffsetRange{22, 23}, Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3)}, State{Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3, 22, 1)}},
		"a record before the suspects":       {State{InFlight: OffsetRange{12, 13}, Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3)}, State{Suspects: OffsetRange{12, 30}, Crashes: crashCounts(12, 1, 20, 3)}},
		"a batch before the suspects":        {State{InFlight: OffsetRange{12, 18}, Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3)}, State{Suspects: OffsetRange{12, 30}, Crashes: crashCounts(20, 3)}},
		"a batch after the suspects":         {State{InFlight: OffsetRange{40, 50}, Suspects: OffsetRange{20, 30}}, State{Suspects: OffsetRange{20, 50}}},
		"suspects that the handler returned": {State{Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3)}, State{Suspects: OffsetRange{20, 30}, Crashes: crashCounts(20, 3)}},
		"suspects that are done":             {State{Suspects: OffsetRange{5, 9}, Crashes: crashCounts(5, 3)}, State{Crashes: crashCounts()}},
		"suspects that are partly done":      {State{Suspects: OffsetRange{5, 12}, Crashes: crashCounts(5, 3)}, State{Suspects: OffsetRange{10, 12}, Crashes: crashCounts()}},
		"a record alone, of the same owner":  {State{Owner: "me", InFlight: OffsetRange{10, 11}}, State{Owner: "me", Suspects: OffsetRange{10, 11}}},
		"a record that failed":               {State{RetryingOffset: 10, Attempts: 7, Panics: 2}, State{RetryingOffset: 10, Attempts: 7, Panics: 2}},
		"a record that failed before":        {State{RetryingOffset: 9, Attempts: 7, Panics: 2}, State{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.found.takenOver("me", position)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The possible part of a state counts even if another program wrote it.
func TestValidatedDropsWhatIsImpossible(t *testing.T) {
	t.Parallel()
	const end = 100
	for name, test := range map[string]struct {
		found, want State
		all         bool
	}{
		"nothing":                 {State{}, State{}, true},
		"what a reader wrote":     {State{Owner: "x", Revision: 7, InFlight: OffsetRange{90, 100}, Suspects: OffsetRange{10, 99}, Crashes: crashCounts(99, 5), RetryingOffset: 99, Attempts: 9, Panics: 9}, State{Owner: "x", Revision: 7, InFlight: OffsetRange{90, 100}, Suspects: OffsetRange{10, 99}, Crashes: crashCounts(99, 5), RetryingOffset: 99, Attempts: 9, Panics: 9}, true},
		"in flight without end":   {State{InFlight: OffsetRange{10, math.MaxInt64}}, State{InFlight: OffsetRange{10, 100}}, false},
		"in flight later":         {State{InFlight: OffsetRange{100, 101}}, State{}, false},
		"suspected without end":   {State{Suspects: OffsetRange{math.MinInt64, math.MaxInt64}}, State{Suspects: OffsetRange{0, 100}}, false},
		"suspected later":         {State{Suspects: OffsetRange{500, 600}}, State{}, false},
		"the wrong way round":     {State{InFlight: OffsetRange{20, 10}, Suspects: OffsetRange{-7, -9}}, State{}, false},
		"crashes to come":         {State{Crashes: crashCounts(100, 5, 99, 1, -1, 5)}, State{Crashes: crashCounts(99, 1)}, false},
		"crashes by the million":  {State{Crashes: crashCounts(20, 1_000_000)}, State{Crashes: crashCounts()}, false},
		"negative crashes":        {State{Crashes: crashCounts(20, -3)}, State{Crashes: crashCounts()}, false},
		"to fail later":           {State{RetryingOffset: 100, Attempts: 4, Panics: 4}, State{}, false},
		"to have failed never":    {State{RetryingOffset: 20, Attempts: -4}, State{}, false},
		"more panics than tries":  {State{RetryingOffset: 20, Attempts: 1, Panics: 5}, State{}, false},
		"more tries than seconds": {State{RetryingOffset: 20, Attempts: math.MaxInt64}, State{}, false},
	} {
		got, all := test.found.validated(end)
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" || all != test.all {
			t.Errorf("%s: all %t, (-want +got):\n%s", name, all, diff)
		}
	}
}

func TestNextChunkReturnsSuspectsOneByOne(t *testing.T) {
	t.Parallel()
	m := State{Suspects: OffsetRange{20, 23}}
	for _, test := range []struct{ rest, want []int64 }{
		{[]int64{10, 11}, []int64{10, 11}},
		{[]int64{18, 19, 20, 21}, []int64{18, 19}},
		{[]int64{18, 21, 22}, []int64{18}},
		{[]int64{20, 21, 22, 23}, []int64{20}},
		{[]int64{22, 23, 24}, []int64{22}},
		{[]int64{23, 24}, []int64{23, 24}},
	} {
		var rest []kafka.Record
		for _, offset := range test.rest {
			rest = append(rest, kafka.Record{Offset: offset})
		}
		var got []int64
		for _, record := range m.NextChunk(rest) {
			got = append(got, record.Offset)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.rest, diff)
		}
	}
}

// After a rewind, records before a suspect are handled again.
func TestAPanicBeforeASuspectForgetsNoCrashes(t *testing.T) {
	t.Parallel()
	m := State{InFlight: OffsetRange{49, 50}, Suspects: OffsetRange{49, 84}, Crashes: crashCounts(49, 3)}.takenOver("heir", 40)
	m.Isolate([]kafka.Record{{Offset: 46}, {Offset: 47}, {Offset: 48}})
	m.RecordFailure(kafka.Record{Offset: 47}, true)
	m.ForgetBelow(49)
	if got := m.CrashesOf(kafka.Record{Offset: 49}); got != 4 {
		t.Errorf("%d crashes are known, want 4", got)
	}
}

// Another program can write the stored state. With any text the handler gets at least one
// of the records, and no other ones.
func FuzzState(f *testing.F) {
	f.Add(`{"holder":"a","step":1,"in_hand":{"from":3,"to":4},"suspects":{"from":3,"to":9},"deaths":{"3":4},"failing":3,"attempts":2,"panics":1}`, int64(3))
	f.Add(`{"in_hand":{"from":9223372036854775807,"to":-9223372036854775808},"deaths":null}`, int64(-1))
	f.Add(`[]`, int64(0))
	f.Fuzz(func(t *testing.T, text string, position int64) {
		var found State
		if json.Unmarshal([]byte(text), &found) != nil {
			found = State{}
		}
		m := found.takenOver("b", position)
		rest := []kafka.Record{{Offset: position}, {Offset: position + 1}, {Offset: position + 5}}
		next := m.NextChunk(rest)
		if len(next) == 0 || len(next) > len(rest) || next[0].Offset != position {
			t.Errorf("%d of the records are next", len(next))
		}
		m.Isolate(next)
		m.RecordFailure(next[0], false)
		m.ForgetBelow(position + 1)
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
	})
}
