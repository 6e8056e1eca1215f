package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/config"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// Limiter is a rate limiter with a sliding window for each budget, which is that of a
// client address or of a user: a log of requests in Redis, shared by all replicas. It is
// safe for concurrent use.
type Limiter struct {
	pipeline *AutoPipeline
	prefix   string
	cfg      LimiterConfig

	outage      *retry.Outage
	unavailable prometheus.Counter
}

// LimiterConfig is what a Limiter grants: to each budget at most Requests in any Window,
// which is exact to a microsecond.
type LimiterConfig struct {
	Requests int           `config:"requests"`
	Window   time.Duration `config:"window"`
}

const (
	maxRequests = 1_000_000_000 // more than an address can send in a window
	minWindow   = time.Second
	maxWindow   = 24 * time.Hour
)

// Validate returns an error for a limit or a window out of bounds.
func (c LimiterConfig) Validate() error {
	return errors.Join(
		config.CheckRange("requests", c.Requests, 1, maxRequests),
		config.CheckRange("window", c.Window, minWindow, maxWindow),
	)
}

// NewLimiter returns a limiter that grants what cfg says. Its keys are
// <prefix>ratelimit:<address> and <prefix>ratelimit:user:<user id>.
func NewLimiter(pipeline *AutoPipeline, prefix string, cfg LimiterConfig, log *slog.Logger, reg prometheus.Registerer) *Limiter {
	l := &Limiter{
		pipeline: pipeline,
		prefix:   prefix + "ratelimit:",
		cfg:      cfg,
		outage:   retry.NewOutage(log, "rate limiter: Redis failed, requests pass uncounted until it recovers", "rate limiter: Redis works again"),
		unavailable: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "todo_ratelimit_unavailable_total",
			Help: "Requests that passed uncounted because Redis did not answer.",
		}),
	}
	l.outage.Settle = settleTime
	return l
}

// Allow counts a request of the client at addr if its budget lets it pass. An
// IPv4-mapped address is the IPv4 address; IPv6 addresses share one budget by
// /64; all requests without a valid address share one.
//
// When Redis does not answer, the request passes within 50 ms, uncounted. A
// rejected request is not counted against the client.
func (l *Limiter) Allow(ctx context.Context, addr netip.Addr) ratelimit.Decision {
	return l.decide(ctx, l.start(ctx, clientBudget(addr)))
}

// start adds a request of the budget to the next round trip.
func (l *Limiter) start(ctx context.Context, b budget) pending {
	return l.pipeline.start(ctx, allowCommand{l, b})
}

// decide waits for the decision about a request; see Allow.
func (l *Limiter) decide(ctx context.Context, call pending) ratelimit.Decision {
	got, err := call.wait(ctx)
	if err != nil {
		if ctx.Err() == nil { // otherwise the caller has left, and Redis may be well
			l.unavailable.Inc()
			l.outage.Record(ctx, err)
		}
		return l.uncounted()
	}
	l.outage.Record(ctx, nil)
	batch, index := got.(batchDecision), call.ticket.Index
	decision := ratelimit.Decision{
		Allowed:   index < batch.passed,
		Limit:     l.cfg.Requests,
		Window:    l.cfg.Window,
		Remaining: batch.left + max(batch.passed-1-index, 0),
		Reset:     batch.reset,
	}
	if !decision.Allowed {
		decision.RetryAfter = batch.retry
	}
	return decision
}

// uncounted returns the decision about a request that is not counted: it passes.
func (l *Limiter) uncounted() ratelimit.Decision {
	return ratelimit.Decision{Allowed: true, Limit: l.cfg.Requests, Window: l.cfg.Window, Remaining: l.cfg.Requests}
}

// allowCommand counts the requests of a budget. Its result is a batchDecision.
type allowCommand struct {
	limiter *Limiter
	budget  budget
}

// batchDecision is about all requests of one budget in a round trip.
type batchDecision struct {
	passed       int // the first of them, by their index
	left         int // after all of them
	reset, retry time.Duration
}

func (a allowCommand) build(requests int) scriptCall {
	l := a.limiter
	return scriptCall{
		script: allowScript,
		keys:   []string{l.prefix + a.budget.key()},
		args:   []any{l.cfg.Requests, l.cfg.Window.Microseconds(), rand.Text(), requests},
		decode: decodeDecision,
	}
}

func decodeDecision(reply *goredis.Cmd) (any, error) {
	values, err := reply.Int64Slice()
	if err == nil && len(values) != 4 {
		err = fmt.Errorf("allow.lua returned %d values, want 4", len(values))
	}
	if err != nil {
		return nil, err
	}
	return batchDecision{
		passed: int(values[0]),
		left:   int(values[1]),
		reset:  time.Duration(values[2]) * time.Microsecond,
		retry:  time.Duration(values[3]) * time.Microsecond,
	}, nil
}

// budget is what requests are counted against: a user's or, if user is 0, a client's.
type budget struct {
	client netip.Prefix
	user   task.Owner
}

func clientBudget(addr netip.Addr) budget { return budget{client: clientlimit.ClientPrefix(addr)} }

// key returns the budget's name: "user:7", "192.0.2.7", "2001:db8:1:2::/64" or "unknown".
func (b budget) key() string {
	switch {
	case b.user != 0:
		return "user:" + strconv.FormatInt(int64(b.user), 10)
	case !b.client.IsValid():
		return "unknown"
	case b.client.Addr().Is4():
		return b.client.Addr().String()
	}
	return b.client.String()
}
