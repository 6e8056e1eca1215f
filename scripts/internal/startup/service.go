package startup

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// maxShownBody in bytes: how much of a /readyz response is quoted in an error.
const maxShownBody = 200

// Service describes a process of a service. ops is the address of its ops server, which speaks TLS if there are
// authorities to trust.
func Service(name, program, ops string, authorities *x509.CertPool, env []string) supervisor.Part {
	readyz, client := "http://"+ops+"/readyz", http.DefaultClient
	if authorities != nil {
		readyz = "https://" + ops + "/readyz"
		client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}}}
	}
	return supervisor.Part{
		Name:      name,
		ReadyWhen: "GET " + readyz,
		Ready:     func(ctx context.Context) error { return checkReadyz(ctx, client, readyz) },
		Command:   func() (proc.Command, error) { return proc.Command{Path: program, Env: env}, nil },
	}
}

func checkReadyz(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxShownBody))
	if err != nil {
		return err
	}
	return fmt.Errorf("answers %s: %s", response.Status, bytes.Join(bytes.Fields(body), []byte(" ")))
}
