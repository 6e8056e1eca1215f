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
	bareTopic   = "bench-edge" // what a bare producer and consumer share
	completions = 50           // a second
	early       = 100          // of them are not measured
)

// delays are of things that happen once each, known by number.
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

func (d *delays) ended() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.took)
}

// milliseconds returns the quantile.
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

// service is the log of notification-service.
type service struct {
	*delays
	line []byte // the beginning of one
}

// Write takes what the service logs.
func (s *service) Write(text []byte) (int, error) {
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

// notify: from the sending of a completion to the line in the log, 50 a second,
// while a bare producer and consumer do the same with records of their own. It comes
// before all other parts, whose events in the topic would have to be read first.
func (b *bench) notify(ctx context.Context) error {
	defer b.stopAll(ctx)
	long := time.Duration(b.rounds) * b.each * 2
	n := int(long.Seconds() * completions)
	w, err := b.newWorld(ctx, "notify", n+early)
	if err != nil {
		return err
	}
	ours, theirs := &delays{began: map[int]time.Time{}}, &delays{began: map[int]time.Time{}}
	p, err := b.start("notification-service", w.env, &service{delays: ours})
	if err != nil {
		return err
	}
	send, err := b.bareRoad(ctx, theirs)
	if err != nil {
		return err
	}
	if err := warm(ctx, w, p, ours, n+1); err != nil {
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
			_ = complete(ctx, w.http, i) // what fails is missed below
		})
		all.Go(func() {
			theirs.begin(i)
			send(i)
		})
	}
	all.Wait()
	for end := time.Now().Add(10 * time.Second); (ours.ended() < n || theirs.ended() < n) && time.Now().Before(end); {
		<-tick.C
	}
	if ours.ended() < n || theirs.ended() < n {
		return fmt.Errorf("%d and %d of %d arrived", ours.ended(), theirs.ended(), n)
	}
	return errors.Join(
		atMost("completed to notified (bare Sarama), p50, ms", ours.milliseconds(0.5), theirs.milliseconds(0.5), 4),
		atMost("completed to notified (bare Sarama), p99, ms", ours.milliseconds(0.99), theirs.milliseconds(0.99), 2),
	)
}

// warm completes tasks from first on, enough for every partition to have some, and
// waits for their notifications: joining a group takes seconds, and is not what is
// measured.
func warm(ctx context.Context, w *world, p *proc.Process, d *delays, first int) error {
	for id := first; id < first+early; id++ {
		d.begin(id)
		if err := complete(ctx, w.http, id); err != nil {
			return err
		}
	}
	if err := await(ctx, p, func() bool { return d.ended() == early }); err != nil {
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

// bareRoad is Sarama with acks from all, and nothing around it. The two sides have
// connections of their own: records wait behind a fetch on the same one.
func (b *bench) bareRoad(ctx context.Context, d *delays) (send func(int), err error) {
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
