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

	"example.com/todo/platform/retry"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

const (
	recoveryTimeout = time.Minute            // for a node to become ready again
	delayLatency    = 200 * time.Millisecond // of a delayed link; more than the timeout of a Redis command
	maxSlowLatency  = 16 * time.Millisecond  // of a slow link, per direction; a round trip stays within that timeout
	dropDuration    = 300 * time.Millisecond // time in which responses are dropped before the cut
	standbyDelay    = 2 * time.Second        // for the standby to catch up before the failover
	minLoad         = 8                      // requests in flight at a failover
	loadTimeout     = 2 * time.Second        // for that many requests
)

// chooseNode returns the node that a step targets: of a service, a random replica.
func (i *Injector) chooseNode(ctx context.Context, target string, random *rand.Rand) (*cluster.Node, error) {
	switch {
	case target == ActiveRelay:
		return i.freezeActiveRelay(ctx)
	case strings.HasSuffix(target, "-service"):
		replicas := i.Cluster.Replicas(target)
		target = replicas[random.IntN(len(replicas))].Name
	}
	return i.Cluster.Node(target), nil
}

func (i *Injector) disruptProcess(ctx context.Context, s Step, random *rand.Rand) error {
	node, err := i.chooseNode(ctx, s.Target, random)
	if err != nil {
		return err
	}
	return i.inject(ctx, s.Do, node.Name(), func() error {
		switch s.Do {
		case Kill:
			node.Kill()
		case Outage:
			node.Halt()
			retry.Wait(ctx, s.For)
			node.Start()
		default:
			node.Freeze()
			retry.Wait(ctx, s.For)
			node.Resume()
		}
		return i.awaitRecovery(ctx, node)
	})
}

// awaitRecovery waits until a node is ready.
func (i *Injector) awaitRecovery(ctx context.Context, node *cluster.Node) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryTimeout, fmt.Errorf("not ready after %s", recoveryTimeout))
	defer cancel()
	return node.AwaitReady(ctx)
}

// freezeActiveRelay freezes the replica that holds the lock of the relay's Kafka cursor at that
// moment, and returns it.
func (i *Injector) freezeActiveRelay(ctx context.Context) (*cluster.Node, error) {
	const attempts = 2000
	for range attempts {
		name, err := i.Probe.ActiveRelay(ctx)
		if err != nil || name == "" {
			retry.Wait(ctx, time.Millisecond)
			continue
		}
		node := i.Cluster.Node(name)
		node.Freeze()
		if again, err := i.Probe.ActiveRelay(ctx); err == nil && again == name {
			return node, nil
		}
		node.Resume()
	}
	return nil, fmt.Errorf("no replica was sending in %d attempts", attempts)
}

func (i *Injector) disruptNetwork(ctx context.Context, s Step) error {
	proxy := i.Cluster.Proxy(s.Target)
	return i.inject(ctx, s.Do, s.Target, func() error {
		switch s.Do {
		case Delay:
			proxy.SetLatency(delayLatency, delayLatency)
			retry.Wait(ctx, s.For)
			proxy.SetLatency(0, 0)
		case Slow:
			proxy.SetLatency(0, maxSlowLatency)
			retry.Wait(ctx, s.For)
			proxy.SetLatency(0, 0)
		case Stall:
			proxy.SetMode(netproxy.Stall)
			retry.Wait(ctx, s.For)
			proxy.SetMode(netproxy.Forward)
		case DropResponses:
			proxy.SetMode(netproxy.DropResponses)
			retry.Wait(ctx, dropDuration)
			proxy.ResetConnections()
			proxy.SetMode(netproxy.Forward)
		default:
			proxy.ResetConnections()
		}
		return nil
	})
}

// flush empties a Redis server. It first verifies by its process id that this run started the
// server.
func (i *Injector) flush(ctx context.Context, s Step) error {
	node := i.Cluster.Node(s.Target)
	client := redis.NewClient(&redis.Options{Addr: i.Cluster.RedisAddr(s.Target), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if ours := "process_id:" + strconv.Itoa(node.PID()); !slices.Contains(strings.Split(info, "\r\n"), ours) {
		return fmt.Errorf("the server on %s was not started by this run", i.Cluster.RedisAddr(s.Target))
	}
	return i.inject(ctx, Flush, s.Target, func() error { return client.FlushAll(ctx).Err() })
}

// failOver adds a standby, which is an outage of its own, and fails over to it. A scenario can do
// this once, because the first server does not return.
func (i *Injector) failOver(ctx context.Context, s Step) error {
	if err := i.inject(ctx, Outage, s.Target, func() error { return i.Cluster.AddStandby(ctx) }); err != nil {
		return err
	}
	retry.Wait(ctx, standbyDelay)
	return i.injectWith(ctx, Failover, s.Target, func(f *history.Fault) error {
		awaitRequests := func() {
			poll(ctx, loadTimeout, func() bool {
				f.Requests = i.Requests()
				return f.Requests >= minLoad
			})
		}
		return i.Cluster.FailOver(ctx, s.For, awaitRequests, func() {
			for _, replica := range i.Cluster.Replicas(cluster.Todo) {
				if i.Cluster.Node(replica.Name).CheckReady(ctx) == nil {
					f.ReadyDuringFailover = append(f.ReadyDuringFailover, replica.Name)
				}
			}
		})
	})
}

// rebalance starts or stops the spare member of a service's group.
func (i *Injector) rebalance(ctx context.Context, s Step) error {
	spare := i.Cluster.SpareReplica(s.Target)
	return i.inject(ctx, Rebalance, spare.Name(), func() error {
		if spare.PID() != 0 {
			// If poison has killed it, its new process may not handle SIGTERM yet.
			if err := i.awaitRecovery(ctx, spare); err != nil {
				return err
			}
			spare.StopAndHold(ctx)
			return nil
		}
		spare.Start()
		return i.awaitRecovery(ctx, spare)
	})
}
