package kafka

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
