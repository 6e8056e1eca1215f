package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

// maxClockSkew is the greatest difference between the clock of a consumer, which wrote failed-at, and the
// clock that the replay's timestamp is from.
const maxClockSkew = time.Hour

// failure is a failed record. It has several dead letters if a consumer died after it wrote the first, or if
// the group read the topic again.
type failure struct {
	identity
	first    time.Time // of the times that it failed at; zero if a dead letter has no valid time
	selected bool      // the filter selects one of its dead letters
	replays  int       // in the original topic
}

// index holds which dead letters exist, and how often each was replayed. It holds no contents, so that its
// size is bounded by the number of dead letters.
type index struct {
	filter        filter
	groups        map[string]int // number of dead letters by group
	failures      map[identity]*failure
	letters       map[position]*failure // all dead letters of the filter's group
	selected      int                   // number of dead letters that the filter selects
	missingTopics map[string]bool       // original topics that do not exist
}

// buildIndex reads the dead-letter topic and the original topics. It returns a usage error if f requests a
// position without a dead letter of its group, or if Kafka does not know the group.
func (c *cli) buildIndex(ctx context.Context, f filter) (*index, error) {
	x := &index{
		filter:        f,
		groups:        make(map[string]int),
		failures:      make(map[identity]*failure),
		letters:       make(map[position]*failure),
		missingTopics: make(map[string]bool),
	}
	err := c.scan(ctx, c.Topic, nil, func(record kafka.Record) error {
		return x.add(parseDeadLetter(record), c.TypeHeader)
	})
	if err != nil {
		return nil, err
	}
	for at := range f.positions {
		if x.letters[at] == nil {
			return nil, command.UsageError(fmt.Errorf("there is no dead letter at %s: dlq list shows where they are", at))
		}
	}
	if err := c.checkGroupExists(ctx, x); err != nil {
		return nil, err
	}
	return x, c.countReplays(ctx, x)
}

// add returns a usage error if the filter has the position of l, which is not of its group.
func (x *index) add(l deadLetter, typeHeader string) error {
	x.groups[l.group]++
	at := l.position
	if l.group != x.filter.group {
		switch requested := x.filter.positions[at]; {
		case requested && l.group == "":
			return command.UsageError(fmt.Errorf("the record at %s is no dead letter, because it names no consumer group: dlq show %s shows it", at, at))
		case requested:
			return command.UsageError(fmt.Errorf("the dead letter at %s is of group %q, not of %q: name it with --group", at, l.group, x.filter.group))
		}
		return nil
	}
	id := l.identity()
	known := x.failures[id]
	if known == nil {
		known = &failure{identity: id, first: l.failedAt}
		x.failures[id] = known
	}
	if l.failedAt.Before(known.first) {
		known.first = l.failedAt
	}
	x.letters[at] = known
	if x.filter.matches(l, typeHeader) {
		known.selected = true
		x.selected++
	}
	return nil
}

// checkGroupExists returns a usage error if the filter's group is probably misspelled: Kafka does not
// know it, and it has no dead letters.
func (c *cli) checkGroupExists(ctx context.Context, x *index) error {
	group := x.filter.group
	if group == c.Group || x.groups[group] > 0 {
		return nil
	}
	known, err := reader.HasGroup(ctx, c.Kafka, group)
	switch {
	case err != nil:
		return c.explainKafkaError(ctx, err)
	case known:
		return nil
	}
	delete(x.groups, "")
	others := cmp.Or(strings.Join(slices.Sorted(maps.Keys(x.groups)), ", "), "none")
	return command.UsageError(fmt.Errorf("there is no consumer group %q, and no dead letter of it: groups with dead letters are %s",
		group, others))
}

// countReplays reads from each original topic of a selected dead letter what was written since the first failure.
func (c *cli) countReplays(ctx context.Context, x *index) error {
	since := make(map[string]time.Time) // by topic
	for _, failed := range x.failures {
		earliest, known := since[failed.topic]
		if failed.selected && (!known || failed.first.Before(earliest)) {
			since[failed.topic] = failed.first
		}
	}
	for topic, first := range since {
		err := c.countReplaysIn(ctx, x, topic, first)
		if errors.As(err, new(*kafka.TopicError)) {
			x.missingTopics[topic] = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) countReplaysIn(ctx context.Context, x *index, topic string, since time.Time) error {
	var from map[int32]int64
	if !since.IsZero() {
		var err error
		if from, err = reader.OffsetsSince(ctx, c.Kafka, topic, since.Add(-maxClockSkew)); err != nil {
			return c.explainKafkaError(ctx, err)
		}
	}
	return c.scan(ctx, topic, from, func(record kafka.Record) error {
		of, err := parsePosition(record.Header(headerReplayOf))
		failed := x.letters[of]
		// If the dead-letter topic was deleted and created again, the position may be one of the old topic.
		if err == nil && failed != nil && failed.topic == topic && failed.content == record.Fingerprint() {
			failed.replays++
		}
		return nil
	})
}

// scanSelected calls visit for each dead letter that the filter selects, except those written after the index was
// built.
func (c *cli) scanSelected(ctx context.Context, x *index, visit func(deadLetter, *failure) error) error {
	return c.scan(ctx, c.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		failed := x.letters[l.position]
		if failed == nil || failed.identity != l.identity() || !x.filter.matches(l, c.TypeHeader) {
			return nil
		}
		return visit(l, failed)
	})
}
