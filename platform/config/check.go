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

// The checks below are for the Validate method of a settings struct, and for the flags
// of a command. Each returns nil, or the error that Invalid makes of key and of what is
// wrong with the value. None of them quotes the value.

// CheckRange refuses a value below least or above most.
func CheckRange[T int | float64 | time.Duration](key string, value, least, most T) error {
	if value < least || value > most {
		return Invalid(key, "must be from %s to %s", formatNumber(least), formatNumber(most))
	}
	return nil
}

// CheckRangeOrZero is CheckRange for a setting in which 0 means something else, which
// zero says: "no bound".
func CheckRangeOrZero[T int | float64 | time.Duration](key string, value, least, most T, zero string) error {
	if value == 0 || CheckRange(key, value, least, most) == nil {
		return nil
	}
	return Invalid(key, "must be 0 (%s), or from %s to %s", zero, formatNumber(least), formatNumber(most))
}

// formatNumber writes durations without the units that are 0: 24h instead of 24h0m0s.
func formatNumber[T int | float64 | time.Duration](n T) string {
	return zeroUnits.ReplaceAllString(fmt.Sprint(n), "$1")
}

var zeroUnits = regexp.MustCompile(`([hm])(?:0[ms])+$`)

// CheckListenAddr refuses what no server can listen on. An address is host:port, or :port
// for all addresses of the machine; port 0 is any that is free.
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

// CheckServerAddrs refuses what no client can connect to: each address is host:port, and
// there is at least one.
func CheckServerAddrs(key string, addrs ...string) error {
	if len(addrs) == 0 {
		return Invalid(key, "must name at least one server, as host:port")
	}
	for i, addr := range addrs {
		problem := serverAddrProblem(addr)
		if problem != "" && len(addrs) > 1 {
			problem = fmt.Sprintf("item %d: %s", i+1, problem)
		}
		if problem != "" {
			return Invalid(key, "%s", problem)
		}
	}
	return nil
}

func serverAddrProblem(addr string) string {
	host, port, problem := splitAddr(addr)
	switch {
	case problem != "":
		return "must be host:port, such as localhost:1234; " + problem
	case !isHost(host):
		return "must begin with the server's name or IP address"
	case !isPort(port):
		return "must end with the server's port, a number from 1 to 65535"
	}
	return ""
}

// CheckURL refuses what is not a whole URL of one of the schemes, with a host, and with
// nothing that is never sent or would show in logs: a fragment, a user, a password.
func CheckURL(key, text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil {
		u = &url.URL{}
	}
	switch {
	case !slices.Contains(schemes, u.Scheme) || u.Opaque != "":
		return Invalid(key, "must be a whole URL, such as %s://host.example.com", schemes[len(schemes)-1])
	case u.User != nil:
		return Invalid(key, "must not hold a user or a password")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return Invalid(key, "must not have a fragment, which is never sent")
	case !isHost(u.Hostname()):
		return Invalid(key, "must name a host, or an IP address (IPv6 in brackets)")
	case u.Port() != "" && !isPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return Invalid(key, "has a port that is no number from 1 to 65535")
	}
	return nil
}

// CheckNetworks refuses a network that is written with the address of one of its members:
// the bits beyond its length do not count.
func CheckNetworks(key string, networks ...netip.Prefix) error {
	for i, network := range networks {
		if network != network.Masked() {
			return Invalid(key, "item %d has address bits beyond its length: write %v, or for the one address /%d", i+1, network.Masked(), network.Addr().BitLen())
		}
	}
	return nil
}

// maxWordBytes is as many bytes as Kafka takes for the name of a topic, a group or a member.
const maxWordBytes = 249

// CheckWord refuses a name with blanks, quotes or what is invisible, and one that is longer
// than 249 bytes.
func CheckWord(key, word string) error {
	bad := func(r rune) bool {
		return !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune("\"'`", r)
	}
	if strings.ContainsFunc(word, bad) || !utf8.ValidString(word) || len(word) > maxWordBytes {
		return Invalid(key, "must be at most %d bytes, without blanks, quotes and characters that do not show", maxWordBytes)
	}
	return nil
}

// splitAddr splits host:port, whatever the parts are, or returns what is wrong.
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

// hostName is labels of letters, digits, hyphens and underscores (which the names of
// containers have). A name whose last label is a number is read as an IPv4 address.
var (
	hostName  = regexp.MustCompile(`(?i)^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$`)
	numbering = regexp.MustCompile(`(?i)(^|\.)([0-9]+|0x[0-9a-f]*)\.?$`)
)

func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && hostName.MatchString(host) && !numbering.MatchString(host)
}
