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
)

// maxClockSkew is how far the clocks of those who fail and those who replay may be apart.
const maxClockSkew = time.Hour

// Queue says which dead letters a service is concerned with.
type Queue struct {
	Kafka      kafka.Config
	Topic      string // the topic of the dead letters
	Group      string // whose letters are meant when no other group is named
	TypeHeader string // the header that names a record's type
}

// cli is where a command works.
type cli struct {
	Queue
	out, errOut io.Writer // what was asked for, and what is said beside it

	reported map[string]bool // that it was said
}

// index is what is to be known before anything is done: which letters there
// are, which of them are meant, and what was replayed. It holds no contents, so
// that its size is bounded by the number of letters.
type index struct {
	filter         filter
	groups         map[string]int        // how many letters each group has
	selected       map[position]identity // the letters that match
	groupPositions map[position]identity // all letters of the group
	firstFailure   map[identity]time.Time
	replays        map[identity]int // how often a failed record was replayed
}

// index reads all dead letters. Its errors are the caller's mistakes.
func (d *cli) buildIndex(ctx context.Context, f filter) (*index, error) {
	s := &index{
		filter:         f,
		groups:         make(map[string]int),
		selected:       make(map[position]identity),
		groupPositions: make(map[position]identity),
		firstFailure:   make(map[identity]time.Time),
		replays:        make(map[identity]int),
	}
	requested := make(map[position]string) // the groups of the letters at places that were named
	err := d.scan(ctx, d.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		if f.positions[l.position] {
			requested[l.position] = l.group
		}
		s.add(l, d.TypeHeader)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := checkRequested(f, requested); err != nil {
		return nil, command.UsageError(err)
	}
	return s, d.checkGroupExists(ctx, s)
}

func (s *index) add(l deadLetter, typeHeader string) {
	s.groups[l.group]++
	if l.group != s.filter.group {
		return
	}
	id := l.identity()
	if at, known := s.firstFailure[id]; !known || l.failedAt.Before(at) {
		s.firstFailure[id] = l.failedAt
	}
	s.groupPositions[l.position] = id
	if s.filter.matches(l, typeHeader) {
		s.selected[l.position] = id
	}
}

// checkRequested returns an error unless there is a letter of the group at each place that was named.
func checkRequested(f filter, found map[position]string) error {
	for at := range f.positions {
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

// checkGroupExists refuses a group that nobody knows: a slip of the pen.
func (d *cli) checkGroupExists(ctx context.Context, s *index) error {
	group := s.filter.group
	if group == d.Group || s.groups[group] > 0 {
		return nil
	}
	known, err := kafka.HasGroup(ctx, d.Kafka, group)
	if err != nil {
		return d.explainKafkaError(ctx, err)
	}
	if known {
		return nil
	}
	delete(s.groups, "")
	return command.UsageError(fmt.Errorf("there is no consumer group %q, and no dead letter of it: groups with dead letters are %s",
		group, joinOrNone(slices.Sorted(maps.Keys(s.groups)))))
}

func joinOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// originalTopics returns the topics that the letters meant came from, with the time of
// the first failure there, which is zero when a letter does not say.
func (s *index) originalTopics() map[string]time.Time {
	first := make(map[string]time.Time)
	for _, id := range s.selected {
		at := s.firstFailure[id]
		if earliest, known := first[id.topic]; !known || at.Before(earliest) {
			first[id.topic] = at
		}
	}
	return first
}

// countReplays looks for what was replayed into a topic since that time.
func (d *cli) countReplays(ctx context.Context, s *index, topic string, since time.Time) error {
	var from map[int32]int64
	if !since.IsZero() {
		var err error
		if from, err = kafka.OffsetsSince(ctx, d.Kafka, topic, since.Add(-maxClockSkew)); err != nil {
			return d.explainKafkaError(ctx, err)
		}
	}
	return d.scan(ctx, topic, from, func(record kafka.Record) error {
		if of, err := parsePosition(record.Header(headerReplayOf)); err == nil {
			s.addReplay(of, record)
		}
		return nil
	})
}

// addReplay counts a copy of the letter at that place. Had the dead letters' topic
// been made anew, it could be of an earlier one.
func (s *index) addReplay(of position, record kafka.Record) {
	if id, known := s.groupPositions[of]; known && id.topic == record.Topic && id.content == record.Fingerprint() {
		s.replays[id]++
	}
}

// scan hands over the topic record by record.
func (d *cli) scan(ctx context.Context, topic string, from map[int32]int64, visit func(kafka.Record) error) error {
	var visitors error
	_, err := kafka.Scan(ctx, d.Kafka, topic, from, func(_ context.Context, batch []kafka.Record) error {
		for _, record := range batch {
			if record.Undecodable != nil {
				d.reportUndecodable(record)
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
	return d.explainKafkaError(ctx, err)
}

// reportUndecodable says once that there is something which cannot be decoded.
func (d *cli) reportUndecodable(record kafka.Record) {
	said := fmt.Sprintf("passed over in topic %s, partition %d: %s", record.Topic, record.Partition, singleLine(record.Undecodable))
	if d.reported[said] {
		return
	}
	if d.reported == nil {
		d.reported = make(map[string]bool)
	}
	d.reported[said] = true
	fmt.Fprintf(d.errOut, "%s\n", said)
}

// explainKafkaError makes a sentence of what Kafka said, one line long. To be told to stop
// is no mistake.
func (d *cli) explainKafkaError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return explainedError{"interrupted", err}
	}
	sentence := singleLine(err)
	var missing *kafka.TopicError
	if errors.As(err, &missing) {
		sentence = missing.Error() + ", or name another Kafka in the setting kafka.brokers"
	} else {
		sentence += "; is it running, and does the setting kafka.brokers name it?"
	}
	return command.UsageError(explainedError{sentence, err})
}

// explainedError is an error that reads otherwise.
type explainedError struct {
	sentence string
	error
}

func (e explainedError) Error() string { return e.sentence }
func (e explainedError) Unwrap() error { return e.error }
