// Package configtest is a test suite for the settings of a service: it sets invalid values and checks that each is
// rejected.
package configtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/todo/platform/config"
)

// Invalid values by kind of setting. Of secrets, only those with quotes or white space around them are invalid.
var (
	ListenAddrs = []string{
		`":8080"`, ":8080 ", "8080", "localhost", ":http", ":65536", ":-1", "http://:8080", "[::1:8080", "::1:8080", "*:8080", "300.1.2.3:8080", "a b:8080", ":8080,:8081",
	}
	ServerAddrs = []string{
		`"server:1234"`, "'server:1234'", "server:1234\r", "server", ":1234", "server:", "server:0", "server:65536", "server:name",
		"tcp://server:1234", "user:hunter2@server:1234", "ser ver:1234", `"server":1234`, "127.1:1234", "::1:1234", "-server:1234", "ser..ver:1234",
	}
	hosts     = []string{`"app.example.com"`, "app.example.com ", "*", "*.example.com", "https://app.example.com", "app.example.com:443", "app..example.com", "-app.example.com", "127.1", "a b", "b\u00fccher.example", "a.example,*"}
	Networks  = []string{`"10.0.0.0/8"`, "10.0.0.0/8\r", "10.0.0.1", "localhost", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8,10.1.2.3/16", "::1/64", "10.0.0/8", "*"}
	Durations = []string{`"5s"`, "5s\n", "60", "-1s", "1ns", "five seconds", "2562048h", "1 h"}
	Numbers   = []string{`"6"`, " 6", "-1", "1.5", "1e3", "ten", "0x10", "1,000", "4294967297", "99999999999999999999"}
	Booleans  = []string{`"true"`, "true ", "maybe", "2", "yes", "on"}
	Words     = []string{`"word"`, "word\r", "two Words", "it's", "a\u200bb", "a\nb", "\xff", "\x1b[0m", strings.Repeat("x", 250)}
	certFiles = []string{"/not/there", "/", "/dev/null", `"/not/there"`, "not-there.pem\r"}
	Secrets   = []string{`"hunter2"`, "'hunter2'", "hunter2\n", " hunter2", "hunter2\r"}
)

// variable matches the environment variable in each line of config.Print.
var variable = regexp.MustCompile(`(?m)# ([A-Z0-9_]+)$`)

// ExpectRejected fails the test unless load rejects each value of invalid, which is by environment variable, with an
// error of one line that names only this variable and shows no secret. invalid must have at least three
// values for each setting of cfg. The variables of with are set too, in each call of load.
func ExpectRejected(t *testing.T, cfg any, load func(environ []string) error, invalid map[string][]string, with ...string) {
	t.Helper()
	if err := load(with); err != nil {
		t.Fatalf("with valid settings: %v", err)
	}
	var printed strings.Builder
	if err := config.Print(&printed, cfg); err != nil {
		t.Fatal(err)
	}
	var settings []string
	for _, found := range variable.FindAllStringSubmatch(printed.String(), -1) {
		settings = append(settings, found[1])
		if len(invalid[found[1]]) < 3 {
			t.Errorf("%s has fewer than three cases", found[1])
		}
	}
	for name, values := range invalid {
		if !slices.Contains(settings, name) {
			t.Errorf("%s is no setting", name)
			continue
		}
		for _, value := range values {
			err := load(append(slices.Clone(with), name+"="+value))
			text := fmt.Sprint(err)
			switch {
			case err == nil:
				t.Errorf("%s=%q is accepted", name, value)
			case !strings.Contains(text, " from environment "+name+": "):
				t.Errorf("%s=%q is rejected without its name: %s", name, value, text)
			case strings.Contains(text, "\n") || strings.Contains(text, "hunter2"):
				t.Errorf("%s=%q is rejected with more than one line, or with a secret: %s", name, value, text)
			}
		}
	}
}

// ExpectSecretsHidden fails the test if a secret of the settings is printed: by config.Print, by fmt, or in the error
// about another setting. secrets has a value for each secret setting, by environment variable; each value contains
// "planted". They are set as variables, and by files.
func ExpectSecretsHidden[C any](t *testing.T, load func(environ []string) (C, error), secrets map[string]string, with ...string) {
	t.Helper()
	variables, files := slices.Clone(with), slices.Clone(with)
	for name, value := range secrets {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		variables, files = append(variables, name+"="+value), append(files, name+"_FILE="+path)
	}
	for source, environ := range map[string][]string{"variables": variables, "files": files} {
		cfg, err := load(environ)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		var out strings.Builder
		if err := config.Print(&out, cfg); err != nil {
			t.Error(err)
		}
		for name := range secrets {
			if !regexp.MustCompile(`\[secret\]'? # ` + name + `\n`).MatchString(out.String()) {
				t.Errorf("%s: %s is not shown as set:\n%s", source, name, out.String())
			}
		}
		_, err = load(append(environ, "LOG_LEVEL=planted-wrong"))
		fmt.Fprintf(&out, "%v %+v %#v %v", cfg, cfg, cfg, strings.ReplaceAll(fmt.Sprint(err), "planted-wrong", ""))
		if strings.Contains(out.String(), "planted") {
			t.Errorf("%s: a secret is printed:\n%s", source, out.String())
		}
	}
}

// WithShared adds to own, the invalid values of a service's own settings by environment variable, those of the sections
// that services share. A section is named by the prefix of its variables: HTTP, OPS, REDIS, REDIS_CACHE, SESSION,
// KAFKA, LOG or TRACING. GRPC has the files of TLS only.
func WithShared(own map[string][]string, sections ...string) map[string][]string {
	for _, section := range sections {
		for key, values := range sharedCases[strings.TrimSuffix(section, "_CACHE")] {
			own[section+"_"+key] = values
		}
	}
	return own
}

var sharedCases = map[string]map[string][]string{
	"HTTP": {
		"ADDR":                ListenAddrs,
		"READ_HEADER_TIMEOUT": append([]string{"0s", "25h"}, Durations...),
		"READ_TIMEOUT":        append([]string{"25h"}, Durations...),
		"IDLE_TIMEOUT":        append([]string{"0s", "25h"}, Durations...),
		"MAX_HEADER_BYTES":    append([]string{"0", "1", "100000000"}, Numbers...),
		"REQUEST_TIMEOUT":     append([]string{"25h"}, Durations...),
		"DRAIN_TIMEOUT":       append([]string{"25h"}, Durations...),
		"MAX_CONNS":           append([]string{"0", "2000000"}, Numbers...),
		"ALLOWED_HOSTS":       hosts,
		"TLS_CERT":            certFiles,
		"TLS_KEY":             certFiles,
		"TLS_CLIENT_CA":       certFiles,
		"CORS_ORIGINS": {
			`"https://app.example.com"`, "https://app.example.com\n", "app.example.com", "https://app.example.com/", "https://app.example.com:0", "https://app.example.com:65536", "https://app.example.com:",
			"https://me:hunter2@app.example.com", "https://app..example.com", "https://app.example.com,*", "https://*.example.com", "ftp://app.example.com", "null", "https://127.1",
		},
	},
	"GRPC": {
		"TLS_CERT":      certFiles,
		"TLS_KEY":       certFiles,
		"TLS_CLIENT_CA": certFiles,
	},
	"OPS": {
		"ADDR":          ListenAddrs,
		"PPROF":         Booleans,
		"MAX_CONNS":     append([]string{"0", "100000"}, Numbers...),
		"ALLOWED_HOSTS": hosts,
		"TLS_CERT":      certFiles,
		"TLS_KEY":       certFiles,
		"TLS_CLIENT_CA": certFiles,
	},
	"REDIS": {
		"ADDR":       append([]string{"a:1,", "a:1,,b:2", "localhost:6379/0", "redis://localhost:6379"}, ServerAddrs...),
		"USERNAME":   Words,
		"PASSWORD":   Secrets,
		"DB":         Numbers,
		"MASTER":     Words,
		"KEY_PREFIX": Words,
		"POOL_SIZE":  append([]string{"0", "100000"}, Numbers...),
		"TIMEOUT":    append([]string{"0s", "1h"}, Durations...),
		"TLS":        Booleans,
		"TLS_CA":     certFiles,
		"TLS_CERT":   certFiles,
		"TLS_KEY":    certFiles,
	},
	"SESSION": {
		"IDLE":       append([]string{"0s", "59s", "8761h"}, Durations...),
		"MAX_AGE":    append([]string{"0s", "59s", "8761h"}, Durations...),
		"KEY_PREFIX": Words,
	},
	"KAFKA": {
		"BROKERS":     append([]string{",", "a:1,b", `["a:1"]`, "SASL_SSL://a:1"}, ServerAddrs...),
		"CLIENT_ID":   Words,
		"PARTITIONS":  append([]string{"0", "1000000"}, Numbers...),
		"INSTANCE_ID": append([]string{".", "..", "reader/0"}, Words...),
		"TLS":         Booleans,
		"TLS_CA":      certFiles,
		"TLS_CERT":    certFiles,
		"TLS_KEY":     certFiles,

		"SASL_MECHANISM": {`"plain"`, "PLAIN", "scram", "gssapi", "scram-sha-1"},
		"SASL_USERNAME":  Words,
		"SASL_PASSWORD":  append([]string{"hunter2"}, Secrets...),
	},
	"LOG": {
		"LEVEL":  {`"INFO"`, "loud", "INFO+1", "ERROR+100", "4", "INFO "},
		"FORMAT": {`"json"`, "xml", "JSON", "json "},
	},
	"TRACING": {
		"ENDPOINT": append([]string{
			"http://", "http://collector", "https://collector/", "grpc://collector:4317", "http://collector:4318/v1/traces", "http://collector:4317?a=b",
			"http://me:hunter2@collector:4317", "http://collector:0", "http://collector:65536", `"http://collector:4317"`, "collector:4317/v1/traces",
		}, ServerAddrs...),
		"SAMPLE_RATIO": {`"1"`, "1 ", "-0.1", "1.1", "NaN", "Inf", "half", "10%"},
	},
}
