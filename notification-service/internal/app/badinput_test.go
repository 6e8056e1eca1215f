//go:build unix

package app_test

import (
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

const leakedSecret = "hunter2" // which CheckBadInput looks for

func TestServiceSaysWhatIsWrongAndExitsOrRetries(t *testing.T) {
	t.Parallel()
	const unavailable = "redis: the server cannot be used, retrying"
	processtest.Service{Name: service, Settings: variables}.CheckBadInput(t, map[string]func(*testing.T) processtest.BadInput{
		"a value that cannot be parsed": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Env: []string{"KAFKA_PARTITIONS=six"}, Exits: true, Line: []string{`kafka.partitions: "six" from environment KAFKA_PARTITIONS: must be a whole number`}}
		},
		"a missing variable": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Env: []string{"WEBHOOK_URL=https://hooks.example.com/"}, Exits: true, Line: []string{"webhook.secret", "from default (variable WEBHOOK_SECRET)", "make one with"}}
		},
		"a port that is taken": func(t *testing.T) processtest.BadInput {
			taken := occupy(t)
			return processtest.BadInput{Env: []string{"OPS_ADDR=" + taken}, Exits: true, Line: []string{"ops.addr (environment OPS_ADDR)", taken, "address already in use", "choose another port"}}
		},
		"Redis is away": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Line: []string{unavailable, "connection refused", "is it running, and does redis.addr (environment REDIS_ADDR) name it?"}}
		},
		"Redis needs a password": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t, "--requirepass", leakedSecret)
			return processtest.BadInput{Env: []string{"REDIS_ADDR=" + addr}, Line: []string{unavailable, "NOAUTH", "set redis.password (default; variable REDIS_PASSWORD)"}}
		},
		"Redis rejects the password": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t, "--requirepass", "right")
			return processtest.BadInput{Env: []string{"REDIS_ADDR=" + addr, "REDIS_PASSWORD=" + leakedSecret}, Line: []string{unavailable, "WRONGPASS", "correct redis.password (environment REDIS_PASSWORD)"}}
		},
		"Redis is a replica": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t, "--replicaof", "127.0.0.1 1")
			return processtest.BadInput{Env: []string{"REDIS_ADDR=" + addr}, Line: []string{unavailable, "replica", "name the primary in redis.addr (environment REDIS_ADDR)"}}
		},
		"Redis has no such database": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t)
			return processtest.BadInput{Env: []string{"REDIS_ADDR=" + addr, "REDIS_DB=99"}, Exits: true, Line: []string{"redis.db (environment REDIS_DB)", addr, "no database with this number"}}
		},
		"Kafka is away": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Line: []string{"kafka consumer: not a member of the group, joining again", "connection refused", "is Kafka running, and does the setting kafka.brokers (environment KAFKA_BROKERS) name it?"}}
		},
		"a topic that is missing": func(t *testing.T) processtest.BadInput {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			return processtest.BadInput{Env: []string{"KAFKA_BROKERS=" + cluster.ListenAddrs()[0]}, Line: []string{"kafka consumer: not a member of the group, joining again", "does not exist: create it with 6 partitions", "kafka.brokers (environment KAFKA_BROKERS)"}}
		},
		"a topic with another number of partitions": func(t *testing.T) processtest.BadInput {
			brokers := startKafka(t, 3)
			return processtest.BadInput{Env: []string{"KAFKA_BROKERS=" + brokers[0]}, Exits: true, Line: []string{"has 3 partitions but 6 are configured", "set kafka.partitions (default; variable KAFKA_PARTITIONS) to 3"}}
		},
	})
}

// occupy returns an address on which the test listens.
func occupy(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}
