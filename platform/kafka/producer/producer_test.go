package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func newProducer(t *testing.T, w brokertest.Env) *producer.Producer {
	producer := producer.New(w.Config(), nil)
	t.Cleanup(func() { producer.Close() })
	return producer
}

func TestSendsAreCountedByTheirResult(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		reg := prometheus.NewRegistry()
		producer := producer.New(w.Config(), reg)
		defer producer.Close()
		if err := producer.Send(brokertest.TimeoutContext(t), []kafka.Record{{Topic: w.Topic, Value: []byte("1")}}); err != nil {
			t.Fatal(err)
		}
		if err := producer.Send(brokertest.TimeoutContext(t), []kafka.Record{{Topic: w.Topic, Value: make([]byte, 2<<20)}}); err == nil {
			t.Fatal("a record of 2 MiB was accepted")
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range families[0].GetMetric() { // of the results "error" and "ok"
			if n := m.GetHistogram().GetSampleCount(); n != 1 {
				t.Errorf("%v has %d samples", m.GetLabel(), n)
			}
		}
		if families[0].GetName() != "kafka_producer_send_seconds" || len(families[0].GetMetric()) != 2 {
			t.Errorf("there are %v", families)
		}
	})
}

func TestSendKeepsTheOrderOfAKey(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		const keys, rounds, calls = 20, 100, 5
		producer := newProducer(t, w)
		for call := range calls {
			var records []kafka.Record
			for round := range rounds {
				for key := range keys {
					records = append(records, kafka.Record{
						Topic: w.Topic,
						Key:   fmt.Appendf(nil, "key-%d", key),
						Value: fmt.Appendf(nil, "%d", call*rounds+round),
					})
				}
			}
			if err := producer.Send(brokertest.TimeoutContext(t), records); err != nil {
				t.Fatal(err)
			}
		}
		next := make(map[string]int)
		for _, record := range w.Read(t, w.Topic, keys*rounds*calls) {
			key := string(record.Key)
			if want := fmt.Sprint(next[key]); string(record.Value) != want {
				t.Fatalf("%s: got value %s, want %s", key, record.Value, want)
			}
			next[key]++
		}
	})
}

func TestSendKeepsARecordToTheByte(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		at := time.Date(2026, 1, 15, 10, 0, 0, 123e6, time.UTC)
		sent := []kafka.Record{
			{Topic: w.Topic, Key: []byte("k"), Value: []byte("v"), Time: at, Headers: []kafka.Header{{Key: "a", Value: "1"}, {Key: "a", Value: "\xff"}}},
			{Topic: w.Topic, Key: []byte("k"), Value: nil, Time: at.Add(-time.Hour)},
			{Topic: w.Topic, Key: []byte("k"), Value: []byte{}, Time: at.Add(time.Hour)},
			{Topic: w.Topic, Key: []byte{}, Value: bytes.Repeat([]byte{0xff, 0}, 450_000), Time: at},
			{Topic: w.Topic, Key: nil, Value: []byte("no key"), Time: at},
		}
		if err := newProducer(t, w).Send(brokertest.TimeoutContext(t), sent); err != nil {
			t.Fatal(err)
		}
		got := make(map[string][]*kgo.Record)
		for _, record := range w.Read(t, w.Topic, len(sent)) {
			key := fmt.Sprintf("%q %v", record.Key, record.Key == nil)
			got[key] = append(got[key], record)
		}
		for _, want := range sent {
			key := fmt.Sprintf("%q %v", want.Key, want.Key == nil)
			if len(got[key]) == 0 {
				t.Fatalf("no record with key %s", key)
			}
			have := got[key][0]
			got[key] = got[key][1:]
			if !bytes.Equal(have.Value, want.Value) || (have.Value == nil) != (want.Value == nil) {
				t.Errorf("key %s: the value changed: %.20q, nil %v", key, have.Value, have.Value == nil)
			}
			if !have.Timestamp.Equal(want.Time) {
				t.Errorf("key %s: time %v, want %v", key, have.Timestamp, want.Time)
			}
			var headers []kafka.Header
			for _, header := range have.Headers {
				headers = append(headers, kafka.Header{Key: header.Key, Value: string(header.Value)})
			}
			if diff := cmp.Diff(want.Headers, headers); diff != "" {
				t.Errorf("key %s: headers (-want +got):\n%s", key, diff)
			}
		}
	})
}

func TestSendWaitsForEveryReplica(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	asked := make(chan *kmsg.ProduceRequest, 1)
	w.Fake.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		asked <- request.(*kmsg.ProduceRequest)
		return nil, nil, false
	})
	if err := newProducer(t, w).Send(brokertest.TimeoutContext(t), []kafka.Record{{Topic: w.Topic, Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	if acks := (<-asked).Acks; acks != -1 {
		t.Errorf("acks %d, want -1, which is all", acks)
	}
}

func TestSendWritesOnceWhenAcknowledgementsAreLost(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	for _, lost := range []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend} {
		w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: lost})
	}
	records := []kafka.Record{{Topic: w.Topic, Key: []byte("k"), Value: []byte("1")}, {Topic: w.Topic, Key: []byte("k"), Value: []byte("2")}}
	if err := newProducer(t, w).Send(brokertest.TimeoutContext(t), records); err != nil {
		t.Fatal(err)
	}
	if got := w.Total(t, w.Topic); got != 2 {
		t.Errorf("%d records written, want 2", got)
	}
}

// Kafka must not take the next record for a repetition of the failed one.
func TestSendWritesTheNextRecordAfterAFailedOne(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	producer := newProducer(t, w)
	lost := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: -1})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := producer.Send(ctx, []kafka.Record{{Topic: w.Topic, Key: []byte("k"), Value: []byte("1")}}); err == nil {
		t.Fatal("acknowledged without an answer")
	}
	lost.Remove()
	if err := producer.Send(brokertest.TimeoutContext(t), []kafka.Record{{Topic: w.Topic, Key: []byte("k"), Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	got := w.Read(t, w.Topic, 2)
	if string(got[0].Value) != "1" || string(got[1].Value) != "2" {
		t.Errorf("got %s, %s", got[0].Value, got[1].Value)
	}
}

func TestSendRequestsANewIDWhenKafkaForgotIt(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	var forgotten *int64
	w.Fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.UnknownProducerID, Count: -1,
		When: func(request kmsg.Request) bool {
			var batch kmsg.RecordBatch
			if err := batch.ReadFrom(request.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records); err != nil {
				t.Error(err)
			}
			if forgotten == nil {
				forgotten = &batch.ProducerID
			}
			return batch.ProducerID == *forgotten
		},
	})
	if err := newProducer(t, w).Send(brokertest.TimeoutContext(t), []kafka.Record{{Topic: w.Topic, Value: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
}

func TestSendRetriesTransientErrors(t *testing.T) {
	t.Parallel()
	for _, trouble := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID,
	} {
		t.Run(trouble.Message, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			producer := newProducer(t, w)
			send := func(text string) error {
				return producer.Send(brokertest.TimeoutContext(t), []kafka.Record{{Topic: w.Topic, Key: []byte("k"), Value: []byte(text)}})
			}
			if err := send("1"); err != nil {
				t.Fatal(err)
			}
			w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: trouble})
			if err := send("2"); err != nil {
				t.Fatal(err)
			}
			got := w.Read(t, w.Topic, 2)
			if string(got[0].Value) != "1" || string(got[1].Value) != "2" {
				t.Errorf("got %s, %s", got[0].Value, got[1].Value)
			}
		})
	}
}

// Otherwise a record would overtake an earlier one of its key.
func TestSendWritesNothingBehindARefusedBatch(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	producer := newProducer(t, w)
	large := bytes.Repeat([]byte("x"), 400_000) // two fit into a batch
	var records []kafka.Record
	for range 6 {
		records = append(records, kafka.Record{Topic: w.Topic, Key: []byte("k"), Value: large})
	}
	var first kmsg.Request
	w.Fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord,
		When: func(request kmsg.Request) bool {
			if first == nil {
				first = request
			}
			return request != first
		},
	})
	err := producer.Send(brokertest.TimeoutContext(t), records)
	if err == nil {
		t.Fatal("a refused batch was not reported")
	}
	if got := w.Total(t, w.Topic); got != 2 {
		t.Errorf("%d records written, want the two before the refused batch", got)
	}
	if err := producer.Send(brokertest.TimeoutContext(t), records[:1]); err != nil {
		t.Errorf("the producer is not usable after an error: %v", err)
	}
}

func TestSendSurvivesABrokerOutage(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	producer := newProducer(t, w)
	send := func(ctx context.Context, text string) error {
		return producer.Send(ctx, []kafka.Record{{Topic: w.Topic, Key: []byte("k"), Value: []byte(text)}})
	}
	if err := send(brokertest.TimeoutContext(t), "1"); err != nil {
		t.Fatal(err)
	}
	w.Fake.Stop()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := send(short, "2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline's error", err)
	}
	begun := time.Now()
	if err := send(brokertest.TimeoutContext(t), "2"); err == nil || time.Since(begun) > 15*time.Second {
		t.Fatalf("got %v after %v, want an error soon", err, time.Since(begun))
	}
	w.Fake.Start()
	if err := send(brokertest.TimeoutContext(t), "2"); err != nil {
		t.Fatal(err)
	}
	got := w.Read(t, w.Topic, 2)
	if string(got[0].Value) != "1" || string(got[1].Value) != "2" {
		t.Errorf("got %s, %s", got[0].Value, got[1].Value)
	}
}

func TestSendSurvivesAShortBrokerOutage(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	producer := newProducer(t, w)
	records := []kafka.Record{{Topic: w.Topic, Key: []byte("k"), Value: []byte("1")}}
	if err := producer.Send(brokertest.TimeoutContext(t), records); err != nil {
		t.Fatal(err)
	}
	w.Fake.Stop()
	sent := make(chan error, 1)
	go func() { sent <- producer.Send(brokertest.TimeoutContext(t), records) }()
	select {
	case err := <-sent:
		t.Fatalf("Send returned without a broker: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	w.Fake.Start()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestSendFailsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	silent := brokertest.NewFakeEnv(t)
	silent.Fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		silent.Fake.KeepControl()
		return nil, nil, true
	})
	for name, w := range map[string]brokertest.Env{
		"no answer from the first":   {Brokers: []string{mute.Addr().String()}, Topic: "things"},
		"no answer to the record":    silent,
		"nothing listens":            {Brokers: []string{"127.0.0.1:1"}, Topic: "things"},
		"the topic is not there yet": {Brokers: brokertest.NewFakeEnv(t).Brokers, Topic: "other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			producer := newProducer(t, w)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			begun := time.Now()
			err := producer.Send(ctx, []kafka.Record{{Topic: w.Topic, Value: []byte("v")}})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline's error", err)
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestSendFailsAfterClose(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	producer := newProducer(t, w)
	producer.Close()
	if err := producer.Send(t.Context(), []kafka.Record{{Topic: w.Topic}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
