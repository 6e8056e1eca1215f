package binaries

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/todo/scripts/internal/proc"
)

var (
	postgresMark   = regexp.MustCompile(`\(PostgreSQL\) `)
	postgresOldest = version{major: 13}
)

// Postgres returns the folder of postgres and initdb, version 13 or newer.
func (f Finder) Postgres(ctx context.Context) (string, error) {
	for _, dir := range f.postgresDirs() {
		if suits(ctx, dir) {
			return dir, nil
		}
	}
	return f.fetchPostgres(ctx)
}

func (f Finder) postgresDirs() []string {
	if f.OnlyFetched {
		return nil
	}
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	// Debian keeps each major version in a folder of its own, away from PATH.
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is not malformed
	slices.SortFunc(debian, func(a, b string) int { return strings.Compare(b, a) })
	return append(dirs, debian...)
}

func suits(ctx context.Context, dir string) bool {
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return false
	}
	if ok, err := reachable(dir); err != nil || !ok {
		return false
	}
	v, err := versionOf(ctx, postgresMark, filepath.Join(dir, "postgres"), "--version")
	return err == nil && !v.before(postgresOldest)
}

func (f Finder) fetchPostgres(ctx context.Context) (string, error) {
	pins, err := Pins("postgres")
	if err != nil {
		return "", err
	}
	jars, err := f.Cache.Artifacts(ctx, "PostgreSQL", pins)
	if err != nil {
		return "", err
	}
	base := filepath.Join(f.Cache.Dir, "unpacked")
	if ok, err := reachable(base); err != nil {
		return "", err
	} else if !ok {
		base = proc.Elsewhere
	}
	dir := filepath.Join(base, "postgres-"+pins[0].Package.Version+"-"+pins[0].SHA256[:12])
	err = f.once(dir, "PostgreSQL", func(unfinished string) error {
		txz, err := Member(jars[0], ".txz")
		if err != nil {
			return err
		}
		defer func() { _ = txz.Close() }()
		return Unpack(ctx, txz, unfinished)
	})
	return filepath.Join(dir, "bin"), err
}
