package reader

import (
	"context"
	"errors"
	"fmt"
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
	return &requester{cfg: cfg, client: client.NewConnector(cfg).NewLazy()}
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
	delays := retryBackoff.Delays()
	var last, response error
	for waited := true; waited; waited = retry.Wait(limited, delays.NextBackOff()) {
		last = r.client.Do(limited, fn)
		if last == nil || client.IsFatal(last) || !client.IsRetriable(last) {
			return last
		}
		if limited.Err() == nil { // otherwise the error is about the aborted connection
			response = last
		}
	}
	brokers := strings.Join(r.cfg.Brokers, ",")
	switch {
	case ctx.Err() != nil && errors.Is(last, ctx.Err()):
		return last
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), last)
	case response != nil:
		return fmt.Errorf("no answer from Kafka at %s within %v: %w", brokers, requestTimeout, response)
	default:
		return fmt.Errorf("no answer from Kafka at %s within %v", brokers, requestTimeout)
	}
}
