//go:build unix

package app_test

import (
	"testing"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/process/startuptest"
	"example.com/todo/platform/testenv"
)

func TestServiceSaysWhatIsWrongAndExitsOrRetries(t *testing.T) {
	t.Parallel()
	kafka := func(t *testing.T) []string { return []string{"KAFKA_BROKERS=" + startKafka(t, 6)[0]} }
	redis := func(t *testing.T) []string { return []string{"REDIS_ADDR=" + testenv.StartRedis(t)} }
	startuptest.Check(t, processtest.Service{Name: service, Settings: variables}, startuptest.Inputs{
		"a value that cannot be parsed": func(*testing.T) startuptest.Input {
			return startuptest.Input{Env: []string{"KAFKA_PARTITIONS=six"}, Exits: true, Line: []string{`kafka.partitions: "six" from environment KAFKA_PARTITIONS: must be a whole number`}}
		},
	},
		startuptest.Ports("http", "ops"),
		startuptest.Redis(kafka, false),
		startuptest.Kafka("kafka consumer: not a member of the group, joining again", []string{"task-events", "task-events-dlq"}, redis, false),
	)
}

func TestServiceUsesTLSAndPasswords(t *testing.T) {
	t.Parallel()
	startuptest.CheckSecured(t, processtest.Service{Name: service, Settings: variables}, []string{"http"}, []string{"task-events", "task-events-dlq"})
}
