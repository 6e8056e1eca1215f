package server

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// Kafka is what both kinds of Kafka have in common: a broker at Addr that answers the Kafka protocol.
type kafka struct{ addr string }

func (k kafka) config(ctx context.Context) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "devstack"
	c.Version = sarama.V3_0_0_0
	c.Metadata.Retry.Max = 0
	wait := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Until(deadline), time.Millisecond)
	}
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = wait, wait, wait
	return c
}

// Ready returns nil when a broker answers and knows the cluster's controller.
func (k kafka) Ready(ctx context.Context) error {
	admin, err := sarama.NewClusterAdmin([]string{k.addr}, k.config(ctx))
	if err != nil {
		return err
	}
	return admin.Close()
}
