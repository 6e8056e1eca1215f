package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheLastDeathDecidesWhatIsSuspected(t *testing.T) {
	t.Parallel()
	const position = 10
	for name, test := range map[string]struct{ found, want mark }{
		"nothing in hand":                {mark{}, mark{}},
		"a batch":                        {mark{InHand: span{10, 15}}, mark{Suspects: span{10, 15}}},
		"a batch, partly done":           {mark{InHand: span{8, 15}}, mark{Suspects: span{10, 15}}},
		"a batch, done but for one":      {mark{InHand: span{8, 11}}, mark{Suspects: span{10, 11}}},
		"a batch that was done":          {mark{InHand: span{5, 10}}, mark{}},
		"a record alone":                 {mark{InHand: span{10, 11}}, mark{Suspects: span{10, 11}, Deaths: 1}},
		"a record alone that was done":   {mark{InHand: span{9, 10}, Suspects: span{9, 12}, Deaths: 4}, mark{Suspects: span{10, 12}}},
		"the first suspect":              {mark{InHand: span{20, 21}, Suspects: span{20, 30}}, mark{Suspects: span{20, 30}, Deaths: 1}},
		"the first suspect, once more":   {mark{InHand: span{20, 21}, Suspects: span{20, 30}, Deaths: 3}, mark{Suspects: span{20, 30}, Deaths: 4}},
		"another suspect":                {mark{InHand: span{22, 23}, Suspects: span{20, 30}, Deaths: 3}, mark{Suspects: span{22, 30}, Deaths: 1}},
		"a record before the suspects":   {mark{InHand: span{12, 13}, Suspects: span{20, 30}, Deaths: 3}, mark{Suspects: span{12, 13}, Deaths: 1}},
		"a batch before the suspects":    {mark{InHand: span{12, 18}, Suspects: span{20, 30}, Deaths: 3}, mark{Suspects: span{12, 18}}},
		"suspects that were given back":  {mark{Suspects: span{20, 30}, Deaths: 3}, mark{Suspects: span{20, 30}, Deaths: 3}},
		"suspects that are done":         {mark{Suspects: span{5, 9}, Deaths: 3}, mark{}},
		"suspects that are partly done":  {mark{Suspects: span{5, 12}, Deaths: 3}, mark{Suspects: span{10, 12}}},
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
