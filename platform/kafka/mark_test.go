package kafka

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// died is how often, by offset.
func died(pairs ...int64) map[int64]int {
	deaths := map[int64]int{}
	for i := 0; i < len(pairs); i += 2 {
		deaths[pairs[i]] = int(pairs[i+1])
	}
	return deaths
}

func TestADeathMakesWhatWasInHandSuspected(t *testing.T) {
	t.Parallel()
	const position = 10
	for name, test := range map[string]struct{ found, want mark }{
		"nothing in hand":                {mark{}, mark{}},
		"a batch":                        {mark{InHand: span{10, 15}}, mark{Suspects: span{10, 15}}},
		"a batch, partly done":           {mark{InHand: span{8, 15}}, mark{Suspects: span{10, 15}}},
		"a batch, done but for one":      {mark{InHand: span{8, 11}}, mark{Suspects: span{10, 11}}},
		"a batch that was done":          {mark{InHand: span{5, 10}}, mark{}},
		"a record alone":                 {mark{InHand: span{10, 11}}, mark{Suspects: span{10, 11}, Deaths: died(10, 1)}},
		"a record alone that was done":   {mark{InHand: span{9, 10}, Suspects: span{9, 12}, Deaths: died(9, 4)}, mark{Suspects: span{10, 12}, Deaths: died()}},
		"the first suspect":              {mark{InHand: span{20, 21}, Suspects: span{20, 30}}, mark{Suspects: span{20, 30}, Deaths: died(20, 1)}},
		"the first suspect, once more":   {mark{InHand: span{20, 21}, Suspects: span{20, 30}, Deaths: died(20, 3)}, mark{Suspects: span{20, 30}, Deaths: died(20, 4)}},
		"another suspect":                {mark{InHand: span{22, 23}, Suspects: span{20, 30}, Deaths: died(20, 3)}, mark{Suspects: span{20, 30}, Deaths: died(20, 3, 22, 1)}},
		"a record before the suspects":   {mark{InHand: span{12, 13}, Suspects: span{20, 30}, Deaths: died(20, 3)}, mark{Suspects: span{12, 30}, Deaths: died(12, 1, 20, 3)}},
		"a batch before the suspects":    {mark{InHand: span{12, 18}, Suspects: span{20, 30}, Deaths: died(20, 3)}, mark{Suspects: span{12, 30}, Deaths: died(20, 3)}},
		"a batch after the suspects":     {mark{InHand: span{40, 50}, Suspects: span{20, 30}}, mark{Suspects: span{20, 50}}},
		"suspects that were given back":  {mark{Suspects: span{20, 30}, Deaths: died(20, 3)}, mark{Suspects: span{20, 30}, Deaths: died(20, 3)}},
		"suspects that are done":         {mark{Suspects: span{5, 9}, Deaths: died(5, 3)}, mark{Deaths: died()}},
		"suspects that are partly done":  {mark{Suspects: span{5, 12}, Deaths: died(5, 3)}, mark{Suspects: span{10, 12}, Deaths: died()}},
		"a record alone, given up by us": {mark{Holder: "me", InHand: span{10, 11}}, mark{Holder: "me", Suspects: span{10, 11}}},
		"a record that failed":           {mark{Failing: 10, Attempts: 7, Panics: 2}, mark{Failing: 10, Attempts: 7, Panics: 2}},
		"a record that failed before":    {mark{Failing: 9, Attempts: 7, Panics: 2}, mark{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.found.inherited("me", position)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What is possible of a mark is believed, whoever wrote it; the rest is not.
func TestAMarkSaysNothingOfRecordsThatAreNotThereYet(t *testing.T) {
	t.Parallel()
	const end = 100
	for name, test := range map[string]struct {
		found, want mark
		all         bool
	}{
		"nothing":                 {mark{}, mark{}, true},
		"what a reader wrote":     {mark{Holder: "x", Step: 7, InHand: span{90, 100}, Suspects: span{10, 99}, Deaths: died(99, 5), Failing: 99, Attempts: 9, Panics: 9}, mark{Holder: "x", Step: 7, InHand: span{90, 100}, Suspects: span{10, 99}, Deaths: died(99, 5), Failing: 99, Attempts: 9, Panics: 9}, true},
		"in hand for ever":        {mark{InHand: span{10, math.MaxInt64}}, mark{InHand: span{10, 100}}, false},
		"in hand later":           {mark{InHand: span{100, 101}}, mark{}, false},
		"suspected for ever":      {mark{Suspects: span{math.MinInt64, math.MaxInt64}}, mark{Suspects: span{0, 100}}, false},
		"suspected later":         {mark{Suspects: span{500, 600}}, mark{}, false},
		"the wrong way round":     {mark{InHand: span{20, 10}, Suspects: span{-7, -9}}, mark{}, false},
		"deaths to come":          {mark{Deaths: died(100, 5, 99, 1, -1, 5)}, mark{Deaths: died(99, 1)}, false},
		"deaths by the million":   {mark{Deaths: died(20, 1_000_000)}, mark{Deaths: died()}, false},
		"births":                  {mark{Deaths: died(20, -3)}, mark{Deaths: died()}, false},
		"to fail later":           {mark{Failing: 100, Attempts: 4, Panics: 4}, mark{}, false},
		"to have failed never":    {mark{Failing: 20, Attempts: -4}, mark{}, false},
		"more panics than tries":  {mark{Failing: 20, Attempts: 1, Panics: 5}, mark{}, false},
		"more tries than seconds": {mark{Failing: 20, Attempts: math.MaxInt64}, mark{}, false},
	} {
		got, all := test.found.within(end)
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" || all != test.all {
			t.Errorf("%s: all %t, (-want +got):\n%s", name, all, diff)
		}
	}
}

func TestSuspectsAreHandledOneByOne(t *testing.T) {
	t.Parallel()
	m := mark{Suspects: span{20, 23}}
	for _, test := range []struct{ rest, want []int64 }{
		{[]int64{10, 11}, []int64{10, 11}},
		{[]int64{18, 19, 20, 21}, []int64{18, 19}},
		{[]int64{18, 21, 22}, []int64{18}},
		{[]int64{20, 21, 22, 23}, []int64{20}},
		{[]int64{22, 23, 24}, []int64{22}},
		{[]int64{23, 24}, []int64{23, 24}},
	} {
		var rest []Record
		for _, offset := range test.rest {
			rest = append(rest, Record{Offset: offset})
		}
		var got []int64
		for _, record := range m.next(rest) {
			got = append(got, record.Offset)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.rest, diff)
		}
	}
}

// A rewind shows again what lies before a record that kills. Whatever happens to
// those, the deaths are not forgotten.
func TestAPanicBeforeASuspectForgetsNoDeaths(t *testing.T) {
	t.Parallel()
	m := mark{InHand: span{49, 50}, Suspects: span{49, 84}, Deaths: died(49, 3)}.inherited("heir", 40)
	m.suspect([]Record{{Offset: 46}, {Offset: 47}, {Offset: 48}})
	m.failed(Record{Offset: 47}, &panicked{})
	m.passed(49)
	if got := m.deathsOf(Record{Offset: 49}); got != 4 {
		t.Errorf("%d deaths are known, want 4", got)
	}
}
