package kafkatest

import (
	"context"
	"crypto/rand"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Transaction writes the values to the topic like Send, but in a transaction, which stays open until
// commit or abort is called.
func (e Env) Transaction(values ...string) (commit, abort func()) {
	e.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(e.Kafka.Brokers...), kgo.TransactionalID("test-"+rand.Text()))
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.Context()), timeout)
	e.Cleanup(cancel)
	err = client.BeginTransaction()
	for _, value := range values {
		if err == nil {
			err = client.ProduceSync(ctx, &kgo.Record{Topic: e.Topic, Key: []byte("task-1"), Value: []byte(value)}).FirstErr()
		}
	}
	if err != nil {
		e.Fatal(err)
	}
	end := func(how kgo.TransactionEndTry) func() {
		return func() {
			e.Helper()
			if err := client.EndTransaction(ctx, how); err != nil {
				e.Fatal(err)
			}
		}
	}
	return end(kgo.TryCommit), end(kgo.TryAbort)
}
