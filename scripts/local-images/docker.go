package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// registryTimeout is how long a registry may take to answer a pull. The download itself has no limit.
const registryTimeout = 5 * time.Second

var (
	errAbsent      = errors.New("the image is not there")
	errUnreachable = errors.New("the registry cannot be reached")

	// registryAnswered matches the errors of a pull that a registry sent.
	registryAnswered = regexp.MustCompile(`manifest unknown|not found|denied|unauthorized|toomanyrequests|no matching manifest`)
)

// docker runs the docker program.
type docker struct{ program string }

// newDocker takes the program from the variable DOCKER.
func newDocker(getenv func(string) string) docker {
	return docker{program: cmp.Or(getenv("DOCKER"), "docker")}
}

// run returns the standard output of a docker command, without the white space around it.
func (d docker) run(ctx context.Context, args ...string) (string, error) {
	return d.runWithInput(ctx, nil, args...)
}

func (d docker) runWithInput(ctx context.Context, input io.Reader, args ...string) (string, error) {
	command := exec.CommandContext(ctx, d.program, args...)
	command.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	command.Stdin = input
	return output(ctx, command)
}

// checkEngine returns an error that says what to do if no engine answers.
func (d docker) checkEngine(ctx context.Context) error {
	if _, err := d.run(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("no Docker engine answers; start it, or choose the docker program with DOCKER: %w", err)
	}
	return nil
}

// labels returns the labels of a local image. The error is errAbsent if there is no such image.
func (d docker) labels(ctx context.Context, image string) (map[string]string, error) {
	text, err := d.run(ctx, "image", "inspect", "--format", "{{json .Config.Labels}}", image)
	if err != nil {
		if strings.Contains(err.Error(), "No such image") {
			return nil, errAbsent
		}
		return nil, err
	}
	var labels map[string]string
	return labels, json.Unmarshal([]byte(text), &labels)
}

// pull pulls an image. The error wraps errUnreachable if its registry does not answer within registryTimeout.
func (d docker) pull(ctx context.Context, image string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(registryTimeout, func() {
		cancel(fmt.Errorf("%w: no answer within %s", errUnreachable, registryTimeout))
	})
	defer silent.Stop()
	command := exec.CommandContext(ctx, d.program, "pull", image)
	var messages bytes.Buffer
	command.Stdout, command.Stderr = stopOnWrite{silent}, &messages
	err := command.Run()
	message := strings.TrimSpace(messages.String())
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case registryAnswered.MatchString(message):
		return fmt.Errorf("pull %s: %s", image, message)
	default:
		return fmt.Errorf("%w: %s", errUnreachable, cmp.Or(message, err.Error()))
	}
}

// stopOnWrite stops a timer when something is written.
type stopOnWrite struct{ timer *time.Timer }

func (s stopOnWrite) Write(p []byte) (int, error) {
	s.timer.Stop()
	return len(p), nil
}

// build builds an image from a context, which is a tar archive with a Dockerfile. target is the stage of the
// Dockerfile to build, "" for the last one.
func (d docker) build(ctx context.Context, image, target string, labels map[string]string, archive io.Reader) error {
	args := []string{"build", "--progress", "plain", "--tag", image}
	if target != "" {
		args = append(args, "--target", target)
	}
	for key, value := range labels {
		args = append(args, "--label", key+"="+value)
	}
	_, err := d.runWithInput(ctx, archive, append(args, "-")...)
	if err != nil && strings.Contains(err.Error(), "buildx component is missing") {
		return fmt.Errorf("%w; or choose with DOCKER a docker program that needs no plugin, such as Debian's", err)
	}
	return err
}
