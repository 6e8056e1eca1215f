package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
)

// loadDSN validates a DSN that is the default. In a variable, quotes around it would be an error.
func loadDSN(dsn string) error {
	cfg := struct {
		Postgres postgres.Config `config:"postgres"`
	}{postgres.Defaults()}
	cfg.Postgres.DSN = config.Secret(dsn)
	return config.Load(&cfg, "", nil)
}

func TestValidateAcceptsAValidDSN(t *testing.T) {
	certificate := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(certificate, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{
		"postgres://db.example/todo",
		"postgresql://todo:p%40ss%2Fw%23rd@[::1]:5433/todo?sslmode=disable&connect_timeout=3&search_path=a,b",
		"postgres://todo@/todo?host=/var/run/postgresql",
		"postgres://a,b/todo?port=5432,5433&target_session_attrs=read-write",
		"postgres://db.example/to%2Fdo%40x?statement_timeout=5000&my.setting=1",
		"host=db.example dbname=todo user=todo password='a b\\'c' sslmode=verify-full sslrootcert=system",
		"host=/var/run/postgresql dbname=todo",
		"postgres://[fe80::1%25eth0]:5433/todo",
		"host = db.example user = todo password = 'a b= c=d' dbname = todo",
		"host=@socket dbname=todo",
		"hostaddr=10.0.0.1 dbname=todo",
		"host = a,b port = 1,2 target_session_attrs=read-write",
		"host=db.example sslrootcert=" + certificate,
		"host=db.example passfile=" + certificate,
		"host=db.example sslinline=true sslrootcert='-----BEGIN CERTIFICATE-----'",
	} {
		if err := loadDSN(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestValidateRejectsADSNThatLibPQMisreads(t *testing.T) {
	readable := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(readable, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]string{
		`"postgres://todo:hunter2@db.example/todo?sslmode=disable"`: "must be a URL that begins with postgres://",
		`"host=db.example password=hunter2"`:                        "must be a URL that begins with postgres://",
		"POSTGRES://todo:hunter2@db.example/todo?sslmode=disable":   "must be a URL that begins with postgres://",
		"jdbc:postgresql://db.example/todo?password=hunter2":        "must be a URL that begins with postgres://",
		"hunter2":                                   "must be a URL that begins with postgres://",
		"password='hunter2":                         "must be a URL that begins with postgres://",
		"host=h password= dbname=hunter2":           "gives password no value",
		"user =\thost = hunter2 password='a\\' b'":  "gives user no value",
		"postgres://hunter2@a:1,b:2/d":              "as in //db1,db2/name?port=5432,5433",
		"password=hunter2 dbname=todo":              "names no host, so that lib/pq would use localhost",
		"hots=db.example password=hunter2":          "names no host, so that lib/pq would use localhost",
		"postgres://todo:hunter2@/todo":             "names no host, so that lib/pq would use localhost",
		"postgres://todo:12#hunter2@db.example/d":   "special characters",
		"postgres://todo:12?hunter2@db.example/d":   "special characters",
		"postgres://todo:12/hunter2@db.example/d":   "special characters",
		"postgres://todo:hunter2@db.example/d?a;b":  "special characters",
		"postgres://hunter2@h/d?user=a&user=b":      "must give user one value",
		"postgres://hunter2@h/d?sslmode=":           "must give sslmode one value",
		"postgres://hunter2@h/d?sslmode=hunter2":    `gives sslmode an invalid value; supported values are disable`,
		"host=h port=hunter2":                       "gives port an invalid value",
		"host=h client_encoding=hunter2":            "known values",
		"host=a,b port=1,2,3 password=hunter2":      "could not match 3 port numbers to 2 hosts",
		"host=h sslrootcert=system sslmode=disable": "weak sslmode",
		"host=h service=none password=hunter2":      "service file",
		"host=h port=0 password=hunter2":            "or the port 0",
		"host='h,x y' password=hunter2":             "neither a name nor an IP address",
		"host='' password=hunter2":                  "neither a name nor an IP address",
		"host=h sslrootcert=/not/there":             "sslrootcert that cannot be read",
		"host=h sslcert=/not/there":                 "sslcert that cannot be read",
		"host=h sslkey=/not/there":                  "sslkey that cannot be read",
		"host=h passfile=/not/there":                "passfile that cannot be read",
		"host=h passfile=" + readable:               "passfile that others may read",
	} {
		err := loadDSN(dsn)
		if err == nil || !strings.HasPrefix(err.Error(), "postgres.dsn: [secret] from default (variable POSTGRES_DSN): ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", dsn, err, want)
		}
		cfg := postgres.Defaults()
		cfg.DSN = config.Secret(dsn)
		if _, err := postgres.Open(cfg, nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Open: %v", dsn, err)
		}
	}
}

// lib/pq reads the variables of libpq.
func TestValidateNamesTheEnvironmentVariableThatIsWrong(t *testing.T) {
	for name, value := range map[string]string{
		"PGSERVICE":            "prod",
		"PGSSLMODE":            "maybe",
		"PGPORT":               "pg",
		"PGTARGETSESSIONATTRS": "writable",
		"PGCONNECT_TIMEOUT":    "2s",
		"PGHOSTADDR":           "db.example",
		"PGREQUIREAUTH":        "scram-sha-256",
		"PGSSLROOTCERT":        "/not/there",
		"PGPASSFILE":           "/not/there",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			err := loadDSN("postgres://todo:hunter2@db.example/todo")
			want := name + `: "` + value + `" from environment ` + name + ": "
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "[secret]") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %s…", err, want)
			}
		})
	}
	t.Run("PGHOST", func(t *testing.T) {
		t.Setenv("PGHOST", `"db.example"`)
		if err := loadDSN("postgres:///todo"); err == nil || !strings.HasPrefix(err.Error(), `PGHOST: "\"db.example\"" from environment PGHOST: `) {
			t.Errorf("got %v", err)
		}
		t.Setenv("PGHOST", "db.example")
		if err := loadDSN("postgres:///todo"); err != nil {
			t.Errorf("PGHOST=db.example: %v", err)
		}
	})
	t.Run("a session that cannot write", func(t *testing.T) {
		t.Setenv("PGTARGETSESSIONATTRS", "standby")
		if err := loadDSN("postgres://db.example/todo"); err == nil || !strings.HasPrefix(err.Error(), `PGTARGETSESSIONATTRS: "standby" from environment PGTARGETSESSIONATTRS: `) {
			t.Errorf("got %v", err)
		}
	})
}
