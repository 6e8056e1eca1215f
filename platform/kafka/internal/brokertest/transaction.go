package brokertest

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/testenv"
)

// TransactionalProducer writes transactions to partition 0 of the Env's topic.
type TransactionalProducer struct {
	w      Env
	t      *testing.T
	client *kgo.Client
}

// Transactions returns a producer with a transactional id of its own.
func (w Env) Transactions(t *testing.T, id string) TransactionalProducer {
	t.Helper()
	client := w.Client(t, kgo.TransactionalID(w.Topic+"-"+id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return TransactionalProducer{w: w, t: t, client: client}
}

// Begin begins a transaction and writes the texts, each in a batch of its own.
func (x TransactionalProducer) Begin(texts ...string) {
	x.t.Helper()
	if err := x.client.BeginTransaction(); err != nil {
		x.t.Fatal(err)
	}
	for _, text := range texts {
		record := Value(text)
		record.Topic = x.w.Topic
		if err := x.client.ProduceSync(TimeoutContext(x.t), record).FirstErr(); err != nil {
			x.t.Fatal(err)
		}
	}
}

// End ends the transaction and waits for its marker, which Kafka writes after it responds.
func (x TransactionalProducer) End(how kgo.TransactionEndTry) {
	x.t.Helper()
	before := x.w.Ends(x.t, x.w.Topic)[0]
	if err := x.client.EndTransaction(TimeoutContext(x.t), how); err != nil {
		x.t.Fatal(err)
	}
	testenv.Eventually(x.t, "the transaction's marker", func() bool { return x.w.Ends(x.t, x.w.Topic)[0] > before })
}

// WriteMixedTransactions writes to partition 0 all that transactions can leave there: 15
// offsets below the last stable one, and an open transaction. It returns the values that
// readers get.
func (w Env) WriteMixedTransactions(t *testing.T) (committed []string, stable int64, open TransactionalProducer) {
	t.Helper()
	one, two, open := w.Transactions(t, "one"), w.Transactions(t, "two"), w.Transactions(t, "open")
	one.Begin("aborted first") // 0, marker 1
	one.End(kgo.TryAbort)
	one.Begin("committed") // 2, marker 3: the same producer commits after it aborted
	one.End(kgo.TryCommit)
	w.Send(t, Value("plain"))  // 4
	one.Begin("interleaved 1") // 5
	two.Begin("aborted 2")     // 6
	w.Send(t, Value("plain 2"))
	one.End(kgo.TryCommit) // marker 8
	two.End(kgo.TryAbort)  // marker 9
	two.Begin("committed by two")
	two.End(kgo.TryCommit) // 10, marker 11
	one.Begin("aborted at the end", "and its second")
	one.End(kgo.TryAbort) // 12, 13, marker 14
	open.Begin("open")    // 15
	w.Send(t, Value("plain 3"))
	return []string{"committed", "plain", "interleaved 1", "plain 2", "committed by two"}, 15, open
}
