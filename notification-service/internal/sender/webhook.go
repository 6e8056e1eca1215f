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
	maxResponseBytes = 4 << 10 // bytes of an answer that are read; nobody is shown them
	maxHeaderBytes   = 16 << 10
)

// publicInternet knows the addresses of the public internet, by IANA's registries.
var publicInternet = ssrf.New(ssrf.WithAnyPort())

// Webhook posts notifications, signed as Standard Webhooks says, and with the
// notification's key as Idempotency-Key: a receiver that keeps keys, or webhook
// ids, delivers each once.
type Webhook struct {
	url     string
	signer  *standardwebhooks.Webhook
	client  *http.Client
	metrics metrics
}

// NewWebhook returns a sender that counts in reg. cfg must be valid and have a URL.
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
			// A redirect could lead anywhere, with the signature; it is an answer like another.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// No proxy: it would look up the name itself.
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				ForceAttemptHTTP2:      true,
				MaxIdleConnsPerHost:    100, // one for each partition in hand
				IdleConnTimeout:        90 * time.Second,
				MaxResponseHeaderBytes: maxHeaderBytes,
				// A connection of HTTP/2 is not closed when a request on it times out:
				// on one that died every later request would time out as well, until
				// TCP gives up after some 15 minutes.
				HTTP2: &http.HTTP2Config{SendPingTimeout: cfg.Timeout, PingTimeout: cfg.Timeout},
			},
		},
	}, nil
}

// rejectPrivateAddress is asked about the address itself, after the name was looked up,
// for every connection: what the name says next time does not matter.
func rejectPrivateAddress(network, address string, conn syscall.RawConn) error {
	if err := publicInternet.Safe(network, address, conn); err != nil {
		return fmt.Errorf("%s is not an address of the public internet, which WEBHOOK_ALLOW_PRIVATE would have to permit", address)
	}
	return nil
}

// Send implements notify.Sender. Delivered is what was answered with a 2xx and
// to the end. The error is notify.ErrRefused when the receiver says that it is
// this notification that it does not want. No error shows the URL or the answer.
func (w *Webhook) Send(ctx context.Context, n notify.Notification) error {
	request, err := w.buildRequest(ctx, n)
	if err != nil {
		return err
	}
	began := time.Now()
	status, err := w.doRequest(request)
	w.metrics.seconds.Observe(time.Since(began).Seconds())
	verdict := classify(status, err)
	w.metrics.requests.WithLabelValues(string(verdict)).Inc()
	switch {
	case err != nil:
		return fmt.Errorf("the webhook can not be reached: %w", err)
	case verdict == rejected:
		return fmt.Errorf("the webhook answered %d %s: %w", status, http.StatusText(status), notify.ErrRejected)
	case status/100 == 3:
		return fmt.Errorf("the webhook answered %d %s: redirects are not followed", status, http.StatusText(status))
	case verdict != delivered:
		return fmt.Errorf("the webhook answered %d %s", status, http.StatusText(status))
	}
	return nil
}

// payload is the body, in the form that Standard Webhooks recommends.
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
		return nil, errors.New("the webhook's url is not one")
	}
	now := time.Now()
	key := url.PathEscape(n.IdempotencyKey) // a producer may choose any id; a header may not be any text
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

// doRequest returns the answer's status once its end, or enough of it, was read.
func (w *Webhook) doRequest(request *http.Request) (status int, err error) {
	answer, err := w.client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return 0, failed.Err // without the URL
	}
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.CopyN(io.Discard, answer.Body, maxResponseBytes); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("its answer was cut short: %w", err)
	}
	return answer.StatusCode, nil
}
