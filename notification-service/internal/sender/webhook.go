package sender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/tracing"
)

const (
	secretPrefix     = "whsec_"
	userAgent        = "todo-notification-service"
	maxResponseBytes = 4 << 10 // of a response that are read and dropped
	maxHeaderBytes   = 16 << 10
)

// publicInternet recognises the addresses of the public internet, by IANA's registries.
var publicInternet = ssrf.New(ssrf.WithAnyPort())

// Webhook is a client of Standard Webhooks: it posts each notification with a
// signature. A receiver that remembers Idempotency-Key or webhook-id delivers it once.
type Webhook struct {
	url     string
	signer  *standardwebhooks.Webhook
	client  *http.Client
	metrics metrics
}

// NewWebhook returns a sender that registers its metrics in reg. cfg must be valid and
// have a URL.
func NewWebhook(cfg WebhookConfig, reg prometheus.Registerer) (*Webhook, error) {
	signer, err := standardwebhooks.NewWebhook(cfg.Secret.Reveal())
	if err != nil {
		return nil, errors.New("the webhook's secret is not base64")
	}
	dialer := &net.Dialer{}
	if !cfg.AllowPrivate {
		dialer.Control = rejectPrivateAddress
	}
	return &Webhook{
		url:     cfg.URL,
		signer:  signer,
		metrics: newMetrics(reg),
		client: &http.Client{
			Timeout: cfg.Timeout,
			// Following a redirect would send the signature to any address.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// Without a proxy, which would look up the name itself.
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				ForceAttemptHTTP2:      true,
				MaxIdleConnsPerHost:    100, // a partition has one request in flight
				IdleConnTimeout:        90 * time.Second,
				MaxResponseHeaderBytes: maxHeaderBytes,
				// A request timeout does not close its HTTP/2 connection. Without pings
				// every later request on a dead connection would time out too, until TCP
				// gives up after about 15 minutes.
				HTTP2: &http.HTTP2Config{SendPingTimeout: cfg.Timeout, PingTimeout: cfg.Timeout},
			},
		},
	}, nil
}

// rejectPrivateAddress is a net.Dialer.Control. It checks the address of each
// connection after the name lookup, so a name that changes later is checked again.
func rejectPrivateAddress(network, address string, conn syscall.RawConn) error {
	if err := publicInternet.Safe(network, address, conn); err != nil {
		return fmt.Errorf("%s is not an address of the public internet, which WEBHOOK_ALLOW_PRIVATE would have to permit", address)
	}
	return nil
}

// Send implements notify.Sender. A notification is delivered when the whole response
// arrived and its status is 2xx. The error is notify.ErrRejected when the receiver does
// not accept this notification. No error contains the URL or the response body.
func (w *Webhook) Send(ctx context.Context, n notify.Notification) error {
	request, err := w.buildRequest(ctx, n)
	if err != nil {
		return err
	}
	start := time.Now()
	status, err := w.doRequest(request)
	w.metrics.seconds.Observe(time.Since(start).Seconds())
	outcome := classify(status, err)
	w.metrics.requests.WithLabelValues(string(outcome)).Inc()
	switch {
	case err != nil:
		return fmt.Errorf("the webhook cannot be reached: %w", err)
	case outcome == rejected:
		return fmt.Errorf("the webhook answered %d %s: %w", status, http.StatusText(status), notify.ErrRejected)
	case status/100 == 3:
		return fmt.Errorf("the webhook answered %d %s: redirects are not followed", status, http.StatusText(status))
	case outcome != delivered:
		return fmt.Errorf("the webhook answered %d %s", status, http.StatusText(status))
	}
	return nil
}

// payload is the request body, as Standard Webhooks recommends it.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	EventID   string `json:"event_id,omitempty"`
	TaskID    int64  `json:"task_id"`
	TaskTitle string `json:"task_title"`
	Message   string `json:"message"`
}

func (w *Webhook) buildRequest(ctx context.Context, n notify.Notification) (*http.Request, error) {
	body, err := json.Marshal(payload{
		Type: "task.completed", Timestamp: n.CompletedAt,
		Data: data{EventID: n.EventID, TaskID: n.TaskID, TaskTitle: n.Title, Message: n.Text()},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the webhook's URL is invalid")
	}
	now := time.Now()
	key := url.PathEscape(n.IdempotencyKey) // a producer may send any id, but a header is restricted
	signature, err := w.signer.Sign(key, now, body)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type":                          "application/json",
		"User-Agent":                            userAgent,
		"Idempotency-Key":                       key,
		standardwebhooks.HeaderWebhookID:        key,
		standardwebhooks.HeaderWebhookTimestamp: strconv.FormatInt(now.Unix(), 10),
		standardwebhooks.HeaderWebhookSignature: signature,
	} {
		request.Header.Set(name, value)
	}
	if trace := tracing.Traceparent(tracing.WithTraceparent(ctx, n.Traceparent)); trace != "" {
		request.Header.Set("traceparent", trace)
	}
	return request, nil
}

// doRequest returns the status after the response, or maxResponseBytes of it, was read.
func (w *Webhook) doRequest(request *http.Request) (status int, err error) {
	response, err := w.client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return 0, failed.Err // without the URL
	}
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.CopyN(io.Discard, response.Body, maxResponseBytes); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("its response was cut off: %w", err)
	}
	return response.StatusCode, nil
}
