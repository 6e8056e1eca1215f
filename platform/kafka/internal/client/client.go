// Package client holds connections to Kafka: Sarama clients whose calls a context can
// abort, and the classification of their errors.
package client

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/IBM/sarama"
	gometrics "github.com/rcrowley/go-metrics"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/tlsconfig"
)

// Sarama's timeouts. A rebalance waits for the slowest member's batch, and a member
// waits for the rebalance on a read, so readTimeout exceeds rebalanceTimeout.
const (
	dialTimeout       = 3 * time.Second
	readTimeout       = 20 * time.Second
	rebalanceTimeout  = 15 * time.Second
	sessionTimeout    = 10 * time.Second
	heartbeatInterval = 3 * time.Second
)

// Bounds of the memory of one response.
const (
	MaxResponseBytes = 64 << 20               // as received
	MaxUnpackedBytes = 64 << 20               // of one batch, decompressed
	retryInterval    = 250 * time.Millisecond // between Sarama's requests for metadata
)

// Client is a Sarama client whose sockets can be closed in the middle of a call.
type Client struct {
	sarama.Client
	cfg    kafka.Config
	dialer *dialer
}

// Connector opens clients with the same settings. They share the certificate files that
// were read last.
type Connector struct {
	cfg    kafka.Config
	secure *tlsconfig.Client // nil without TLS
}

// NewConnector returns a connector, which has not read the certificate files yet.
func NewConnector(cfg kafka.Config) *Connector {
	return &Connector{cfg: cfg, secure: tlsconfig.NewClient(cfg.ClientFiles, cfg.Sources, "brokers")}
}

// Open prepares a client that refreshes its metadata at that interval, or, if it is 0,
// only on demand. It dials nothing, so the error is about the settings.
func (c *Connector) Open(refresh time.Duration) (*Client, error) {
	dialer := newDialer(c.secure)
	settings := newSaramaConfig(c.cfg, dialer)
	settings.Metadata.RefreshFrequency = refresh
	client, err := sarama.NewClient(c.cfg.Brokers, settings)
	if err != nil {
		return nil, err
	}
	return &Client{Client: client, cfg: c.cfg, dialer: dialer}, nil
}

// Close aborts the calls in progress and closes the client.
func (c *Client) Close() error {
	c.Abort()
	return c.Client.Close()
}

// Abort closes every socket and lets no new one open: calls in progress fail at once.
func (c *Client) Abort() { c.dialer.closeAll() }

// Intercept passes the next response to a fetch request to receive, which reads it from
// the socket and returns the bytes that Sarama decodes, or the error that Sarama returns.
// The caller calls stop when it expects no response any more.
func (c *Client) Intercept(receive func(socket io.Reader) ([]byte, error)) (stop func()) {
	c.dialer.next.Store(&receive)
	return func() { c.dialer.next.CompareAndSwap(&receive, nil) }
}

// GetOffset is sarama.Client's GetOffset at the isolation level read committed:
// sarama.OffsetNewest is the last stable offset. The embedded Client's method asks for
// the high watermark instead, whatever Consumer.IsolationLevel is.
func (c *Client) GetOffset(topic string, partition int32, at int64) (int64, error) {
	offset, err := c.requestOffset(topic, partition, at)
	if err == nil {
		return offset, nil
	}
	// The partition may have another leader now.
	if err := c.RefreshMetadata(topic); err != nil {
		return 0, err
	}
	return c.requestOffset(topic, partition, at)
}

// Offsets is GetOffset for all of the topic's partitions.
func (c *Client) Offsets(topic string, at int64) (map[int32]int64, error) {
	partitions, err := c.Partitions(topic)
	if err != nil {
		return nil, err
	}
	offsets := make(map[int32]int64, len(partitions))
	for _, partition := range partitions {
		if offsets[partition], err = c.GetOffset(topic, partition, at); err != nil {
			return nil, err
		}
	}
	return offsets, nil
}

func (c *Client) requestOffset(topic string, partition int32, at int64) (int64, error) {
	leader, err := c.Leader(topic, partition)
	if err != nil {
		return 0, err
	}
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

// CheckTopic refreshes the metadata and returns a *kafka.TopicError if the topic is
// missing or has another number of partitions than want; 0 accepts any number. It
// waits up to a second for a missing topic: a broker that has just started may not
// know all topics yet.
func (c *Client) CheckTopic(topic string, want int) error {
	err := c.RefreshMetadata(topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) || errors.Is(err, sarama.ErrInvalidTopic) {
		return &kafka.TopicError{Topic: topic, Want: want, Sources: c.cfg.Sources}
	}
	if err != nil {
		return err
	}
	return c.CheckPartitions(topic, want)
}

// CheckPartitions is CheckTopic by the metadata that the client has already.
func (c *Client) CheckPartitions(topic string, want int) error {
	partitions, err := c.Partitions(topic)
	if err != nil {
		return err
	}
	if want != 0 && len(partitions) != want {
		return &kafka.TopicError{Topic: topic, Want: want, Have: len(partitions), Sources: c.cfg.Sources}
	}
	return nil
}

// TopicID returns the id that Kafka gave the topic when it was created, or "" if the
// broker gives topics no id. A topic that is deleted and created again has another id.
func (c *Client) TopicID(topic string) (string, error) {
	brokers := c.Brokers()
	if len(brokers) == 0 { // none is known before the first response
		if broker := c.LeastLoadedBroker(); broker != nil {
			brokers = append(brokers, broker)
		}
	}
	// The first broker may be down. Without the id a session fails to begin, and that
	// makes all members of the group join anew. So each broker is tried in turn.
	err := error(sarama.ErrBrokerNotAvailable)
	request := sarama.NewMetadataRequest(c.Config().Version, []string{topic})
	for _, broker := range brokers {
		_ = broker.Open(c.Config()) // GetMetadata returns the error of a failed Open
		var response *sarama.MetadataResponse
		if response, err = broker.GetMetadata(request); err == nil {
			return findTopicID(response, topic)
		}
		_ = broker.Close() // otherwise Sarama hands out the broken connection again
	}
	return "", err
}

func findTopicID(response *sarama.MetadataResponse, topic string) (string, error) {
	for _, found := range response.Topics {
		switch {
		case found.Name != topic:
		case found.Err != sarama.ErrNoError:
			return "", found.Err
		case found.Uuid == sarama.Uuid{}:
			return "", nil
		default:
			return found.Uuid.String(), nil
		}
	}
	return "", sarama.ErrIncompleteResponse
}

// limitSarama sets the limits that Sarama keeps in package variables, and switches off
// Sarama's metrics, which nothing reads and whose ticker never ends.
var limitSarama = sync.OnceFunc(func() {
	sarama.MaxResponseSize = MaxResponseBytes
	sarama.MaxDecompressedBatchSize = MaxUnpackedBytes
	gometrics.UseNilMetrics = true
})

func newSaramaConfig(cfg kafka.Config, dialer *dialer) *sarama.Config {
	limitSarama()
	s := sarama.NewConfig()
	// The oldest protocol with all requests that this package uses. Kafka 2.8 and later speak it.
	s.Version = sarama.V2_8_0_0
	s.ClientID = cfg.ClientID

	s.Net.Proxy.Enable = true
	s.Net.Proxy.Dialer = dialer
	s.Net.ReadTimeout = readTimeout
	s.Net.WriteTimeout = readTimeout
	setCredentials(s, cfg.SASL)

	s.Metadata.Full = false
	s.Metadata.AllowAutoTopicCreation = false
	s.Metadata.Timeout = readTimeout
	s.Metadata.Retry.BackoffFunc = func(int, int) time.Duration {
		if dialer.isClosed() {
			return 0 // no retry can succeed
		}
		return retryInterval
	}

	s.Consumer.Return.Errors = true
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	// The consumer pauses Sarama's own fetching. A request that slips through gets one batch.
	s.Consumer.Fetch.Default = 1
	s.Consumer.Fetch.MaxBytes = 1
	s.Consumer.Retry.Backoff = time.Second
	s.Consumer.Offsets.Initial = sarama.OffsetOldest
	s.Consumer.Offsets.AutoCommit.Enable = true
	s.Consumer.Offsets.AutoCommit.Interval = time.Second
	s.Consumer.Group.InstanceId = cfg.InstanceID
	s.Consumer.Group.ResetInvalidOffsets = false // the session compares with the log's bounds itself, and reports a gap
	s.Consumer.Group.Session.Timeout = sessionTimeout
	s.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	s.Consumer.Group.Rebalance.Timeout = rebalanceTimeout
	s.Consumer.Group.Rebalance.Retry.Backoff = 500 * time.Millisecond
	// Eager: every rebalance ends the session, so every partition begins with Setup.
	s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	return s
}
