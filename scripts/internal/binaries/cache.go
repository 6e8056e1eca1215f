package binaries

import (
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

	"golang.org/x/sync/errgroup"

	"example.com/todo/scripts/internal/console"
)

const (
	atOnce     = 4                // downloads side by side
	attempts   = 3                // per artifact
	stallLimit = 30 * time.Second // without a byte
)

// Cache is a folder of artifacts and of what was unpacked from them.
type Cache struct {
	Dir        string
	Repository string // address of the Maven repository to fetch from
	Console    *console.Console
}

// Artifacts returns the paths of artifacts in the order of pins, fetching those that are missing.
func (c Cache) Artifacts(ctx context.Context, what string, pins []Pin) ([]string, error) {
	paths := make([]string, len(pins))
	var missing []Pin
	var size int64
	for i, pin := range pins {
		paths[i] = c.path(pin)
		if _, err := os.Stat(paths[i]); err != nil {
			missing = append(missing, pin)
			size += pin.Size
		}
	}
	if len(missing) == 0 {
		return paths, nil
	}
	c.Console.Say("fetching %s into %s, once", what, c.Dir)
	bar := c.Console.Bar(what, size)
	defer bar.End()
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, pin := range missing {
		group.Go(func() error { return c.fetch(together, pin, bar) })
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w (MAVEN_REPOSITORY_URL chooses another repository)", what, err)
	}
	return paths, nil
}

// path has the checksum in it: a pin that changes is another file.
func (c Cache) path(pin Pin) string { return filepath.Join(c.Dir, "artifacts", pin.SHA256, pin.File()) }

func (c Cache) fetch(ctx context.Context, pin Pin, bar io.Writer) error {
	var err error
	for attempt := range attempts {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(attempt) * time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		var again *passingError
		if err = c.try(ctx, pin, bar); err == nil || ctx.Err() != nil || !errors.As(err, &again) {
			return err
		}
	}
	return err
}

// passingError is a failure that may not happen again.
type passingError struct{ error }

func (e *passingError) Unwrap() error { return e.error }

func (c Cache) try(ctx context.Context, pin Pin, bar io.Writer) error {
	path := c.path(pin)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already when all went well
	defer func() { _ = file.Close() }()           // closed already when all went well
	sum := sha256.New()
	if err := c.download(ctx, pin, io.MultiWriter(file, sum, bar)); err != nil {
		return fmt.Errorf("%s: %w", pin.File(), &passingError{err})
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != pin.SHA256 {
		return fmt.Errorf("%s is not the file that was pinned: its SHA-256 is %s, not %s; nothing was kept",
			pin.File(), got, pin.SHA256)
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func (c Cache) download(ctx context.Context, pin Pin, into io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallLimit, func() { cancel(fmt.Errorf("nothing arrived for %s", stallLimit)) })
	defer stall.Stop()
	url := strings.TrimRight(c.Repository, "/") + "/" + pin.path()
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
	// One byte more than there should be is enough to make the checksum wrong.
	body := io.LimitReader(response.Body, pin.Size+1)
	if _, err := io.Copy(into, &ticking{body, func() { stall.Reset(stallLimit) }}); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// ticking is a reader that tells whenever something was read.
type ticking struct {
	io.Reader
	tick func()
}

func (t *ticking) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if n > 0 {
		t.tick()
	}
	return n, err
}
