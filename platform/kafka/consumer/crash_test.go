package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	text, err := os.ReadFile(f.file(partition))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

func (f fileStore) CompareAndSwap(ctx context.Context, partition int32, old, next string) (bool, error) {
	if found, err := f.Load(ctx, partition); err != nil || found != old {
		return false, err
	}
	if next == "" {
		return true, os.Remove(f.file(partition))
	}
	// A process that is killed while it writes leaves the previous state.
	written := f.file(partition) + ".new"
	if err := os.WriteFile(written, []byte(next), 0o600); err != nil {
		return false, err
	}
	return true, os.Rename(written, f.file(partition))
}

// runVictim consumes a topic whose records may crash this process, if the environment
// says so, and prints what it handles.
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
	}), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
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

// wantDeadLettered starts processes that a record in each of these partitions crashes,
// until each such record is dead-lettered. It fails if that takes more than maxProcesses.
func wantDeadLettered(t *testing.T, w brokertest.Env, maxProcesses int, deadly ...int32) {
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
	folder, processes := t.TempDir(), make(chan int, 1)
	var printed []byte
	go func() {
		count := 0
		for ; ctx.Err() == nil; count++ {
			victim := exec.CommandContext(ctx, os.Args[0])
			victim.Env = append(os.Environ(), "VICTIM_OF="+w.Topic, "VICTIM_BROKERS="+strings.Join(w.Brokers, ","), "VICTIM_FOLDER="+folder)
			out, _ := victim.Output()
			printed = append(printed, out...)
		}
		processes <- count
	}()
	for _, headers := range deadLettersOf(t, w, "deadly", len(deadly)) {
		if headers["original-offset"] != "20" || headers["attempts"] != "5" || !strings.Contains(headers["error"], "died") {
			t.Errorf("dead letter with %v", headers)
		}
	}
	for partition := range int32(brokertest.Partitions) { // after it, all records before are done
		w.Send(t, &kgo.Record{Partition: partition, Value: []byte("unreadable")})
	}
	deadLettersOf(t, w, "unreadable", brokertest.Partitions)
	cancel()
	if count := <-processes; count > maxProcesses {
		t.Errorf("%d processes until all was dead-lettered", count)
	}
	handled := map[string]bool{}
	for line := range strings.FieldsSeq(string(printed)) {
		handled[line] = true
	}
	for _, record := range records {
		position := fmt.Sprintf("%d:%d", record.Partition, record.Offset)
		if want := string(record.Value) != "deadly"; handled[position] != want {
			t.Errorf("%s handled: %v", position, !want)
		}
	}
}

// deadLettersOf waits for the dead letters of records with that value in that many
// partitions, and returns their headers. A dead letter may exist twice: the process may
// crash before its offset is committed.
func deadLettersOf(t *testing.T, w brokertest.Env, value string, want int) map[string]map[string]string {
	t.Helper()
	client := w.Client(t, kgo.ConsumeTopics(w.DLQ), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	found := map[string]map[string]string{}
	for len(found) < want {
		fetched := client.PollFetches(brokertest.TimeoutContext(t))
		if err := fetched.Err(); err != nil {
			t.Fatalf("%d of %d dead letters of %q: %v", len(found), want, value, err)
		}
		for _, letter := range fetched.Records() {
			headers := headersOf(letter)
			if string(letter.Value) == value {
				found[headers["original-partition"]] = headers
			}
		}
	}
	return found
}
