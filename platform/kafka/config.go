package kafka

import (
	"errors"
	"regexp"

	"example.com/todo/platform/config"
	"example.com/todo/platform/tlsconfig"
)

// Config names the brokers, this client, its credentials, and the number of partitions of
// the topics.
type Config struct {
	// Brokers are host:port addresses of bootstrap brokers, from which the client learns the others.
	Brokers []string `config:"brokers"`
	// ClientID names this process in the brokers' logs and quotas.
	ClientID string `config:"client_id"`
	// Partitions is the number of partitions that each topic must have.
	Partitions int `config:"partitions"`
	// InstanceID makes the consumer a static member of its group: a restart
	// within the session timeout causes no rebalance. It is unique per replica,
	// and empty for a dynamic member.
	InstanceID string `config:"instance_id"`

	tlsconfig.ClientFiles
	SASL

	Sources config.Sources // for errors
}

// Defaults returns the settings for a broker on this machine.
func Defaults(clientID string) Config {
	return Config{Brokers: []string{"localhost:9092"}, ClientID: clientID, Partitions: 6, Sources: config.Sources{Section: "kafka"}}
}

// maxPartitions bounds the setting; the topic of one service has far fewer.
const maxPartitions = 100_000

// instanceID is the form that Kafka allows.
var instanceID = regexp.MustCompile(`^[0-9A-Za-z._-]{0,249}$`)

// Validate returns the joined errors of all settings that cannot work.
func (c Config) Validate() error {
	problems := []error{
		config.CheckServerAddrs("brokers", c.Brokers...),
		config.CheckName("client_id", c.ClientID),
		config.CheckRange("partitions", c.Partitions, 1, maxPartitions),
		c.ClientFiles.Validate(),
		c.SASL.Validate(),
	}
	if c.ClientID == "" {
		problems = append(problems, config.Invalid("client_id", "must not be empty: the brokers' logs and quotas know the service by it"))
	}
	if !instanceID.MatchString(c.InstanceID) || c.InstanceID == "." || c.InstanceID == ".." {
		problems = append(problems, config.Invalid("instance_id", "may hold letters, digits, '.', '_' and '-', at most 249"))
	}
	return errors.Join(problems...)
}

// TLSEndpoint describes the connections for a tlsconfig.Monitor.
func (c Config) TLSEndpoint() tlsconfig.Endpoint {
	return c.ClientEndpoint(c.Sources, c.Brokers...)
}

// ConsumerConns returns the most connections that a consumer group and the command dlq
// beside it open: per listed broker those of the group, its dead letters and scans, and
// per partition those of its reader, to a bootstrap broker and to the leader.
func (c Config) ConsumerConns() int {
	const perBroker, perPartition = 8, 2
	return perBroker*len(c.Brokers) + perPartition*c.Partitions
}
