package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/scripts/internal/proc"
)

const (
	bareTopic    = "bench-bare" // of the bare producer and consumer
	completions  = 50           // per second
	warmupEvents = 100          // not measured
)

// delays collects the durations of numbered operations.
type delays struct {
	mu    sync.Mutex
	began map[int]time.Time
	took  []time.Duration
}

func (d *delays) begin(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.began[n] = time.Now()
}

func (d *delays) end(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if began, ok := d.began[n]; ok {
		d.took = append(d.took, time.Since(began))
		delete(d.began, n)
	}
}

func (d *delays) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.took)
}

// milliseconds returns a quantile.
func (d *delays) milliseconds(q float64) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	values := make([]float64, len(d.took))
	for i, t := range d.took {
		values[i] = float64(t.Microseconds()) / 1000
	}
	return quantile(values, q)
}

var notified = regexp.MustCompile(`Notification: Task 'Learn Go, lesson (\d+)' has been completed!`)

// notificationLog parses the log of notification-service and ends the delay of each notified task.
type notificationLog struct {
	*delays
	line []byte // an incomplete line
}

// Write parses complete lines.
func (s *notificationLog) Write(text []byte) (int, error) {
	s.line = append(s.line, text...)
	for {
		line, rest, whole := bytes.Cut(s.line, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		if found := notified.FindSubmatch(line); found != nil {
			n, _ := strconv.Atoi(string(found[1])) // digits
			s.end(n)
		}
		s.line = rest
	}
}

// notify measures the time from the request that completes a task to the notification in the log. At the same
// time a bare producer and a bare consumer exchange as many records.
func (b *httpBench) notify(ctx context.Context) error {
	defer func() { _ = b.stopAll(ctx) }()
	long := time.Duration(b.rounds) * b.duration * 2
	n := int(long.Seconds() * completions)
	todo, err := b.newInstance(ctx, "notify", n+warmupEvents)
	if err != nil {
		return err
	}
	ours, theirs := &delays{began: map[int]time.Time{}}, &delays{began: map[int]time.Time{}}
	p, err := b.start("notification-service", todo.env, &notificationLog{delays: ours})
	if err != nil {
		return err
	}
	send, err := b.startBarePipeline(ctx, theirs)
	if err != nil {
		return err
	}
	if err := warmUp(ctx, todo, p, ours, n+1); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / completions)
	defer tick.Stop()
	var all sync.WaitGroup
	for i := 1; i <= n; i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		all.Go(func() {
			ours.begin(i)
			_ = complete(ctx, todo.http, i) // a failure is missing in the count below
		})
		all.Go(func() {
			theirs.begin(i)
			send(i)
		})
	}
	all.Wait()
	for end := time.Now().Add(10 * time.Second); (ours.count() < n || theirs.count() < n) && time.Now().Before(end); {
		<-tick.C
	}
	if ours.count() < n || theirs.count() < n {
		return fmt.Errorf("%d and %d of %d records arrived", ours.count(), theirs.count(), n)
	}
	return errors.Join(
		atMost("completed to notified (bare Sarama), p50, ms", ours.milliseconds(0.5), theirs.milliseconds(0.5), 4),
		atMost("completed to notified (bare Sarama), p99, ms", ours.milliseconds(0.99), theirs.milliseconds(0.99), 2),
	)
}

// warmUp completes tasks from first on, enough for every partition, and waits for their notifications. Joining
// the consumer group takes seconds and is not measured.
func warmUp(ctx context.Context, todo *instance, p *proc.Process, d *delays, first int) error {
	for id := first; id < first+warmupEvents; id++ {
		d.begin(id)
		if err := complete(ctx, todo.http, id); err != nil {
			return err
		}
	}
	if err := await(ctx, p, func() bool { return d.count() == warmupEvents }); err != nil {
		return fmt.Errorf("notification-service: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.took = nil
	return nil
}

func complete(ctx context.Context, addr string, id int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, fmt.Sprintf("http://%s/tasks/%d/done", addr, id), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// startBarePipeline connects a Sarama producer with acks=all and a Sarama consumer. Each has its own
// connections, because a produce request would wait behind a fetch on the same connection.
func (b *httpBench) startBarePipeline(ctx context.Context, d *delays) (send func(int), err error) {
	cfg := sarama.NewConfig()
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Return.Successes = true
	client, err := sarama.NewClient([]string{b.brokers}, cfg)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = client.Close() })
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	partitions, err := client.Partitions(bareTopic)
	if err != nil {
		return nil, err
	}
	for _, partition := range partitions {
		records, err := consumer.ConsumePartition(bareTopic, partition, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		go func() {
			for record := range records.Messages() {
				n, _ := strconv.Atoi(string(record.Value)) // our own
				d.end(n)
			}
		}()
	}
	producer, err := sarama.NewSyncProducer([]string{b.brokers}, cfg)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = producer.Close() })
	return func(n int) {
		value := sarama.StringEncoder(strconv.Itoa(n))
		_, _, _ = producer.SendMessage(&sarama.ProducerMessage{Topic: bareTopic, Key: value, Value: value})
	}, nil
}
