package fetch

import (
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func open(t *testing.T, w brokertest.Env) *client.Client {
	t.Helper()
	conn, err := client.NewConnector(w.Config()).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestFetchNamesTheBatchThatUnpacksTooLarge(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("before"))
	after := 1 + int64(w.SendOversizedBatch(t, kgo.GzipCompression()))
	w.Send(t, brokertest.Value("after"))
	at := kafka.TopicPartition{Topic: w.Topic}
	for _, from := range []int64{1, 2, after - 1} {
		conn := open(t, w) // a new one each time: its first response is the handshake's
		_, err := fetchOnce(conn, at, from, 1)
		var bad *UndecodableError
		if !errors.As(err, &bad) || !errors.Is(err, sarama.ErrDecompressedBatchTooLarge) {
			t.Errorf("from %d: %v", from, err)
		} else if bad.First != from || bad.Next != after || bad.Size < 60_000 || bad.Size > 120_000 {
			t.Errorf("from %d: the batch is at %d to %d and has %d bytes", from, bad.First, bad.Next, bad.Size)
		}
	}
	conn := open(t, w)
	for from, want := range map[int64]string{0: "before", after: "after"} {
		answer, err := fetchOnce(conn, at, from, 1)
		if err != nil || len(answer.Records) != 1 || string(answer.Records[0].Value) != want || answer.Next != from+1 {
			t.Errorf("from %d: %+v, %v", from, answer, err)
		}
	}
	w.Fake.Stop()
	var bad *UndecodableError
	if _, err := fetchOnce(conn, at, 1, 1); err == nil || errors.As(err, &bad) {
		t.Errorf("a stopped broker: %v", err)
	}
}

// A header without text takes two bytes in the batch, and 32 in memory.
func TestFetchTreatsARecordOfCountlessHeadersAsUndecodable(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	few, many := make([]kgo.RecordHeader, 100), make([]kgo.RecordHeader, maxRecordBytes/headerMemory+1)
	w.SendBatch(t, kgo.GzipCompression(), &kgo.Record{Topic: w.Topic, Headers: few}, &kgo.Record{Topic: w.Topic, Headers: many})
	conn := open(t, w)
	for offset, large := range []bool{false, true} {
		answer, err := fetchOnce(conn, kafka.TopicPartition{Topic: w.Topic}, int64(offset), 1)
		if err != nil || (answer.Records[0].Undecodable != nil) != large {
			t.Errorf("offset %d: %v, %v", offset, answer.Records[0].Undecodable, err)
		}
	}
}
