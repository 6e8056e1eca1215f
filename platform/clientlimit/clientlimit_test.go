package clientlimit_test

import (
	"net/netip"
	"sync"
	"testing"

	"example.com/todo/platform/clientlimit"
)

func TestClientPrefixIsAnIPv4AddressOrAnIPv6Network(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7":                "192.0.2.7/32",
		"::ffff:192.0.2.7":         "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":     "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::":      "2001:db8:1:2::/64",
		"fe80::1%eth0":             "fe80::/64",
		"::1":                      "::/64",
		"2001:db8:1:3:3:4:5:6":     "2001:db8:1:3::/64",
		"0:0:0:0:0:ffff:c000:0207": "192.0.2.7/32",
	} {
		if got := clientlimit.ClientPrefix(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := clientlimit.ClientPrefix(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %s", got)
	}
}

func TestNetworksContainMappedAndZonedAddresses(t *testing.T) {
	t.Parallel()
	networks := clientlimit.NewNetworks([]netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("fe80::/10"),
	})
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "192.0.2.9": true, "fe80::1%eth0": true,
		"11.0.0.1": false, "192.0.3.1": false, "2001:db8::1": false,
	} {
		if got := networks.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %t", addr, got)
		}
	}
	if networks.Contains(netip.Addr{}) {
		t.Error("no address is one of them")
	}
}

func TestLimiterAllowsEachClientUpToTheLimit(t *testing.T) {
	t.Parallel()
	l := clientlimit.New[netip.Prefix](2)
	prefix := func(addr string) netip.Prefix { return clientlimit.ClientPrefix(netip.MustParseAddr(addr)) }
	one, other := prefix("2001:db8::1"), prefix("2001:db8:0:1::1")
	neighbour := prefix("2001:db8::2") // of the same client as one
	release, ok := l.Acquire(one)
	if _, second := l.Acquire(neighbour); !ok || !second {
		t.Fatal("a client was rejected below its limit")
	}
	if _, ok := l.Acquire(one); ok {
		t.Error("a client holds three")
	}
	if _, ok := l.Acquire(other); !ok {
		t.Error("another client was rejected")
	}
	release()
	if _, ok := l.Acquire(neighbour); !ok {
		t.Error("a released slot cannot be acquired")
	}
}

func TestLimiterHoldsItsLimitForConcurrentCallers(t *testing.T) {
	t.Parallel()
	const limit = 7
	const client = "a client"
	l := clientlimit.New[string](limit)
	for range 50 {
		var mu sync.Mutex
		var releases []func()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if release, ok := l.Acquire(client); ok {
					mu.Lock()
					defer mu.Unlock()
					releases = append(releases, release)
				}
			})
		}
		all.Wait()
		if len(releases) != limit {
			t.Fatalf("%d were acquired", len(releases))
		}
		for _, release := range releases {
			release()
		}
	}
}
