package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxResponseBytes bounds a response. Those about users and sessions have some 200 bytes.
const maxResponseBytes = 64 << 10

// httpClient makes requests of the HTTP API with the token of a session.
type httpClient struct {
	storedSession
	http.Client
}

// newHTTPClient returns a client for the session's URL. Without a token it signs in.
func (c *cli) newHTTPClient(s storedSession) (*httpClient, error) {
	u, err := url.Parse(s.HTTPURL) // valid: see checkFlags
	if err != nil {
		return nil, usageError{err}
	}
	if err := c.tls.checkSecret(u.Hostname(), u.Scheme == "https"); err != nil {
		return nil, usageError{err}
	}
	cfg, err := c.tls.config()
	if err != nil {
		return nil, usageError{err}
	}
	return &httpClient{s, http.Client{
		Timeout:   c.timeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg, ForceAttemptHTTP2: true},
		// A redirect could take a password to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// httpError is a response that is no success.
type httpError struct {
	status     int
	detail     string
	retryAfter string // seconds, "" if unknown
}

func (e *httpError) Error() string { return fmt.Sprintf("%d %s", e.status, e.detail) }

// do sends a request with the JSON of body, unless that is nil, and decodes the response
// into into, unless that is nil.
func (h *httpClient) do(ctx context.Context, method, path string, body, into any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(h.HTTPURL, "/")+path, content)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if h.Token != "" {
		request.Header.Set("Authorization", "Bearer "+h.Token)
	}
	response, err := h.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		var problem struct {
			Detail string `json:"detail"`
		}
		_ = json.Unmarshal(text, &problem) // a proxy's error is no problem document
		return &httpError{response.StatusCode, cmp.Or(problem.Detail, response.Status), response.Header.Get("Retry-After")}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return errors.New("the response is not that of todo-service")
	}
	return nil
}

// explainHTTP is explain for a request of the HTTP API.
func (c *cli) explainHTTP(action string, client *httpClient, err error) error {
	why, try := err.Error(), "check --http-url"
	var refused *httpError
	var failed *url.Error
	switch {
	case errors.As(err, &refused):
		why, try = refused.detail, refused.hint(client)
	case errors.Is(err, context.DeadlineExceeded):
		why, try = fmt.Sprintf("no answer from %s within %s", client.HTTPURL, c.timeout), "try again, or wait longer with --timeout"
	case errors.Is(err, context.Canceled):
		why, try = "interrupted", "try again"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		why, try = fmt.Sprintf("%s is not trusted (%v)", client.HTTPURL, errors.Unwrap(err)), "check --ca and --http-url"
	case errors.As(err, &failed):
		why, try = fmt.Sprintf("%s does not answer (%v)", client.HTTPURL, failed.Err), "start todo-service, or name its HTTP API with --http-url"
	}
	return fmt.Errorf("cannot %s: %s; %s", action, why, try)
}

// hint says what the user can try after the response.
func (e *httpError) hint(client *httpClient) string {
	switch {
	case e.status == http.StatusUnauthorized && client.Token == "":
		return "correct the e-mail or the password"
	case e.status == http.StatusUnauthorized:
		return signInHint()
	case e.status == http.StatusNotFound:
		return "start todo-service with AUTH_MODE=on, or check --http-url"
	case e.retryAfter != "":
		return "try again in " + e.retryAfter + "s"
	case e.status == http.StatusServiceUnavailable:
		return "try again"
	case e.status/100 == 3:
		return "name the address that it redirects to with --http-url"
	case e.status/100 == 4:
		return "correct it and try again"
	}
	return "the log of todo-service says more"
}
