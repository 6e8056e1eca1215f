package binaries

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"example.com/todo/scripts/internal/proc"
)

var (
	postgresVersion    = versionPattern(`\(PostgreSQL\) `)
	postgresMinVersion = version{major: 13}
)

// Postgres returns the folder of postgres and initdb. Their version is 13 or newer.
func (f Finder) Postgres(ctx context.Context) (string, error) {
	for _, dir := range f.postgresDirs() {
		if isUsablePostgres(ctx, dir) {
			return dir, nil
		}
	}
	return f.fetchPostgres(ctx)
}

func (f Finder) postgresDirs() []string {
	if f.FetchedOnly {
		return nil
	}
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	// Debian installs each major version in its own folder, which is not on PATH.
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is not malformed
	slices.SortFunc(debian, func(a, b string) int { return strings.Compare(b, a) })
	return append(dirs, debian...)
}

func isUsablePostgres(ctx context.Context, dir string) bool {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return false
	}
	if ok, err := reachableByServerAccount(dir); err != nil || !ok {
		return false
	}
	v, err := readVersion(ctx, postgresVersion, filepath.Join(dir, "postgres"), "--version")
	return err == nil && !v.before(postgresMinVersion)
}

func (f Finder) fetchPostgres(ctx context.Context) (string, error) {
	pins, err := artifactsOf("postgres")
	if err != nil {
		return "", err
	}
	jars, err := f.Cache.ensure(ctx, "PostgreSQL", pins)
	if err != nil {
		return "", err
	}
	base := filepath.Join(f.Cache.Dir, "unpacked")
	if ok, err := reachableByServerAccount(base); err != nil {
		return "", err
	} else if !ok {
		base = proc.SystemDir
	}
	dir := filepath.Join(base, "postgres-"+pins[0].Package.Version+"-"+pins[0].SHA256[:12])
	err = f.createAtomically(dir, "PostgreSQL", func(unfinished string) error {
		return readMember(jars[0], ".txz", func(txz io.Reader) error { return unpack(ctx, txz, unfinished) })
	})
	return filepath.Join(dir, "bin"), err
}
