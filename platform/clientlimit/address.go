package clientlimit

import (
	"net/netip"
	"slices"
)

// ClientPrefix returns the identity of the client at addr: the IPv4 address, also when it
// is mapped into IPv6, or the /64 network of an IPv6 address. All invalid addresses are
// one client, the zero Prefix.
func ClientPrefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits) // it drops the zone
	return network
}

// Networks is a set of IP addresses, such as those of trusted proxies.
type Networks []netip.Prefix

// NewNetworks returns the set of the addresses in prefixes. An IPv4-mapped IPv6 prefix
// stands for its IPv4 addresses.
func NewNetworks(prefixes []netip.Prefix) Networks {
	networks := make(Networks, len(prefixes))
	for i, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		networks[i] = p
	}
	return networks
}

// Contains reports whether addr is in the set. It ignores the zone.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(n, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}
