package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"example.com/todo/platform/config"
)

type limit struct {
	Requests int           `config:"requests"`
	Window   time.Duration `config:"window"`
}

func (l limit) Validate() error {
	var errs []error
	if l.Requests < 1 {
		errs = append(errs, config.Invalid("requests", "must be at least 1"))
	}
	if l.Window <= 0 {
		errs = append(errs, config.Invalid("window", "must be positive"))
	}
	return errors.Join(errs...)
}

type shared struct {
	Verbose bool `config:"verbose"`
}

type database struct {
	DSN   config.Secret `config:"dsn"`
	Conns int           `config:"conns"`
}

// address has an error that quotes the value.
type address string

func (a *address) UnmarshalText(text []byte) error {
	if bytes.ContainsAny(text, "@=") {
		return fmt.Errorf("%q is no host", text)
	}
	*a = address(text)
	return nil
}

type everything struct {
	shared
	Name    string         `config:"name"`
	Ratio   float64        `config:"ratio"`
	Level   slog.Level     `config:"level"`
	Brokers []string       `config:"brokers"`
	Proxies []netip.Prefix `config:"proxies"`
	Relay   address        `config:"relay"`
	Limit   limit          `config:"rate_limit"`
	DB      database       `config:"postgres"`
	Unset   int            // without a tag: not a setting
}

func defaults() everything {
	return everything{
		Name:    "default",
		Ratio:   0.5,
		Brokers: []string{"localhost:9092"},
		Limit:   limit{Requests: 60, Window: time.Minute},
		DB:      database{DSN: "postgres://localhost/db?sslmode=disable", Conns: 4},
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnvironmentOverridesFileOverridesDefaults(t *testing.T) {
	t.Parallel()
	got := defaults()
	path := file(t, `
name: from file
ratio: 0.25
level: warn
brokers: [a:1, b:2]
proxies:
rate_limit:
  requests: 10
  window: 1m30s
postgres:
`)
	err := config.Load(&got, path, []string{
		"NAME=from=environment", "RATE_LIMIT_REQUESTS=7", "PROXIES=10.0.0.0/8, fd00::/8", "VERBOSE=true",
		"POSTGRES_DSN=postgres://env", "POSTGRES_CONNS=", "UNRELATED=1",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := everything{
		shared:  shared{Verbose: true},
		Name:    "from=environment",
		Ratio:   0.25,
		Level:   slog.LevelWarn,
		Brokers: []string{"a:1", "b:2"},
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		Limit:   limit{Requests: 7, Window: 90 * time.Second},
		DB:      database{DSN: "postgres://env", Conns: 4},
	}
	opts := cmp.Options{cmp.AllowUnexported(everything{}), cmpopts.EquateComparable(netip.Prefix{}, config.Secret(""))}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Error(diff)
	}
	if got.DB.DSN.Reveal() != "postgres://env" {
		t.Error("the secret is not the value from the environment")
	}
}

func TestSettingsOfOthersAreNotRead(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Limit  limit    `config:"rate_limit"`
		Others struct{} `config:"*"`
	}{}
	path := file(t, "ratio: many\nrate_limit: {requests: 10, other: 1}\n")
	if err := config.Load(&cfg, path, []string{"POSTGRES_CONNS=many", "RATE_LIMIT_WINDOW=1s"}); err != nil || cfg.Limit != (limit{Requests: 10, Window: time.Second}) {
		t.Errorf("got %+v, %v", cfg.Limit, err)
	}
	if err := config.Load(&cfg, path, []string{"RATE_LIMIT_REQUESTS=many"}); err == nil || !strings.Contains(err.Error(), "rate_limit.requests: ") {
		t.Errorf("a bad setting of its own: %v", err)
	}
}

func TestEveryErrorHasKeyValueAndSource(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file string
		env  []string
		want []string // FILE is replaced by the path
	}{
		"unknown key":         {file: "nom: x", want: []string{`nom: "x" from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
		"unknown section":     {file: "cache: {ttl: 5}", want: []string{`cache.ttl: "5" from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
		"value for a section": {file: "rate_limit: 5", want: []string{`rate_limit: "5" from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
		"section for a value": {file: "name: {first: x}", want: []string{`name.first: "x" from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`,
			`name: "map[first:x]" from file FILE: must be text: put it in quotes`}},
		"unknown key, no value": {file: "nothing:", want: []string{`nothing: "<nil>" from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
		"number from file":      {file: "rate_limit: {requests: 1.5}", want: []string{`rate_limit.requests: "1.5" from file FILE: must be a whole number`}},
		"number from env":       {env: []string{"RATE_LIMIT_REQUESTS=ten"}, want: []string{`rate_limit.requests: "ten" from environment RATE_LIMIT_REQUESTS: must be a whole number`}},
		"out of range":          {env: []string{"POSTGRES_CONNS=30000000000000000000"}, want: []string{`postgres.conns: "30000000000000000000" from environment POSTGRES_CONNS: is out of range`}},
		"no unit":               {file: "rate_limit: {window: 60}", want: []string{`rate_limit.window: "60" from file FILE: must be a duration with its unit, such as 250ms or 1m30s`}},
		"bool":                  {env: []string{"VERBOSE=maybe"}, want: []string{`verbose: "maybe" from environment VERBOSE: must be true or false`}},
		"not a number":          {env: []string{"RATIO=NaN"}, want: []string{`ratio: "NaN" from environment RATIO: must be a number`}},
		"number as text":        {file: "name: 0123", want: []string{`name: "83" from file FILE: must be text: put it in quotes`}},
		"not a list":            {file: "brokers: 5", want: []string{`brokers: "5" from file FILE: must be a list`}},
		"level":                 {env: []string{"LEVEL=loud"}, want: []string{`level: "loud" from environment LEVEL: must be DEBUG, INFO, WARN or ERROR`}},
		"item of a list": {env: []string{"PROXIES=10.0.0.0/8,nonsense"},
			want: []string{`proxies: "10.0.0.0/8,nonsense" from environment PROXIES: item 2: must be a network, such as 10.0.0.0/8 or, for one address, 10.1.2.3/32`}},
		"rules of a section": {file: "rate_limit: {requests: 0}", env: []string{"RATE_LIMIT_WINDOW=0s"}, want: []string{
			`rate_limit.requests: "0" from file FILE: must be at least 1`,
			`rate_limit.window: "0s" from environment RATE_LIMIT_WINDOW: must be positive`}},
		"all at once": {file: "nom: x\nratio: much", env: []string{"VERBOSE=2"}, want: []string{
			`nom: "x" from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`,
			`verbose: "2" from environment VERBOSE: must be true or false`,
			`ratio: "much" from file FILE: must be a number`}},
		"in quotes":                  {env: []string{`NAME="x"`}, want: []string{`name: "\"x\"" from environment NAME: is in quotes, which are part of the value: set it without them`}},
		"in single quotes":           {env: []string{`RATE_LIMIT_REQUESTS='7'`}, want: []string{`rate_limit.requests: "'7'" from environment RATE_LIMIT_REQUESTS: is in quotes, which are part of the value: set it without them`}},
		"empty quotes":               {env: []string{`POSTGRES_DSN=""`}, want: []string{`postgres.dsn: [secret] from environment POSTGRES_DSN: is in quotes, which are part of the value: set it without them`}},
		"a list in quotes":           {env: []string{`BROKERS="a:1","b:2"`}, want: []string{`brokers: "\"a:1\",\"b:2\"" from environment BROKERS: is in quotes, which are part of the value: set it without them`}},
		"a Windows line":             {env: []string{"NAME=x\r"}, want: []string{`name: "x\r" from environment NAME: has blanks or a line break at an end, which are part of the value: set it without them`}},
		"a secret and a line":        {env: []string{"POSTGRES_DSN=hunter2\n"}, want: []string{`postgres.dsn: [secret] from environment POSTGRES_DSN: has blanks or a line break at an end, which are part of the value: set it without them`}},
		"a secret of the wrong type": {file: "postgres: {dsn: 12345}", want: []string{`postgres.dsn: [secret] from file FILE: must be text: put it in quotes`}},
		"a secret under a wrong key": {file: "postgres: {pasword: hunter2}", want: []string{`postgres.pasword: [secret] from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
		"a secret in an address":     {file: "database: 'postgres://u:hunter2@h/db'", want: []string{`database: [secret] from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
		"a password in a known setting": {env: []string{"RELAY=redis://u:hunt/er@2@h:6379/0"},
			want: []string{`relay: "redis://[secret]@h:6379/0" from environment RELAY: "redis://[secret]@h:6379/0" is no host`}},
		"a password without a scheme": {file: "relay: ':hunter2@h:6379'",
			want: []string{`relay: ":[secret]@h:6379" from file FILE: ":[secret]@h:6379" is no host`}},
		"a password by its name": {env: []string{"RELAY=host=h PassWord = 'hunter 2' user=u"},
			want: []string{`relay: "host=h PassWord =[secret]" from environment RELAY: "host=h PassWord =[secret]`}},
		"a password in a list": {file: "verbose: ['sasl://u:hunter2@k']",
			want: []string{`verbose: "[sasl://[secret]@k]" from file FILE: must be true or false`}},
		"a password in a wrong key without a scheme": {file: "database: 'u:hunter2@h'",
			want: []string{`database: [secret] from file FILE: there is no such setting: correct the key, or remove it; config.example.yaml has every setting`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ""
			if test.file != "" {
				path = file(t, test.file)
			}
			cfg := defaults()
			err := config.Load(&cfg, path, test.env)
			if err == nil {
				t.Fatal("accepted")
			}
			want := strings.ReplaceAll(strings.Join(test.want, "\n"), "FILE", path)
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A password with quotes or white space around it can be set in the file.
func TestQuotesAreAcceptedInsideAValueAndInTheFile(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	if err := config.Load(&cfg, file(t, `postgres: {dsn: '"hunter2" '}`), []string{`NAME="x" and "y`, "BROKERS=a:1, b:2"}); err != nil {
		t.Fatal(err)
	}
	if cfg.DB.DSN.Reveal() != `"hunter2" ` || cfg.Name != `"x" and "y` || len(cfg.Brokers) != 2 {
		t.Errorf("got %q, %q and %q", cfg.DB.DSN.Reveal(), cfg.Name, cfg.Brokers)
	}
}

func TestInvalidDefaultIsReported(t *testing.T) {
	t.Parallel()
	err := config.Load(&struct {
		Limit limit `config:"limit"`
	}{}, "", nil)
	if err == nil || !strings.Contains(err.Error(), `limit.requests: "0" from default (variable LIMIT_REQUESTS): must be at least 1`) {
		t.Errorf("got %v", err)
	}
}

func TestValueThatCannotBeConvertedHasOneError(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Limit limit `config:"limit"`
	}{limit{Window: time.Minute}} // Validate would reject the missing requests
	err := config.Load(&cfg, "", []string{"LIMIT_REQUESTS=x"})
	want := `limit.requests: "x" from environment LIMIT_REQUESTS: must be a whole number`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestErrorOfAnUnreadableFileNamesIt(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	for _, path := range []string{missing, file(t, "a: [1"), file(t, "name: a\nname: b")} {
		cfg := defaults()
		if err := config.Load(&cfg, path, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	db := database{DSN: "hunter2"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", db.DSN, "struct", db)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", db.DSN, "struct", db)
	asJSON, _ := json.Marshal(map[string]any{"struct": db, "pointer": &db, "secret": db.DSN})
	asYAML, _ := yaml.Marshal(db)
	printed := []string{log.String(), string(asJSON), string(asYAML), db.DSN.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T %[1]v"} {
		printed = append(printed, fmt.Sprintf(verb, db), fmt.Sprintf(verb, &db), fmt.Sprintf(verb, db.DSN), fmt.Sprintf(verb, []config.Secret{db.DSN}))
	}
	hex := fmt.Sprintf("%x", "hunter2")
	for _, text := range printed {
		if strings.Contains(text, "hunter2") || strings.Contains(strings.ToLower(text), hex) {
			t.Errorf("the secret shows in %s", text)
		}
	}
}

func TestPrintShowsValuesAndVariables(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	cfg.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	var out bytes.Buffer
	if err := config.Print(&out, &cfg); err != nil {
		t.Fatal(err)
	}
	want := `verbose: false # VERBOSE
name: default # NAME
ratio: 0.5 # RATIO
level: INFO # LEVEL
brokers: ['localhost:9092'] # BROKERS
proxies: [10.0.0.0/8] # PROXIES
relay: "" # RELAY
rate_limit:
    requests: 60 # RATE_LIMIT_REQUESTS
    window: 1m0s # RATE_LIMIT_WINDOW
postgres:
    dsn: '[secret]' # POSTGRES_DSN
    conns: 4 # POSTGRES_CONNS
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	cfg.DB.DSN = ""
	out.Reset()
	if err := config.Print(&out, cfg); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `dsn: '' # POSTGRES_DSN`) {
		t.Errorf("an unset secret should show as unset:\n%s", out.String())
	}
}

func TestPrintHidesPasswordsInAddresses(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Endpoint string   `config:"endpoint"`
		Brokers  []string `config:"brokers"`
		Database string   `config:"database"`
		Mail     string   `config:"mail"`
	}{
		Endpoint: "https://u:hunter2@traces:4317/v1",
		Brokers:  []string{"kafka:9092", "sasl://hunter2@kafka:9093"},
		Database: "host=h password=hunter2 dbname=d",
		Mail:     "ops@example.com",
	}
	var out bytes.Buffer
	if err := config.Print(&out, cfg); err != nil {
		t.Fatal(err)
	}
	want := `endpoint: https://[secret]@traces:4317/v1 # ENDPOINT
brokers: ['kafka:9092', 'sasl://[secret]@kafka:9093'] # BROKERS
database: host=h password=[secret] # DATABASE
mail: ops@example.com # MAIL
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLoadAcceptsTheOutputOfPrint(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	var out bytes.Buffer
	if err := config.Print(&out, cfg); err != nil {
		t.Fatal(err)
	}
	var again everything
	if err := config.Load(&again, file(t, out.String()), []string{"POSTGRES_DSN=" + cfg.DB.DSN.Reveal()}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cfg, again, cmp.AllowUnexported(everything{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestUnreadableValueLeavesTheDefault(t *testing.T) {
	t.Parallel()
	// The rules of Validate would otherwise reject settings that are compared with this one.
	cfg := defaults()
	if err := config.Load(&cfg, "", []string{"POSTGRES_CONNS=many", "RATIO=NaN"}); err == nil {
		t.Fatal("accepted")
	}
	if diff := cmp.Diff(defaults().DB.Conns, cfg.DB.Conns) + cmp.Diff(defaults().Ratio, cfg.Ratio); diff != "" {
		t.Error(diff)
	}
}
