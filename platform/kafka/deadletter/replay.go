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

	replayed, skipped int
	// The reasons to skip a dead letter. capped is that it failed again after maxReplays.
	alreadyReplayed, capped, withoutTopic, contentless, rejected int
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
	if x.selected == 0 {
		fmt.Fprintf(c.out, "nothing to replay: %s\n", x.explainEmpty())
		return nil
	}
	r := &replayRun{replayOptions: options, cli: c, index: x, producer: producer.New(c.Kafka, nil), startedAt: time.Now()}
	defer func() { _ = r.producer.Close() }()
	err = c.scanSelected(ctx, x, func(l deadLetter, failed *failure) error { return r.replayOne(ctx, l, failed) })
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
func (r *replayRun) replayOne(ctx context.Context, l deadLetter, failed *failure) error {
	skip := func(reason *int, format string, args ...any) {
		*reason++
		r.skipped++
		fmt.Fprintf(r.out, "%s %s\n", l.position, fmt.Sprintf(format, args...))
	}
	topic := printable.Excerpt(l.topic)
	verb := "would be replayed"
	switch {
	case l.contentless:
		size := printable.Excerpt(l.record.Header(headers.OriginalSize))
		skip(&r.contentless, "skipped: it lacks the %s bytes at %s of topic %s",
			size, printable.Excerpt(l.originalPosition), topic)
		return nil
	case r.index.missingTopics[l.topic]:
		skip(&r.withoutTopic, "skipped: topic %s does not exist", topic)
		return nil
	case failed.replays > 0 && !r.again:
		skip(&r.alreadyReplayed, "already replayed")
		return nil
	case l.priorReplays >= r.maxReplays:
		skip(&r.capped, "skipped: it failed again after %s (--max-replays %d)", plural(l.priorReplays, "replay"), r.maxReplays)
		return nil
	case !r.dryRun:
		verb = "replayed"
		err := r.send(ctx, l)
		if errors.Is(err, producer.ErrRejected) {
			skip(&r.rejected, "skipped: %s", singleLine(err))
			return nil
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(r.out, "%s %s to %s\n", l.position, verb, topic)
	r.replayed++
	failed.replays++
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
		verb, r.replayed, r.skipped, r.alreadyReplayed, r.capped, plural(r.maxReplays, "replay"))
	for _, more := range []struct {
		count  int
		reason string
	}{{r.withoutTopic, "with a missing topic"}, {r.contentless, "without contents"}, {r.rejected, "rejected by Kafka"}} {
		if more.count > 0 {
			text += fmt.Sprintf(", %d %s", more.count, more.reason)
		}
	}
	return text
}
