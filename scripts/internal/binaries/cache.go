package binaries

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/git-pkgs/purl"
	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/console"
)

const (
	maxDownloads    = 4 // in parallel
	maxAttempts     = 3 // per artifact
	downloadTimeout = 5 * time.Minute
)

// RepositoryVariables are the environment variables that choose a repository, by package type.
var RepositoryVariables = map[string]string{"maven": "MAVEN_REPOSITORY_URL", "npm": "NPM_CONFIG_REGISTRY"}

// Cache is a folder with downloaded artifacts and the programs unpacked from them.
type Cache struct {
	Dir          string
	Repositories map[string]string // addresses to fetch from, by package type; the registry of a type without one is the default
	Console      *console.Console
}

// ensure downloads the missing artifacts and returns the paths of all, in the order of pins.
func (c Cache) ensure(ctx context.Context, what string, pins []artifact) ([]string, error) {
	paths := make([]string, len(pins))
	var missing []artifact
	var size int64
	for i, pin := range pins {
		paths[i] = c.artifactPath(pin)
		if _, err := os.Stat(paths[i]); err != nil {
			missing = append(missing, pin)
			size += pin.Size
		}
	}
	if len(missing) == 0 {
		return paths, nil
	}
	c.Console.Progress("fetching %s, %.1f MB, into %s, once", what, float64(size)/1e6, c.Dir)
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(maxDownloads)
	for _, pin := range missing {
		group.Go(func() error { return c.fetchWithRetry(together, pin) })
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w (%s chooses another repository)", what, err, RepositoryVariables[missing[0].Package.Type])
	}
	return paths, nil
}

// artifactPath contains the checksum: a new version of an artifact is another file.
func (c Cache) artifactPath(pin artifact) string {
	return filepath.Join(c.Dir, "artifacts", pin.SHA256, pin.fileName())
}

func (c Cache) fetchWithRetry(ctx context.Context, pin artifact) (err error) {
	for attempt := range maxAttempts {
		retry.Wait(ctx, time.Duration(attempt)*time.Second)
		if err = c.fetchOnce(ctx, pin); err == nil || errors.Is(err, errNotPinned) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// errNotPinned means that a repository delivers another file. Another attempt would get the same.
var errNotPinned = errors.New("is not the file that was pinned")

func (c Cache) fetchOnce(ctx context.Context, pin artifact) error {
	path := c.artifactPath(pin)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // after success it has been renamed
	defer func() { _ = file.Close() }()           // after success it is closed
	sum := sha256.New()
	if err := c.download(ctx, pin, io.MultiWriter(file, sum)); err != nil {
		return fmt.Errorf("%s: %w", pin.fileName(), err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != pin.SHA256 {
		return fmt.Errorf("%s %w: its SHA-256 is %s, not %s; nothing was kept", pin.fileName(), errNotPinned, got, pin.SHA256)
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func (c Cache) download(ctx context.Context, pin artifact, into io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, downloadTimeout, fmt.Errorf("not complete after %s", downloadTimeout))
	defer cancel()
	kind := pin.Package.Type
	repository := cmp.Or(c.Repositories[kind], purl.DefaultRegistry(kind))
	url := strings.TrimRight(repository, "/") + "/" + pin.repositoryPath()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	// Of a file that is too long, one byte more is enough for a wrong checksum.
	if _, err := io.Copy(into, io.LimitReader(response.Body, pin.Size+1)); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}
