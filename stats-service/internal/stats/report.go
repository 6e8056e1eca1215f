package stats

import (
	"context"
	"fmt"
	"time"

	"example.com/todo/platform/apperr"
)

// The bounds of a report.
const (
	DefaultDays = 30
	MaxDays     = 366
)

// Report is what was counted, as of a moment. Its JSON form is the answer of
// GET /stats.
type Report struct {
	CompletedTotal int64     `json:"completed_total"`
	CompletedToday int64     `json:"completed_today"`
	ByDay          []Day     `json:"by_day"` // oldest first, today last, days without any included
	AsOf           time.Time `json:"as_of"`  // when the counters were read, UTC
	Lag            *int64    `json:"lag"`    // records not yet counted; nil when the log's end is not known
	Complete       bool      `json:"complete"`
	Rebuilding     bool      `json:"rebuilding"` // a rebuild is under way; the figures are those before it
}

// Day is one UTC day's count.
type Day struct {
	Day       string `json:"day"` // as 2006-01-02
	Completed int64  `json:"completed"`
}

// Report returns the figures of the last days, today included. It refuses
// (fault.Invalid) a number of days out of bounds.
//
// Complete is false while any partition is not counted at all, or its recount
// has not come to where the log ended when it began: the figures are then less
// than what happened. Records that came later are in Lag alone.
func (s *Service) Report(ctx context.Context, days int) (Report, error) {
	if days < 1 || days > MaxDays {
		return Report{}, InvalidDays()
	}
	now := s.now().UTC()
	names := lastDays(now, days)
	figures, err := s.store.Read(ctx, names)
	if err != nil {
		return Report{}, err
	}
	report := Report{
		CompletedTotal: figures.Total,
		CompletedToday: figures.Days[days-1],
		ByDay:          make([]Day, days),
		AsOf:           now.Truncate(time.Millisecond),
		Lag:            s.countLag(figures.Offsets),
		Complete:       s.isComplete(figures),
		Rebuilding:     figures.Rebuilding,
	}
	for i, name := range names {
		report.ByDay[i] = Day{Day: name, Completed: figures.Days[i]}
	}
	return report, nil
}

// InvalidDays is the refusal of a number of days out of bounds, or of no number.
func InvalidDays() error {
	return apperr.InvalidFields(apperr.Field{Name: "days", Problem: fmt.Sprintf("must be a number from 1 to %d", MaxDays)})
}

func lastDays(now time.Time, days int) []string {
	names := make([]string, days)
	for i := range names {
		names[i] = dayOf(now.AddDate(0, 0, i+1-days))
	}
	return names
}

func (s *Service) countLag(offsets map[int32]int64) *int64 {
	ends, known := s.logEnds.Latest()
	if !known {
		return nil
	}
	var lag int64
	for partition := range int32(s.partitions) {
		// The ends are a little older than the offsets, which may have passed them.
		lag += max(0, ends[partition]-offsets[partition])
	}
	return &lag
}

func (s *Service) isComplete(f Counters) bool {
	for partition := range int32(s.partitions) {
		offset, begun := f.Offsets[partition]
		if !begun || offset < f.Targets[partition] {
			return false
		}
	}
	return true
}
