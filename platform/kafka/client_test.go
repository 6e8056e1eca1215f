package kafka

import (
	"testing"

	"github.com/IBM/sarama"

	"example.com/todo/platform/testenv"
)

// The settings are those of a client at work: what a decision record says of
// Sarama's defaults is about these.
func TestEverySettingOfSaramaIsKnown(t *testing.T) {
	t.Parallel()
	cfg := Defaults("reader")
	cfg.InstanceID = "reader-0"
	conn, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	if err := conn.Config().Validate(); err != nil {
		t.Error(err)
	}
	testenv.CheckSettings(t, "testdata/sarama.txt", conn.Config())
	if sarama.MaxResponseSize != maxResponse || sarama.MaxDecompressedBatchSize != maxUnpacked {
		t.Errorf("a response may have %d bytes, a batch %d", sarama.MaxResponseSize, sarama.MaxDecompressedBatchSize)
	}
}
