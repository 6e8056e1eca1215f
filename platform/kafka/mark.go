package kafka

import "maps"

// mark is what is kept outside the process about one partition: what its reader
// has in hand, and what is known against records that may kill their reader.
type mark struct {
	Holder string `json:"holder"`           // a Group, which lives as long as its process
	Origin string `json:"origin,omitempty"` // of the log that the offsets belong to; "" of an earlier version
	Step   int64  `json:"step"`             // no two marks of a holder are the same
	InHand span   `json:"in_hand"`          // given to the handler, which has not answered

	// Suspects were in hand when a reader died or was frozen, or panicked.
	// They are handled one by one.
	Suspects span `json:"suspects"`
	// Deaths counts, by offset, those with this record as the only one in hand.
	Deaths map[int64]int `json:"deaths,omitempty"`

	Failing  int64 `json:"failing"`  // the record that the two counts are about
	Attempts int   `json:"attempts"` // that ended in an error or a panic
	Panics   int   `json:"panics"`
}

// span is the offsets from From up to To, which is not one of them.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

func (s span) empty() bool  { return s.From >= s.To }
func (s span) single() bool { return s.To == s.From+1 }

// above returns what of the span is not below the position.
func (s span) above(position int64) span {
	s.From = max(s.From, position)
	if s.empty() {
		return span{}
	}
	return s
}

// below returns what of the span a log has that ends at end.
func (s span) below(end int64) span {
	s.From, s.To = max(s.From, 0), min(s.To, end)
	if s.empty() {
		return span{}
	}
	return s
}

// reach is the span from the first of the records to the last.
func reach(records []Record) span {
	return span{From: records[0].Offset, To: records[len(records)-1].Offset + 1}
}

// hull is the least span that holds both.
func (s span) hull(other span) span {
	switch {
	case s.empty():
		return other
	case other.empty():
		return s
	}
	return span{From: min(s.From, other.From), To: max(s.To, other.To)}
}

// mostAttempts is far more than one record is begun in the years of a log.
const mostAttempts = 1_000_000_000

// within returns what of the mark can be true of a log that ends at end, and whether that
// is all of it. A mark that was overwritten from outside may be well-formed: what it says
// of records that do not exist yet would be held against them when they do.
func (m mark) within(end int64) (possible mark, all bool) {
	possible = m
	possible.InHand = m.InHand.below(end)
	possible.Suspects = m.Suspects.below(end)
	possible.Deaths = maps.Clone(m.Deaths)
	maps.DeleteFunc(possible.Deaths, func(offset int64, times int) bool {
		return offset < 0 || offset >= end || times < 1 || times > deathsAllowed
	})
	if m.Failing < 0 || m.Failing >= end && m.Attempts != 0 || m.Attempts < 0 || m.Attempts > mostAttempts || m.Panics < 0 || m.Panics > m.Attempts {
		possible.Failing, possible.Attempts, possible.Panics = 0, 0, 0
	}
	all = possible.InHand == m.InHand && possible.Suspects == m.Suspects && len(possible.Deaths) == len(m.Deaths) &&
		possible.Failing == m.Failing && possible.Attempts == m.Attempts
	return possible, all
}

// inherited is the mark found at a claim's beginning, as its next holder goes on
// from it: what was in hand is suspected, and what was in hand alone has one more
// death against it. A holder that finds its own mark is not dead: it lost touch
// with the store when it let the record go.
func (m mark) inherited(holder string, position int64) mark {
	left := m.InHand.above(position)
	m.Suspects = m.Suspects.hull(left)
	if left.single() && m.InHand.single() && m.Holder != holder {
		if m.Deaths == nil {
			m.Deaths = map[int64]int{}
		}
		m.Deaths[left.From]++
	}
	m.InHand = span{}
	m.passed(position)
	return m
}

// passed forgets what is known about records below the position.
func (m *mark) passed(position int64) {
	m.Suspects = m.Suspects.above(position)
	for offset := range m.Deaths {
		if offset < position {
			delete(m.Deaths, offset)
		}
	}
	if m.Failing < position {
		m.Failing, m.Attempts, m.Panics = 0, 0, 0
	}
}

// failed notes that the handler gave the record back: it does not kill.
func (m *mark) failed(record Record, err error) {
	if m.Failing != record.Offset {
		m.Failing, m.Attempts, m.Panics = record.Offset, 0, 0
	}
	m.Attempts++
	if isPanic(err) {
		m.Panics++
	}
	delete(m.Deaths, record.Offset)
}

// tries are how often the record was begun without being handled.
func (m *mark) tries(record Record) (tries int) {
	if m.Failing == record.Offset {
		tries += m.Attempts
	}
	return tries + m.deathsOf(record)
}

// deathsOf counts the deaths in a row with this record as the only one in hand.
func (m *mark) deathsOf(record Record) int { return m.Deaths[record.Offset] }

// next returns what of the records the handler is given at once.
func (m *mark) next(rest []Record) []Record {
	if m.Suspects.empty() || rest[0].Offset >= m.Suspects.To {
		return rest
	}
	for i, record := range rest {
		if record.Offset >= m.Suspects.From {
			return rest[:max(i, 1)]
		}
	}
	return rest
}

// suspect has the records handled one by one.
func (m *mark) suspect(records []Record) { m.Suspects = m.Suspects.hull(reach(records)) }
