package reader

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/retry"
)

// requestTimeout is how long a request is retried without a response.
const requestTimeout = 8 * time.Second

var retryBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 10 * time.Second}

// requester sends requests to Kafka and retries them over a new connection.
type requester struct {
	cfg    kafka.Config
	client *client.Lazy
}

func newRequester(cfg kafka.Config) *requester {
	return &requester{cfg: cfg, client: client.NewLazy(cfg)}
}

// requestOnce is request over a connection of its own. what names the request in the
// error.
func requestOnce[T any](
	ctx context.Context, cfg kafka.Config, what string, fn func(*client.Client) (T, error),
) (result T, err error) {
	r := newRequester(cfg)
	defer r.client.Close()
	err = r.request(ctx, func(c *client.Client) error {
		result, err = fn(c)
		return err
	})
	if err != nil {
		return result, fmt.Errorf("%s: %w", what, err)
	}
	return result, nil
}

// request calls fn until it succeeds, fails with an error that a retry does not cure,
// ctx ends, or requestTimeout has passed.
func (r *requester) request(ctx context.Context, fn func(*client.Client) error) error {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Commands and rebuilds call this. They report the error; an outage logs nothing.
	outage := retry.NewOutage(slog.New(slog.DiscardHandler), "", "")
	var last, response error
	err := retry.Do(limited, retryBackoff, outage, func(context.Context) error {
		last = r.client.Do(limited, fn)
		switch {
		case last == nil:
			return nil
		case client.IsFatal(last), !client.IsRetriable(last):
			return retry.Permanent(last)
		case limited.Err() == nil: // otherwise the error is about the aborted connection
			response = last
		}
		return last
	})
	switch {
	case err == nil, limited.Err() == nil, client.IsFatal(err), !client.IsRetriable(err):
		return err
	case ctx.Err() != nil:
		return last
	case response != nil:
		return fmt.Errorf("no answer from Kafka at %s within %v: %w", strings.Join(r.cfg.Brokers, ","), requestTimeout, response)
	default:
		return fmt.Errorf("no answer from Kafka at %s within %v", strings.Join(r.cfg.Brokers, ","), requestTimeout)
	}
}
