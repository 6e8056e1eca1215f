package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
)

// fileStore is a quarantine.Store of files.
type fileStore string

func (f fileStore) file(partition int32) string {
	return filepath.Join(string(f), strconv.Itoa(int(partition)))
}

func (f fileStore) Load(_ context.Context, partition int32) (string, error) {
	mark, err := os.ReadFile(f.file(partition))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(mark), err
}

func (f fileStore) CompareAndSwap(ctx context.Context, partition int32, old, next string) (bool, error) {
	if found, err := f.Load(ctx, partition); err != nil || found != old {
		return false, err
	}
	if next == "" {
		return true, os.Remove(f.file(partition))
	}
	// A process that is killed while it writes leaves the mark that was there.
	written := f.file(partition) + ".new"
	if err := os.WriteFile(written, []byte(next), 0o600); err != nil {
		return false, err
	}
	return true, os.Rename(written, f.file(partition))
}

// runVictim is the life of a process that reads what may kill it, if this is one.
// What it handles it prints.
func runVictim() {
	topic := os.Getenv("VICTIM_OF")
	if topic == "" {
		return
	}
	w := brokertest.Env{Brokers: strings.Split(os.Getenv("VICTIM_BROKERS"), ","), Topic: topic, DLQ: topic + "-dlq"}
	cfg := groupConfig(w, "readers")
	cfg.InstanceID, cfg.Quarantine = "victim", fileStore(os.Getenv("VICTIM_FOLDER"))
	group := consumer.NewGroup(cfg, handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
		for i, record := range batch {
			switch string(record.Value) {
			case "deadly":
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			case "unreadable":
				return i, consumer.Permanent(errors.New("unreadable"))
			}
			fmt.Printf("%d:%d\n", record.Partition, record.Offset)
		}
		return len(batch), nil
	}), brokertest.DiscardLog(), prometheus.NewRegistry())
	if err := group.Run(context.Background()); err != nil {
		panic(err)
	}
}

func TestGroupDeadLettersTheRecordThatCrashesItsProcessAndNoOther(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) { wantDeadLettered(t, w, 9, 1) })
}

// The processes crash on each other's records before the offset is committed, which
// happens once a second.
func TestGroupDeadLettersRecordsOfSeveralPartitionsThatCrashTheirProcess(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) { wantDeadLettered(t, w, 60, 0, 1, 2) })
}

// wantDeadLettered has processes read a topic that kills them in some partitions,
// until each such record is dead-lettered, which takes at most so many lives.
func wantDeadLettered(t *testing.T, w brokertest.Env, lives int, deadly ...int32) {
	t.Helper()
	var records []*kgo.Record
	for partition := range int32(brokertest.Partitions) {
		for i := range 40 {
			value := fmt.Sprint(i)
			if i == 20 && slices.Contains(deadly, partition) {
				value = "deadly"
			}
			records = append(records, &kgo.Record{Partition: partition, Value: []byte(value)})
		}
	}
	w.Send(t, records...)
	ctx, cancel := context.WithCancel(t.Context())
	marks, lived := t.TempDir(), make(chan int, 1)
	var printed []byte
	go func() {
		count := 0
		for ; ctx.Err() == nil; count++ {
			victim := exec.CommandContext(ctx, os.Args[0])
			victim.Env = append(os.Environ(), "VICTIM_OF="+w.Topic, "VICTIM_BROKERS="+strings.Join(w.Brokers, ","), "VICTIM_FOLDER="+marks)
			out, _ := victim.Output()
			printed = append(printed, out...)
		}
		lived <- count
	}()
	for _, headers := range deadLettersOf(t, w, "deadly", len(deadly)) {
		if headers["original-offset"] != "20" || headers["attempts"] != "5" || !strings.Contains(headers["error"], "died") {
			t.Errorf("dead letter with %v", headers)
		}
	}
	for partition := range int32(brokertest.Partitions) { // to know that all before it is done
		w.Send(t, &kgo.Record{Partition: partition, Value: []byte("unreadable")})
	}
	deadLettersOf(t, w, "unreadable", brokertest.Partitions)
	cancel()
	if count := <-lived; count > lives {
		t.Errorf("%d lives until all was found out", count)
	}
	handled := map[string]bool{}
	for line := range strings.FieldsSeq(string(printed)) {
		handled[line] = true
	}
	for _, record := range records {
		place := fmt.Sprintf("%d:%d", record.Partition, record.Offset)
		if want := string(record.Value) != "deadly"; handled[place] != want {
			t.Errorf("%s handled: %v", place, !want)
		}
	}
}

// deadLettersOf waits for the dead letters of records with that value, of so many
// partitions, and returns their headers. One letter may be there twice: the
// process may die before it is committed that the record is done with.
func deadLettersOf(t *testing.T, w brokertest.Env, value string, want int) map[string]map[string]string {
	t.Helper()
	client := w.Client(t, kgo.ConsumeTopics(w.DLQ), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	letters := map[string]map[string]string{}
	for len(letters) < want {
		fetched := client.PollFetches(brokertest.TimeoutContext(t))
		if err := fetched.Err(); err != nil {
			t.Fatalf("%d of %d dead letters of %q: %v", len(letters), want, value, err)
		}
		for _, letter := range fetched.Records() {
			headers := map[string]string{}
			for _, header := range letter.Headers {
				headers[header.Key] = string(header.Value)
			}
			if string(letter.Value) == value {
				letters[headers["original-partition"]] = headers
			}
		}
	}
	return letters
}
