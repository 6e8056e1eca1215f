package kafka

import (
	"bytes"
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFetchTellsABatchThatUnpacksTooLargeFromItsNeighbours(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	writer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("events"),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30),
		kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
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

	cfg := Defaults("test")
	cfg.Brokers = cluster.ListenAddrs()
	at, after := TopicPartition{"events", 0}, int64(records+1)
	for _, from := range []int64{1, 2, after - 1} {
		conn, err := connect(cfg) // a new one each time: its first response is the handshake's
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.fetch(at, from, 1)
		conn.close()
		var bad *UndecodableError
		if !errors.As(err, &bad) || !errors.Is(err, sarama.ErrDecompressedBatchTooLarge) {
			t.Errorf("from %d: %v", from, err)
		} else if bad.offsets != (OffsetRange{from, after}) || bad.Size < 60_000 || bad.Size > 120_000 {
			t.Errorf("from %d: the batch is at %+v and has %d bytes", from, bad.offsets, bad.Size)
		}
	}
	conn, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.close)
	for from, want := range map[int64]string{0: "before", after: "after"} {
		answer, err := conn.fetch(at, from, 1)
		if err != nil || len(answer.Records) != 1 || string(answer.Records[0].Value) != want || answer.Next != from+1 {
			t.Errorf("from %d: %+v, %v", from, answer, err)
		}
	}
	cluster.Close()
	var bad *UndecodableError
	if _, err := conn.fetch(at, 1, 1); err == nil || errors.As(err, &bad) {
		t.Errorf("a broker that is away: %v", err)
	}
}

// A header without text has two bytes in the batch, and 32 in memory.
func TestARecordOfCountlessHeadersIsTooLarge(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	writer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("events"),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	few, many := make([]kgo.RecordHeader, 100), make([]kgo.RecordHeader, maxRecord/parsedHeaderSize+1)
	if err := writer.ProduceSync(t.Context(), &kgo.Record{Headers: few}, &kgo.Record{Headers: many}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cfg := Defaults("test")
	cfg.Brokers = cluster.ListenAddrs()
	conn, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.close)
	for offset, large := range []bool{false, true} {
		answer, err := conn.fetch(TopicPartition{"events", 0}, int64(offset), 1)
		if err != nil || (answer.Records[0].Undecodable != nil) != large {
			t.Errorf("offset %d: %v, %v", offset, answer.Records[0].Undecodable, err)
		}
	}
}
