package proc

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"syscall"
)

// SystemDir holds the data of programs that refuse root, if their own user cannot enter the intended folder,
// such as a clone below /root.
const SystemDir = "/var/lib/todo-devstack"

// Account is the user that a program runs as. The nil account is the user of this process.
type Account syscall.Credential

// Unprivileged returns the account for programs that refuse root, if this process is root; otherwise nil.
func Unprivileged() (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("find a user for programs that refuse root: %w", err)
	}
	account := &Account{}
	if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &account.Uid, &account.Gid); err != nil {
		return nil, fmt.Errorf("user nobody has the ids %q and %q, not numbers", u.Uid, u.Gid)
	}
	return account, nil
}

// Owner returns the account that owns path, if this process is root and the owner is not; otherwise nil.
func Owner(path string) (*Account, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || stat.Uid == 0 {
		return nil, nil
	}
	return &Account{Uid: stat.Uid, Gid: stat.Gid}, nil
}

// Chown makes the account the owner of path. The nil account changes nothing.
func (a *Account) Chown(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.Uid), int(a.Gid))
}

// CanReach reports whether the account may enter every folder down to path, which need not exist. It ignores
// group permissions: false can be wrong, true cannot.
func (a *Account) CanReach(path string) bool {
	if a == nil {
		return true
	}
	// The deepest existing folder on the way to path, without symbolic links.
	dir, err := filepath.EvalSymlinks(path)
	for err != nil {
		path = filepath.Dir(path)
		dir, err = filepath.EvalSymlinks(path)
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode().Perm()&0o001 == 0 && !a.owns(info) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (a *Account) owns(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == a.Uid && info.Mode().Perm()&0o100 != 0
}
