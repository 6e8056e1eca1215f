package fetch

import (
	"bytes"
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// startBroker returns a fake broker with the topic events of one partition, a producer of
// gzipped batches of any size, and a configuration.
func startBroker(t *testing.T, options ...kgo.Opt) (*kfake.Cluster, *kgo.Client, kafka.Config) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	writer, err := kgo.NewClient(append(options, kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("events"),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	cfg := kafka.Defaults("test")
	cfg.Brokers = cluster.ListenAddrs()
	return cluster, writer, cfg
}

func TestFetchNamesTheBatchThatUnpacksTooLarge(t *testing.T) {
	t.Parallel()
	cluster, writer, cfg := startBroker(t, kgo.ManualFlushing())
	write := func(count int, value []byte) {
		t.Helper()
		for range count {
			writer.Produce(t.Context(), &kgo.Record{Value: value}, nil)
		}
		if err := writer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const records = 80
	write(1, []byte("before"))
	write(records, bytes.Repeat([]byte("b"), 900_000))
	write(1, []byte("after"))

	at, after := kafka.TopicPartition{Topic: "events", Partition: 0}, int64(records+1)
	for _, from := range []int64{1, 2, after - 1} {
		conn, err := client.Open(cfg, 0) // a new one each time: its first response is the handshake's
		if err != nil {
			t.Fatal(err)
		}
		_, err = fetchOnce(conn, at, from, 1)
		conn.Close()
		var bad *UndecodableError
		if !errors.As(err, &bad) || !errors.Is(err, sarama.ErrDecompressedBatchTooLarge) {
			t.Errorf("from %d: %v", from, err)
		} else if bad.First != from || bad.Next != after || bad.Size < 60_000 || bad.Size > 120_000 {
			t.Errorf("from %d: the batch is at %d to %d and has %d bytes", from, bad.First, bad.Next, bad.Size)
		}
	}
	conn, err := client.Open(cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for from, want := range map[int64]string{0: "before", after: "after"} {
		answer, err := fetchOnce(conn, at, from, 1)
		if err != nil || len(answer.Records) != 1 || string(answer.Records[0].Value) != want || answer.Next != from+1 {
			t.Errorf("from %d: %+v, %v", from, answer, err)
		}
	}
	cluster.Close()
	var bad *UndecodableError
	if _, err := fetchOnce(conn, at, 1, 1); err == nil || errors.As(err, &bad) {
		t.Errorf("a stopped broker: %v", err)
	}
}

// A header without text takes two bytes in the batch, and 32 in memory.
func TestFetchTreatsARecordOfCountlessHeadersAsUndecodable(t *testing.T) {
	t.Parallel()
	_, writer, cfg := startBroker(t)
	few, many := make([]kgo.RecordHeader, 100), make([]kgo.RecordHeader, maxRecordBytes/headerMemory+1)
	if err := writer.ProduceSync(t.Context(), &kgo.Record{Headers: few}, &kgo.Record{Headers: many}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	conn, err := client.Open(cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for offset, large := range []bool{false, true} {
		answer, err := fetchOnce(conn, kafka.TopicPartition{Topic: "events", Partition: 0}, int64(offset), 1)
		if err != nil || (answer.Records[0].Undecodable != nil) != large {
			t.Errorf("offset %d: %v, %v", offset, answer.Records[0].Undecodable, err)
		}
	}
}
