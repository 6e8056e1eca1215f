package server

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

const (
	// requestTimeout bounds a request whose context has no deadline.
	requestTimeout = 10 * time.Second
	// operatorMechanism is that of the operator: an account in the broker's settings. Other users have userMechanism.
	operatorMechanism = sarama.SASLTypePlaintext
	userMechanism     = sarama.SCRAM_MECHANISM_SHA_512
)

// KafkaClient is how the operator reaches a broker.
type KafkaClient struct {
	Addr     string
	Security *Security
}

// check returns nil if the broker responds and knows the cluster's controller.
func (k KafkaClient) check(ctx context.Context) error {
	return k.withAdmin(ctx, func(sarama.ClusterAdmin) error { return nil })
}

func (k KafkaClient) withAdmin(ctx context.Context, do func(sarama.ClusterAdmin) error) error {
	cfg, err := k.config(ctx)
	if err != nil {
		return err
	}
	admin, err := sarama.NewClusterAdmin([]string{k.Addr}, cfg)
	if err != nil {
		return fmt.Errorf("reach Kafka on %s: %w", k.Addr, err)
	}
	defer admin.Close()
	return do(admin)
}

// config configures a client for both kinds of broker.
func (k KafkaClient) config(ctx context.Context) (*sarama.Config, error) {
	c := sarama.NewConfig()
	c.ClientID = "devstack"
	c.Version = sarama.V3_0_0_0
	c.Metadata.Retry.Max = 0
	wait := requestTimeout
	if deadline, ok := ctx.Deadline(); ok {
		wait = max(time.Until(deadline), time.Millisecond)
	}
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = wait, wait, wait
	if k.Security == nil {
		return c, nil
	}
	var err error
	if c.Net.TLS.Config, err = k.Security.clientTLS(); err != nil {
		return nil, err
	}
	c.Net.TLS.Enable = true
	c.Net.SASL.Enable, c.Net.SASL.Mechanism = true, operatorMechanism
	c.Net.SASL.User, c.Net.SASL.Password = k.Security.Operator.Name, k.Security.Operator.Password
	return c, nil
}
