package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"example.com/todo/scripts/internal/proc"
)

// prepare creates the data folder unless it exists, and the files of Security.
func (p Postgres) prepare(ctx context.Context) error {
	account, err := p.serverAccount()
	if err != nil {
		return err
	}
	if err := p.createData(ctx, account); err != nil {
		return err
	}
	return p.installSecurity(account)
}

func (p Postgres) createData(ctx context.Context, account *proc.Account) error {
	if _, err := os.Stat(p.dataDir()); err == nil {
		return nil
	}
	if err := p.createDir(account); err != nil {
		return fmt.Errorf("create a folder for PostgreSQL: %w", err)
	}
	// The data is made in a folder of another name: an incomplete folder is never used as the data folder.
	unfinished := p.dataDir() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if p.Primary == nil {
		if err := os.WriteFile(p.passwordPath(), []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
		if err := account.Chown(p.passwordPath()); err != nil {
			return err
		}
	}
	for _, c := range p.initCommands(unfinished) {
		c.Env, c.Dir, c.As = minimalEnv(), "/", account
		if err := p.Launcher.Run(ctx, c); err != nil {
			return err
		}
	}
	return os.Rename(unfinished, p.dataDir())
}

// initCommands make the data folder: by initdb, or for a standby by a copy of the primary's, which must not run.
func (p Postgres) initCommands(dir string) []proc.Command {
	if p.Primary == nil {
		return []proc.Command{{Path: filepath.Join(p.Bin, "initdb"), Args: []string{
			"-D", dir, "-U", superuser, "--pwfile", p.passwordPath(), "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", locale(), "--no-sync",
		}}}
	}
	return []proc.Command{
		{Path: "cp", Args: []string{"-p", p.Primary.passwordPath(), p.passwordPath()}},
		{Path: "cp", Args: []string{"-Rp", p.Primary.dataDir(), dir}},
		{Path: "touch", Args: []string{filepath.Join(dir, "standby.signal")}},
	}
}

// serverAccount returns the account that owns the folder and runs the server, nil for the caller. An existing
// folder keeps its owner, even when root starts the server.
func (p Postgres) serverAccount() (*proc.Account, error) {
	owner, err := proc.Owner(p.Dir)
	if owner != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return owner, err
	}
	return proc.Unprivileged()
}

// createDir creates Dir for the account. Where the account cannot reach it, it is a link into proc.SystemDir.
func (p Postgres) createDir(account *proc.Account) error {
	if _, err := os.Stat(p.Dir); err == nil {
		return account.Chown(p.Dir)
	}
	if err := os.Remove(p.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a dangling link: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(p.Dir), 0o755); err != nil {
		return err
	}
	dir := p.Dir
	if !account.CanReach(filepath.Dir(p.Dir)) {
		dir = filepath.Join(proc.SystemDir, "postgres-data-"+rand.Text())
		if err := errors.Join(os.MkdirAll(proc.SystemDir, 0o755), os.Symlink(dir, p.Dir)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return account.Chown(dir)
}

// Remove deletes the server's data, also in proc.SystemDir. Missing data is no error.
func (p Postgres) Remove() error {
	if target, err := os.Readlink(p.Dir); err == nil && filepath.Dir(target) == proc.SystemDir {
		if err := os.RemoveAll(target); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.Dir)
}

// locale names a UTF-8 locale that every installation of the system has.
func locale() string {
	if runtime.GOOS == "darwin" {
		return "en_US.UTF-8"
	}
	return "C.UTF-8"
}
