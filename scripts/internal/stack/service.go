package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"example.com/todo/scripts/internal/proc"
)

// The services, in the order in which they start.
const (
	todoService         = "todo-service"
	statsService        = "stats-service"
	notificationService = "notification-service"
)

var services = []string{todoService, statsService, notificationService}

// PartNames lists the names of a stack's parts.
func PartNames() string {
	return strings.Join(append([]string{"postgres", "redis", "kafka"}, services...), ", ")
}

// maxShownBody in bytes: how much of a /readyz response is quoted in an error.
const maxShownBody = 200

// service is one of the three services, built from this repository.
type service struct {
	name string
	bin  string // folder of the built programs
	ops  string // address of its ops port
	env  []string
}

func (s service) Name() string { return s.name }

func (s service) ReadyWhen() string { return "GET " + s.readyz() }

func (s service) Prepare(context.Context) error { return nil }

func (s service) Command() (proc.Command, error) {
	return proc.Command{Path: filepath.Join(s.bin, s.name), Env: s.env}, nil
}

func (s service) Ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.readyz(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxShownBody))
	if err != nil {
		return err
	}
	return fmt.Errorf("answers %s: %s", response.Status, bytes.Join(bytes.Fields(body), []byte(" ")))
}

func (s service) readyz() string { return "http://" + s.ops + "/readyz" }
