package quarantine

import (
	"maps"

	"example.com/todo/platform/kafka"
)

// State is what is kept outside the process about one partition: the in-flight marker.
// The JSON names differ from those of the fields, because stored states have them.
type State struct {
	Owner       string      `json:"holder"`           // names a group within one process
	Incarnation string      `json:"origin,omitempty"` // of the log that the offsets belong to; "" of an earlier version
	Revision    int64       `json:"step"`             // differs between any two states of an owner
	InFlight    OffsetRange `json:"in_hand"`          // given to the handler, which has not returned

	// Suspects were in flight when a process crashed or froze, or when the handler
	// panicked. They are handled one at a time.
	Suspects OffsetRange `json:"suspects"`
	// Crashes counts, by offset, the crashes in a row with this record alone in flight.
	Crashes map[int64]int `json:"deaths,omitempty"`

	RetryingOffset int64 `json:"failing"`  // the record that the two counts below are about
	Attempts       int   `json:"attempts"` // that ended in an error or a panic
	Panics         int   `json:"panics"`
}

// MaxCrashes is how many crashes in a row, each with one record alone in flight, a
// record may cause before it is dead-lettered.
const MaxCrashes = 5

// maxAttempts bounds what a stored state may claim: more than a handler can make in the
// years of a log.
const maxAttempts = 1_000_000_000

// validated returns what the state can truly say of a log that ends at end, and whether
// that is all of it. A state that another program wrote may be well-formed. What it says
// of records that do not exist yet would count against them later.
func (s State) validated(end int64) (valid State, complete bool) {
	valid = s
	valid.InFlight = s.InFlight.within(0, end)
	valid.Suspects = s.Suspects.within(0, end)
	valid.Crashes = maps.Clone(s.Crashes)
	maps.DeleteFunc(valid.Crashes, func(offset int64, crashes int) bool {
		return offset < 0 || offset >= end || crashes < 1 || crashes > MaxCrashes
	})
	if s.RetryingOffset < 0 || s.RetryingOffset >= end && s.Attempts != 0 ||
		s.Attempts < 0 || s.Attempts > maxAttempts || s.Panics < 0 || s.Panics > s.Attempts {
		valid.RetryingOffset, valid.Attempts, valid.Panics = 0, 0, 0
	}
	complete = valid.InFlight == s.InFlight && valid.Suspects == s.Suspects && len(valid.Crashes) == len(s.Crashes) &&
		valid.RetryingOffset == s.RetryingOffset && valid.Attempts == s.Attempts
	return valid, complete
}

// takenOver returns the found state as its next owner continues from it: records in
// flight become suspects, and a record that was in flight alone has one crash more.
func (s State) takenOver(owner string, position int64) State {
	left := s.InFlight.from(position)
	s.Suspects = s.Suspects.union(left)
	// An owner that finds its own state has not crashed. It lost the connection to the
	// store when it ended the record.
	if left.isSingle() && s.InFlight.isSingle() && s.Owner != owner {
		if s.Crashes == nil {
			s.Crashes = map[int64]int{}
		}
		s.Crashes[left.From]++
	}
	s.InFlight = OffsetRange{}
	s.ForgetBelow(position)
	return s
}

// ForgetBelow removes what is known about records below the position.
func (s *State) ForgetBelow(position int64) {
	s.Suspects = s.Suspects.from(position)
	maps.DeleteFunc(s.Crashes, func(offset int64, _ int) bool { return offset < position })
	if s.RetryingOffset < position {
		s.RetryingOffset, s.Attempts, s.Panics = 0, 0, 0
	}
}

// RecordFailure counts an attempt that the handler returned with an error or a panic.
// As the process did not crash, the record's crashes are forgotten.
func (s *State) RecordFailure(record kafka.Record, panicked bool) {
	if s.RetryingOffset != record.Offset {
		s.RetryingOffset, s.Attempts, s.Panics = record.Offset, 0, 0
	}
	s.Attempts++
	if panicked {
		s.Panics++
	}
	delete(s.Crashes, record.Offset)
}

// AttemptsOf counts the attempts that did not handle the record, and the crashes.
func (s *State) AttemptsOf(record kafka.Record) (attempts int) {
	if s.RetryingOffset == record.Offset {
		attempts += s.Attempts
	}
	return attempts + s.CrashesOf(record)
}

// CrashesOf counts the crashes in a row with this record alone in flight.
func (s *State) CrashesOf(record kafka.Record) int { return s.Crashes[record.Offset] }

// NextChunk returns the first records that the handler may get in one call: a suspect
// goes alone.
func (s *State) NextChunk(records []kafka.Record) []kafka.Record {
	if s.Suspects.IsEmpty() || records[0].Offset >= s.Suspects.To {
		return records
	}
	for i, record := range records {
		if record.Offset >= s.Suspects.From {
			return records[:max(i, 1)]
		}
	}
	return records
}

// Isolate makes the records suspects.
func (s *State) Isolate(records []kafka.Record) { s.Suspects = s.Suspects.union(rangeOf(records)) }

// OffsetRange is the offsets from From up to, and without, To.
type OffsetRange struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// IsEmpty reports whether the range has no offset.
func (r OffsetRange) IsEmpty() bool { return r.From >= r.To }

func (r OffsetRange) isSingle() bool { return r.To == r.From+1 }

// within returns the part of the range that is not below from, and below end.
func (r OffsetRange) within(from, end int64) OffsetRange {
	r.From, r.To = max(r.From, from), min(r.To, end)
	if r.IsEmpty() {
		return OffsetRange{}
	}
	return r
}

// from returns the part of the range that is not below the position.
func (r OffsetRange) from(position int64) OffsetRange { return r.within(position, r.To) }

// union returns the smallest range that contains both.
func (r OffsetRange) union(other OffsetRange) OffsetRange {
	switch {
	case r.IsEmpty():
		return other
	case other.IsEmpty():
		return r
	}
	return OffsetRange{From: min(r.From, other.From), To: max(r.To, other.To)}
}

// rangeOf is the range from the first of the records to the last.
func rangeOf(records []kafka.Record) OffsetRange {
	return OffsetRange{From: records[0].Offset, To: records[len(records)-1].Offset + 1}
}
