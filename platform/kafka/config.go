package kafka

import (
	"errors"
	"regexp"

	"example.com/todo/platform/config"
)

// Config says how to reach Kafka and what to expect of the topics there.
type Config struct {
	// Brokers are host:port addresses to start from; the rest of the cluster is learnt from them.
	Brokers []string `config:"brokers"`
	// ClientID names this program in the brokers' logs and quotas.
	ClientID string `config:"client_id"`
	// Partitions is how many partitions each topic must have: CheckTopic refuses another number.
	Partitions int `config:"partitions"`
	// InstanceID makes the consumer a static member of its group: a restart
	// within the session timeout causes no rebalance. Unique per replica; empty
	// for an ordinary member.
	InstanceID string `config:"instance_id"`
}

// Defaults returns the settings for a broker on this machine.
func Defaults(clientID string) Config {
	return Config{Brokers: []string{"localhost:9092"}, ClientID: clientID, Partitions: 6}
}

// mostPartitions is far more than the topic of one service can have.
const mostPartitions = 100_000

// ConsumerConns returns how many connections a consumer group and the command dlq beside
// it hold at most: with each broker listed those of the group, of its dead letters and of
// scans, and for each partition those of its reader, to the broker that tells the leader
// and to the leader.
func (c Config) ConsumerConns() int {
	const perBroker, perPartition = 8, 2
	return perBroker*len(c.Brokers) + perPartition*c.Partitions
}

// instanceID is what Kafka allows.
var instanceID = regexp.MustCompile(`^[0-9A-Za-z._-]{0,249}$`)

// Validate reports what can not work, whatever the brokers say.
func (c Config) Validate() error {
	problems := []error{
		config.CheckServerAddrs("brokers", c.Brokers...),
		config.CheckWord("client_id", c.ClientID),
		config.CheckRange("partitions", c.Partitions, 1, mostPartitions),
	}
	if c.ClientID == "" {
		problems = append(problems, config.Invalid("client_id", "must not be empty: the brokers' logs and quotas know the service by it"))
	}
	if !instanceID.MatchString(c.InstanceID) || c.InstanceID == "." || c.InstanceID == ".." {
		problems = append(problems, config.Invalid("instance_id", "may hold letters, digits, '.', '_' and '-', at most 249"))
	}
	return errors.Join(problems...)
}
