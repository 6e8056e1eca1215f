package kafka

import "maps"

// State is what is kept outside the process about one partition: what its reader
// has in hand, and what is known against records that may kill their reader.
type State struct {
	Owner       string      `json:"holder"`           // a Group, which lives as long as its process
	Incarnation string      `json:"origin,omitempty"` // of the log that the offsets belong to; "" of an earlier version
	Revision    int64       `json:"step"`             // no two marks of a holder are the same
	InFlight    OffsetRange `json:"in_hand"`          // given to the handler, which has not answered

	// Suspects were in hand when a reader died or was frozen, or panicked.
	// They are handled one by one.
	Suspects OffsetRange `json:"suspects"`
	// Crashes counts, by offset, those with this record as the only one in hand.
	Crashes map[int64]int `json:"deaths,omitempty"`

	RetryingOffset int64 `json:"failing"`  // the record that the two counts are about
	Attempts       int   `json:"attempts"` // that ended in an error or a panic
	Panics         int   `json:"panics"`
}

// OffsetRange is the offsets from From up to To, which is not one of them.
type OffsetRange struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

func (s OffsetRange) IsEmpty() bool  { return s.From >= s.To }
func (s OffsetRange) isSingle() bool { return s.To == s.From+1 }

// from returns what of the span is not below the position.
func (s OffsetRange) from(position int64) OffsetRange {
	s.From = max(s.From, position)
	if s.IsEmpty() {
		return OffsetRange{}
	}
	return s
}

// upTo returns what of the span a log has that ends at end.
func (s OffsetRange) upTo(end int64) OffsetRange {
	s.From, s.To = max(s.From, 0), min(s.To, end)
	if s.IsEmpty() {
		return OffsetRange{}
	}
	return s
}

// rangeOf is the span from the first of the records to the last.
func rangeOf(records []Record) OffsetRange {
	return OffsetRange{From: records[0].Offset, To: records[len(records)-1].Offset + 1}
}

// union is the least span that holds both.
func (s OffsetRange) union(other OffsetRange) OffsetRange {
	switch {
	case s.IsEmpty():
		return other
	case other.IsEmpty():
		return s
	}
	return OffsetRange{From: min(s.From, other.From), To: max(s.To, other.To)}
}

// mostAttempts is far more than one record is begun in the years of a log.
const mostAttempts = 1_000_000_000

// validated returns what of the mark can be true of a log that ends at end, and whether that
// is all of it. A mark that was overwritten from outside may be well-formed: what it says
// of records that do not exist yet would be held against them when they do.
func (m State) validated(end int64) (possible State, all bool) {
	possible = m
	possible.InFlight = m.InFlight.upTo(end)
	possible.Suspects = m.Suspects.upTo(end)
	possible.Crashes = maps.Clone(m.Crashes)
	maps.DeleteFunc(possible.Crashes, func(offset int64, times int) bool {
		return offset < 0 || offset >= end || times < 1 || times > MaxCrashes
	})
	if m.RetryingOffset < 0 || m.RetryingOffset >= end && m.Attempts != 0 || m.Attempts < 0 || m.Attempts > mostAttempts || m.Panics < 0 || m.Panics > m.Attempts {
		possible.RetryingOffset, possible.Attempts, possible.Panics = 0, 0, 0
	}
	all = possible.InFlight == m.InFlight && possible.Suspects == m.Suspects && len(possible.Crashes) == len(m.Crashes) &&
		possible.RetryingOffset == m.RetryingOffset && possible.Attempts == m.Attempts
	return possible, all
}

// takenOver is the mark found at a claim's beginning, as its next holder goes on
// from it: what was in hand is suspected, and what was in hand alone has one more
// death against it. A holder that finds its own mark is not dead: it lost touch
// with the store when it let the record go.
func (m State) takenOver(holder string, position int64) State {
	left := m.InFlight.from(position)
	m.Suspects = m.Suspects.union(left)
	if left.isSingle() && m.InFlight.isSingle() && m.Owner != holder {
		if m.Crashes == nil {
			m.Crashes = map[int64]int{}
		}
		m.Crashes[left.From]++
	}
	m.InFlight = OffsetRange{}
	m.ForgetBelow(position)
	return m
}

// ForgetBelow forgets what is known about records below the position.
func (m *State) ForgetBelow(position int64) {
	m.Suspects = m.Suspects.from(position)
	for offset := range m.Crashes {
		if offset < position {
			delete(m.Crashes, offset)
		}
	}
	if m.RetryingOffset < position {
		m.RetryingOffset, m.Attempts, m.Panics = 0, 0, 0
	}
}

// onFailure notes that the handler gave the record back: it does not kill.
func (m *State) RecordFailure(record Record, err error) {
	if m.RetryingOffset != record.Offset {
		m.RetryingOffset, m.Attempts, m.Panics = record.Offset, 0, 0
	}
	m.Attempts++
	if isPanic(err) {
		m.Panics++
	}
	delete(m.Crashes, record.Offset)
}

// AttemptsOf are how often the record was begun without being handled.
func (m *State) AttemptsOf(record Record) (tries int) {
	if m.RetryingOffset == record.Offset {
		tries += m.Attempts
	}
	return tries + m.CrashesOf(record)
}

// CrashesOf counts the deaths in a row with this record as the only one in hand.
func (m *State) CrashesOf(record Record) int { return m.Crashes[record.Offset] }

// next returns what of the records the handler is given at once.
func (m *State) NextChunk(rest []Record) []Record {
	if m.Suspects.IsEmpty() || rest[0].Offset >= m.Suspects.To {
		return rest
	}
	for i, record := range rest {
		if record.Offset >= m.Suspects.From {
			return rest[:max(i, 1)]
		}
	}
	return rest
}

// Isolate has the records handled one by one.
func (m *State) Isolate(records []Record) { m.Suspects = m.Suspects.union(rangeOf(records)) }
