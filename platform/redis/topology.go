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
	topologyTimeout  = 2 * time.Second // of the questions to one server
	topologyInterval = time.Second     // between two rounds
)

// Topology checks that the servers are what Config says of them: one server of its own,
// a cluster where Addr lists several, Sentinels that know Master. A server may be away
// for however long.
type Topology struct {
	section  string
	cfg      Config
	answered bool
}

// NewTopology returns the check of what cfg, the section of the settings with that name,
// says.
func NewTopology(section string, cfg Config) *Topology {
	return &Topology{section: section, cfg: cfg}
}

// Check asks the servers, each once. Its error names the setting that is wrong. It is nil
// while no server answers.
func (t *Topology) Check(ctx context.Context) error {
	addrs := t.cfg.addrs()
	answered, errs := make([]bool, len(addrs)), make([]error, len(addrs))
	var asking sync.WaitGroup
	for i, addr := range addrs {
		asking.Go(func() { answered[i], errs[i] = t.probe(ctx, addr) })
	}
	asking.Wait()
	t.answered = t.answered || slices.Contains(answered, true)
	return cmp.Or(errs...) // one line, however many say the same
}

// Run checks until a server has answered, then waits for ctx to end.
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

// What a server says that it is.
const (
	modeStandalone = "standalone"
	modeCluster    = "cluster"
	modeSentinel   = "sentinel"
)

// probe asks one server what it is, and says whether it answered.
func (t *Topology) probe(ctx context.Context, addr string) (answered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
	defer cancel()
	client := goredis.NewClient(t.options(addr))
	defer client.Close()
	reply, err := client.Do(ctx, "HELLO").Result()
	if refusal := goredis.Error(nil); err != nil {
		if strings.Contains(err.Error(), "DB index is out of range") {
			return true, t.settingError("db", "%s has no database of this number", addr)
		}
		return errors.As(err, &refusal), nil
	}
	greeting, _ := reply.(map[any]any)
	mode, _ := greeting["mode"].(string)
	switch {
	case t.cfg.Master != "" && mode == modeSentinel:
		return t.probeMaster(ctx, client, addr)
	case t.cfg.Master != "" && mode != "":
		return true, t.settingError("addr", "%s is no Sentinel, and with %s.master set all addresses are Sentinels", addr, t.section)
	case mode == modeSentinel:
		return true, t.settingError("addr", "%s is a Sentinel: set %s.master to the name of the master that it watches", addr, t.section)
	case mode == modeCluster && !t.cfg.isCluster():
		return true, t.settingError("addr", "%s is a node of a Redis Cluster, and one address is a server of its own: list several nodes with commas, and give %s.key_prefix a hash tag, such as {app}", addr, t.section)
	case mode == modeStandalone && t.cfg.isCluster():
		err := client.Do(ctx, "CLUSTER", "SLOTS").Err() // some that are reached through a proxy serve it all the same
		if refusal := goredis.Error(nil); errors.As(err, &refusal) {
			return true, t.settingError("addr", "%s is a server of its own, and several addresses are a Redis Cluster: name one, or with Sentinels set %s.master", addr, t.section)
		}
	}
	return true, nil
}

func (t *Topology) probeMaster(ctx context.Context, client *goredis.Client, addr string) (answered bool, err error) {
	err = client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", t.cfg.Master).Err()
	if errors.Is(err, goredis.Nil) {
		return true, t.settingError("master", "the Sentinel %s watches no master of the name %q", addr, t.cfg.Master)
	}
	return err == nil, nil
}

func (t *Topology) settingError(key, format string, args ...any) error {
	return fmt.Errorf("%s.%s: %s", t.section, key, fmt.Sprintf(format, args...))
}

// options are those of Open for one server, as which a Sentinel is asked without a
// database and a user.
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
