package deadletter

import (
	"context"
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

// index holds which dead letters exist, which of them the filter selects, and how often each was
// replayed. It holds no contents, so that its size is bounded by the number of dead letters.
type index struct {
	filter         filter
	groups         map[string]int        // number of dead letters by group
	selected       map[position]identity // the dead letters that the filter selects
	groupPositions map[position]identity // all dead letters of the filter's group
	firstFailure   map[identity]time.Time
	replays        map[identity]int // in the original topic
}

// buildIndex reads the dead-letter topic; countReplays adds the replays. It returns a usage error if f
// requests a position without a dead letter of its group, or if Kafka does not know the group.
func (c *cli) buildIndex(ctx context.Context, f filter) (*index, error) {
	x := &index{
		filter:         f,
		groups:         make(map[string]int),
		selected:       make(map[position]identity),
		groupPositions: make(map[position]identity),
		firstFailure:   make(map[identity]time.Time),
		replays:        make(map[identity]int),
	}
	requested := make(map[position]string) // the groups of the records at the positions in f
	err := c.scan(ctx, c.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		if f.positions[l.position] {
			requested[l.position] = l.group
		}
		x.add(l, c.TypeHeader)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := checkRequested(f, requested); err != nil {
		return nil, command.UsageError(err)
	}
	return x, c.checkGroupExists(ctx, x)
}

func (x *index) add(l deadLetter, typeHeader string) {
	x.groups[l.group]++
	if l.group != x.filter.group {
		return
	}
	id := l.identity()
	if first, known := x.firstFailure[id]; !known || l.failedAt.Before(first) {
		x.firstFailure[id] = l.failedAt
	}
	x.groupPositions[l.position] = id
	if x.filter.matches(l, typeHeader) {
		x.selected[l.position] = id
	}
}

// checkRequested returns an error unless each position of f has a dead letter of f's group. found holds
// the group of each record that is there, "" if it is no dead letter.
func checkRequested(f filter, found map[position]string) error {
	for at := range f.positions {
		switch group, exists := found[at]; {
		case !exists:
			return fmt.Errorf("there is no dead letter at %s: dlq list shows where they are", at)
		case group == "":
			return fmt.Errorf("the record at %s is no dead letter, because it names no consumer group: dlq show %s shows it", at, at)
		case group != f.group:
			return fmt.Errorf("the dead letter at %s is of group %q, not of %q: name it with --group", at, group, f.group)
		}
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
	if err != nil {
		return c.explainKafkaError(ctx, err)
	}
	if known {
		return nil
	}
	delete(x.groups, "")
	return command.UsageError(fmt.Errorf("there is no consumer group %q, and no dead letter of it: groups with dead letters are %s",
		group, joinOrNone(slices.Sorted(maps.Keys(x.groups)))))
}

func joinOrNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// originalTopics returns the original topics of the selected dead letters, each with the time of the
// first failure there. The time is zero if a dead letter has no valid time.
func (x *index) originalTopics() map[string]time.Time {
	first := make(map[string]time.Time)
	for _, id := range x.selected {
		at := x.firstFailure[id]
		if earliest, known := first[id.topic]; !known || at.Before(earliest) {
			first[id.topic] = at
		}
	}
	return first
}

// countReplays adds to x the replays that were written to the topic since that time.
func (c *cli) countReplays(ctx context.Context, x *index, topic string, since time.Time) error {
	var from map[int32]int64
	if !since.IsZero() {
		var err error
		if from, err = reader.OffsetsSince(ctx, c.Kafka, topic, since.Add(-maxClockSkew)); err != nil {
			return c.explainKafkaError(ctx, err)
		}
	}
	return c.scan(ctx, topic, from, func(record kafka.Record) error {
		if of, err := parsePosition(record.Header(headerReplayOf)); err == nil {
			x.addReplay(of, record)
		}
		return nil
	})
}

// addReplay counts a replay of the dead letter at the position.
func (x *index) addReplay(of position, record kafka.Record) {
	// If the dead-letter topic was deleted and created again, the position may be one of the old topic.
	if id, known := x.groupPositions[of]; known && id.topic == record.Topic && id.content == record.Fingerprint() {
		x.replays[id]++
	}
}
