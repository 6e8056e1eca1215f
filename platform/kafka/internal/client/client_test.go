package client

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A decision record about Sarama's defaults refers to these settings.
func TestEverySettingOfSaramaIsListed(t *testing.T) {
	t.Parallel()
	cfg := kafka.Defaults("reader")
	cfg.InstanceID = "reader-0"
	conn, err := NewConnector(cfg).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Config().Validate(); err != nil {
		t.Error(err)
	}
	testenv.CheckSettings(t, "testdata/sarama.txt", conn.Config())
	if sarama.MaxResponseSize != MaxResponseBytes || sarama.MaxDecompressedBatchSize != MaxUnpackedBytes {
		t.Errorf("a response may have %d bytes, a batch %d", sarama.MaxResponseSize, sarama.MaxDecompressedBatchSize)
	}
}

func TestTopicIDIsKnownWhileABrokerIsDown(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := kafka.Defaults("test")
	cfg.Brokers = cluster.ListenAddrs()
	conn, err := NewConnector(cfg).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.RefreshMetadata("events"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.RemoveNode(2); err != nil {
		t.Fatal(err)
	}
	for range 50 { // Sarama has its brokers in no order
		if id, err := conn.TopicID("events"); err != nil || id == "" {
			t.Fatalf("the id is %q, %v", id, err)
		}
	}
}

// The abort at a context's end runs in a goroutine of its own, which may be late.
func TestACallsContextAbortsNoLaterCall(t *testing.T) {
	t.Parallel()
	cfg := kafka.Defaults("test")
	lazy := NewConnector(cfg).NewLazy()
	defer lazy.Close()
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		succeed := func(*Client) error { cancel(); return nil }
		if err := lazy.Do(ctx, succeed); err != nil {
			t.Fatal(err)
		}
		err := lazy.Do(t.Context(), func(c *Client) error {
			<-time.After(100 * time.Microsecond)
			return c.dialer.dialing.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
