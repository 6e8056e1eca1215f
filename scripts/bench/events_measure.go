// The measurements of the events benchmark: draining a backlog to Kafka, consuming with
// each service, and kcat as the baseline.

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/testenv/netproxy"
)

const (
	pollInterval   = 2 * time.Millisecond // of the progress
	measureTimeout = 2 * time.Minute      // of one measurement
)

// measureRate polls the number of processed events until it is complete, and returns the rate. The time starts with
// the first number above 0: start-up and joining a group do not count.
func (b *eventsBench) measureRate(ctx context.Context, progress func(context.Context) (int, error)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var first int
	var since time.Time
	for {
		done, err := progress(ctx)
		switch {
		case err != nil:
			return 0, err
		case done == b.events:
			return float64(done-first) / time.Since(since).Seconds(), nil
		case done > 0 && first == 0:
			first, since = done, time.Now()
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d: %w", done, b.events, ctx.Err())
		case <-tick.C:
		}
	}
}

// drain measures the relay after an outage of Kafka: all events have a sequence number and went to the live
// feed, and no event went to Kafka.
func (b *eventsBench) drain(ctx context.Context) (float64, error) {
	if _, err := b.db.ExecContext(ctx, `UPDATE stream SET kafka_seq = 0`); err != nil {
		return 0, err
	}
	if err := b.emptyTopic(ctx); err != nil {
		return 0, err
	}
	// Kafka is unreachable until the whole backlog is in the log. Brokers tell clients their own
	// addresses, so that only the first requests use the proxy.
	proxy, err := netproxy.Listen(ctx, b.brokers)
	if err != nil {
		return 0, err
	}
	defer func() { _ = proxy.Close() }()
	proxy.SetMode(netproxy.Reject)
	return b.runServiceDuring(ctx, "todo-service", func(ctx context.Context) (float64, error) {
		if _, err := b.measureRate(ctx, b.pollColumn("live_seq")); err != nil {
			return 0, fmt.Errorf("assigning sequence numbers: %w", err)
		}
		proxy.SetMode(netproxy.Forward)
		return b.measureRate(ctx, b.pollColumn("kafka_seq"))
	}, "KAFKA_BROKERS="+proxy.Addr())
}

func (b *eventsBench) pollColumn(column string) func(context.Context) (int, error) {
	return func(ctx context.Context) (n int, err error) {
		err = b.db.QueryRowContext(ctx, `SELECT `+column+` FROM stream`).Scan(&n)
		return n, err
	}
}

// emptyTopic deletes the records of the previous round.
func (b *eventsBench) emptyTopic(ctx context.Context) error {
	if err := b.admin.DeleteTopic(event.Topic); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := b.createTopics(ctx, copyTopic); err == nil {
			return nil
		}
		select { // while Kafka deletes the topic, its creation fails
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ctx.Err()
}

func (b *eventsBench) statsConsumes(ctx context.Context) (float64, error) {
	return b.consume(ctx, "stats-service", "stats:offsets")
}

func (b *eventsBench) notificationsConsume(ctx context.Context) (float64, error) {
	return b.consume(ctx, "notification-service", "notification:offsets")
}

// consume measures a consumer that reads the topic for the first time, by the stored offsets in its Redis hash.
func (b *eventsBench) consume(ctx context.Context, service, offsets string) (float64, error) {
	prefix := rand.Text() + ":"
	if err := b.admin.DeleteConsumerGroup(service); err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return 0, err
	}
	return b.runServiceDuring(ctx, service, func(ctx context.Context) (float64, error) {
		return b.measureRate(ctx, func(ctx context.Context) (int, error) {
			fields, err := b.client.HGetAll(ctx, prefix+offsets).Result()
			sum := 0
			for partition, offset := range fields {
				if _, err := strconv.Atoi(partition); err == nil {
					n, _ := strconv.Atoi(offset) // the service writes numbers
					sum += n
				}
			}
			return sum, err
		})
	}, "REDIS_KEY_PREFIX="+prefix)
}

// readAll has kcat read the topic and print a line with key and value for each record.
var readAll = []string{"-C", "-t", event.Topic, "-o", "beginning", "-e", "-f", `%k\t%s\n`}

func (b *eventsBench) kcat(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "kcat", append([]string{"-q", "-b", b.brokers}, args...)...)
}

// kcatConsumes measures kcat as a consumer of the topic.
func (b *eventsBench) kcatConsumes(ctx context.Context) (float64, error) {
	return b.commandRate(b.kcat(ctx, readAll...))
}

// kcatProduces measures kcat as a producer of the same records to another topic.
func (b *eventsBench) kcatProduces(ctx context.Context) (float64, error) {
	file := filepath.Join(b.dir, "records")
	out, err := b.kcat(ctx, readAll...).Output()
	if err != nil {
		return 0, err
	}
	if lines := bytes.Count(out, []byte("\n")); lines != b.events {
		return 0, fmt.Errorf("the topic holds %d records, not %d", lines, b.events)
	}
	if err := os.WriteFile(file, out, 0o600); err != nil {
		return 0, err
	}
	return b.commandRate(b.kcat(ctx, "-P", "-t", copyTopic, "-X", "acks=all", "-K", `\t`, "-l", file))
}

func (b *eventsBench) commandRate(cmd *exec.Cmd) (float64, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, errors.Join(err, errors.New(stderr.String()))
	}
	return float64(b.events) / time.Since(began).Seconds(), nil
}
