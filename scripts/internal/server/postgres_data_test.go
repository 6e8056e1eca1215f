package server

import (
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
	stacks := make([]Postgres, 3)
	homes := make([]string, 3)
	for i := range stacks {
		stacks[i].Dir = filepath.Join(t.TempDir(), "postgres")
		if err := stacks[i].createInSystemDir(account); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stacks[i].Remove() })
		homes[i] = stacks[i].resolvedDir()
		if err := os.WriteFile(stacks[i].passwordPath(), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if owner, err := stacks[0].serverAccount(); err != nil || *owner != *account {
		t.Errorf("the folder belongs to %v, %v; want %v", owner, err, account)
	}
	if err := stacks[0].Remove(); err != nil {
		t.Fatal(err)
	}
	// The second stack's folder is deleted without a reset; the third stack goes on.
	if err := os.Remove(stacks[1].Dir); err != nil {
		t.Fatal(err)
	}
	removeAbandonedDirs()
	for i, want := range []bool{false, false, true} {
		if got := exists(homes[i]); got != want {
			t.Errorf("stack %d: its data is there: %v, want %v", i+1, got, want)
		}
	}
}
