// Package golist lists packages with go list.
package golist

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Packages returns the packages that "go list" prints for args in dir, without the workspace. args ask for JSON; T is
// a struct with the fields that they name. environ is added to the environment of the command.
func Packages[T any](ctx context.Context, dir string, environ []string, args ...string) ([]T, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), environ...)
	var message strings.Builder
	cmd.Stderr = &message
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w: %s", dir, err, strings.TrimSpace(message.String()))
	}
	var packages []T
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p T
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list in %s: %w", dir, err)
		}
		packages = append(packages, p)
	}
}
