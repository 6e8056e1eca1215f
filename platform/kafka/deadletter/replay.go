package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/printable"
	"example.com/todo/platform/retry"
)

const sendTimeout = 10 * time.Second // for one record

// replayOptions are the flags of dlq replay.
type replayOptions struct {
	all, dryRun, again bool
	rate               float64 // records per second
	maxReplays         int
}

func (o replayOptions) validate(f filter) error {
	switch {
	case !o.all && !f.isSelective():
		return fmt.Errorf("this would replay every dead letter of group %q: select some by places or filters, or give --all", f.group)
	case !(o.rate > 0):
		return fmt.Errorf("--rate %v is no rate: give how many records per second, more than 0", o.rate)
	case o.maxReplays < 1:
		return fmt.Errorf("--max-replays %d would replay nothing: give 1 or more", o.maxReplays)
	}
	return nil
}

// replayRun is one execution of dlq replay, with its counters.
type replayRun struct {
	replayOptions
	*cli
	index     *index
	producer  *producer.Producer
	startedAt time.Time

	missingTopics map[string]bool // original topics that do not exist

	replayed, alreadyReplayed, capped, rejected int
	withoutTopic                                int // dead letters whose original topic is missing
	contentless                                 int // dead letters without contents
}

// replayDeadLetters writes the dead letters that f selects to their original topics. Its error says how
// many it has replayed, so that the operator can run the command again.
func (c *cli) replayDeadLetters(ctx context.Context, f filter, options replayOptions) error {
	if err := options.validate(f); err != nil {
		return command.UsageError(err)
	}
	x, err := c.buildIndex(ctx, f)
	if err != nil {
		return err
	}
	missing := make(map[string]bool)
	for topic, since := range x.originalTopics() {
		err := c.countReplays(ctx, x, topic, since)
		var wrong *kafka.TopicError
		if errors.As(err, &wrong) {
			missing[topic] = true
		} else if err != nil {
			return err
		}
	}
	if len(x.selected) == 0 {
		fmt.Fprintf(c.out, "nothing to replay: %s\n", x.explainEmpty())
		return nil
	}
	r := &replayRun{replayOptions: options, cli: c, index: x, missingTopics: missing, producer: producer.New(c.Kafka, nil), startedAt: time.Now()}
	defer func() { _ = r.producer.Close() }()
	err = c.scan(ctx, c.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		if x.selected[l.position] != l.identity() { // not selected, or written after the index was built
			return nil
		}
		return r.replayOne(ctx, l)
	})
	switch {
	case err == nil && r.withoutTopic > 0:
		return fmt.Errorf("%s; create the missing topics and run it again for the rest", r.summary())
	case err == nil && r.rejected > 0:
		return fmt.Errorf("%s; records that Kafka rejects stay dead letters", r.summary())
	case err == nil:
		fmt.Fprintf(c.out, "%s\n", r.summary())
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %s; run it again for the rest", r.summary())
	default:
		return fmt.Errorf("%s, then failed: %s; run it again for the rest", r.summary(), singleLine(err))
	}
}

// replayOne replays l, or counts and prints why not. Its error ends the run.
func (r *replayRun) replayOne(ctx context.Context, l deadLetter) error {
	id := l.identity()
	switch {
	case l.contentless:
		r.contentless++
		fmt.Fprintf(r.out, "%s skipped: it lacks the %s bytes at %s of topic %s\n",
			l.position, printable.Excerpt(l.record.Header(headers.OriginalSize)), printable.Excerpt(l.originalPosition), printable.Excerpt(l.topic))
		return nil
	case r.missingTopics[l.topic]:
		r.withoutTopic++
		fmt.Fprintf(r.out, "%s skipped: topic %s does not exist\n", l.position, printable.Excerpt(l.topic))
		return nil
	case r.index.replays[id] > 0 && !r.again:
		r.alreadyReplayed++
		fmt.Fprintf(r.out, "%s already replayed\n", l.position)
		return nil
	case l.priorReplays >= r.maxReplays:
		r.capped++
		fmt.Fprintf(r.out, "%s skipped: it failed again after %s (--max-replays %d)\n", l.position, plural(l.priorReplays, "replay"), r.maxReplays)
		return nil
	case r.dryRun:
		fmt.Fprintf(r.out, "%s would be replayed to %s\n", l.position, printable.Excerpt(l.topic))
	default:
		err := r.send(ctx, l)
		if errors.Is(err, producer.ErrRejected) {
			r.rejected++
			fmt.Fprintf(r.out, "%s skipped: %s\n", l.position, singleLine(err))
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(r.out, "%s replayed to %s\n", l.position, printable.Excerpt(l.topic))
	}
	r.replayed++
	r.index.replays[id]++
	return nil
}

// send writes one replay, at the rate of the options. If ctx ends meanwhile, the record is still
// written, so that the counters are right.
func (r *replayRun) send(ctx context.Context, l deadLetter) error {
	due := r.startedAt.Add(time.Duration(float64(r.replayed+r.rejected) / r.rate * float64(time.Second)))
	if !retry.Wait(ctx, time.Until(due)) {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	if err := r.producer.Send(ctx, []kafka.Record{l.replayRecord()}); err != nil {
		return fmt.Errorf("the dead letter at %s cannot be written to topic %q: %w", l.position, l.topic, err)
	}
	return nil
}

func (r *replayRun) summary() string {
	verb := "replayed"
	if r.dryRun {
		verb = "would replay"
	}
	text := fmt.Sprintf("%s %d, skipped %d: %d already replayed, %d failed again after %s",
		verb, r.replayed, r.alreadyReplayed+r.capped+r.rejected+r.withoutTopic+r.contentless, r.alreadyReplayed, r.capped, plural(r.maxReplays, "replay"))
	if r.withoutTopic > 0 {
		text += fmt.Sprintf(", %d with a missing topic", r.withoutTopic)
	}
	if r.contentless > 0 {
		text += fmt.Sprintf(", %d without contents", r.contentless)
	}
	if r.rejected > 0 {
		text += fmt.Sprintf(", %d rejected by Kafka", r.rejected)
	}
	return text
}
