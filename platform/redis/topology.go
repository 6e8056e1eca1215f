package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

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
	answered bool
}

// NewTopology returns the check of cfg. section is its section in the settings, for error messages.
func NewTopology(section string, cfg Config) *Topology {
	return &Topology{section: section, cfg: cfg}
}

// Check probes each server once, concurrently. Its error names the setting that is wrong. It is nil if no
// server responds.
func (t *Topology) Check(ctx context.Context) error {
	addrs := t.cfg.addrs()
	answered, errs := make([]bool, len(addrs)), make([]error, len(addrs))
	var probes sync.WaitGroup
	for i, addr := range addrs {
		probes.Go(func() { answered[i], errs[i] = t.probe(ctx, addr) })
	}
	probes.Wait()
	t.answered = t.answered || slices.Contains(answered, true)
	return cmp.Or(errs...) // one line, although all servers may have the same problem
}

// Run repeats Check until a server has responded, then waits for the end of ctx. It returns Check's error.
func (t *Topology) Run(ctx context.Context) error {
	for !t.answered {
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

// The mode in the reply to HELLO.
const (
	modeStandalone = "standalone"
	modeCluster    = "cluster"
	modeSentinel   = "sentinel"
)

// probe asks one server for its mode, and reports whether it responded.
func (t *Topology) probe(ctx context.Context, addr string) (answered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
	defer cancel()
	client := goredis.NewClient(t.options(addr))
	defer client.Close()
	reply, err := client.Do(ctx, "HELLO").Result()
	if refusal := goredis.Error(nil); err != nil {
		if strings.Contains(err.Error(), "DB index is out of range") {
			return true, t.settingError("db", "%s has no database with this number", addr)
		}
		return errors.As(err, &refusal), nil
	}
	greeting, _ := reply.(map[any]any)
	mode, _ := greeting["mode"].(string)
	switch {
	case t.cfg.Master != "" && mode == modeSentinel:
		return t.probeMaster(ctx, client, addr)
	case t.cfg.Master != "" && mode != "":
		return true, t.settingError("addr", "%s is no Sentinel, but with %s.master all addresses are Sentinels", addr, t.section)
	case mode == modeSentinel:
		return true, t.settingError("addr", "%s is a Sentinel: set %s.master to the name of the master that it watches", addr, t.section)
	case mode == modeCluster && !t.cfg.isCluster():
		return true, t.settingError("addr", "%s is a node of a Redis Cluster, but one address is a standalone server: list several nodes with commas, and give %s.key_prefix a hash tag, such as {app}", addr, t.section)
	case mode == modeStandalone && t.cfg.isCluster():
		err := client.Do(ctx, "CLUSTER", "SLOTS").Err() // a cluster behind a proxy may say standalone
		if refusal := goredis.Error(nil); errors.As(err, &refusal) {
			return true, t.settingError("addr", "%s is a standalone server, but several addresses are a Redis Cluster: name one, or with Sentinels set %s.master", addr, t.section)
		}
	}
	return true, nil
}

func (t *Topology) probeMaster(ctx context.Context, client *goredis.Client, addr string) (answered bool, err error) {
	err = client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", t.cfg.Master).Err()
	if errors.Is(err, goredis.Nil) {
		return true, t.settingError("master", "the Sentinel %s watches no master named %q", addr, t.cfg.Master)
	}
	return err == nil, nil
}

func (t *Topology) settingError(key, format string, args ...any) error {
	return fmt.Errorf("%s.%s: %s", t.section, key, fmt.Sprintf(format, args...))
}

// options returns the options of Open for one server. Sentinels get neither user nor database.
func (t *Topology) options(addr string) *goredis.Options {
	options := &goredis.Options{
		Addr:                     addr,
		MaxRetries:               -1,
		ContextTimeoutEnabled:    true,
		DialTimeout:              t.cfg.Timeout,
		DialerRetries:            1,
		ReadTimeout:              t.cfg.Timeout,
		WriteTimeout:             t.cfg.Timeout,
		PoolSize:                 1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if t.cfg.Master == "" {
		options.Username, options.Password, options.DB = t.cfg.Username, t.cfg.Password.Reveal(), t.cfg.DB
	}
	return options
}
