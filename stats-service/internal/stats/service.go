package stats

import (
	"context"
	"errors"
	"time"
)

// ErrOffsetMismatch means that the stored offset of a partition is not the expected one:
// another member counts the partition now, or the store was emptied. The caller has to
// Resume again.
var ErrOffsetMismatch = errors.New("stats: the stored offset of the partition is not the expected one")

// Batch has the completions of one partition's records from From up to, but not
// including, Next.
type Batch struct {
	Partition   int32
	From, Next  int64
	Incarnation string       // of the topic; "" leaves the stored one
	Completions []Completion // in the order of their offsets
}

// Tally is the result of counting a batch's completions.
type Tally struct{ Counted, Duplicates int }

// RecountReason is why a partition is counted from its start again. It is also the
// label of a metric.
type RecountReason string

// The reasons.
const (
	NoRecount    RecountReason = ""
	NothingKnown RecountReason = "nothing_known" // the partition was never counted, or the store was emptied
	Inconsistent RecountReason = "inconsistent"  // the counters do not add up, or their offsets are missing
	AnotherTopic RecountReason = "another_topic" // the counted records belong to an earlier topic of that name
	OutsideLog   RecountReason = "outside_log"   // the stored offset is before the log's start or beyond its end
)

// LogRange is the range of offsets in a partition's log: the first record's offset, and
// the offset that the next record will get.
type LogRange struct {
	Oldest, Newest int64
	Incarnation    string // of the topic; "" when it is unknown before a record was read
	// Matches reports whether a stored incarnation is that of this log; nil always does.
	Matches func(ctx context.Context, incarnation string) (bool, error)
}

func (r LogRange) contains(offset int64) bool { return r.Oldest <= offset && offset <= r.Newest }

// ResumePoint is where the counting of a partition continues.
type ResumePoint struct {
	Offset      int64
	Incarnation string // as stored beside the offset; "" without one
	Recount     RecountReason
	Stored      int64 // with AnotherTopic and OutsideLog: the offset that was stored
}

// Counters is a snapshot of the store's counters.
type Counters struct {
	Total   int64
	Days    []int64         // in the order of the requested days
	Offsets map[int32]int64 // the next offset to count in each partition
	Targets map[int32]int64 // the log's end when the counting of each partition started

	Rebuilding bool // a rebuild counts shadow counters beside these
}

// Store keeps the counters and, beside them, the next offset of each partition. It has
// no method that counts without a dedup key and an offset: one step stores all three,
// or nothing.
type Store interface {
	// Resume returns the stored offset of the partition. When none is stored, it
	// stores and returns log.Oldest, and log.Newest becomes the partition's target.
	// Counters that do not add up are removed first, with the offsets of all
	// partitions. Resume does not compare a stored offset with the log.
	Resume(ctx context.Context, partition int32, log LogRange) (ResumePoint, error)
	// Reset removes the counters and the offsets of all partitions if this partition's
	// offset still is stored, and then starts the partition for the reason why. If the
	// offset is another one, Reset returns that like Resume.
	Reset(ctx context.Context, partition int32, log LogRange, stored int64, why RecountReason) (ResumePoint, error)
	// Apply counts the batch as a whole, or returns ErrOffsetMismatch when the stored
	// offset is not b.From. A completion is a duplicate when its dedup key was stored
	// from another offset since the counters were last removed.
	Apply(ctx context.Context, b Batch) (Tally, error)
	// Read returns the counters.
	Read(ctx context.Context, days []string) (Counters, error)
	// ReadUser returns the counters of a user, with the offsets of all counters.
	ReadUser(ctx context.Context, user string, days []string) (Counters, error)
}

// LogEnds returns the log-end offsets: for each partition the offset that its next
// record will get.
type LogEnds interface {
	// Latest returns the last result from memory; false when it is unknown.
	Latest() (map[int32]int64, bool)
	// Fetch requests the offsets, so the result is newer than the call.
	Fetch(ctx context.Context) (map[int32]int64, error)
}

// Service counts completions and reports them. Several goroutines may use it.
type Service struct {
	store      Store
	logEnds    LogEnds
	partitions int
	now        func() time.Time
}

// NewService returns the service over a topic with that number of partitions.
func NewService(store Store, log LogEnds, partitions int, now func() time.Time) *Service {
	return &Service{store: store, logEnds: log, partitions: partitions, now: now}
}

// Resume returns where the counting of the partition continues. A stored offset of
// another topic, or outside the log, starts a recount of all partitions. The error is
// ErrOffsetMismatch when another member moved the offset meanwhile.
func (s *Service) Resume(ctx context.Context, partition int32, log LogRange) (ResumePoint, error) {
	resume, err := s.store.Resume(ctx, partition, log)
	if err != nil {
		return resume, err
	}
	matches := true
	if log.Matches != nil {
		if matches, err = log.Matches(ctx, resume.Incarnation); err != nil {
			return ResumePoint{}, err
		}
	}
	switch {
	case !matches:
		return s.reset(ctx, partition, log, resume.Offset, AnotherTopic)
	case log.contains(resume.Offset):
		return resume, nil
	}
	// The caller's log end may be outdated: another member, which owns the partition
	// by now, may have counted beyond it. An end that is requested now confirms it.
	ends, err := s.logEnds.Fetch(ctx)
	if err != nil {
		return ResumePoint{}, err
	}
	log.Newest = ends[partition]
	if log.contains(resume.Offset) {
		return resume, nil
	}
	return s.reset(ctx, partition, log, resume.Offset, OutsideLog)
}

func (s *Service) reset(ctx context.Context, partition int32, log LogRange, stored int64, why RecountReason) (ResumePoint, error) {
	resume, err := s.store.Reset(ctx, partition, log, stored, why)
	if err == nil && resume.Recount == NoRecount { // another member moved the offset meanwhile, perhaps in the other log
		return ResumePoint{}, ErrOffsetMismatch
	}
	return resume, err
}

// Count counts the events of the partition's records from from up to next. The error is
// ErrOffsetMismatch, and nothing is counted, when the stored offset is not from. After
// any other error the batch may have been counted. A second call with the same batch
// then counts it or returns ErrOffsetMismatch; it never counts twice.
func (s *Service) Count(ctx context.Context, partition int32, from, next int64, events []Event) (Tally, error) {
	batch := Batch{Partition: partition, From: from, Next: next}
	for _, e := range events {
		batch.Incarnation = e.Incarnation
		if e.Type == completed { // reopening and deleting subtract nothing
			completion := Completion{DedupKey: e.DedupKey, User: e.User, Day: dayOf(e.Timestamp), Offset: e.Offset}
			batch.Completions = append(batch.Completions, completion)
		}
	}
	return s.store.Apply(ctx, batch)
}
