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
	if p.Primary != nil {
		return p.copy(ctx, account)
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

// copy makes the data folder of a standby from that of its primary, which must not run.
func (p Postgres) copy(ctx context.Context, account *proc.Account) error {
	unfinished := p.data() + ".new"
	for _, c := range []proc.Command{
		{Path: "rm", Args: []string{"-rf", unfinished}},
		{Path: "cp", Args: []string{"-p", p.Primary.password(), p.password()}},
		{Path: "cp", Args: []string{"-Rp", p.Primary.data(), unfinished}},
		{Path: "touch", Args: []string{filepath.Join(unfinished, "standby.signal")}},
	} {
		c.Env, c.Dir, c.As = bareEnv(), "/", account
		if err := p.Launcher.Run(ctx, c); err != nil {
			return fmt.Errorf("copy the data of the primary: %w", err)
		}
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
	return p.makeElsewhere(account)
}

// ownerFile is a file in a folder elsewhere that names the link to the folder.
const ownerFile = "belongs-to"

// makeElsewhere makes the folder where root keeps such things, with a link to it from where it belongs.
// The link comes first: a folder whose link does not lead to it has been abandoned.
func (p Postgres) makeElsewhere(account *proc.Account) error {
	if err := os.MkdirAll(proc.Elsewhere, 0o755); err != nil {
		return err
	}
	sweepElsewhere()
	dir := filepath.Join(proc.Elsewhere, "postgres-data-"+rand.Text())
	if err := os.Symlink(dir, p.Dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(p.Dir), 0o600); err != nil {
		return err
	}
	return account.Own(dir)
}

// sweepElsewhere removes the folders whose stack was deleted without a reset.
func sweepElsewhere() {
	files, _ := filepath.Glob(filepath.Join(proc.Elsewhere, "postgres-data-*", ownerFile)) // a valid pattern
	for _, file := range files {
		link, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		dir := filepath.Dir(file)
		if target, err := os.Readlink(string(link)); err != nil || target != dir {
			_ = os.RemoveAll(dir) // what cannot be removed does no harm
		}
	}
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
