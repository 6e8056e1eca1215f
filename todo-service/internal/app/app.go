package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/command"
	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/fdlimit"
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
	"example.com/todo/platform/tlsconfig"
	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/countcache"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/outbox"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
	"example.com/todo/todo-service/internal/web"
)

// Run serves until ctx ends, and then stops in stages: readiness fails, so that load
// balancers choose other replicas; watches end with a token to resume from; the listeners
// drain; relay and ops port stop; the pools close. PostgreSQL, Redis and Kafka may be
// unavailable at any time, also at the start; until the database has this version's
// schema the service is not ready, and requests get apperr.Unavailable. Run returns an
// error when a part fails, the limit of open files is too low, or an available database,
// topic or Redis has what only other settings can mend.
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

	schema, err := openSchemaCheck(ctx, cfg.Postgres, log)
	if err != nil {
		return err
	}
	defer schema.db.Close()
	db, err := schema.openPool(cfg.Postgres, registry)
	if err != nil {
		return err
	}
	defer db.Close()
	topologies, err := checkRedis(ctx, cfg, log)
	if err != nil {
		return err
	}
	state, cache, cachePrefix := openRedis(cfg, registry)
	defer state.Close()
	defer cache.Close()
	producer := producer.New(cfg.Kafka, registry)
	defer producer.Close()

	store := pgstore.New(db)
	caches := newCaches(cache, cachePrefix, cfg.RateLimit, log, registry)
	signIn, err := newSignIn(cfg, store, state, caches, log, registry)
	if err != nil {
		return err
	}
	feed := redisstore.NewFeed(state, cfg.Redis.KeyPrefix)
	relay := newRelay(cfg.Kafka, store, producer, toLiveFeed(caches.lists, feed), log, registry)
	tasks := newService(cfg, store, relay, caches.lists, registry)
	hub, streams := watch.NewHub(feed, store, log, registry), watch.NewStreams(cfg.Watch, registry)

	httpServer, rpc, err := listen(cfg, conns, httpserver.Telemetry{Log: log, Registry: registry, Tracer: tracer}, httpapi.Config{
		Tasks: tasks, Owner: ownerFrom, Lists: caches.lists, Allow: caches.limiter.Allow, ClientIP: clientip.New(cfg.TrustedProxies).FromHTTP,
		Watch: hub.Watch, AcquireStream: streams.Acquire, AcquireSearch: admission.NewSearchLocks().Acquire, SignIn: signIn.forHTTP(),
	}, signIn)
	if err != nil {
		return err
	}
	opsServer, err := ops.Listen(cfg.Ops, conns, log, registry, ops.Check{Name: "postgres", Func: schema.Ready})
	if err != nil {
		return err
	}

	certificates := tlsconfig.NewMonitor(log, registry, cfg.tlsEndpoints()...)
	log.InfoContext(ctx, "serving", "http", httpServer.Addr(), "grpc", rpc.Addr(), "ops", opsServer.Addr())
	return lifecycle.Run(ctx,
		append(topologies, schema, opsServer.FailReadiness(cfg.DrainWait), opsServer.MirrorReadiness(rpc.SetServing), lifecycle.Func(httpServer.AnnounceClose)),
		append(signIn.parts(), hub), // before the listeners: its streams end with a token, not with a cut connection
		lifecycle.Stage{httpServer, rpc},
		append(newPurger(cfg, store, state, log, registry), relay, newKeyJanitor(store, log, registry), certificates),
		lifecycle.Stage{opsServer},
	)
}

// listen returns the servers of HTTP and gRPC. They have the same dependencies.
func listen(cfg Config, conns *clientlimit.ConnLimiter, telemetry httpserver.Telemetry, deps httpapi.Config, signIn *signIn) (*httpserver.Server, *grpcserver.Server, error) {
	cfg.HTTP.AllowCredentials = cfg.hasSignIn()
	pageAndAPI := httpserver.Instrument(newPageAndAPI(cfg.Web, telemetry.Log, deps, signIn.forPage()), cfg.HTTP, telemetry)
	httpServer, err := httpserver.Listen(cfg.HTTP, conns.Limit("http", cfg.HTTP.MaxConns), pageAndAPI)
	if err != nil {
		return nil, nil, err
	}
	grpcAPI := grpcapi.New(grpcapi.Config{
		Tasks: deps.Tasks, Owner: deps.Owner, Allow: deps.Allow, ClientIP: clientip.New(cfg.TrustedProxies).FromGRPC,
		Watch: deps.Watch, AcquireStream: deps.AcquireStream, SignIn: signIn.forGRPC(),
	})
	rpc, err := grpcserver.Listen(cfg.GRPC, conns.Limit("grpc", cfg.GRPC.MaxConns), grpcserver.Telemetry(telemetry), grpcAPI.Register, grpcAPI.Interceptors()...)
	return httpServer, rpc, err
}

// newPageAndAPI returns the handler of the page and of the API, which share a port.
func newPageAndAPI(cfg web.Config, log *slog.Logger, deps httpapi.Config, signIn *web.SignIn) http.Handler {
	api := httpapi.New(deps)
	page := web.New(cfg, web.Dependencies{
		Tasks: deps.Tasks, Owner: deps.Owner, Allow: deps.Allow, ClientIP: deps.ClientIP, AcquireSearch: deps.AcquireSearch,
		AcquireDocument: admission.NewDocumentSlots().Acquire, SignIn: signIn, Now: time.Now, Log: log,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Before the rate limit of the API, which does not count documents and assets.
		if web.Serves(r.URL.Path) {
			page.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// caches are list cache and rate limiter over one pipeline: their commands share round
// trips to Redis.
type caches struct {
	client   goredis.UniversalClient
	pipeline *redisstore.AutoPipeline
	lists    *redisstore.ListCache
	limiter  *redisstore.Limiter
}

func newCaches(client goredis.UniversalClient, prefix string, limit redisstore.LimiterConfig, log *slog.Logger, registry *prometheus.Registry) caches {
	pipeline := redisstore.NewAutoPipeline(client)
	return caches{
		client: client, pipeline: pipeline,
		lists:   redisstore.NewListCache(pipeline, prefix, log, registry),
		limiter: redisstore.NewLimiter(pipeline, prefix, limit, log, registry),
	}
}

func newRelay(cfg kafka.Config, store *pgstore.Store, producer *producer.Producer, live outbox.Sender, log *slog.Logger, registry *prometheus.Registry) *outbox.Relay {
	return outbox.NewRelay(outbox.Config{
		EventLog:   store,
		Kafka:      outbox.ToKafka(producer.Send),
		CheckTopic: func(ctx context.Context) error { return reader.CheckTopic(ctx, cfg, event.Topic) },
		Live:       live,
		Log:        log,
		Metrics:    registry,
	})
}

func newService(cfg Config, store *pgstore.Store, relay *outbox.Relay, lists *redisstore.ListCache, registry *prometheus.Registry) *task.Service {
	admitted := admission.New(store, admission.Config{
		InFlight:           cfg.MaxInFlight,
		ConcurrentSearches: max(1, cfg.Postgres.MaxConns/4),
	}, registry)
	return task.NewService(countcache.New(admitted), time.Now, func(ctx context.Context, owner task.Owner, eventID string) {
		relay.Wake()
		_ = lists.Invalidate(ctx, owner, eventID) // the list cache counts the error; the live feed repeats the invalidation
	})
}

// limitConns lowers the connection limits of cfg to what the limit of open files allows,
// and returns the limiter of connections.
func limitConns(cfg *Config, log *slog.Logger, registry *prometheus.Registry) (*clientlimit.ConnLimiter, error) {
	err := fdlimit.CapConnections(log, cfg.maxDescriptors(),
		fdlimit.ConnLimit{Key: "http.max_conns", Max: &cfg.HTTP.MaxConns},
		fdlimit.ConnLimit{Key: "grpc.max_conns", Max: &cfg.GRPC.MaxConns},
		fdlimit.ConnLimit{Key: "ops.max_conns", Max: &cfg.Ops.MaxConns})
	if err != nil {
		return nil, err
	}
	return clientlimit.NewConnLimiter(cfg.MaxConnsPerClient, cfg.TrustedProxies, log, registry), nil
}

// toLiveFeed returns the outbox.Sender of the cursor "live". It invalidates the cached
// list before it publishes, unless the writer already has. So an invalidation that a crash
// or an outage prevented is repeated before a watcher learns of the change.
func toLiveFeed(lists *redisstore.ListCache, feed *redisstore.Feed) outbox.Sender {
	return func(ctx context.Context, batch []task.Announcement) error {
		events := make([]redisstore.CommittedEvent, len(batch))
		for i, a := range batch {
			events[i] = redisstore.CommittedEvent{ID: a.Event.ID, Owner: a.Event.Owner}
		}
		if err := lists.Heal(ctx, events); err != nil {
			return err
		}
		if err := feed.Publish(ctx, batch); err != nil {
			return err
		}
		failpoint.Hit(failpoint.AfterPublish, batch[0].Event.ID)
		return nil
	}
}

// openRedis returns the client for durable state, and the client and key prefix for cache
// and limiter. Without an address for the cache both are the same client.
func openRedis(cfg Config, registry *prometheus.Registry) (state, cache goredis.UniversalClient, cachePrefix string) {
	state = redis.Open(cfg.Redis, "redis", registry)
	cache = state
	servers, cachePrefix := cfg.cacheRedis()
	if cfg.RedisCache.Addr != "" {
		cache = redis.Open(servers, "redis_cache", registry)
	}
	return state, cache, cachePrefix
}

// checkRedis checks that each available Redis has the configured topology. It returns the
// parts that check again later, because a Redis may be unavailable now.
func checkRedis(ctx context.Context, cfg Config, log *slog.Logger) (lifecycle.Stage, error) {
	topologies := []*redis.Topology{redis.NewTopology("redis", cfg.Redis, log)}
	if cfg.RedisCache.Addr != "" {
		topologies = append(topologies, redis.NewTopology("redis_cache", cfg.RedisCache.Config, log))
	}
	var unchecked lifecycle.Stage
	for _, topology := range topologies {
		if err := topology.Check(ctx); err != nil {
			return nil, err
		}
		unchecked = append(unchecked, topology)
	}
	return unchecked, nil
}

// Migrate migrates the database to the schema of this version.
func Migrate(ctx context.Context, cfg Config) error {
	db, err := postgres.Open(cfg.Postgres, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := postgres.Migrate(ctx, db, pgstore.Migrations, logging.Open(cfg.Log, name)); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// AddHealthcheck adds the command healthcheck to the program.
func AddHealthcheck(p *command.Program[Config]) { ops.AddHealthcheck(p, Defaults().Ops.Addr) }
