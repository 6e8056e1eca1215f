package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/grpc"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/descriptors"
	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/outbox"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

// Run serves until ctx ends and then stops part by part: readiness turns false,
// for load balancers to look elsewhere, watchers are told to resume elsewhere, the
// listeners drain, then the relay and the ops port stop, and at last the pools
// close. PostgreSQL, Redis and Kafka may be away, also at the start. It returns an
// error when a part fails, when the limit of open files is too low, or when the
// database's schema or the topic, as soon as it can be seen, is not what this
// version works with.
func Run(ctx context.Context, cfg Config) error {
	log := logging.Open(cfg.Log, name)
	registry := metrics.New(name)
	conns, err := limitConns(&cfg, log, registry)
	if err != nil {
		return err
	}
	tracer, err := tracing.New(ctx, cfg.Tracing, name)
	if err != nil {
		return err
	}
	defer tracing.Close(ctx, tracer, log)

	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return err
	}
	defer db.Close()
	schema, err := openSchema(ctx, cfg.Postgres, log)
	if err != nil {
		return err
	}
	defer schema.db.Close()
	topologies, err := checkRedis(ctx, cfg)
	if err != nil {
		return err
	}
	state, cache, cachePrefix := openRedis(cfg)
	defer state.Close()
	defer cache.Close()
	producer := producer.New(cfg.Kafka)
	defer producer.Close()

	store := pgstore.New(db)
	lists, limiter := newEdge(cache, cachePrefix, cfg.RateLimit, log, registry)
	feed := redisstore.NewFeed(state, cfg.Redis.KeyPrefix)
	relay := newRelay(cfg.Kafka, store, producer, live{lists, feed}, log, registry)
	tasks := task.NewService(admission.New(store, width(cfg), registry), time.Now, func(ctx context.Context, eventID string) {
		relay.Wake()
		_ = lists.Invalidate(ctx, eventID) // counted there; the live feed heals it
	})
	hub, streams := watch.NewHub(feed, store, log, registry), watch.NewStreams(cfg.Watch, registry)
	peers := clientip.New(cfg.TrustedProxies)

	telemetry := httpserver.Telemetry{Log: log, Registry: registry, Tracer: tracer}
	http, err := httpserver.Listen(cfg.HTTP, conns.Limit("http", cfg.HTTP.MaxConns), httpserver.Instrument(httpapi.New(httpapi.Config{
		Tasks: tasks, Lists: lists, Limiter: limiter, Peers: peers, Watcher: hub, Streams: streams, Searches: admission.NewSearches(),
	}), cfg.HTTP, telemetry))
	if err != nil {
		return err
	}
	limit := grpcapi.NewRateLimit(limiter, peers, streams)
	rpc, err := grpcserver.Listen(cfg.GRPC, conns.Limit("grpc", cfg.GRPC.MaxConns), grpcserver.Telemetry(telemetry), grpcapi.New(tasks, hub).Register,
		grpcserver.Interceptors{Unary: []grpc.UnaryServerInterceptor{limit.Unary}, Stream: []grpc.StreamServerInterceptor{limit.Stream}})
	if err != nil {
		return err
	}
	opsServer, err := ops.Listen(cfg.Ops, conns, log, registry, ops.Check{Name: "postgres", Func: schema.Ready})
	if err != nil {
		return err
	}

	log.InfoContext(ctx, "serving", "http", http.Addr(), "grpc", rpc.Addr(), "ops", opsServer.Addr())
	return lifecycle.Run(ctx,
		append(topologies, schema, opsServer.FailReadiness(cfg.DrainWait), opsServer.MirrorReadiness(rpc.SetServing), lifecycle.Func(http.CloseConnections)),
		lifecycle.Stage{hub}, // its streams are told to resume, before the listeners cut them
		lifecycle.Stage{http, rpc},
		append(newPurger(cfg, store, state, log, registry), relay, newKeys(store, log, registry)),
		lifecycle.Stage{opsServer},
	)
}

func newRelay(cfg kafka.Config, store *pgstore.Store, producer *producer.Producer, live live, log *slog.Logger, registry *prometheus.Registry) *outbox.Relay {
	return outbox.NewRelay(outbox.Config{
		Log:        store,
		Kafka:      outbox.ToKafka(producer),
		CheckTopic: func(ctx context.Context) error { return reader.CheckTopic(ctx, cfg, event.Topic) },
		Live:       live,
		Logger:     log,
		Metrics:    registry,
	})
}

// limitConns returns the limits of connections, once those of cfg are lowered to what
// the limit of open files allows.
func limitConns(cfg *Config, log *slog.Logger, registry *prometheus.Registry) (*clientlimit.Conns, error) {
	err := descriptors.Fit(log, cfg.descriptors(),
		descriptors.Bound{Key: "http.max_conns", Value: &cfg.HTTP.MaxConns},
		descriptors.Bound{Key: "grpc.max_conns", Value: &cfg.GRPC.MaxConns},
		descriptors.Bound{Key: "ops.max_conns", Value: &cfg.Ops.MaxConns})
	if err != nil {
		return nil, err
	}
	return clientlimit.NewConns(cfg.MaxConnsPerClient, cfg.TrustedProxies, log, registry), nil
}

// width lets searches have a quarter of the database's connections.
func width(cfg Config) admission.Config {
	return admission.Config{InFlight: cfg.MaxInFlight, Searching: max(1, cfg.Postgres.MaxConns/4)}
}

// live is what stands behind the log's live cursor: the cached list is dropped
// before anybody hears of the change, by the writer or else here. So an invalidation
// that a crash or an outage kept from happening is made up for.
type live struct {
	lists *redisstore.ListCache
	feed  *redisstore.Feed
}

func (l live) Send(ctx context.Context, batch []task.Announcement) error {
	ids := make([]string, len(batch))
	for i, a := range batch {
		ids[i] = a.Event.ID
	}
	if err := l.lists.Heal(ctx, ids); err != nil {
		return err
	}
	if err := l.feed.Publish(ctx, batch); err != nil {
		return err
	}
	failpoint.Hit(failpoint.AfterPublish, batch[0].Event.ID)
	return nil
}

// newEdge returns what requests meet first. Both ask Redis on the same trips.
func newEdge(cache goredis.UniversalClient, prefix string, limit RateLimitConfig, log *slog.Logger, registry *prometheus.Registry) (*redisstore.ListCache, *redisstore.Limiter) {
	shuttle := redisstore.NewAutoPipeline(cache)
	lists := redisstore.NewListCache(shuttle, prefix, log, registry)
	limiter := redisstore.NewLimiter(shuttle, redisstore.LimiterConfig{
		Prefix: prefix, Requests: limit.Requests, Window: limit.Window,
	}, log, registry)
	return lists, limiter
}

// newPurger returns what purges while it alone holds a lock, of all replicas. The stage is
// empty where events are kept for ever.
func newPurger(cfg Config, store *pgstore.Store, state goredis.UniversalClient, log *slog.Logger, registry *prometheus.Registry) lifecycle.Stage {
	if cfg.Outbox.PurgeAfter == 0 {
		return nil
	}
	return lifecycle.Stage{outbox.NewPurger(outbox.PurgerConfig{
		Purge: store.Purge,
		WithLock: func(ctx context.Context, work func(context.Context) error) error {
			key := cfg.Redis.KeyPrefix + "lock:purge"
			err := redis.WithLock(ctx, state, key, func(ctx context.Context, _ string) error { return work(ctx) })
			var held *redis.LockedError
			if errors.As(err, &held) {
				return nil
			}
			return err
		},
		Age:     cfg.Outbox.PurgeAfter,
		Logger:  log,
		Metrics: registry,
	})}
}

// openRedis returns the client for what must be kept, and the one for the cache
// and the limiter with the prefix of its keys. Unless they live elsewhere it is
// the same.
func openRedis(cfg Config) (state, cache goredis.UniversalClient, cachePrefix string) {
	state = redis.Open(cfg.Redis)
	cache = state
	servers, cachePrefix := cfg.cache()
	if cfg.RedisCache.Addr != "" {
		cache = redis.Open(servers)
	}
	return state, cache, cachePrefix
}

// checkRedis checks that each Redis which answers is what the settings say, and returns
// the parts that ask the others later.
func checkRedis(ctx context.Context, cfg Config) (lifecycle.Stage, error) {
	topologies := []*redis.Topology{redis.NewTopology("redis", cfg.Redis)}
	if cfg.RedisCache.Addr != "" {
		topologies = append(topologies, redis.NewTopology("redis_cache", cfg.RedisCache.Config))
	}
	var later lifecycle.Stage
	for _, topology := range topologies {
		if err := topology.Check(ctx); err != nil {
			return nil, err
		}
		later = append(later, topology)
	}
	return later, nil
}

// Migrate brings the database's schema up to date.
func Migrate(ctx context.Context, cfg Config) error {
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := postgres.Migrate(ctx, db, pgstore.Migrations, logging.Open(cfg.Log, name)); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// Healthcheck asks the service that runs with these settings whether it is ready.
func Healthcheck(ctx context.Context, cfg Config) error { return ops.Probe(ctx, cfg.Ops) }
