package stats

import (
	"context"
	"errors"
	"time"
)

// ErrOffsetMismatch says that a partition is no longer where the caller left it: another
// member counts it now, or the store was emptied. The caller has to Begin again.
var ErrOffsetMismatch = errors.New("stats: the partition is not where this member left it")

// Batch is what one partition's records from From up to, but not including,
// Next come to.
type Batch struct {
	Partition   int32
	From, Next  int64
	Incarnation string       // of the log; "" leaves what is stored
	Completions []Completion // in the order of their offsets
}

// Tally says what became of a batch's completions.
type Tally struct{ Counted, Duplicates int }

// RecountReason says why counting begins anew.
type RecountReason string

// The reasons.
const (
	NoRecount    RecountReason = ""
	NothingKnown RecountReason = "nothing_known" // this partition was never counted, or the store was emptied
	Inconsistent RecountReason = "inconsistent"  // the counters do not add up, or are there without their offsets
	AnotherTopic RecountReason = "another_topic" // what was counted is of an earlier topic of that name
	OutsideLog   RecountReason = "outside_log"   // the stored offset is not in the log
)

// LogRange are where a partition's log begins and ends: the offset of its first
// record, and that of the next to be written.
type LogRange struct {
	Oldest, Newest int64
	Incarnation    string // of the log; "" when it has none before a record was read
	// Matches tells whether what was stored with an origin is of this log; nil says yes.
	Matches func(ctx context.Context, origin string) (bool, error)
}

func (b LogRange) matches(ctx context.Context, origin string) (bool, error) {
	if b.Matches == nil {
		return true, nil
	}
	return b.Matches(ctx, origin)
}

func (b LogRange) contains(offset int64) bool { return b.Oldest <= offset && offset <= b.Newest }

// ResumePoint is where counting a partition goes on.
type ResumePoint struct {
	Offset      int64
	Incarnation string // as it was stored beside the offset, "" when none was
	Recount     RecountReason
	Stored      int64 // with AnotherTopic and OutsideLog, the offset that was stored
}

// Counters are the store's counters at one moment.
type Counters struct {
	Total   int64
	Days    []int64         // for each day asked for
	Offsets map[int32]int64 // where each partition's counting has come to
	Targets map[int32]int64 // the log's end when each partition's counting began

	Rebuilding bool // everything is being counted anew, beside these
}

// Store keeps the counters and, beside them, how far the log is counted. It has
// no method that counts without the event's identity and place: both are stored
// with the count, or nothing is.
type Store interface {
	// Resume returns where to go on with the partition. When nothing is stored
	// that is log.Oldest, and log.Newest becomes the partition's target. Counters
	// that do not add up are removed first, with the offsets of all partitions.
	// A stored offset is returned as it is, of this log or not, within it or not.
	Resume(ctx context.Context, partition int32, log LogRange) (ResumePoint, error)
	// Reset removes the counters and the offsets of all partitions, provided
	// that this one still stands at stored, and then begins it for that reason. Where
	// it stands elsewhere, that is returned as by Begin.
	Reset(ctx context.Context, partition int32, log LogRange, stored int64, why RecountReason) (ResumePoint, error)
	// Apply counts the batch as a whole, or returns ErrOffsetMismatch when the partition
	// is not at b.From. A completion whose mark was set from another place in
	// the log, since the counters were last removed, is a duplicate.
	Apply(ctx context.Context, b Batch) (Tally, error)
	// Read returns the counters.
	Read(ctx context.Context, days []string) (Counters, error)
}

// LogEnds knows where the partitions end: the offset that the next record of each
// will get.
type LogEnds interface {
	// Latest answers at once, from memory; false when the ends are not known at present.
	Latest() (map[int32]int64, bool)
	// Fetch asks, so the answer is younger than the call.
	Fetch(ctx context.Context) (map[int32]int64, error)
}

// Service counts completions and reports them.
type Service struct {
	store      Store
	logEnds    LogEnds
	partitions int
	now        func() time.Time
}

// NewService returns the service over a log of so many partitions.
func NewService(store Store, log LogEnds, partitions int, now func() time.Time) *Service {
	return &Service{store: store, logEnds: log, partitions: partitions, now: now}
}

// Resume returns where to go on with the partition. A stored offset of another log
// makes everything be counted anew. One that is not within the log does so only when
// the log's end, asked for after that offset was read, confirms it: the caller's may be
// old, and another member, which owns the partition by now, may have counted beyond it.
// The error is ErrOffsetMismatch when another member has moved the offset meanwhile.
func (s *Service) Resume(ctx context.Context, partition int32, log LogRange) (ResumePoint, error) {
	b, err := s.store.Resume(ctx, partition, log)
	if err != nil {
		return b, err
	}
	owned, err := log.matches(ctx, b.Incarnation)
	switch {
	case err != nil:
		return ResumePoint{}, err
	case !owned:
		return s.reset(ctx, partition, log, b.Offset, AnotherTopic)
	case log.contains(b.Offset):
		return b, nil
	}
	ends, err := s.logEnds.Fetch(ctx)
	if err != nil {
		return ResumePoint{}, err
	}
	log.Newest = ends[partition]
	if log.contains(b.Offset) {
		return b, nil
	}
	return s.reset(ctx, partition, log, b.Offset, OutsideLog)
}

func (s *Service) reset(ctx context.Context, partition int32, log LogRange, stored int64, why RecountReason) (ResumePoint, error) {
	b, err := s.store.Reset(ctx, partition, log, stored, why)
	if err == nil && b.Recount == NoRecount { // another member moved it meanwhile, perhaps in the other log
		return ResumePoint{}, ErrOffsetMismatch
	}
	return b, err
}

// Count counts the events found in the partition's records from from up to next.
// The error is ErrOffsetMismatch when the partition is not at from; nothing is counted
// then. After any other error the batch may or may not have been counted: handed
// in again it is counted, or found moved, never counted twice.
func (s *Service) Count(ctx context.Context, partition int32, from, next int64, events []Event) (Tally, error) {
	batch := Batch{Partition: partition, From: from, Next: next}
	for _, e := range events {
		batch.Incarnation = e.Incarnation
		if c, ok := completionOf(e); ok {
			batch.Completions = append(batch.Completions, c)
		}
	}
	return s.store.Apply(ctx, batch)
}
