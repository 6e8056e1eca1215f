package probe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/prove/internal/history"
)

// onEachKafka runs a test on an in-process Kafka and, if there is one, on a real Kafka.
func onEachKafka(t *testing.T, test func(*testing.T, []string)) {
	t.Run("in process", func(t *testing.T) {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		test(t, cluster.ListenAddrs())
	})
	t.Run("real", func(t *testing.T) {
		test(t, strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ","))
	})
}

// createTopic creates a topic of three partitions, and returns a client of the broker.
func createTopic(t *testing.T, brokers []string) (name string, client *kgo.Client) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin, name, appended := kadm.NewClient(client), "checker-"+uuid.NewString(), "LogAppendTime"
	if _, err := admin.CreateTopic(t.Context(), 3, 1, map[string]*string{"message.timestamp.type": &appended}, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = admin.DeleteTopic(context.Background(), name) })
	return name, client
}

func newKafkaProbe(t *testing.T, brokers []string) *Probe {
	t.Helper()
	p, err := New(Config{PostgresDSN: "postgres://127.0.0.1:1/none?", Brokers: brokers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestReadTopicReturnsAllRecordsAndKeepsNullValues(t *testing.T) {
	t.Parallel()
	onEachKafka(t, func(t *testing.T, brokers []string) {
		name, client := createTopic(t, brokers)
		var produced []*kgo.Record
		var want []history.Record
		began := time.Now().Add(-time.Minute)
		for i := range 2500 { // the last partition stays empty
			key, value := fmt.Append(nil, "key", i), [][]byte{nil, {}, []byte("value")}[i%3]
			produced = append(produced, &kgo.Record{
				Topic: name, Partition: int32(i % 2), Key: key, Value: value, Timestamp: time.Unix(1, 0),
				Headers: []kgo.RecordHeader{{Key: "event-id", Value: fmt.Append(nil, i)}},
			})
			want = append(want, history.Record{
				Position: history.Position{Partition: int32(i % 2), Offset: int64(i / 2)}, Key: key, Value: value,
				Headers: []history.Header{{Key: "event-id", Value: fmt.Sprint(i)}},
			})
		}
		if err := client.ProduceSync(t.Context(), produced...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		got, err := newKafkaProbe(t, brokers).readTopic(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, records := range [][]history.Record{want, got} {
			slices.SortStableFunc(records, func(a, b history.Record) int { return cmp.Compare(a.Partition, b.Partition) })
		}
		timed := 0
		for i := range got {
			if got[i].Time.After(began) {
				timed++
			}
			got[i].Time = time.Time{}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if timed != len(want) && strings.HasSuffix(t.Name(), "/real") {
			t.Errorf("%d of %d records have the broker's timestamp", timed, len(want))
		}
	})
}

func TestReadTopicFailsWithoutABroker(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := newKafkaProbe(t, []string{"127.0.0.1:1"}).readTopic(ctx, "task-events"); err == nil {
		t.Error("no error without a broker")
	}
}
