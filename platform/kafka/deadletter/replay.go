package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/producer"
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
	case !o.all && !f.chosen():
		return fmt.Errorf("this would replay every dead letter of group %q: say which, by places or filters, or --all", f.group)
	case !(o.rate > 0):
		return fmt.Errorf("--rate %v is no rate: give how many records per second, more than 0", o.rate)
	case o.maxReplays < 1:
		return fmt.Errorf("--max-replays %d would replay nothing: give 1 or more", o.maxReplays)
	}
	return nil
}

// run is a replay under way, and what became of the letters so far.
type run struct {
	replayOptions
	*desk
	survey   *survey
	producer *producer.Producer
	begun    time.Time

	missing map[string]bool // topics that letters name and that do not exist

	replayed, already, stayed, refused int
	unroutable                         int // letters of missing topics
	bare                               int // letters without contents
}

// replay writes the letters that are meant to the topics they came from.
func (d *desk) replay(ctx context.Context, f filter, options replayOptions) error {
	if err := options.validate(f); err != nil {
		return command.UsageError(err)
	}
	s, err := d.survey(ctx, f)
	if err != nil {
		return err
	}
	missing := make(map[string]bool)
	for topic, since := range s.topics() {
		err := d.countCopies(ctx, s, topic, since)
		var wrong *kafka.TopicError
		if errors.As(err, &wrong) {
			missing[topic] = true
		} else if err != nil {
			return err
		}
	}
	if len(s.meant) == 0 {
		fmt.Fprintf(d.out, "nothing to replay: %s\n", s.none())
		return nil
	}
	r := &run{replayOptions: options, desk: d, survey: s, missing: missing, producer: producer.New(d.Kafka), begun: time.Now()}
	defer func() { _ = r.producer.Close() }()
	err = d.scan(ctx, d.Topic, nil, func(record kafka.Record) error {
		l := read(record)
		if s.meant[l.at] != l.identity() { // written since, or not meant
			return nil
		}
		return r.treat(ctx, l)
	})
	switch {
	case err == nil && r.unroutable > 0:
		return fmt.Errorf("%s; create the topics that are missing, and run it again for the rest", r.summary())
	case err == nil && r.refused > 0:
		return fmt.Errorf("%s; what Kafka refuses is still a dead letter", r.summary())
	case err == nil:
		fmt.Fprintf(d.out, "%s\n", r.summary())
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %s; run it again for the rest", r.summary())
	default:
		return fmt.Errorf("%s, and then: %s; run it again for the rest", r.summary(), oneLine(err))
	}
}

// treat replays the letter, or says why not.
func (r *run) treat(ctx context.Context, l letter) error {
	id := l.identity()
	switch {
	case l.bare:
		r.bare++
		fmt.Fprintf(r.out, "%s stays: it has nothing of the %s bytes at %s of topic %s\n",
			l.at, printable.Excerpt(l.record.Header(headerSize)), printable.Excerpt(l.original), printable.Excerpt(l.topic))
		return nil
	case r.missing[l.topic]:
		r.unroutable++
		fmt.Fprintf(r.out, "%s stays: topic %s does not exist\n", l.at, printable.Excerpt(l.topic))
		return nil
	case r.survey.copies[id] > 0 && !r.again:
		r.already++
		fmt.Fprintf(r.out, "%s already replayed\n", l.at)
		return nil
	case l.replays >= r.maxReplays:
		r.stayed++
		fmt.Fprintf(r.out, "%s stays: it failed again after %s (--max-replays %d)\n", l.at, several(l.replays, "replay"), r.maxReplays)
		return nil
	case r.dryRun:
		fmt.Fprintf(r.out, "%s would be replayed to %s\n", l.at, printable.Excerpt(l.topic))
	default:
		err := r.send(ctx, l)
		if errors.Is(err, producer.ErrRejected) {
			r.refused++
			fmt.Fprintf(r.out, "%s stays: %s\n", l.at, oneLine(err))
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(r.out, "%s replayed to %s\n", l.at, printable.Excerpt(l.topic))
	}
	r.replayed++
	r.survey.copies[id]++
	return nil
}

// send writes one letter when its time has come. Told to stop, it finishes the
// one in hand, so that what it counts is what there is.
func (r *run) send(ctx context.Context, l letter) error {
	due := r.begun.Add(time.Duration(float64(r.replayed+r.refused) / r.rate * float64(time.Second)))
	if !retry.Wait(ctx, time.Until(due)) {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	if err := r.producer.Send(ctx, []kafka.Record{l.replay()}); err != nil {
		return fmt.Errorf("the dead letter at %s could not be written to topic %q: %w", l.at, l.topic, err)
	}
	return nil
}

func (r *run) summary() string {
	verb := "replayed"
	if r.dryRun {
		verb = "would replay"
	}
	text := fmt.Sprintf("%s %d, skipped %d: %d already replayed, %d failed again after %s",
		verb, r.replayed, r.already+r.stayed+r.refused+r.unroutable+r.bare, r.already, r.stayed, several(r.maxReplays, "replay"))
	if r.unroutable > 0 {
		text += fmt.Sprintf(", %d of topics that do not exist", r.unroutable)
	}
	if r.bare > 0 {
		text += fmt.Sprintf(", %d without contents", r.bare)
	}
	if r.refused > 0 {
		text += fmt.Sprintf(", %d refused by Kafka", r.refused)
	}
	return text
}
