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

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/link"
)

const (
	recoveryTimeout = time.Minute            // for a program to serve again
	delayLatency    = 200 * time.Millisecond // by a delayed link: longer than a command of Redis may take
	maxSlowLatency  = 16 * time.Millisecond  // by a slow one, at most: there and back, less than that
	dropDuration    = 300 * time.Millisecond // of answers, before the cut
	standbyDelay    = 2 * time.Second        // of the standby, before the failover
)

// chooseNode is the program that a step means.
func (i *Injector) chooseNode(s Step, random *rand.Rand) *cluster.Node {
	name := s.Target
	if strings.HasSuffix(name, "-service") {
		replicas := i.Cluster.Replicas(name)
		name = replicas[random.IntN(len(replicas))].Name
	}
	return i.Cluster.Node(name)
}

func (i *Injector) disruptProcess(ctx context.Context, s Step, random *rand.Rand) error {
	if s.Target == ActiveRelay {
		return i.freezeSender(ctx, s)
	}
	m := i.chooseNode(s, random)
	return i.inject(ctx, s.Do, m.Name(), func() error {
		switch s.Do {
		case Kill:
			m.Kill()
		case Outage:
			m.KillAndHold()
			wait(ctx, s.For)
			m.Start()
		default:
			m.Freeze()
			wait(ctx, s.For)
			m.Resume()
		}
		return i.awaitRecovery(ctx, m)
	})
}

// awaitRecovery waits until a program serves.
func (i *Injector) awaitRecovery(ctx context.Context, m *cluster.Node) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryTimeout, fmt.Errorf("not well after %s", recoveryTimeout))
	defer cancel()
	return m.AwaitReady(ctx)
}

// freezeSender freezes the replica that is sending events: that holds the right to when it is frozen.
func (i *Injector) freezeSender(ctx context.Context, s Step) error {
	const tries = 2000
	for range tries {
		name, err := i.Probe.ActiveRelay(ctx)
		if err != nil || name == "" {
			wait(ctx, time.Millisecond)
			continue
		}
		m := i.Cluster.Node(name)
		m.Freeze()
		if still, err := i.Probe.ActiveRelay(ctx); err != nil || still != name {
			m.Resume()
			continue
		}
		return i.inject(ctx, Freeze, name, func() error {
			wait(ctx, s.For)
			m.Resume()
			return i.awaitRecovery(ctx, m)
		})
	}
	return fmt.Errorf("nobody was met while sending, in %d tries", tries)
}

func (i *Injector) disruptNetwork(ctx context.Context, s Step) error {
	l := i.Cluster.Link(s.Target)
	return i.inject(ctx, s.Do, s.Target, func() error {
		switch s.Do {
		case Delay:
			l.Delay(delayLatency, delayLatency)
			wait(ctx, s.For)
			l.Delay(0, 0)
		case Slow:
			l.Delay(0, maxSlowLatency)
			wait(ctx, s.For)
			l.Delay(0, 0)
		case Stall:
			l.Set(link.Stall)
			wait(ctx, s.For)
			l.Set(link.Pass)
		case DropResponses:
			l.Set(link.DropAnswers)
			wait(ctx, max(dropDuration, s.For))
			l.Cut()
			l.Set(link.Pass)
		default:
			l.Cut()
		}
		return nil
	})
}

// flush empties a Redis server that this run started, and no other.
func (i *Injector) flush(ctx context.Context, s Step) error {
	m := i.Cluster.Node(s.Target)
	client := redis.NewClient(&redis.Options{Addr: i.Cluster.RedisAddr(s.Target), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if own := "process_id:" + strconv.Itoa(m.PID()); !slices.Contains(strings.Split(info, "\r\n"), own) {
		return fmt.Errorf("the server on %s is not the one that was started here", i.Cluster.RedisAddr(s.Target))
	}
	return i.inject(ctx, Flush, s.Target, func() error { return client.FlushAll(ctx).Err() })
}

// failOver makes a standby, which is an outage of its own, and fails over to it. It can be done once, and
// the first server does not come back.
func (i *Injector) failOver(ctx context.Context, s Step) error {
	if err := i.inject(ctx, Outage, s.Target, func() error { return i.Cluster.AddStandby(ctx) }); err != nil {
		return err
	}
	wait(ctx, standbyDelay)
	return i.injectWith(ctx, Failover, s.Target, func(f *history.Fault) error {
		return i.Cluster.FailOver(ctx, s.For, func() { f.Requests = i.awaitRequests(ctx) }, func() {
			for _, replica := range i.Cluster.Replicas(cluster.Todo) {
				if i.Cluster.Node(replica.Name).CheckReady(ctx) == nil {
					f.ReadyDuringFailover = append(f.ReadyDuringFailover, replica.Name)
				}
			}
		})
	})
}

// awaitRequests waits until several requests have no answer, but not for long, and returns how many.
func (i *Injector) awaitRequests(ctx context.Context) (n int) {
	const several, patience = 8, 2 * time.Second
	for end := time.Now().Add(patience); n < several && time.Now().Before(end) && ctx.Err() == nil; n = i.Requests() {
		wait(ctx, pollInterval)
	}
	return n
}

// rebalance has a third member join the group of a service, or leave it.
func (i *Injector) rebalance(ctx context.Context, s Step) error {
	third := i.Cluster.SpareReplica(s.Target)
	return i.inject(ctx, Rebalance, third.Name(), func() error {
		if third.PID() != 0 {
			third.StopAndHold(ctx)
			return nil
		}
		third.Start()
		return i.awaitRecovery(ctx, third)
	})
}
