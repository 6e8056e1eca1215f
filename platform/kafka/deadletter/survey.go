package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

// skew is how far the clocks of those who fail and those who replay may be apart.
const skew = time.Hour

// Queue says which dead letters a service is concerned with.
type Queue struct {
	Kafka      kafka.Config
	Topic      string // the topic of the dead letters
	Group      string // whose letters are meant when no other group is named
	TypeHeader string // the header that names a record's type
}

// desk is where a command works.
type desk struct {
	Queue
	out, notes io.Writer // what was asked for, and what is said beside it

	undecodable map[string]bool // that it was said
}

// survey is what is to be known before anything is done: which letters there
// are, which of them are meant, and what was replayed. It holds no contents, so
// that its size is bounded by the number of letters.
type survey struct {
	filter filter
	groups map[string]int     // how many letters each group has
	meant  map[place]identity // the letters that match
	places map[place]identity // all letters of the group
	failed map[identity]time.Time
	copies map[identity]int // how often a failed record was replayed
}

// survey reads all dead letters. Its errors are the caller's mistakes.
func (d *desk) survey(ctx context.Context, f filter) (*survey, error) {
	s := &survey{
		filter: f,
		groups: make(map[string]int),
		meant:  make(map[place]identity),
		places: make(map[place]identity),
		failed: make(map[identity]time.Time),
		copies: make(map[identity]int),
	}
	named := make(map[place]string) // the groups of the letters at places that were named
	err := d.scan(ctx, d.Topic, nil, func(record kafka.Record) error {
		l := read(record)
		if f.places[l.at] {
			named[l.at] = l.group
		}
		s.note(l, d.TypeHeader)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := checkNamed(f, named); err != nil {
		return nil, command.UsageError(err)
	}
	return s, d.checkGroup(ctx, s)
}

func (s *survey) note(l letter, typeHeader string) {
	s.groups[l.group]++
	if l.group != s.filter.group {
		return
	}
	id := l.identity()
	if at, known := s.failed[id]; !known || l.failedAt.Before(at) {
		s.failed[id] = l.failedAt
	}
	s.places[l.at] = id
	if s.filter.matches(l, typeHeader) {
		s.meant[l.at] = id
	}
}

// checkNamed returns an error unless there is a letter of the group at each place that was named.
func checkNamed(f filter, found map[place]string) error {
	for at := range f.places {
		switch group, there := found[at]; {
		case !there:
			return fmt.Errorf("there is no dead letter at %s: dlq list shows where they are", at)
		case group == "":
			return fmt.Errorf("the record at %s is no dead letter, it does not say whose it is: dlq show %s shows it", at, at)
		case group != f.group:
			return fmt.Errorf("the dead letter at %s is of group %q, not of %q: name it with --group", at, group, f.group)
		}
	}
	return nil
}

// checkGroup refuses a group that nobody knows: a slip of the pen.
func (d *desk) checkGroup(ctx context.Context, s *survey) error {
	group := s.filter.group
	if group == d.Group || s.groups[group] > 0 {
		return nil
	}
	known, err := reader.HasGroup(ctx, d.Kafka, group)
	if err != nil {
		return d.explain(ctx, err)
	}
	if known {
		return nil
	}
	delete(s.groups, "")
	return command.UsageError(fmt.Errorf("there is no consumer group %q, and no dead letter of it: groups with dead letters are %s",
		group, oneOf(slices.Sorted(maps.Keys(s.groups)))))
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// topics returns the topics that the letters meant came from, with the time of
// the first failure there, which is zero when a letter does not say.
func (s *survey) topics() map[string]time.Time {
	first := make(map[string]time.Time)
	for _, id := range s.meant {
		at := s.failed[id]
		if earliest, known := first[id.topic]; !known || at.Before(earliest) {
			first[id.topic] = at
		}
	}
	return first
}

// countCopies looks for what was replayed into a topic since that time.
func (d *desk) countCopies(ctx context.Context, s *survey, topic string, since time.Time) error {
	var from map[int32]int64
	if !since.IsZero() {
		var err error
		if from, err = reader.OffsetsSince(ctx, d.Kafka, topic, since.Add(-skew)); err != nil {
			return d.explain(ctx, err)
		}
	}
	return d.scan(ctx, topic, from, func(record kafka.Record) error {
		if of, err := parsePlace(record.Header(headerReplayOf)); err == nil {
			s.noteCopy(of, record)
		}
		return nil
	})
}

// noteCopy counts a copy of the letter at that place. Had the dead letters' topic
// been made anew, it could be of an earlier one.
func (s *survey) noteCopy(of place, record kafka.Record) {
	if id, known := s.places[of]; known && id.topic == record.Topic && id.content == record.Fingerprint() {
		s.copies[id]++
	}
}

// scan hands over the topic record by record.
func (d *desk) scan(ctx context.Context, topic string, from map[int32]int64, visit func(kafka.Record) error) error {
	var visitors error
	_, err := reader.Scan(ctx, d.Kafka, topic, from, func(_ context.Context, batch []kafka.Record) error {
		for _, record := range batch {
			if record.Undecodable != nil {
				d.passOver(record)
				continue
			}
			if visitors = visit(record); visitors != nil {
				return visitors
			}
		}
		return nil
	})
	if err == nil || visitors != nil && errors.Is(err, visitors) {
		return err
	}
	return d.explain(ctx, err)
}

// passOver says once that there is something which cannot be decoded.
func (d *desk) passOver(record kafka.Record) {
	said := fmt.Sprintf("passed over in topic %s, partition %d: %s", record.Topic, record.Partition, oneLine(record.Undecodable))
	if d.undecodable[said] {
		return
	}
	if d.undecodable == nil {
		d.undecodable = make(map[string]bool)
	}
	d.undecodable[said] = true
	fmt.Fprintf(d.notes, "%s\n", said)
}

// explain makes a sentence of what Kafka said, one line long. To be told to stop
// is no mistake.
func (d *desk) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return explained{"interrupted", err}
	}
	sentence := oneLine(err)
	var missing *kafka.TopicError
	if errors.As(err, &missing) {
		sentence = missing.Error() + ", or name another Kafka in the setting kafka.brokers"
	} else {
		sentence += "; is it running, and does the setting kafka.brokers name it?"
	}
	return command.UsageError(explained{sentence, err})
}

// explained is an error that reads otherwise.
type explained struct {
	sentence string
	error
}

func (e explained) Error() string { return e.sentence }
func (e explained) Unwrap() error { return e.error }
