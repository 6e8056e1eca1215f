package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lib/pq"

	"example.com/todo/scripts/internal/proc"
)

// hba lets all users sign in by their passwords, and only over TLS.
const hba = "hostssl all all 127.0.0.1/32 scram-sha-256\n"

// The files of Security in the folder of the server, which its account can read.
func (p Postgres) certPath() string { return filepath.Join(p.resolvedDir(), "server.crt") }
func (p Postgres) keyPath() string  { return filepath.Join(p.resolvedDir(), "server.key") }
func (p Postgres) hbaPath() string  { return filepath.Join(p.resolvedDir(), "hba.conf") }

func (p Postgres) securitySettings() []string {
	if p.Security == nil {
		return nil
	}
	return []string{"ssl=on", "ssl_cert_file=" + p.certPath(), "ssl_key_file=" + p.keyPath(), "hba_file=" + p.hbaPath()}
}

// installSecurity writes the files of Security for the account of the server.
func (p Postgres) installSecurity(account *proc.Account) error {
	if p.Security == nil {
		return nil
	}
	cert, err := os.ReadFile(p.Security.Cert)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(p.Security.Key)
	if err != nil {
		return err
	}
	for path, content := range map[string][]byte{p.certPath(): cert, p.keyPath(): key, p.hbaPath(): []byte(hba)} {
		if err := errors.Join(os.WriteFile(path, content, 0o600), account.Chown(path)); err != nil {
			return err
		}
	}
	return nil
}

// EnsureRights gives the users what Rules lists, and their passwords. It is called before and after a migration, and
// does nothing without Security.
func (p Postgres) EnsureRights(ctx context.Context) error {
	if p.Security == nil {
		return nil
	}
	rules, err := os.ReadFile(p.Security.Rules)
	if err != nil {
		return err
	}
	return p.asSuperuser(AppUser, func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, string(rules)); err != nil {
			return fmt.Errorf("%s: %w", p.Security.Rules, err)
		}
		for _, user := range p.Security.Users {
			if _, err := db.ExecContext(ctx, "ALTER ROLE "+pq.QuoteIdentifier(user.Name)+" PASSWORD "+pq.QuoteLiteral(user.Password)); err != nil {
				return fmt.Errorf("password of %s: %w", user.Name, err)
			}
		}
		return nil
	})
}
