package kafka

import (
	"testing"
	"testing/synctest"

	"github.com/IBM/sarama"
)

func TestTheNextBatchIsGatheredWhileTheLastIsInHand(t *testing.T) {
	t.Parallel()
	const mebibyte = 1 << 20
	for name, test := range map[string]struct {
		key, value, header int
		want               int
	}{
		"small records":           {8, 300, 20, batchRecords},
		"records of a mebibyte":   {8, mebibyte, 0, 4},
		"large keys":              {mebibyte, 8, 0, 4},
		"large headers":           {8, 8, mebibyte, 4},
		"one larger than a batch": {8, 2 * handleBytes, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source := make(chan *sarama.ConsumerMessage)
				batches := gather(t.Context(), source)
				read := int64(0)
				go func() {
					for range 3 * batchRecords {
						message := &sarama.ConsumerMessage{
							Offset: read, Key: make([]byte, test.key), Value: make([]byte, test.value),
							Headers: []*sarama.RecordHeader{{Value: make([]byte, test.header)}},
						}
						select {
						case source <- message:
							read++
						case <-t.Context().Done():
							return
						}
					}
				}()
				next := int64(0)
				for range 2 {
					synctest.Wait()
					if ahead := read - next; ahead != int64(test.want) {
						t.Fatalf("read %d records ahead, want %d", ahead, test.want)
					}
					batch := <-batches
					if len(batch) != test.want || batch[0].Offset != next {
						t.Fatalf("a batch of %d records from %d on, want %d from %d on", len(batch), batch[0].Offset, test.want, next)
					}
					next += int64(len(batch))
				}
			})
		})
	}
}
