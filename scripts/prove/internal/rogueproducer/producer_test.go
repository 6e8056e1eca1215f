package rogueproducer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/rogueproducer"
)

const partitions = 6

// start returns a broker with the topic, a client of the test and a Producer.
func start(t *testing.T) (*kfake.Cluster, *kgo.Client, *rogueproducer.Producer) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, event.Topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(event.Topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	p, err := rogueproducer.New(cluster.ListenAddrs(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return cluster, client, p
}

// readRecords returns the first n records of the topic by position.
func readRecords(t *testing.T, client *kgo.Client, n int) map[string]*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	found := map[string]*kgo.Record{}
	for len(found) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records, want %d", len(found), n)
		}
		fetches.EachRecord(func(r *kgo.Record) { found[formatPosition(r.Partition, r.Offset)] = r })
	}
	return found
}

func formatPosition(partition int32, offset int64) string {
	return fmt.Sprintf("%d/%d", partition, offset)
}

func TestPoisonIsRecordedWithItsPosition(t *testing.T) {
	t.Parallel()
	_, client, p := start(t)
	const rounds = 3
	for range rounds {
		if err := p.WritePoison(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	poison := p.Poison()
	found := readRecords(t, client, len(poison))
	kinds, keys, at := map[string]int{}, map[string]bool{}, map[int32]bool{}
	for _, one := range poison {
		r := found[formatPosition(one.Partition, one.Offset)]
		if r == nil || !bytes.Equal(r.Key, one.Key) || !bytes.Equal(r.Value, one.Value) || (r.Value == nil) != (one.Value == nil) {
			t.Errorf("%s is not at %d/%d as recorded", one.Kind, one.Partition, one.Offset)
		}
		if keys[string(one.Key)] {
			t.Errorf("%s: key %s has other poison too", one.Kind, one.Key)
		}
		kinds[one.Kind]++
		keys[string(one.Key)] = true
		at[one.Partition] = true
	}
	for _, kind := range rogueproducer.Kinds() {
		if kinds[kind] != rounds {
			t.Errorf("%d records of %s", kinds[kind], kind)
		}
	}
	if len(at) < partitions/2 {
		t.Errorf("all on partitions %v", at)
	}
}

// The contract rejects each kind of poison for the reason in its name, and poison that crashes
// the handler passes the contract.
func TestPoisonHasTheDefectInItsName(t *testing.T) {
	t.Parallel()
	_, _, p := start(t)
	if err := p.WritePoison(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, one := range p.Poison() {
		e, err := event.Parse(one.Value)
		switch one.Kind {
		case rogueproducer.HandlerPanic, rogueproducer.ProcessKill:
			if err != nil || e.Type != event.Completed || !strings.HasPrefix(e.TaskTitle, "failpoint: this record ") {
				t.Errorf("%s: %+v, %v", one.Kind, e, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s is an event: %.100s", one.Kind, one.Value)
		}
		wrong := map[string]bool{
			rogueproducer.BadJSON:    !json.Valid(one.Value) && utf8.Valid(one.Value) && len(one.Value) > 0,
			rogueproducer.WrongTypes: json.Valid(one.Value) && strings.Contains(fmt.Sprint(err), "task_id must be"),
			rogueproducer.TooLarge:   json.Valid(one.Value) && len(one.Value) > event.MaxBytes && len(one.Value) < 1<<20,
			rogueproducer.BadUTF8:    !utf8.Valid(one.Value) && json.Valid(one.Value),
			rogueproducer.NullValue:  one.Value == nil,
		}
		if !wrong[one.Kind] {
			t.Errorf("%s has another defect: %.100q, %v", one.Kind, one.Value, err)
		}
	}
}

// produce writes n events as todo-service does, and records from other producers.
func produce(t *testing.T, client *kgo.Client, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{
			Topic: event.Topic, Key: []byte(event.Key(int64(i % 50))), Value: fmt.Appendf(nil, `{"number":%d}`, i),
			Headers: []kgo.RecordHeader{
				{Key: event.HeaderType, Value: []byte(event.Completed)}, {Key: event.HeaderService, Value: []byte(event.Service)},
				{Key: event.HeaderID, Value: fmt.Appendf(nil, "event-%d", i)},
			},
		})
	}
	replayed := *records[0]
	replayed.Headers = append(slices.Clone(records[0].Headers), kgo.RecordHeader{Key: "replay-group", Value: []byte("stats-service")})
	older := &kgo.Record{Topic: event.Topic, Key: []byte("older"), Value: []byte(`{}`), Headers: records[0].Headers[:2]}
	if err := client.ProduceSync(t.Context(), append(records, &replayed, older)...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestCopiesEqualAnEarlierRecord(t *testing.T) {
	t.Parallel()
	_, client, p := start(t)
	if err := p.WritePoison(t.Context()); err != nil {
		t.Fatal(err)
	}
	const events = 1000
	produce(t, client, events)

	copies := writeCopiesUntil(t, p, 0.1, 80)
	found := readRecords(t, client, len(rogueproducer.Kinds())+events+2+len(copies))
	if n := len(copies); n < events*7/100 || n > events*13/100 {
		t.Errorf("%d copies of %d events", n, events)
	}
	once := map[string]bool{}
	for _, one := range copies {
		r := found[formatPosition(one.Partition, one.Offset)]
		if r == nil || one.Kind != "copy" || once[one.EventID] {
			t.Fatalf("%+v is not in the topic, or not the only copy", one)
		}
		once[one.EventID] = true
		if !isOriginalBefore(found, r, one) {
			t.Errorf("%+v equals no earlier record", one)
		}
	}
}

func isOriginalBefore(found map[string]*kgo.Record, r *kgo.Record, one history.InjectedRecord) bool {
	for offset := range r.Offset {
		before := found[formatPosition(r.Partition, offset)]
		if cmp.Equal(before.Headers, r.Headers) && bytes.Equal(before.Key, r.Key) && bytes.Equal(before.Value, r.Value) {
			return bytes.Equal(r.Key, one.Key) && bytes.Equal(r.Value, one.Value)
		}
	}
	return false
}

// writeCopiesUntil writes copies until there are at least so many and no more follow.
func writeCopiesUntil(t *testing.T, p *rogueproducer.Producer, share float64, least int) []history.InjectedRecord {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.WriteCopies(ctx, share) }()
	for n := -1; len(p.Copies()) < least || len(p.Copies()) > n; {
		n = len(p.Copies())
		select {
		case <-time.After(3 * time.Second): // longer than idleTime
		case <-ctx.Done():
			t.Fatalf("%d copies", n)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return p.Copies()
}

func TestWritePoisonRetriesWhileTheBrokerIsDown(t *testing.T) {
	t.Parallel()
	cluster, client, p := start(t)
	if err := p.WritePoison(t.Context()); err != nil { // connects
		t.Fatal(err)
	}
	for range 3 { // the connection breaks instead of a response
		cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, errors.New("broken"), true
		})
	}
	if err := p.WritePoison(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(p.Poison()); n != 2*len(rogueproducer.Kinds()) {
		t.Fatalf("%d poison records", n)
	}
	readRecords(t, client, 2*len(rogueproducer.Kinds()))
}

func TestWriteCopiesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, _, p := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.WriteCopies(ctx, 1); err != nil {
		t.Errorf("WriteCopies: %v", err)
	}
}
