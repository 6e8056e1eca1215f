// Package probe implements black box probes of the cluster: how far events have been sent and
// handled, and which replica relays. It connects to the servers directly.
package probe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/IBM/sarama"
	_ "github.com/lib/pq" // registers the driver
	"github.com/redis/go-redis/v9"
)

// Groups are the consumer groups.
var Groups = []string{"notification-service", "stats-service"}

const (
	topic          = "task-events"
	totalKey       = "stats:tasks:completed"
	requestTimeout = 2 * time.Second
)

// Probe queries the servers. It is safe for concurrent use. Its methods return an error while a
// server is down.
type Probe struct {
	db      *sql.DB
	redis   *redis.Client
	brokers []string

	mu     sync.Mutex // guards client
	client sarama.Client
}

// New returns a Probe without connecting.
func New(dsn string, brokers []string, redisAddr string) (*Probe, error) {
	db, err := sql.Open("postgres", dsn+"&connect_timeout=2&application_name=prove")
	if err != nil {
		return nil, err
	}
	return &Probe{db: db, brokers: brokers, redis: redis.NewClient(&redis.Options{
		Addr: redisAddr, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: requestTimeout,
	})}, nil
}

// Close closes the connections.
func (p *Probe) Close() {
	_ = p.db.Close()
	_ = p.redis.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disconnect()
}

// Progress is the progress of the events.
type Progress struct {
	UnsentKafka int64 // not in Kafka
	UnsentLive  int64 // not in the live feed
	Completed   int64 // events that complete a task
}

// Progress queries the database.
func (p *Probe) Progress(ctx context.Context) (Progress, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var progress Progress
	err := p.db.QueryRowContext(ctx, `
		SELECT head - kafka_seq + new.n, head - live_seq + new.n,
			(SELECT count(*) FROM events WHERE type = 'task.completed')
		FROM stream, (SELECT count(*) AS n FROM events WHERE seq IS NULL) AS new`).
		Scan(&progress.UnsentKafka, &progress.UnsentLive, &progress.Completed)
	return progress, err
}

// ActiveRelay returns the replica that holds the lock of the relay's Kafka cursor, by its
// application_name; "" if no replica does.
func (p *Probe) ActiveRelay(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var name string
	err := p.db.QueryRowContext(ctx, `
		SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.classid = 1953459311 AND l.objid = 1 AND l.granted`).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return name, err
}

// CountedCompletions returns the number of completions that stats-service has counted.
func (p *Probe) CountedCompletions(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	n, err := p.redis.Get(ctx, totalKey).Int64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, err
}

// Lag returns the number of records of the topic that a group has not committed.
func (p *Probe) Lag(group string) (lag int64, err error) {
	err = p.withClient(func(client sarama.Client) error {
		partitions, err := client.Partitions(topic)
		if err != nil {
			return err
		}
		admin, err := sarama.NewClusterAdminFromClient(client)
		if err != nil {
			return err
		}
		offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
			if err != nil {
				return err
			}
			block := offsets.GetBlock(topic, partition)
			if block == nil || block.Err != sarama.ErrNoError {
				return fmt.Errorf("group %s, partition %d: the broker returned no offset", group, partition)
			}
			lag += end - max(0, block.Offset)
		}
		return nil
	})
	return lag, err
}

// ShortestPartition returns the number of records in the topic's shortest partition.
func (p *Probe) ShortestPartition() (least int64, err error) {
	least = math.MaxInt64
	err = p.withClient(func(client sarama.Client) error {
		partitions, err := client.Partitions(topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
			if err != nil {
				return err
			}
			least = min(least, end)
		}
		return nil
	})
	return least, err
}

// withClient calls fn with the Kafka client. After an error the next call connects anew.
func (p *Probe) withClient(fn func(sarama.Client) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	client, err := p.connect()
	if err == nil {
		err = fn(client)
	}
	if err != nil {
		p.disconnect()
	}
	return err
}

func (p *Probe) connect() (sarama.Client, error) {
	if p.client != nil {
		return p.client, nil
	}
	c := sarama.NewConfig()
	c.ClientID = "prove"
	c.Version = sarama.V3_0_0_0
	c.Metadata.Retry.Max = 0
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = requestTimeout, requestTimeout, requestTimeout
	client, err := sarama.NewClient(p.brokers, c)
	if err == nil {
		p.client = client
	}
	return client, err
}

func (p *Probe) disconnect() {
	if p.client != nil {
		_ = p.client.Close()
		p.client = nil
	}
}
