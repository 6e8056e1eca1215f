package e2e

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/redis/go-redis/v9"

	"example.com/todo/scripts/internal/port"
)

// execute executes a statement in a session of its own.
func execute(t *testing.T, dsn, statement string) error {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), statement)
	return err
}

func TestPostgresRefusesTheServiceWhatItDoesNotNeed(t *testing.T) {
	c := secureContainers(t)
	dsn, err := url.Parse(c.secret(t, "todo-service", "postgres-dsn"))
	if err != nil {
		t.Fatal(err)
	}
	dsn.Host = port.Addr(c.ports["POSTGRES_PORT"])
	dsn.RawQuery = "sslmode=verify-full&sslrootcert=" + system.credential("TLS_CA")
	for statement, want := range map[string]string{
		"SELECT * FROM tasks LIMIT 1":           "",
		"CREATE TABLE other (id int)":           "permission denied for schema public",
		"CREATE TEMPORARY TABLE other (id int)": "permission denied to create temporary tables",
		"DROP TABLE tasks":                      "must be owner of table tasks",
		"TRUNCATE events":                       "permission denied for table events",
		"DELETE FROM users":                     "permission denied for table users",
		"SELECT rolpassword FROM pg_authid":     "permission denied for table pg_authid",
		"COPY tasks TO PROGRAM 'cat'":           "permission denied to COPY to or from an external program",
		"SET ROLE todo_migrate":                 `permission denied to set role "todo_migrate"`,
	} {
		if err := execute(t, dsn.String(), statement); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", statement, err, want)
		}
	}
	dsn.Path = "/postgres"
	if err := execute(t, dsn.String(), "SELECT 1"); err == nil {
		t.Error("the service can connect to another database")
	}
}

func TestRedisRefusesServicesWhatTheyDoNotNeed(t *testing.T) {
	c := secureContainers(t)
	as := func(username, password string) *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: system.address("REDIS_ADDR"), TLSConfig: system.tls, Username: username, Password: password, MaxRetries: -1})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	for _, tt := range []struct{ service, allowed, denied string }{
		{"todo-service", "GET tasks:all", "GET stats:tasks:completed"},
		{"todo-service", "SUBSCRIBE task-events", "SUBSCRIBE other"},
		{"todo-service", "TIME", "FLUSHALL"},
		{"todo-service", "TIME", "CONFIG GET *"},
		{"notification-service", "GET processed:x", "GET session:x"},
		{"stats-service", "HGET stats:user:1 completed", "GET tasks:all"},
		{"stats-service", "TIME", "HSET session:x role admin"},
	} {
		client := as(tt.service, c.secret(t, tt.service, "redis-password"))
		if err := do(t, client, tt.allowed); err != nil && !errors.Is(err, redis.Nil) {
			t.Errorf("%s, %s: %v", tt.service, tt.allowed, err)
		}
		if err := do(t, client, tt.denied); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s, %s: %v, want NOPERM", tt.service, tt.denied, err)
		}
	}
	for username, password := range map[string]string{"": "", "default": "", "todo-service": "wrong"} {
		if err := do(t, as(username, password), "PING"); err == nil {
			t.Errorf("the user %q with the password %q can use Redis", username, password)
		}
	}
}

func do(t *testing.T, client *redis.Client, command string) error {
	t.Helper()
	var words []any
	for _, word := range strings.Fields(command) {
		words = append(words, word)
	}
	return client.Conn().Do(t.Context(), words...).Err()
}

// kafkaAs connects as a user; without a configuration of TLS in plaintext. It does not try again.
func kafkaAs(addr string, config *tls.Config, username, password string) (sarama.Client, error) {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	cfg.Metadata.Retry.Max, cfg.Producer.Retry.Max, cfg.Admin.Retry.Max = 0, 0, 0
	cfg.Producer.Return.Successes = true
	cfg.Net.DialTimeout, cfg.Net.ReadTimeout = 5*time.Second, 5*time.Second
	cfg.Net.TLS.Enable, cfg.Net.TLS.Config = config != nil, config
	cfg.Net.SASL.Enable, cfg.Net.SASL.Mechanism = true, sarama.SASLTypePlaintext
	cfg.Net.SASL.User, cfg.Net.SASL.Password = username, password
	return sarama.NewClient([]string{addr}, cfg)
}

func TestKafkaRefusesServicesWhatTheyDoNotNeed(t *testing.T) {
	c := secureContainers(t)
	for _, tt := range []struct {
		service, what string
		use           func(sarama.Client) error
		want          sarama.KError
	}{
		{"todo-service", "reading events", readTopic(topic), sarama.ErrTopicAuthorizationFailed},
		{"todo-service", "making a topic", makeTopic, sarama.ErrTopicAuthorizationFailed},
		{"notification-service", "sending an event", sendTo(topic), sarama.ErrTopicAuthorizationFailed},
		{"stats-service", "its group", readOffsets("stats-service"), sarama.ErrNoError},
		{"stats-service", "another's group", readOffsets("notification-service"), sarama.ErrGroupAuthorizationFailed},
	} {
		client, err := kafkaAs(system.address("KAFKA_BROKERS"), system.tls, tt.service, c.secret(t, tt.service, "kafka-password"))
		if err != nil {
			t.Fatalf("%s: %v", tt.service, err)
		}
		if err := tt.use(client); (tt.want == sarama.ErrNoError) != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want.Error()) {
			t.Errorf("%s, %s: %v, want %v", tt.service, tt.what, err, tt.want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	if client, err := kafkaAs(system.address("KAFKA_BROKERS"), system.tls, "admin", "wrong"); err == nil {
		_ = client.Close()
		t.Error("Kafka accepts a wrong password")
	}
}

func readTopic(topic string) func(sarama.Client) error {
	return func(client sarama.Client) error {
		leader, err := client.Leader(topic, 0)
		if err != nil {
			return err
		}
		request := &sarama.FetchRequest{Version: 4, MaxBytes: 1, MaxWaitTime: 1}
		request.AddBlock(topic, 0, 0, 1, -1)
		response, err := leader.Fetch(request)
		if err != nil {
			return err
		}
		if block := response.GetBlock(topic, 0); block != nil && block.Err != sarama.ErrNoError {
			return block.Err
		}
		return nil
	}
}

func sendTo(topic string) func(sarama.Client) error {
	return func(client sarama.Client) error {
		producer, err := sarama.NewSyncProducerFromClient(client)
		if err != nil {
			return err
		}
		_, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("{}")})
		return err
	}
}

func makeTopic(client sarama.Client) error {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	return admin.CreateTopic("other", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false)
}

func readOffsets(group string) func(sarama.Client) error {
	return func(client sarama.Client) error {
		coordinator, err := client.Coordinator(group)
		if err != nil {
			return err
		}
		response, err := coordinator.FetchOffset(&sarama.OffsetFetchRequest{Version: 2, ConsumerGroup: group})
		if err == nil && response.Err != sarama.ErrNoError {
			err = fmt.Errorf("offsets of %s: %w", group, response.Err)
		}
		return err
	}
}
