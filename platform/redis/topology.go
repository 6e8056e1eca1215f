package redis

import (
	"context"
	"errors"
	"fmt"
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
// or Sentinels that know Master. A server that is down is no error.
type Topology struct {
	section  string
	cfg      Config
	answered atomic.Bool
}

// NewTopology returns the check of cfg. section is its section in the settings, for error messages.
func NewTopology(section string, cfg Config) *Topology {
	return &Topology{section: section, cfg: cfg}
}

// Check probes each server once, concurrently. Its error names the setting that is wrong. It is nil if no
// server responds.
func (t *Topology) Check(ctx context.Context) error {
	var probes errgroup.Group
	for _, addr := range t.cfg.addrs() {
		probes.Go(func() error {
			answered, err := t.probe(ctx, addr)
			if answered {
				t.answered.Store(true)
			}
			return err
		})
	}
	return probes.Wait() // one error, although all servers may have the same problem
}

// Run repeats Check until a server has responded, then waits for the end of ctx. It returns Check's error.
func (t *Topology) Run(ctx context.Context) error {
	for !t.answered.Load() {
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

// probe asks one server for its mode, and reports whether it responded.
func (t *Topology) probe(ctx context.Context, addr string) (answered bool, err error) {
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
	switch {
	case err != nil && strings.Contains(err.Error(), "DB index is out of range"):
		return true, t.settingError("db", "%s has no database with this number", addr)
	case err != nil:
		return isReply(err), nil
	case t.cfg.Master != "" && mode == "sentinel":
		err := client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", t.cfg.Master).Err()
		if errors.Is(err, goredis.Nil) {
			return true, t.settingError("master", "the Sentinel %s watches no master named %q", addr, t.cfg.Master)
		}
		return err == nil, nil
	case t.cfg.Master != "" && mode != "":
		return true, t.settingError("addr", "%s is no Sentinel, but with %s.master all addresses are Sentinels", addr, t.section)
	case mode == "sentinel":
		return true, t.settingError("addr", "%s is a Sentinel: set %s.master to the name of the master that it watches", addr, t.section)
	case mode == "cluster" && !t.cfg.isCluster():
		return true, t.settingError("addr", "%s is a node of a Redis Cluster, but one address is a standalone server: list several nodes with commas, and give %s.key_prefix a hash tag, such as {app}", addr, t.section)
	case mode == "standalone" && t.cfg.isCluster():
		if isReply(client.Do(ctx, "CLUSTER", "SLOTS").Err()) { // a cluster behind a proxy may say standalone
			return true, t.settingError("addr", "%s is a standalone server, but several addresses are a Redis Cluster: name one, or with Sentinels set %s.master", addr, t.section)
		}
	}
	return true, nil
}

func (t *Topology) settingError(key, format string, args ...any) error {
	return fmt.Errorf("%s.%s: %s", t.section, key, fmt.Sprintf(format, args...))
}

// isReply reports whether err is a reply of the server, such as NOSCRIPT or Nil.
func isReply(err error) bool { return errors.As(err, new(goredis.Error)) }
