package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"

	"example.com/todo/scripts/test/topictest"
)

// completion is an event in the format of todo-service, of a task that does not exist.
func completion(id string, task int64, title string) sarama.StringEncoder {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	return sarama.StringEncoder(fmt.Sprintf(
		`{"id":%q,"type":"task.completed","task_id":%d,"task_title":%q,"timestamp":%q,`+
			`"task":{"id":%d,"title":%q,"priority":0,"done":true,"created_at":%q,"completed_at":%q,"version":2}}`,
		id, task, title, now, task, title, now, now))
}

// foreignID returns a task id that the stack under test does not assign.
func foreignID() int64 { return 1_000_000 + rand.Int64N(1_000_000_000) }

func TestDuplicateEventHasOneEffect(t *testing.T) {
	client := kafkaClient(t)
	before := settled(t, client)
	id, task := uuid.NewString(), foreignID()
	key := fmt.Sprintf("task-%d", task)
	send(t, client, key, completion(id, task, "Sent twice"))
	send(t, client, key, completion(id, task, "Sent twice"))

	consumed(t, client, "notification-service")
	if after := settled(t, client); after.CompletedTotal != before.CompletedTotal+1 {
		t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
	}
	notified(t, "Sent twice", "Sent twice")
}

func TestEventWithoutIDHasOneEffect(t *testing.T) {
	client := kafkaClient(t)
	before := settled(t, client)
	task := foreignID()
	older := sarama.StringEncoder(fmt.Sprintf(
		`{"type":"task.completed","task_id":%d,"task_title":"Older shape","timestamp":%q}`, task, time.Now().UTC().Format(time.RFC3339)))
	key := fmt.Sprintf("task-%d", task)
	send(t, client, key, older)
	send(t, client, key, older)

	consumed(t, client, "notification-service")
	if after := settled(t, client); after.CompletedTotal != before.CompletedTotal+1 {
		t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
	}
	notified(t, "Older shape", "Older shape")
}

func TestInvalidRecordIsDeadLetteredAndTheNextEventIsHandled(t *testing.T) {
	stamp := time.Now().UTC().Format(time.RFC3339)
	noise := bytes.Repeat([]byte("noise "), 150_000)
	for name, value := range map[string]sarama.Encoder{
		"not JSON":        sarama.StringEncoder("rubbish"),
		"half JSON":       sarama.StringEncoder(`{"type":"task.completed","task_id":`),
		"another type":    sarama.StringEncoder(`["task.completed"]`),
		"wrong types":     sarama.StringEncoder(fmt.Sprintf(`{"type":"task.completed","task_id":"one","task_title":"x","timestamp":%q}`, stamp)),
		"missing fields":  sarama.StringEncoder(`{"type":"task.completed"}`),
		"missing type":    sarama.StringEncoder(fmt.Sprintf(`{"task_id":1,"task_title":"x","timestamp":%q}`, stamp)),
		"null value":      nil,
		"empty value":     sarama.StringEncoder(""),
		"invalid UTF-8":   sarama.ByteEncoder(fmt.Appendf(nil, `{"type":"task.completed","task_id":1,"task_title":"%s","timestamp":%q}`, "\xff\xfe", stamp)),
		"900 kB of noise": sarama.ByteEncoder(noise),
	} {
		t.Run(name, func(t *testing.T) {
			client := kafkaClient(t)
			before := settled(t, client)
			from := topictest.EndOffsets(t, client, deadLetter)
			task := foreignID()
			key := fmt.Sprintf("task-%d", task)
			title := "Behind " + name
			partition, offset := send(t, client, key, value, sarama.RecordHeader{Key: []byte("origin"), Value: []byte(name)})
			send(t, client, key, completion(uuid.NewString(), task, title))

			notified(t, title, title)
			if after := settled(t, client); after.CompletedTotal != before.CompletedTotal+1 {
				t.Errorf("counted %d after %d", after.CompletedTotal, before.CompletedTotal)
			}
			dead := readUntil(t, client, deadLetter, from, 2, withKey(key))
			groups := map[string]int{}
			for _, record := range dead {
				groups[headerOf(record, "consumer-group")]++
				checkDeadLetter(t, record, value, partition, offset)
				if headerOf(record, "origin") != name {
					t.Errorf("the record's own header is gone")
				}
			}
			if len(dead) != 2 || groups["notification-service"] != 1 || groups["stats-service"] != 1 {
				t.Errorf("dead letters by group: %v", groups)
			}
		})
	}
}

func checkDeadLetter(t *testing.T, record *sarama.ConsumerMessage, value sarama.Encoder, partition int32, offset int64) {
	t.Helper()
	var want []byte
	if value != nil {
		want, _ = value.Encode()
	}
	if !bytes.Equal(record.Value, want) || (record.Value == nil) != (value == nil) {
		t.Errorf("the value changed: %.100q, want %.100q", record.Value, want)
	}
	for name, want := range map[string]string{
		"original-topic":     topic,
		"original-partition": strconv.Itoa(int(partition)),
		"original-offset":    strconv.FormatInt(offset, 10),
	} {
		if got := headerOf(record, name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	if reason := headerOf(record, "error"); reason == "" || len(reason) > 1024 {
		t.Errorf("header error has %d bytes: %.100q", len(reason), reason)
	}
	if n, err := strconv.Atoi(headerOf(record, "attempts")); err != nil || n < 1 {
		t.Errorf("header attempts = %q", headerOf(record, "attempts"))
	}
	if _, err := time.Parse(time.RFC3339, headerOf(record, "failed-at")); err != nil {
		t.Errorf("header failed-at: %v", err)
	}
}

func TestUnknownEventTypeIsSkipped(t *testing.T) {
	client := kafkaClient(t)
	from := topictest.EndOffsets(t, client, deadLetter)
	task := foreignID()
	key := fmt.Sprintf("task-%d", task)
	future := strings.Replace(string(completion(uuid.NewString(), task, "From the future")), "task.completed", "task.archived", 1)
	send(t, client, key, sarama.StringEncoder(future))
	send(t, client, key, completion(uuid.NewString(), task, "After the future"))

	notified(t, "After the future", "After the future")
	consumed(t, client, "notification-service")
	consumed(t, client, "stats-service")
	for _, record := range topictest.Read(t, client, deadLetter, from) {
		if string(record.Key) == key {
			t.Errorf("dead letter of %s: %s", headerOf(record, "consumer-group"), headerOf(record, "error"))
		}
	}
	for _, part := range []string{"notification-service", "stats-service"} {
		if log := system.log(t, part); !strings.Contains(log, "task.archived") {
			t.Errorf("%s did not warn of task.archived", part)
		}
	}
}
