package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The checks below are for Validate methods and for command-line flags. Each returns nil, or an error of Invalid with
// the key. None of them quotes the value.

// CheckRange rejects a value below least or above most.
func CheckRange[T int | float64 | time.Duration](key string, value, least, most T) error {
	if value < least || value > most {
		return Invalid(key, "must be from %s to %s", formatNumber(least), formatNumber(most))
	}
	return nil
}

// CheckRangeOrZero is CheckRange for a setting in which 0 has a special meaning, which zero names: "no bound".
func CheckRangeOrZero[T int | float64 | time.Duration](key string, value, least, most T, zero string) error {
	if value == 0 || CheckRange(key, value, least, most) == nil {
		return nil
	}
	return Invalid(key, "must be 0 (%s), or from %s to %s", zero, formatNumber(least), formatNumber(most))
}

// formatNumber formats durations without zero units: 24h instead of 24h0m0s.
func formatNumber[T int | float64 | time.Duration](n T) string {
	return zeroUnits.ReplaceAllString(fmt.Sprint(n), "$1")
}

var zeroUnits = regexp.MustCompile(`([hm])(?:0[ms])+$`)

// CheckListenAddr rejects an address that no server can listen on. Valid are host:port, and :port for all addresses
// of the machine. Port 0 is any free port.
func CheckListenAddr(key, addr string) error {
	host, port, problem := splitAddr(addr)
	switch {
	case problem != "":
		return Invalid(key, "must be host:port, or :port for all addresses of the machine, such as :8080; %s", problem)
	case host != "" && !isHost(host):
		return Invalid(key, "must begin with a name or an IP address of this machine, or with the colon for all of them, such as :8080")
	case !isPort(port) && port != "0":
		return Invalid(key, "must end with a port from 1 to 65535, or 0 for any that is free")
	}
	return nil
}

// CheckServerAddrs rejects addresses that no client can connect to. Valid is at least one host:port.
func CheckServerAddrs(key string, addrs ...string) error {
	if len(addrs) == 0 {
		return Invalid(key, "must name at least one server, as host:port")
	}
	for i, addr := range addrs {
		host, port, problem := splitAddr(addr)
		switch {
		case problem != "":
			problem = "must be host:port, such as localhost:1234; " + problem
		case !isHost(host):
			problem = "must begin with the server's name or IP address"
		case !isPort(port):
			problem = "must end with the server's port, a number from 1 to 65535"
		default:
			continue
		}
		if len(addrs) > 1 {
			problem = fmt.Sprintf("item %d: %s", i+1, problem)
		}
		return Invalid(key, "%s", problem)
	}
	return nil
}

// CheckURL rejects text that is no absolute URL with a host and one of the schemes. It also rejects a fragment, which
// is never sent, and a user or password, which logs would show.
func CheckURL(key, text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil {
		u = &url.URL{}
	}
	switch {
	case !slices.Contains(schemes, u.Scheme) || u.Opaque != "":
		return Invalid(key, "must be an absolute URL, such as %s://host.example.com", schemes[len(schemes)-1])
	case u.User != nil:
		return Invalid(key, "must not hold a user or a password")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return Invalid(key, "must not have a fragment, which is never sent")
	case !isHost(u.Hostname()):
		return Invalid(key, "must name a host, or an IP address (IPv6 in brackets)")
	case u.Port() != "" && !isPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return Invalid(key, "has an invalid port: must be a number from 1 to 65535")
	}
	return nil
}

// CheckNetworks rejects a network with address bits beyond its prefix length: it is probably one address.
func CheckNetworks(key string, networks ...netip.Prefix) error {
	for i, network := range networks {
		if network != network.Masked() {
			return Invalid(key, "item %d has address bits beyond its prefix length: write %v, or /%d for the single address", i+1, network.Masked(), network.Addr().BitLen())
		}
	}
	return nil
}

const maxWordBytes = 249 // Kafka's limit for names of topics, groups and members

// CheckName rejects a name with white space, quotes or invisible characters, or with more than 249 bytes.
func CheckName(key, word string) error {
	bad := func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune("\"'`", r)
	}
	if strings.ContainsFunc(word, bad) || !utf8.ValidString(word) || len(word) > maxWordBytes {
		return Invalid(key, "must be at most %d bytes, without white space, quotes and invisible characters", maxWordBytes)
	}
	return nil
}

// splitAddr splits host:port without checking the parts, or returns what is wrong.
func splitAddr(addr string) (host, port, problem string) {
	if strings.Contains(addr, "://") {
		return "", "", "it is a URL"
	}
	host, port, err := net.SplitHostPort(addr)
	switch {
	case err != nil && strings.Count(addr, ":") > 1:
		return "", "", "it has too many colons, or an IPv6 address without brackets, as in [::1]:1234"
	case err != nil:
		return "", "", "it has no port"
	}
	return host, port, ""
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0 && text[0] != '0'
}

// hostName matches labels of letters, digits, hyphens and underscores, which container names have. A name with a
// numeric last label (numbering) would be parsed as an IPv4 address.
var (
	hostName         = regexp.MustCompile(`(?i)^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$`)
	numericLastLabel = regexp.MustCompile(`(?i)(^|\.)([0-9]+|0x[0-9a-f]*)\.?$`)
)

func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && hostName.MatchString(host) && !numericLastLabel.MatchString(host)
}
