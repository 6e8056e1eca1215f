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

// Prepare creates the data folder unless it exists.
func (p Postgres) Prepare(ctx context.Context) error {
	account, err := p.serverAccount()
	if err != nil {
		return err
	}
	if exists(p.dataDir()) {
		return nil
	}
	if err := p.createDir(account); err != nil {
		return fmt.Errorf("create a folder for PostgreSQL: %w", err)
	}
	if p.Primary != nil {
		return p.copyPrimary(ctx, account)
	}
	if err := os.WriteFile(p.passwordPath(), []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	if err := account.Chown(p.passwordPath()); err != nil {
		return err
	}
	// initdb works in a folder of another name: an incomplete folder is never used as the data folder.
	unfinished := p.dataDir() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	err = p.Launcher.Run(ctx, proc.Command{
		Path: filepath.Join(p.Bin, "initdb"), Env: minimalEnv(), Dir: "/", As: account,
		Args: []string{
			"-D", unfinished, "-U", superuser, "--pwfile", p.passwordPath(), "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", locale(), "--no-sync",
		},
	})
	if err != nil {
		return err
	}
	return os.Rename(unfinished, p.dataDir())
}

// copyPrimary copies the data folder of the primary, which must not run, for a standby.
func (p Postgres) copyPrimary(ctx context.Context, account *proc.Account) error {
	unfinished := p.dataDir() + ".new"
	for _, c := range []proc.Command{
		{Path: "rm", Args: []string{"-rf", unfinished}},
		{Path: "cp", Args: []string{"-p", p.Primary.passwordPath(), p.passwordPath()}},
		{Path: "cp", Args: []string{"-Rp", p.Primary.dataDir(), unfinished}},
		{Path: "touch", Args: []string{filepath.Join(unfinished, "standby.signal")}},
	} {
		c.Env, c.Dir, c.As = minimalEnv(), "/", account
		if err := p.Launcher.Run(ctx, c); err != nil {
			return fmt.Errorf("copy the data of the primary: %w", err)
		}
	}
	return os.Rename(unfinished, p.dataDir())
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

func (p Postgres) createDir(account *proc.Account) error {
	if exists(p.Dir) {
		return account.Chown(p.Dir)
	}
	if err := os.Remove(p.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a dangling link: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(p.Dir), 0o755); err != nil {
		return err
	}
	if account.CanReach(filepath.Dir(p.Dir)) {
		if err := os.Mkdir(p.Dir, 0o700); err != nil {
			return err
		}
		return account.Chown(p.Dir)
	}
	return p.createInSystemDir(account)
}

// linkFile is a file in a folder of proc.SystemDir. It names the link to that folder.
const linkFile = "belongs-to"

// createInSystemDir creates the data folder in proc.SystemDir, and a link to it at Dir.
func (p Postgres) createInSystemDir(account *proc.Account) error {
	if err := os.MkdirAll(proc.SystemDir, 0o755); err != nil {
		return err
	}
	removeAbandonedDirs()
	dir := filepath.Join(proc.SystemDir, "postgres-data-"+rand.Text())
	// The link comes first: removeAbandonedDirs deletes a folder that its link does not lead to.
	if err := os.Symlink(dir, p.Dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, linkFile), []byte(p.Dir), 0o600); err != nil {
		return err
	}
	return account.Chown(dir)
}

// removeAbandonedDirs removes the data of stacks whose folder was deleted without a reset.
func removeAbandonedDirs() {
	files, _ := filepath.Glob(filepath.Join(proc.SystemDir, "postgres-data-*", linkFile)) // a valid pattern
	for _, file := range files {
		link, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		dir := filepath.Dir(file)
		if target, err := os.Readlink(string(link)); err != nil || target != dir {
			_ = os.RemoveAll(dir) // a folder that stays wastes space only
		}
	}
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
