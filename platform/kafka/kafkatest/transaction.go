package kafkatest

import (
	"context"
	"crypto/rand"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Transaction writes the values to the topic, in order, under the key that Send
// uses, in a transaction that is open until one of the functions is called.
func (w Env) Transaction(values ...string) (commit, abort func()) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka.Brokers...), kgo.TransactionalID("test-"+rand.Text()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), timeout)
	w.Cleanup(cancel)
	err = client.BeginTransaction()
	for _, value := range values {
		if err == nil {
			err = client.ProduceSync(ctx, &kgo.Record{Topic: w.Topic, Key: []byte("task-1"), Value: []byte(value)}).FirstErr()
		}
	}
	if err != nil {
		w.Fatal(err)
	}
	end := func(how kgo.TransactionEndTry) func() {
		return func() {
			w.Helper()
			if err := client.EndTransaction(ctx, how); err != nil {
				w.Fatal(err)
			}
		}
	}
	return end(kgo.TryCommit), end(kgo.TryAbort)
}
