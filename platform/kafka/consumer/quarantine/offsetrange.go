package quarantine

import "example.com/todo/platform/kafka"

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
