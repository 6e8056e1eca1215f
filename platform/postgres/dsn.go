package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"example.com/todo/platform/config"
)

const dsnKey = "dsn" // the key of Config.DSN

// The required forms of a DSN.
var (
	errDSNForm = errors.New("must be a URL that begins with postgres:// or postgresql://, or a list of key=value with known values")
	errDSNURL  = errors.New("must be a complete URL, with special characters in the user, the password and the database as %XX, such as %2F for a slash")
)

// parseDSN returns lib/pq's configuration from dsn and from the environment variables PG…, which are the
// defaults. Its error names dsn or the variable that is wrong. It quotes nothing of dsn, which may contain
// a password.
func parseDSN(dsn string) (pq.Config, error) {
	if err := checkEnvironment(); err != nil {
		return pq.Config{}, err
	}
	hasHost, err := checkDSNForm(dsn)
	if err != nil {
		return pq.Config{}, config.Invalid(dsnKey, "%s", err)
	}
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return pq.Config{}, config.Invalid(dsnKey, "%s", redactDSNError(err))
	}
	for name := range cfg.Runtime {
		if !parameter.MatchString(name) {
			return pq.Config{}, config.Invalid(dsnKey, "%s", errDSNForm)
		}
	}
	if !hasHost && !cfg.Hostaddr.IsValid() && cfg.Service == "" && os.Getenv("PGHOST") == "" {
		return pq.Config{}, config.Invalid(dsnKey, "names no host, so that lib/pq would use localhost: name the host, also if it is localhost")
	}
	return cfg, errors.Join(checkHosts(cfg), checkFiles(cfg))
}

// environmentVariable matches a variable in an error of lib/pq.
var environmentVariable = regexp.MustCompile(`\$((?:SSL)?PG[A-Z_]+)`)

// checkEnvironment rejects PGSERVICE and variables PG… that lib/pq cannot use.
func checkEnvironment() error {
	// In lib/pq, unlike libpq, the service file has precedence over the DSN.
	if service := os.Getenv("PGSERVICE"); service != "" {
		return fmt.Errorf("PGSERVICE: %q from environment PGSERVICE: its service would override postgres.dsn: unset it, or write service=… into the DSN", service)
	}
	_, err := pq.NewConfig("user=x")
	if err == nil {
		return nil
	}
	name := "PG… variables"
	if found := environmentVariable.FindStringSubmatch(err.Error()); found != nil {
		name = found[1]
	}
	return fmt.Errorf("%s: %q from environment %s: the PostgreSQL driver cannot use it (%w): unset it, or correct it", name, os.Getenv(name), name, err)
}

// parameter matches the name of a connection or session parameter.
var parameter = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$`)

// valueless matches a key without a value in a list, as templates produce: password= dbname=todo.
var (
	valueless = regexp.MustCompile(`(?:^|\s)([A-Za-z_]+)\s*=\s+[A-Za-z_]+\s*=`)
	quoted    = regexp.MustCompile(`'(?:[^'\\]|\\.)*'`)
)

// checkDSNForm rejects a DSN that lib/pq would misread, and reports whether it names a host.
func checkDSNForm(dsn string) (hasHost bool, err error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		if found := valueless.FindStringSubmatch(quoted.ReplaceAllString(dsn, "''")); found != nil {
			return false, fmt.Errorf("gives %s no value, so that lib/pq would use the next key as its value: write '' for none, or leave it out", found[1])
		}
		// If a key occurs twice, lib/pq uses the last. parseDSN reports an error of dsn itself.
		const none = "host.is.not.named"
		cfg, err := pq.NewConfig("host=" + none + " " + dsn)
		return err == nil && cfg.Host != none, nil
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Fragment != "" || strings.HasSuffix(dsn, "#") || strings.ContainsAny(strings.TrimPrefix(u.EscapedPath(), "/"), "/@") {
		return false, errDSNURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false, errDSNURL
	}
	for name, values := range query {
		switch {
		case !parameter.MatchString(name):
			return false, errDSNURL
		case len(values) > 1 || values[0] == "":
			return false, fmt.Errorf("must give %s one value, or leave it out", name)
		}
	}
	return u.Hostname() != "" || query.Has("host"), nil
}

// The errors of lib/pq that name a key, and those that quote no secret.
var (
	wrongValue = regexp.MustCompile(`^pq: wrong value for "([a-z_]+)": (?:.*; (supported values are .*))?`)
	harmless   = regexp.MustCompile(`^pq: (could not match|weak sslmode|min_protocol_version|service file|definition of service|unknown setting)`)
)

// redactDSNError returns an error of lib/pq without the values that it quotes.
func redactDSNError(err error) error {
	text := err.Error()
	if found := wrongValue.FindStringSubmatch(text); found != nil {
		if found[2] == "" {
			return fmt.Errorf("gives %s an invalid value", found[1])
		}
		return fmt.Errorf("gives %s an invalid value; %s", found[1], found[2])
	}
	if harmless.MatchString(text) {
		return errors.New(strings.TrimPrefix(text, "pq: "))
	}
	return errDSNForm
}

// hosts returns all hosts of a DSN.
func hosts(cfg pq.Config) []pq.ConfigMultihost {
	return append([]pq.ConfigMultihost{{Host: cfg.Host, Hostaddr: cfg.Hostaddr, Port: cfg.Port}}, cfg.Multi...)
}

// hostOf returns the name, the address or the socket that lib/pq dials.
func hostOf(h pq.ConfigMultihost) string {
	if h.Hostaddr.IsValid() {
		return h.Hostaddr.String()
	}
	return h.Host
}

// checkHosts rejects hosts that cannot be dialed.
func checkHosts(cfg pq.Config) error {
	for _, h := range hosts(cfg) {
		host := hostOf(h)
		if filepath.IsAbs(host) || strings.HasPrefix(host, "@") { // a Unix socket
			continue
		}
		_, err := netip.ParseAddr(host)
		if err != nil && strings.Contains(host, ":") { // lib/pq reads the port as a part of the name
			return settingError("PGHOST", h.Host, "names ports among several hosts: write them separately, as in //db1,db2/name?port=5432,5433")
		}
		if config.CheckServerAddrs(dsnKey, net.JoinHostPort(host, strconv.Itoa(int(h.Port)))) != nil {
			return settingError("PGHOST", h.Host, "names a host that is neither a name nor an IP address, or the port 0")
		}
	}
	return nil
}

// checkTargetSession rejects target_session_attrs of read-only sessions.
func checkTargetSession(cfg pq.Config) error {
	switch cfg.TargetSessionAttrs {
	case pq.TargetSessionAttrsReadWrite, pq.TargetSessionAttrsPrimary:
		return nil
	case "", pq.TargetSessionAttrsAny:
		if len(cfg.Multi) > 0 {
			return config.Invalid(dsnKey, "names several hosts, and one may be a standby: add target_session_attrs=read-write")
		}
		return nil
	default:
		asked := string(cfg.TargetSessionAttrs)
		return settingError("PGTARGETSESSIONATTRS", asked, "must not have target_session_attrs="+asked+", because the service writes: use read-write")
	}
}

// checkFiles rejects missing files. lib/pq would connect without them: without verifying the server's
// certificate, without a client certificate, or without a password.
func checkFiles(cfg pq.Config) error {
	for _, file := range []struct{ key, variable, path string }{
		{"sslrootcert", "PGSSLROOTCERT", cfg.SSLRootCert},
		{"sslcert", "PGSSLCERT", cfg.SSLCert},
		{"sslkey", "PGSSLKEY", cfg.SSLKey},
		{"passfile", "PGPASSFILE", cfg.Passfile},
	} {
		inline := file.key != "passfile" && cfg.SSLInline
		if file.path == "" || inline || file.key == "sslrootcert" && file.path == "system" {
			continue
		}
		info, err := os.Stat(file.path)
		switch {
		case err != nil:
			return settingError(file.variable, file.path, "names a "+file.key+" that cannot be read: it does not exist, or this process has no permission")
		case file.key == "passfile" && info.Mode().Perm()&0o077 != 0:
			return settingError(file.variable, file.path, "names a passfile that others may read, which the driver ignores: chmod 600")
		}
	}
	return nil
}

// settingError returns an error about the environment variable if value is from it, otherwise about the DSN.
func settingError(variable, value, problem string) error {
	if os.Getenv(variable) == "" || !slices.Contains(strings.Split(os.Getenv(variable), ","), value) {
		return config.Invalid(dsnKey, "%s", problem)
	}
	return fmt.Errorf("%s: %q from environment %[1]s: %s", variable, value, problem)
}
