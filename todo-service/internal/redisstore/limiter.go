package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/clientlimit"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Limiter keeps a sliding window per client in Redis, shared by all replicas.
type Limiter struct {
	pipeline *AutoPipeline
	prefix   string
	requests int
	window   time.Duration
	outage   outage

	nextNonce func() string // never the same twice, on any replica

	unavailable prometheus.Counter
}

// LimiterConfig is what a Limiter grants: to each client at most Requests (1 or
// more) in any Window, which is exact to a microsecond. Its keys are
// <Prefix>ratelimit:<address>.
type LimiterConfig struct {
	Prefix   string
	Requests int
	Window   time.Duration
}

// NewLimiter returns a limiter that grants what cfg says.
func NewLimiter(shuttle *AutoPipeline, cfg LimiterConfig, log *slog.Logger, reg prometheus.Registerer) *Limiter {
	return &Limiter{
		pipeline:  shuttle,
		prefix:    cfg.Prefix + "ratelimit:",
		requests:  cfg.Requests,
		window:    cfg.Window,
		outage:    outage{log: log, what: "requests pass the rate limiter uncounted"},
		nextNonce: nonceSequence(),
		unavailable: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "todo_ratelimit_unavailable_total",
			Help: "Requests that passed uncounted because Redis did not answer.",
		}),
	}
}

// Allow counts a request of the client at addr if its budget lets it pass. An
// IPv4-mapped address is the IPv4 address; IPv6 addresses share one budget by
// /64; all requests without a valid address share one.
//
// When Redis does not answer, the request passes within 50 ms, uncounted. A
// refused request is not counted against the client.
func (l *Limiter) Allow(ctx context.Context, addr netip.Addr) ratelimit.Decision {
	ticket := l.pipeline.board(ctx, allowCommand{l, clientlimit.ClientPrefix(addr)})
	got, err := ticket.wait(ctx)
	if err != nil {
		if ctx.Err() == nil { // otherwise the caller gave up, not Redis
			l.unavailable.Inc()
			l.outage.failed(ctx, err)
		}
		return ratelimit.Decision{Allowed: true, Limit: l.requests, Window: l.window, Remaining: l.requests}
	}
	l.outage.worked(ctx)
	decided := got.(decision)
	budget := ratelimit.Decision{
		Allowed:   ticket.place < decided.passed,
		Limit:     l.requests,
		Window:    l.window,
		Remaining: decided.left + max(decided.passed-1-ticket.place, 0),
		Reset:     decided.reset,
	}
	if !budget.Allowed {
		budget.RetryAfter = decided.retry
	}
	return budget
}

// allowCommand is the errand of a client's requests.
type allowCommand struct {
	limiter      *Limiter
	clientPrefix netip.Prefix
}

// decision is about all requests of a client on one trip.
type decision struct {
	passed       int // of them, the first so many
	left         int // after all of them
	reset, retry time.Duration
}

func (s allowCommand) pack(callers int) cargo {
	l := s.limiter
	return cargo{
		script: allowScript,
		keys:   []string{l.prefix + bucketKey(s.clientPrefix)},
		args:   []any{l.requests, l.window.Microseconds(), l.nextNonce(), callers},
		unpack: decodeDecision,
	}
}

func decodeDecision(reply *goredis.Cmd) (any, error) {
	values, err := reply.Int64Slice()
	if err == nil && len(values) != 4 {
		err = fmt.Errorf("the limiter's script returned %d values", len(values))
	}
	if err != nil {
		return nil, err
	}
	return decision{
		passed: int(values[0]),
		left:   int(values[1]),
		reset:  time.Duration(values[2]) * time.Microsecond,
		retry:  time.Duration(values[3]) * time.Microsecond,
	}, nil
}

// bucketKey names the budget: "192.0.2.7", "2001:db8:1:2::/64" or "unknown".
func bucketKey(client netip.Prefix) string {
	switch {
	case !client.IsValid():
		return "unknown"
	case client.Addr().Is4():
		return client.Addr().String()
	}
	return client.String()
}

func nonceSequence() func() string {
	process, count := rand.Text(), new(atomic.Int64)
	return func() string { return process + strconv.FormatInt(count.Add(1), 36) }
}
