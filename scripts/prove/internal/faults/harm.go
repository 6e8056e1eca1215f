package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

const (
	wellLimit = time.Minute            // for a program to serve again
	held      = 200 * time.Millisecond // by a delayed link: longer than a command of Redis may take
	slowly    = 16 * time.Millisecond  // by a slow one, at most: there and back, less than that
	dropping  = 300 * time.Millisecond // of answers, before the cut
	following = 2 * time.Second        // of the standby, before the failover
)

// member is the program that a step means.
func (i *Injector) member(s Step, random *rand.Rand) *cluster.Member {
	name := s.Target
	if strings.HasSuffix(name, "-service") {
		replicas := i.System.Replicas(name)
		name = replicas[random.IntN(len(replicas))].Name
	}
	return i.System.Member(name)
}

func (i *Injector) harmMember(ctx context.Context, s Step, random *rand.Rand) error {
	if s.Target == Sender {
		return i.freezeSender(ctx, s)
	}
	m := i.member(s, random)
	return i.fault(ctx, s.Do, m.Name(), func() error {
		switch s.Do {
		case Kill:
			m.Kill()
		case Outage:
			m.Hold()
			wait(ctx, s.For)
			m.Start()
		default:
			m.Freeze()
			wait(ctx, s.For)
			m.Thaw()
		}
		return i.well(ctx, m)
	})
}

// well waits until a program serves.
func (i *Injector) well(ctx context.Context, m *cluster.Member) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wellLimit, fmt.Errorf("not well after %s", wellLimit))
	defer cancel()
	return m.Await(ctx)
}

// freezeSender freezes the replica that is sending events: that holds the right to when it is frozen.
func (i *Injector) freezeSender(ctx context.Context, s Step) error {
	const tries = 2000
	for range tries {
		name, err := i.Gauge.Sender(ctx)
		if err != nil || name == "" {
			wait(ctx, time.Millisecond)
			continue
		}
		m := i.System.Member(name)
		m.Freeze()
		if still, err := i.Gauge.Sender(ctx); err != nil || still != name {
			m.Thaw()
			continue
		}
		return i.fault(ctx, Freeze, name, func() error {
			wait(ctx, s.For)
			m.Thaw()
			return i.well(ctx, m)
		})
	}
	return fmt.Errorf("nobody was met while sending, in %d tries", tries)
}

func (i *Injector) harmLink(ctx context.Context, s Step) error {
	l := i.System.Link(s.Target)
	return i.fault(ctx, s.Do, s.Target, func() error {
		switch s.Do {
		case Delay:
			l.SetLatency(held, held)
			wait(ctx, s.For)
			l.SetLatency(0, 0)
		case Slow:
			l.SetLatency(0, slowly)
			wait(ctx, s.For)
			l.SetLatency(0, 0)
		case Stall:
			l.SetMode(netproxy.Stall)
			wait(ctx, s.For)
			l.SetMode(netproxy.Forward)
		case DropAnswers:
			l.SetMode(netproxy.DropResponses)
			wait(ctx, max(dropping, s.For))
			l.ResetConnections()
			l.SetMode(netproxy.Forward)
		default:
			l.ResetConnections()
		}
		return nil
	})
}

// flush empties a Redis server that this run started, and no other.
func (i *Injector) flush(ctx context.Context, s Step) error {
	m := i.System.Member(s.Target)
	client := redis.NewClient(&redis.Options{Addr: i.System.RedisAddr(s.Target), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if own := "process_id:" + strconv.Itoa(m.PID()); !slices.Contains(strings.Split(info, "\r\n"), own) {
		return fmt.Errorf("the server on %s is not the one that was started here", i.System.RedisAddr(s.Target))
	}
	return i.fault(ctx, Flush, s.Target, func() error { return client.FlushAll(ctx).Err() })
}

// failOver makes a standby, which is an outage of its own, and fails over to it. It can be done once, and
// the first server does not come back.
func (i *Injector) failOver(ctx context.Context, s Step) error {
	if err := i.fault(ctx, Outage, s.Target, func() error { return i.System.AddStandby(ctx) }); err != nil {
		return err
	}
	wait(ctx, following)
	return i.tell(ctx, Failover, s.Target, func(f *history.Fault) error {
		return i.System.FailOver(ctx, s.For, func() { f.Requests = i.awaitRequests(ctx) }, func() {
			for _, replica := range i.System.Replicas(cluster.Todo) {
				if i.System.Member(replica.Name).Ready(ctx) == nil {
					f.Ready = append(f.Ready, replica.Name)
				}
			}
		})
	})
}

// awaitRequests waits until several requests have no answer, but not for long, and returns how many.
func (i *Injector) awaitRequests(ctx context.Context) (n int) {
	const several, patience = 8, 2 * time.Second
	for end := time.Now().Add(patience); n < several && time.Now().Before(end) && ctx.Err() == nil; n = i.Requests() {
		wait(ctx, askEvery)
	}
	return n
}

// rebalance has a third member join the group of a service, or leave it.
func (i *Injector) rebalance(ctx context.Context, s Step) error {
	third := i.System.Third(s.Target)
	return i.fault(ctx, Rebalance, third.Name(), func() error {
		if third.PID() != 0 {
			third.Stop(ctx)
			return nil
		}
		third.Start()
		return i.well(ctx, third)
	})
}
