package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"example.com/todo/scripts/internal/proc"
)

func TestRemoveDeletesDataInTheSystemDirWithItsLink(t *testing.T) {
	t.Parallel()
	account, err := proc.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	if account == nil {
		t.Skip("only root keeps data elsewhere")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	p := Postgres{Dir: filepath.Join(closed, "postgres")}
	if err := p.createDir(account); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Remove() })
	home := p.resolvedDir()
	if filepath.Dir(home) != proc.SystemDir {
		t.Errorf("the data is in %s, want %s", home, proc.SystemDir)
	}
	if owner, err := p.serverAccount(); err != nil || owner.Uid != account.Uid {
		t.Errorf("the folder belongs to %v, %v; want %v", owner, err, account)
	}
	if err := os.WriteFile(p.passwordPath(), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{home, p.Dir} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}
