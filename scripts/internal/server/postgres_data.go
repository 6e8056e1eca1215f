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

// Prepare makes the data folder unless it is there.
func (p Postgres) Prepare(ctx context.Context) error {
	account, err := p.account()
	if err != nil {
		return err
	}
	if exists(p.data()) {
		return nil
	}
	if err := p.makeDir(account); err != nil {
		return fmt.Errorf("make a folder for PostgreSQL: %w", err)
	}
	if err := os.WriteFile(p.password(), []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	if err := account.Own(p.password()); err != nil {
		return err
	}
	// A folder that initdb did not finish must never pass for one that it did.
	unfinished := p.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	err = p.Launcher.Run(ctx, proc.Command{
		Path: filepath.Join(p.Bin, "initdb"), Env: bareEnv(), Dir: "/", As: account,
		Args: []string{
			"-D", unfinished, "-U", superuser, "--pwfile", p.password(), "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", locale(), "--no-sync",
		},
	})
	if err != nil {
		return err
	}
	return os.Rename(unfinished, p.data())
}

// account is who owns the folder and runs the server, nil when that is the caller. A folder that one
// user made goes on belonging to that user when root comes.
func (p Postgres) account() (*proc.Account, error) {
	owner, err := proc.Owner(p.Dir)
	if owner != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return owner, err
	}
	return proc.Unprivileged()
}

func (p Postgres) makeDir(account *proc.Account) error {
	if exists(p.Dir) {
		return account.Own(p.Dir)
	}
	if err := os.Remove(p.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a link that leads nowhere: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(p.Dir), 0o755); err != nil {
		return err
	}
	if account.Reaches(filepath.Dir(p.Dir)) {
		if err := os.Mkdir(p.Dir, 0o700); err != nil {
			return err
		}
		return account.Own(p.Dir)
	}
	if err := os.MkdirAll(proc.Elsewhere, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(proc.Elsewhere, "postgres-")
	if err != nil {
		return err
	}
	if err := account.Own(dir); err != nil {
		return err
	}
	return os.Symlink(dir, p.Dir)
}

// Remove deletes the server's data, wherever it is. None is no error.
func (p Postgres) Remove() error {
	if target, err := os.Readlink(p.Dir); err == nil && filepath.Dir(target) == proc.Elsewhere {
		if err := os.RemoveAll(target); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.Dir)
}

// locale names a locale that knows every letter and that the system has without being asked to.
func locale() string {
	if runtime.GOOS == "darwin" {
		return "en_US.UTF-8"
	}
	return "C.UTF-8"
}
