package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"
	gometrics "github.com/rcrowley/go-metrics"
)

// How long Sarama waits. A rebalance waits for the slowest member's batch, and
// a member waits for the rebalance on a read: readTimeout is the longer one.
const (
	dialTimeout       = 3 * time.Second
	readTimeout       = 20 * time.Second
	rebalanceTimeout  = 15 * time.Second
	sessionTimeout    = 10 * time.Second
	heartbeatInterval = 3 * time.Second
)

// What reading may hold in memory. A response is bounded by maxFetchBytes or one
// batch of the topic, and by maxResponse. Of all partitions one at a time is
// unpacked (see inspection), to maxUnpacked at most, with maxMemoryOverhead around it; of
// that maxBatchMemory and a record more are kept, and the rest is asked for again. So a
// partition, moving or held, keeps twice that: what is in hand, and what comes next.
const (
	maxFetchBytes = 1 << 20
	minFetchBytes = 64 << 10 // asked for where more would be cut off
	maxResponse   = 64 << 20
	maxUnpacked   = 64<<20 - 1<<10 // a little less than the 64 MiB for which Sarama makes room
	maxRecord     = 16 << 20
)

// metadataRefresh is how often a consumer group looks for new partitions.
const metadataRefresh = time.Minute

// Client is a Sarama client that can be cut off in the middle of a call.
type Client struct {
	sarama.Client
	sockets *dialer
	ask     int32 // how many bytes the next read asks for
}

// connect prepares a connection. Nothing is dialled before it is used, so the
// error is about the settings, never about Kafka.
func connect(cfg Config) (*Client, error) {
	// Without a refresh in the background a connection carries what is asked and nothing else.
	return connectRefreshing(cfg, 0)
}

// connectRefreshing is connect for a client that learns the topics anew every
// so often.
func connectRefreshing(cfg Config, every time.Duration) (*Client, error) {
	sockets := newSockets()
	settings := newSaramaConfig(cfg, sockets)
	settings.Metadata.RefreshFrequency = every
	client, err := sarama.NewClient(cfg.Brokers, settings)
	if err != nil {
		return nil, err
	}
	return &Client{Client: client, sockets: sockets, ask: maxFetchBytes}, nil
}

// abortOn cuts the connection if ctx ends before the returned function is called.
func (c *Client) abortOn(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, c.sockets.closeAll)
}

// GetOffset is that of sarama.Client, read committed: sarama.OffsetNewest is the
// last stable offset, below which every transaction has ended.
func (c *Client) GetOffset(topic string, partition int32, at int64) (int64, error) {
	offset, err := c.requestOffset(topic, partition, at)
	if err == nil {
		return offset, nil
	}
	// The leader may be another one by now.
	if err := c.RefreshMetadata(topic); err != nil {
		return 0, err
	}
	return c.requestOffset(topic, partition, at)
}

// highWatermark is the log's end, read uncommitted.
func (c *Client) highWatermark(topic string, partition int32) (int64, error) {
	return c.Client.GetOffset(topic, partition, sarama.OffsetNewest)
}

func (c *Client) requestOffset(topic string, partition int32, at int64) (int64, error) {
	leader, err := c.Leader(topic, partition)
	if err != nil {
		return 0, err
	}
	// Sarama's own GetOffset asks for the high watermark, whatever Consumer.IsolationLevel is.
	request := sarama.NewOffsetRequest(c.Config().Version)
	request.IsolationLevel = sarama.ReadCommitted
	request.AddBlock(topic, partition, at, 1)
	response, err := leader.GetAvailableOffsets(request)
	if err != nil {
		_ = leader.Close() // otherwise Sarama hands out the broken connection again
		return 0, err
	}
	block := response.GetBlock(topic, partition)
	switch {
	case block == nil:
		return 0, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return 0, block.Err
	}
	return block.Offset, nil
}

// HasRecord tells whether the log has a record of that fingerprint at the offset, or
// has dropped what it had there.
func (c *Client) HasRecord(at TopicPartition, offset int64, fingerprint string) (bool, error) {
	end, err := c.GetOffset(at.Topic, at.Partition, sarama.OffsetNewest)
	if err != nil {
		return false, err
	}
	if offset >= end {
		return false, nil
	}
	answer, err := c.fetch(at, offset, 1)
	var garbled *UndecodableError
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange): // dropped
		return true, nil
	case errors.As(err, &garbled): // what was read once can be decoded
		return false, nil
	case err != nil:
		return false, err
	case len(answer.Records) == 0 || answer.Records[0].Offset > offset: // compacted
		return true, nil
	}
	return answer.Records[0].ShortFingerprint() == fingerprint, nil
}

func (c *Client) close() {
	c.sockets.closeAll()
	_ = c.Close()
}

// limitSarama sets the limits that Sarama keeps in package variables. Its
// metrics are switched off: nobody reads them, and their ticker never ends.
var limitSarama = sync.OnceFunc(func() {
	sarama.MaxResponseSize = maxResponse
	sarama.MaxDecompressedBatchSize = maxUnpacked
	gometrics.UseNilMetrics = true
})

func newSaramaConfig(cfg Config, sockets *dialer) *sarama.Config {
	limitSarama()
	s := sarama.NewConfig()
	// The oldest protocol that has all we use; spoken by Kafka 2.8 and every later one.
	s.Version = sarama.V2_8_0_0
	s.ClientID = cfg.ClientID

	s.Net.Proxy.Enable = true
	s.Net.Proxy.Dialer = sockets
	s.Net.ReadTimeout = readTimeout
	s.Net.WriteTimeout = readTimeout

	s.Metadata.Full = false
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.Timeout = readTimeout
	s.Metadata.Retry.BackoffFunc = func(int, int) time.Duration {
		if sockets.isClosed() {
			return 0 // no retry will do better
		}
		return 250 * time.Millisecond
	}

	s.Consumer.Return.Errors = true
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	// Sarama's own reading is paused (see session.ConsumeClaim); a request that slips through gets one batch.
	s.Consumer.Fetch.Default = 1
	s.Consumer.Fetch.MaxBytes = 1
	s.Consumer.Retry.Backoff = time.Second
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Enable = true
	s.Consumer.Offsets.AutoCommit.Interval = time.Second
	s.Consumer.Group.InstanceId = cfg.InstanceID
	s.Consumer.Group.ResetInvalidOffsets = false // Setup looks at the log's ends itself, and says what is missing
	s.Consumer.Group.Session.Timeout = sessionTimeout
	s.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	s.Consumer.Group.Rebalance.Timeout = rebalanceTimeout
	s.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	// Eager: every rebalance ends the session, so every claim begins with Setup.
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	return s
}
