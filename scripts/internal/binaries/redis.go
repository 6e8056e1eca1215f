package binaries

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
)

var (
	redisVersion    = versionPattern(`v=`)
	redisMinVersion = version{major: 6, minor: 2}
)

// redisMemberSuffixes lists, by platform, the suffixes of the downloaded servers to try, the best first. The
// server for linux/amd64 needs OpenSSL 3; the static one for 386 runs without.
var redisMemberSuffixes = map[string][]string{
	"linux/amd64":  {"-linux-amd64", "-linux-386"},
	"linux/arm64":  {"-linux-arm64"},
	"darwin/amd64": {"-darwin-amd64"},
	"darwin/arm64": {"-darwin-arm64"},
}

// Redis returns the path of redis-server. Its version is 6.2 or newer.
func (f Finder) Redis(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("redis-server"); err == nil && !f.FetchedOnly {
		if v, err := readVersion(ctx, redisVersion, path, "--version"); err == nil && !v.before(redisMinVersion) {
			return path, nil
		}
	}
	return f.fetchRedis(ctx)
}

func (f Finder) fetchRedis(ctx context.Context) (string, error) {
	pins, err := artifactsOf("redis")
	if err != nil {
		return "", err
	}
	jars, err := f.Cache.ensure(ctx, "Redis", pins)
	if err != nil {
		return "", err
	}
	failed := []error{fmt.Errorf("no redis-server for %s/%s runs here: install it and put it on PATH", runtime.GOOS, runtime.GOARCH)}
	for _, member := range redisMemberSuffixes[runtime.GOOS+"/"+runtime.GOARCH] {
		dir := filepath.Join(f.Cache.Dir, "unpacked", "redis-"+pins[0].SHA256[:12]+member)
		path := filepath.Join(dir, "redis-server")
		err := f.createAtomically(dir, "Redis", func(unfinished string) error {
			return extractMember(jars[0], member, filepath.Join(unfinished, "redis-server"))
		})
		if err != nil {
			return "", err
		}
		_, err = readVersion(ctx, redisVersion, path, "--version")
		if err == nil {
			return path, nil
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}
