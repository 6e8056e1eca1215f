package app

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/contracts/event"
	"example.com/todo/notification-service/internal/consumer"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/redisstore"
	"example.com/todo/notification-service/internal/sender"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/command"
	"example.com/todo/platform/fdlimit"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/deadletter"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/tlsconfig"
)

// lease is how long a crash between the claim and the send may delay a notification.
// It is well above sender.maxTimeout, the longest time of one send.
const lease = 30 * time.Second

// Run serves until ctx ends and then stops in stages: readiness fails, the consumer
// finishes its batches and commits, the ops port closes, and then the Redis pool. It
// starts while Kafka or Redis is down or a topic is missing. It returns an error when a
// part fails, when the limit of open files is too low, or when the topic has another
// number of partitions.
func Run(ctx context.Context, cfg Config) error {
	log := logging.Open(cfg.Log, name)
	registry := metrics.New(name)
	if err := fdlimit.CapConnections(log, cfg.descriptors(), fdlimit.ConnLimit{Key: "ops.max_conns", Max: &cfg.Ops.MaxConns}); err != nil {
		return err
	}
	conns := clientlimit.NewConnLimiter(math.MaxInt, nil, log, registry) // the ops port limits no client
	topology := redis.NewTopology("redis", cfg.Redis, log)
	if err := topology.Check(ctx); err != nil {
		return err
	}
	client := redis.Open(cfg.Redis, "redis", registry)
	defer func() { _ = client.Close() }()

	claims := redisstore.NewClaimStore(client, cfg.Redis.KeyPrefix, lease, log)
	offsets := redisstore.NewOffsets(client, cfg.Redis.KeyPrefix, log)
	sink, err := newSender(cfg.Webhook, log, registry)
	if err != nil {
		return err
	}
	service := notify.NewService(claims, sink)

	var group *kafkaconsumer.Group // assigned below; its handler requests the log-end offsets from it
	logEnds := func(ctx context.Context) (map[int32]int64, error) { return group.LogEndOffsets(ctx) }
	handler := consumer.New(service, offsets, logEnds, log, registry)
	group = kafkaconsumer.NewGroup(kafkaconsumer.GroupConfig{
		Config: cfg.Kafka, Group: name, Topic: event.Topic, DLQ: event.DLQTopic,
		Quarantine: redis.NewQuarantineStore(client, cfg.Redis.KeyPrefix, name, log),
	}, handler, log, registry)

	opsServer, err := ops.Listen(cfg.Ops, conns, log, registry,
		ops.Check{Name: "kafka", Func: group.Ready},
		ops.Check{Name: "redis", Func: func(ctx context.Context) error { return redis.Ready(ctx, client, cfg.Redis, name) }},
	)
	if err != nil {
		return err
	}

	certificates := tlsconfig.NewMonitor(log, registry, cfg.Ops.TLSEndpoint("ops"), cfg.Redis.TLSEndpoint(), cfg.Kafka.TLSEndpoint(), cfg.Webhook.TLSEndpoint())
	log.InfoContext(ctx, "serving", "ops", opsServer.Addr())
	return lifecycle.Run(ctx,
		lifecycle.Stage{opsServer.FailReadiness(0), topology},
		lifecycle.Stage{group, certificates},
		lifecycle.Stage{opsServer},
	)
}

// newSender returns a log, behind a webhook when one is configured.
func newSender(cfg sender.WebhookConfig, log *slog.Logger, reg prometheus.Registerer) (notify.Sender, error) {
	if cfg.URL == "" {
		return sender.NewLog(log, nil), nil
	}
	webhook, err := sender.NewWebhook(cfg, reg)
	return sender.NewLog(log, webhook), err
}

// AddHealthcheck adds the command healthcheck to the program.
func AddHealthcheck(p *command.Program[Config]) { ops.AddHealthcheck(p, Defaults().Ops.Addr) }

// AddDeadLetters adds the command dlq to the program.
func AddDeadLetters(p *command.Program[Config]) {
	deadletter.Add(p, func(cfg Config) deadletter.Queue {
		return deadletter.Queue{Kafka: cfg.Kafka, Topic: event.DLQTopic, Group: name, TypeHeader: event.HeaderType}
	})
}
