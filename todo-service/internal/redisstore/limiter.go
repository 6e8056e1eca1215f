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

	"example.com/todo/todo-service/internal/edge"
)

// allowTimeout is how long a request waits for its budget: with the way there
// and back it passes within 50 ms.
const allowTimeout = 40 * time.Millisecond

// Limiter keeps a sliding window per client in Redis, shared by all replicas.
type Limiter struct {
	client   goredis.UniversalClient
	prefix   string
	requests int
	window   time.Duration
	timeout  time.Duration
	outage   outage

	member func() string // never the same twice, on any replica

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
func NewLimiter(client goredis.UniversalClient, cfg LimiterConfig, log *slog.Logger, reg prometheus.Registerer) *Limiter {
	return &Limiter{
		client:   client,
		prefix:   cfg.Prefix + "ratelimit:",
		requests: cfg.Requests,
		window:   cfg.Window,
		timeout:  allowTimeout,
		outage:   outage{log: log, what: "requests pass the rate limiter uncounted"},
		member:   uniqueMembers(),
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
func (l *Limiter) Allow(ctx context.Context, addr netip.Addr) edge.Budget {
	if l.outage.paused() {
		return l.uncounted()
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	reply, err := allowScript.Run(bounded, l.client, []string{l.prefix + bucket(addr)},
		l.requests, l.window.Microseconds(), l.member()).Int64Slice()
	if err == nil && len(reply) != 4 {
		err = fmt.Errorf("the limiter's script returned %d values", len(reply))
	}
	if err != nil {
		if ctx.Err() == nil { // otherwise the caller gave up, not Redis
			l.outage.failed(ctx, err)
		}
		return l.uncounted()
	}
	l.outage.worked(ctx)
	return edge.Budget{
		Allowed:    reply[0] == 1,
		Limit:      l.requests,
		Window:     l.window,
		Remaining:  int(reply[1]),
		Reset:      time.Duration(reply[2]) * time.Microsecond,
		RetryAfter: time.Duration(reply[3]) * time.Microsecond,
	}
}

func (l *Limiter) uncounted() edge.Budget {
	l.unavailable.Inc()
	return edge.Budget{Allowed: true, Limit: l.requests, Window: l.window, Remaining: l.requests}
}

// bucket names the budget that addr draws on: "192.0.2.7", "2001:db8:1:2::/64"
// or "unknown".
func bucket(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case !addr.IsValid():
		return "unknown"
	case addr.Is4():
		return addr.String()
	}
	network, _ := addr.Prefix(64) // an IPv6 address always has one; the zone is dropped
	return network.String()
}

func uniqueMembers() func() string {
	process, count := rand.Text(), new(atomic.Int64)
	return func() string { return process + strconv.FormatInt(count.Add(1), 36) }
}
