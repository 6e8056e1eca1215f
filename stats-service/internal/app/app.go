package app

import (
	"cmp"
	"context"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/command"
	"example.com/todo/platform/fdlimit"
	"example.com/todo/platform/httpserver"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/deadletter"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/session"
	"example.com/todo/platform/tlsconfig"
	"example.com/todo/platform/tracing"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/httpapi"
	"example.com/todo/stats-service/internal/promcollector"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

// Run serves until ctx ends and then stops in stages: readiness fails, so that load
// balancers choose another replica, the listener drains, the consumer finishes its
// batches and commits, the ops port closes, and then the Redis pool. It starts while
// Kafka or Redis is down or a topic is missing. It returns an error when a part fails, when
// the limit of open files is too low, or when the topic has another number of partitions.
func Run(ctx context.Context, cfg Config) error {
	log := logging.Open(cfg.Log, name)
	registry := metrics.New(name)
	err := fdlimit.CapConnections(log, cfg.descriptors(),
		fdlimit.ConnLimit{Key: "http.max_conns", Max: &cfg.HTTP.MaxConns},
		fdlimit.ConnLimit{Key: "ops.max_conns", Max: &cfg.Ops.MaxConns})
	if err != nil {
		return err
	}
	conns := clientlimit.NewConnLimiter(cfg.MaxConnsPerClient, cfg.TrustedProxies, log, registry)
	tracer, err := tracing.New(ctx, cfg.Tracing, name)
	if err != nil {
		return err
	}
	defer tracing.Close(ctx, tracer, log)
	topology := redis.NewTopology("redis", cfg.Redis, log)
	if err := topology.Check(ctx); err != nil {
		return err
	}
	client := redis.Open(cfg.Redis, "redis", registry)
	defer func() { _ = client.Close() }()

	var group *kafkaconsumer.Group // assigned below; its handler requests the log-end offsets from it
	logEnds := consumer.NewLogEnds(func(ctx context.Context) (map[int32]int64, error) { return group.LogEndOffsets(ctx) }, log)
	store := redisstore.New(client, cfg.Redis.KeyPrefix)
	service := stats.NewService(store, logEnds, cfg.Kafka.Partitions, time.Now)
	registry.MustRegister(promcollector.NewCompletedToday(service))
	group = kafkaconsumer.NewGroup(kafkaconsumer.GroupConfig{
		Config: cfg.Kafka, Group: name, Topic: event.Topic, DLQ: event.DLQTopic,
		Quarantine: redis.NewQuarantineStore(client, cfg.Redis.KeyPrefix, name, log),
	}, consumer.New(service, log, registry), log, registry)

	telemetry := httpserver.Telemetry{Log: log, Registry: registry, Tracer: tracer}
	api := httpapi.Config{Reporter: service, Log: log}
	if cfg.hasSignIn() {
		cfg.HTTP.AllowCredentials = true
		cfg.Session.KeyPrefix = cmp.Or(cfg.Session.KeyPrefix, cfg.Redis.KeyPrefix)
		api.Credentials = &session.Authenticator{Check: session.NewStore(client, cfg.Session).Peek, Secure: cfg.HTTP.IsSecure(cfg.Web.PublicURL)}
	}
	http, err := httpserver.Listen(cfg.HTTP, conns.Limit("http", cfg.HTTP.MaxConns), httpserver.Instrument(httpapi.New(api), cfg.HTTP, telemetry))
	if err != nil {
		return err
	}
	opsServer, err := ops.Listen(cfg.Ops, conns, log, registry,
		ops.Check{Name: "kafka", Func: group.Ready},
		ops.Check{Name: "redis", Func: func(ctx context.Context) error { return redis.Ready(ctx, client, cfg.Redis, name) }},
	)
	if err != nil {
		return err
	}

	certificates := tlsconfig.NewMonitor(log, registry,
		cfg.HTTP.TLSEndpoint("http"), cfg.Ops.TLSEndpoint("ops"), cfg.Redis.TLSEndpoint(), cfg.Kafka.TLSEndpoint(), cfg.Tracing.TLSEndpoint())
	log.InfoContext(ctx, "serving", "http", http.Addr(), "ops", opsServer.Addr())
	return lifecycle.Run(ctx,
		lifecycle.Stage{opsServer.FailReadiness(cfg.DrainWait), lifecycle.Func(http.AnnounceClose), topology},
		lifecycle.Stage{http},
		lifecycle.Stage{group, logEnds, redisstore.NewSettler(store, log), certificates},
		lifecycle.Stage{opsServer},
	)
}

// AddHealthcheck adds the command healthcheck to the program.
func AddHealthcheck(p *command.Program[Config]) { ops.AddHealthcheck(p, Defaults().Ops.Addr) }

// AddDeadLetters adds the command dlq to the program.
func AddDeadLetters(p *command.Program[Config]) {
	deadletter.Add(p, func(cfg Config) deadletter.Queue {
		return deadletter.Queue{Kafka: cfg.Kafka, Topic: event.DLQTopic, Group: name, TypeHeader: event.HeaderType}
	})
}
