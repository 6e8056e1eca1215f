package oidcverifier

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
)

const (
	// minFetchInterval is the time between two fetches of one URL. Without it, tokens with
	// an unknown key would make this service send a request to the issuer each.
	minFetchInterval = 30 * time.Second
	maxDocument      = 1 << 20 // bytes; keys and metadata have a few thousand
)

var (
	// errFetch is the cause of a fetch that failed.
	errFetch = errors.New("the issuer's keys could not be fetched")
	// errFetchedRecently is the cause of a fetch that was not sent, because the last one,
	// less than minFetchInterval ago, succeeded.
	errFetchedRecently = errors.New("the issuer's keys were fetched a moment ago")
)

// fetcher is an http.RoundTripper that sends at most one request for each URL in
// minFetchInterval, and only over a channel that cannot be changed on the way.
type fetcher struct {
	base http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	last map[string]fetch // by URL
}

// fetch is the last request for a URL.
type fetch struct {
	at     time.Time
	failed bool
}

// RoundTrip implements http.RoundTripper.
func (f *fetcher) RoundTrip(r *http.Request) (*http.Response, error) {
	address := r.URL.String()
	if !isSecure(r.URL) {
		return nil, errors.Join(errFetch, errors.New("the issuer names a URL that is not https"))
	}
	if err := f.admit(address); err != nil {
		return nil, err
	}
	response, err := f.base.RoundTrip(r)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = errors.New("the issuer answered " + response.Status)
	}
	if err != nil {
		f.recordFailure(address)
		return nil, errors.Join(errFetch, err)
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxDocument), response.Body}
	return response, nil
}

// admit counts a fetch of the address, unless the last one is too recent.
func (f *fetcher) admit(address string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if last, fetched := f.last[address]; fetched && now.Sub(last.at) < minFetchInterval {
		if last.failed {
			return errFetch
		}
		return errFetchedRecently
	}
	f.last[address] = fetch{at: now}
	return nil
}

func (f *fetcher) recordFailure(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[address] = fetch{at: f.last[address].at, failed: true}
}

// isSecure reports whether a URL of the issuer is https, or of this machine.
func isSecure(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && loopback
}

// classifyFetch returns apperr.Unavailable if the issuer's keys could not be fetched, and
// otherwise that the credentials are invalid.
func classifyFetch(err error) error {
	if isFetchError(err) {
		return apperr.New(apperr.Unavailable, "the issuer of the token is unavailable at the moment; try again").WithCause(err)
	}
	return account.InvalidCredentialsError(err)
}

// isFetchError reports whether a fetch failed, or took longer than the caller waited.
func isFetchError(err error) bool {
	return errors.Is(err, errFetch) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
