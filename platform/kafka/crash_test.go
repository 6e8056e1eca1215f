package kafka_test

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
)

// fileStore is a kafka.Quarantine of files.
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
	w := env{brokers: strings.Split(os.Getenv("VICTIM_BROKERS"), ","), topic: topic, dlq: topic + "-dlq"}
	cfg := w.groupConfig("readers")
	cfg.InstanceID, cfg.Quarantine = "victim", fileStore(os.Getenv("VICTIM_FOLDER"))
	group := kafka.NewGroup(cfg, handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
		for i, record := range batch {
			switch string(record.Value) {
			case "deadly":
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			case "unreadable":
				return i, kafka.Permanent(errors.New("unreadable"))
			}
			fmt.Printf("%d:%d\n", record.Partition, record.Offset)
		}
		return len(batch), nil
	}), discardLog(), prometheus.NewRegistry())
	if err := group.Run(context.Background()); err != nil {
		panic(err)
	}
}

func TestARecordThatKillsIsDeadLetteredAndNoOther(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) { wantDeadLettered(t, w, 9, 1) })
}

// They die of each other's records before the group's offset is committed, which
// happens every second only.
func TestRecordsThatKillInSeveralPartitionsAreAllDeadLettered(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) { wantDeadLettered(t, w, 60, 0, 1, 2) })
}

// wantDeadLettered has processes read a topic that kills them in some partitions,
// until each such record is dead-lettered, which takes at most so many lives.
func wantDeadLettered(t *testing.T, w env, lives int, deadly ...int32) {
	t.Helper()
	var records []*kgo.Record
	for partition := range int32(partitions) {
		for i := range 40 {
			value := fmt.Sprint(i)
			if i == 20 && slices.Contains(deadly, partition) {
				value = "deadly"
			}
			records = append(records, &kgo.Record{Partition: partition, Value: []byte(value)})
		}
	}
	w.send(t, records...)
	ctx, cancel := context.WithCancel(t.Context())
	marks, lived := t.TempDir(), make(chan int, 1)
	var printed []byte
	go func() {
		count := 0
		for ; ctx.Err() == nil; count++ {
			victim := exec.CommandContext(ctx, os.Args[0])
			victim.Env = append(os.Environ(), "VICTIM_OF="+w.topic, "VICTIM_BROKERS="+strings.Join(w.brokers, ","), "VICTIM_FOLDER="+marks)
			out, _ := victim.Output()
			printed = append(printed, out...)
		}
		lived <- count
	}()
	for _, headers := range w.deadLettersOf(t, "deadly", len(deadly)) {
		if headers["original-offset"] != "20" || headers["attempts"] != "5" || !strings.Contains(headers["error"], "died") {
			t.Errorf("dead letter with %v", headers)
		}
	}
	for partition := range int32(partitions) { // to know that all before it is done
		w.send(t, &kgo.Record{Partition: partition, Value: []byte("unreadable")})
	}
	w.deadLettersOf(t, "unreadable", partitions)
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
func (w env) deadLettersOf(t *testing.T, value string, want int) map[string]map[string]string {
	t.Helper()
	client := w.client(t, kgo.ConsumeTopics(w.dlq), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	letters := map[string]map[string]string{}
	for len(letters) < want {
		fetched := client.PollFetches(timeoutContext(t))
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
