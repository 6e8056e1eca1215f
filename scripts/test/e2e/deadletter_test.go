package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"example.com/todo/scripts/test/topictest"
)

// dlq runs the command dlq of a service's binary.
func dlq(t *testing.T, service string, args ...string) (status int, output string) {
	t.Helper()
	cmd := system.command(t.Context(), service, append([]string{"dlq"}, args...)...)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// replay runs dlq replay for one key and expects a summary.
func replay(t *testing.T, service, key, want string) {
	t.Helper()
	status, output := dlq(t, service, "replay", "--key", key)
	if status != 0 || !strings.HasSuffix(output, "\n"+want+"\n") {
		t.Errorf("%s: status %d, want %q:\n%s", service, status, want, output)
	}
}

// writeDeadLetter writes a dead letter of the group whose record can be handled, as after the deployment of a
// fixed version.
func writeDeadLetter(t *testing.T, client sarama.Client, group, key string, value sarama.Encoder) {
	t.Helper()
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	letter := &sarama.ProducerMessage{Topic: deadLetter, Key: sarama.StringEncoder(key), Value: value}
	for _, header := range [][2]string{
		{"event-type", "task.completed"}, {"error", "an older version"}, {"original-topic", topic}, {"original-partition", "0"},
		{"original-offset", "0"}, {"consumer-group", group}, {"attempts", "1"}, {"failed-at", time.Now().UTC().Format(time.RFC3339)},
	} {
		letter.Headers = append(letter.Headers, sarama.RecordHeader{Key: []byte(header[0]), Value: []byte(header[1])})
	}
	if _, _, err := producer.SendMessage(letter); err != nil {
		t.Fatal(err)
	}
}

func TestDeadLetterReplayedTwiceHasOneEffectInItsGroup(t *testing.T) {
	client := kafkaClient(t)
	for service, effect := range map[string]struct {
		counted int64
		titles  []string
	}{
		"stats-service":        {counted: 1},
		"notification-service": {titles: []string{"Replayed for notification-service"}},
	} {
		t.Run(service, func(t *testing.T) {
			before := settled(t, client)
			task := foreignID()
			key := fmt.Sprintf("task-%d", task)
			title := "Replayed for " + service
			writeDeadLetter(t, client, service, key, completion(uuid.NewString(), task, title))

			replay(t, service, key, "replayed 1, skipped 0: 0 already replayed, 0 failed again after 3 replays")
			replay(t, service, key, "replayed 0, skipped 1: 1 already replayed, 0 failed again after 3 replays")
			if status, listed := dlq(t, service, "list", "--key", key); status != 0 || !strings.Contains(listed, "1 dead letter of group "+service+", 1 already replayed") {
				t.Errorf("list: status %d:\n%s", status, listed)
			}
			consumed(t, client, "notification-service")
			notified(t, title, effect.titles...)
			if after := settled(t, client); after.CompletedTotal != before.CompletedTotal+effect.counted {
				t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
			}
		})
	}
}

func TestDeadLetterStaysAfterThreeFailedReplays(t *testing.T) {
	for _, service := range []string{"notification-service", "stats-service"} {
		t.Run(service, func(t *testing.T) {
			client := kafkaClient(t)
			from := topictest.EndOffsets(t, client, deadLetter)
			key := fmt.Sprintf("task-%d", foreignID())
			send(t, client, key, sarama.StringEncoder("rubbish"))
			for round := range 4 {
				// The other group writes one dead letter, for the first failure.
				readUntil(t, client, deadLetter, from, 2+round, withKey(key))
				if round < 3 {
					replay(t, service, key, fmt.Sprintf("replayed 1, skipped %d: %[1]d already replayed, 0 failed again after 3 replays", round))
				}
			}
			replay(t, service, key, "replayed 0, skipped 4: 3 already replayed, 1 failed again after 3 replays")
			consumed(t, client, "notification-service")
			consumed(t, client, "stats-service")
			if dead := readUntil(t, client, deadLetter, from, 5, withKey(key)); len(dead) != 5 {
				t.Errorf("%d dead letters", len(dead))
			}
		})
	}
}
