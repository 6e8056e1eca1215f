package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/printable"
	"example.com/todo/platform/retry"
)

// sendTimeout bounds the writing of one record.
const sendTimeout = 10 * time.Second

// replayOptions say how to replay.
type replayOptions struct {
	all, dryRun, again bool
	rate               float64 // records per second
	maxReplays         int
}

func (o replayOptions) validate(f filter) error {
	switch {
	case !o.all && !f.isSelective():
		return fmt.Errorf("this would replay every dead letter of group %q: say which, by places or filters, or --all", f.group)
	case !(o.rate > 0):
		return fmt.Errorf("--rate %v is no rate: give how many records per second, more than 0", o.rate)
	case o.maxReplays < 1:
		return fmt.Errorf("--max-replays %d would replay nothing: give 1 or more", o.maxReplays)
	}
	return nil
}

// replayRun is a replay under way, and what became of the letters so far.
type replayRun struct {
	replayOptions
	*cli
	index     *index
	producer  *kafka.Producer
	startedAt time.Time

	missingTopics map[string]bool // topics that letters name and that do not exist

	replayed, alreadyReplayed, capped, rejected int
	withoutTopic                                int // letters of missing topics
	contentless                                 int // letters without contents
}

// replayRecord writes the letters that are meant to the topics they came from.
func (d *cli) replayDeadLetters(ctx context.Context, f filter, options replayOptions) error {
	if err := options.validate(f); err != nil {
		return command.UsageError(err)
	}
	s, err := d.buildIndex(ctx, f)
	if err != nil {
		return err
	}
	missing := make(map[string]bool)
	for topic, since := range s.originalTopics() {
		err := d.countReplays(ctx, s, topic, since)
		var wrong *kafka.TopicError
		if errors.As(err, &wrong) {
			missing[topic] = true
		} else if err != nil {
			return err
		}
	}
	if len(s.selected) == 0 {
		fmt.Fprintf(d.out, "nothing to replay: %s\n", s.explainEmpty())
		return nil
	}
	r := &replayRun{replayOptions: options, cli: d, index: s, missingTopics: missing, producer: kafka.NewProducer(d.Kafka), startedAt: time.Now()}
	defer func() { _ = r.producer.Close() }()
	err = d.scan(ctx, d.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		if s.selected[l.position] != l.identity() { // written since, or not meant
			return nil
		}
		return r.replayOne(ctx, l)
	})
	switch {
	case err == nil && r.withoutTopic > 0:
		return fmt.Errorf("%s; create the topics that are missing, and run it again for the rest", r.summary())
	case err == nil && r.rejected > 0:
		return fmt.Errorf("%s; what Kafka refuses is still a dead letter", r.summary())
	case err == nil:
		fmt.Fprintf(d.out, "%s\n", r.summary())
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %s; run it again for the rest", r.summary())
	default:
		return fmt.Errorf("%s, and then: %s; run it again for the rest", r.summary(), singleLine(err))
	}
}

// replayOne replays the letter, or says why not.
func (r *replayRun) replayOne(ctx context.Context, l deadLetter) error {
	id := l.identity()
	switch {
	case l.contentless:
		r.contentless++
		fmt.Fprintf(r.out, "%s stays: it has nothing of the %s bytes at %s of topic %s\n",
			l.position, printable.Excerpt(l.record.Header(headerSize)), printable.Excerpt(l.originalPosition), printable.Excerpt(l.topic))
		return nil
	case r.missingTopics[l.topic]:
		r.withoutTopic++
		fmt.Fprintf(r.out, "%s stays: topic %s does not exist\n", l.position, printable.Excerpt(l.topic))
		return nil
	case r.index.replays[id] > 0 && !r.again:
		r.alreadyReplayed++
		fmt.Fprintf(r.out, "%s already replayed\n", l.position)
		return nil
	case l.priorReplays >= r.maxReplays:
		r.capped++
		fmt.Fprintf(r.out, "%s stays: it failed again after %s (--max-replays %d)\n", l.position, plural(l.priorReplays, "replay"), r.maxReplays)
		return nil
	case r.dryRun:
		fmt.Fprintf(r.out, "%s would be replayed to %s\n", l.position, printable.Excerpt(l.topic))
	default:
		err := r.send(ctx, l)
		if errors.Is(err, kafka.ErrRejected) {
			r.rejected++
			fmt.Fprintf(r.out, "%s stays: %s\n", l.position, singleLine(err))
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

// send writes one letter when its time has come. Told to stop, it finishes the
// one in hand, so that what it counts is what there is.
func (r *replayRun) send(ctx context.Context, l deadLetter) error {
	due := r.startedAt.Add(time.Duration(float64(r.replayed+r.rejected) / r.rate * float64(time.Second)))
	if !retry.Wait(ctx, time.Until(due)) {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	if err := r.producer.Send(ctx, []kafka.Record{l.replayRecord()}); err != nil {
		return fmt.Errorf("the dead letter at %s could not be written to topic %q: %w", l.position, l.topic, err)
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
		text += fmt.Sprintf(", %d of topics that do not exist", r.withoutTopic)
	}
	if r.contentless > 0 {
		text += fmt.Sprintf(", %d without contents", r.contentless)
	}
	if r.rejected > 0 {
		text += fmt.Sprintf(", %d refused by Kafka", r.rejected)
	}
	return text
}
