package server

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// requestTimeout bounds a request whose context has no deadline.
const requestTimeout = 10 * time.Second

// kafkaClient is a client for both kinds of broker.
type kafkaClient struct{ addr string }

func (k kafkaClient) config(ctx context.Context) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "devstack"
	c.Version = sarama.V3_0_0_0
	c.Metadata.Retry.Max = 0
	wait := requestTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Until(deadline), time.Millisecond)
	}
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = wait, wait, wait
	return c
}

// Ready returns nil if the broker responds and knows the cluster's controller.
func (k kafkaClient) Ready(ctx context.Context) error {
	admin, err := sarama.NewClusterAdmin([]string{k.addr}, k.config(ctx))
	if err != nil {
		return err
	}
	return admin.Close()
}
