package startup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// maxShownBody in bytes: how much of a /readyz response is quoted in an error.
const maxShownBody = 200

// Service describes a process of a service. ops is the address of its ops server.
func Service(name, program, ops string, env []string) supervisor.Part {
	readyz := "http://" + ops + "/readyz"
	return supervisor.Part{
		Name:      name,
		ReadyWhen: "GET " + readyz,
		Ready:     func(ctx context.Context) error { return checkReadyz(ctx, readyz) },
		Command:   func() (proc.Command, error) { return proc.Command{Path: program, Env: env}, nil },
	}
}

func checkReadyz(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
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
