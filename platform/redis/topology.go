package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/retry"
)

const (
	topologyTimeout  = 2 * time.Second // for all requests to one server
	topologyInterval = time.Second     // between two checks of all servers
)

// Topology checks that the servers are what Config says: one standalone server, a cluster if Addr lists several,
// or Sentinels that know Master. A server that is down, rejects the password or is a replica is no error, because
// that may end without a restart: retry.Outage logs it.
type Topology struct {
	section string
	cfg     Config
	outage  *retry.Outage
	usable  atomic.Bool // a server has accepted a connection
}

// NewTopology returns the check of cfg. section is its section in the settings, for error messages.
func NewTopology(section string, cfg Config, log *slog.Logger) *Topology {
	cfg.Sources.Section = section
	return &Topology{section: section, cfg: cfg, outage: retry.NewOutage(log.With("server", section),
		"redis: the server cannot be used, retrying", "redis: the server can be used")}
}

// Check probes each server once, concurrently. Its error names the setting that is wrong. It is nil if no
// server can be used yet.
func (t *Topology) Check(ctx context.Context) error {
	var probes errgroup.Group
	unusable := make([]error, len(t.cfg.addrs()))
	for i, addr := range t.cfg.addrs() {
		probes.Go(func() (err error) {
			unusable[i], err = t.probe(ctx, addr)
			return err
		})
	}
	if err := probes.Wait(); err != nil { // one error, although all servers may have the same problem
		return err
	}
	// One server that can be used is enough: the client learns the others from it.
	if usable := slices.Contains(unusable, nil); usable {
		t.usable.Store(true)
		t.outage.Record(ctx, nil)
	} else if ctx.Err() == nil {
		reason := unusable[0]
		if i := slices.IndexFunc(unusable, isReply); i >= 0 {
			reason = unusable[i] // it says more than that another server is down
		}
		t.outage.Record(ctx, reason)
	}
	return nil
}

// Run repeats Check until a server can be used, then waits for the end of ctx. It returns Check's error.
func (t *Topology) Run(ctx context.Context) error {
	for !t.usable.Load() {
		if !retry.Wait(ctx, topologyInterval) {
			return nil
		}
		if err := t.Check(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// probe asks one server for its mode. unusable says why it cannot be used now; err names the setting that is wrong.
func (t *Topology) probe(ctx context.Context, addr string) (unusable, err error) {
	ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
	defer cancel()
	cfg := t.cfg
	cfg.Addr, cfg.Master, cfg.PoolSize = addr, "", 1
	if t.cfg.Master != "" {
		cfg.Username, cfg.Password, cfg.DB = "", "", 0 // these are of the servers, not of their Sentinels
	}
	client := Open(cfg, t.section, nil)
	defer client.Close()
	reply, err := client.Do(ctx, "HELLO").Result()
	greeting, _ := reply.(map[any]any)
	mode, _ := greeting["mode"].(string)
	role, _ := greeting["role"].(string)
	switch {
	case err != nil && strings.Contains(err.Error(), "DB index is out of range"):
		return nil, t.settingError("db", "%s has no database with this number", addr)
	case isReply(err) && !isDenied(err):
		return nil, nil // a server without HELLO
	case err != nil && t.cfg.Master != "" && isDenied(err):
		return nil, t.settingError("addr", "%s: %v: the Sentinels must not need a password, because they are asked without one", addr, err)
	case err != nil:
		return t.cfg.Explain(err), nil
	case t.cfg.Master != "" && mode == "sentinel":
		err := client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", t.cfg.Master).Err()
		if errors.Is(err, goredis.Nil) {
			return nil, t.settingError("master", "the Sentinel %s watches no master named %q", addr, t.cfg.Master)
		}
		return t.cfg.Explain(err), nil
	case t.cfg.Master != "" && mode != "":
		return nil, t.settingError("addr", "%s is no Sentinel, but with %s.master all addresses are Sentinels", addr, t.section)
	case mode == "sentinel":
		return nil, t.settingError("addr", "%s is a Sentinel: set %s.master to the name of the master that it watches", addr, t.section)
	case mode == "cluster" && !t.cfg.isCluster():
		return nil, t.settingError("addr", "%s is a node of a Redis Cluster, but one address is a standalone server: list several nodes with commas, and give %s.key_prefix a hash tag, such as {app}", addr, t.section)
	case mode == "standalone" && t.cfg.isCluster():
		if isReply(client.Do(ctx, "CLUSTER", "SLOTS").Err()) { // a cluster behind a proxy may say standalone
			return nil, t.settingError("addr", "%s is a standalone server, but several addresses are a Redis Cluster: name one, or with Sentinels set %s.master", addr, t.section)
		}
	case mode == "standalone" && role == "replica":
		return t.cfg.Explain(fmt.Errorf("%s is a replica: %w", addr, errReadOnly)), nil
	}
	return nil, nil
}

func (t *Topology) settingError(key, format string, args ...any) error {
	return fmt.Errorf("%s: %s", t.cfg.Sources.Name(key), fmt.Sprintf(format, args...))
}

// isReply reports whether err is a reply of the server, such as NOSCRIPT or Nil.
func isReply(err error) bool { return errors.As(err, new(goredis.Error)) }
