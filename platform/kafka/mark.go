package kafka

// mark is what is kept outside the process about one partition: what its reader
// has in hand, and what is known against records that may kill their reader.
type mark struct {
	Holder string `json:"holder"`  // a Group, which lives as long as its process
	Step   int64  `json:"step"`    // no two marks of a holder are the same
	InHand span   `json:"in_hand"` // given to the handler, which has not answered

	// Suspects were in hand when a reader died or was frozen, or panicked.
	// They are handled one by one.
	Suspects span `json:"suspects"`
	Deaths   int  `json:"deaths"` // in a row, with the first suspect as the only record in hand

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

// reach is the span from the first of the records to the last.
func reach(records []Record) span {
	return span{From: records[0].Offset, To: records[len(records)-1].Offset + 1}
}

// inherited is the mark found at a claim's beginning, as its next holder goes on
// from it. The last death decides: what was in hand is suspected, and what was
// in hand alone has one more death against it. A holder that finds its own mark
// is not dead: it lost touch with the store when it let the record go.
func (m mark) inherited(holder string, position int64) mark {
	left := m.InHand.above(position)
	alone := left.single() && m.InHand.single()
	switch {
	case left.empty():
	case alone && left.From == m.Suspects.From && !m.Suspects.empty():
	case alone && left.From > m.Suspects.From && left.To <= m.Suspects.To:
		m.Suspects.From, m.Deaths = left.From, 0
	default:
		m.Suspects, m.Deaths = left, 0
	}
	if alone && m.Holder != holder {
		m.Deaths++
	}
	m.InHand = span{}
	m.passed(position)
	return m
}

// passed forgets what is known about records below the position.
func (m *mark) passed(position int64) {
	if m.Suspects.From < position {
		m.Suspects, m.Deaths = m.Suspects.above(position), 0
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
	if m.Suspects.From == record.Offset {
		m.Deaths = 0
	}
}

// tries are how often the record was begun without being handled.
func (m *mark) tries(record Record) (tries int) {
	if m.Failing == record.Offset {
		tries += m.Attempts
	}
	return tries + m.deathsOf(record)
}

// deathsOf counts the deaths in a row with this record as the only one in hand.
func (m *mark) deathsOf(record Record) int {
	if m.Suspects.From != record.Offset {
		return 0
	}
	return m.Deaths
}

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
func (m *mark) suspect(records []Record) {
	in := reach(records)
	m.Suspects, m.Deaths = span{From: in.From, To: max(in.To, m.Suspects.To)}, 0
}
