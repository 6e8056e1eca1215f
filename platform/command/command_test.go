package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/platform/config"
)

type settings struct {
	Colour string        `config:"colour"`
	Token  config.Secret `config:"token"`
}

func load(file string, environ []string) (settings, error) {
	cfg := settings{Colour: "red"}
	err := config.Load(&cfg, file, environ)
	return cfg, err
}

// call runs a program whose serve and paint remember what they were called with.
func call(t *testing.T, args ...string) (status int, served, painted, stdout, stderr string) {
	t.Helper()
	p := New("service", "Serves", load, func(_ context.Context, cfg settings) error {
		served = cfg.Colour
		return nil
	})
	p.Add("paint", "Paints", func(_ context.Context, cfg settings) error {
		painted = cfg.Colour
		return errors.New("out of paint")
	})
	var out, errs strings.Builder
	status = p.run(t.Context(), args, &out, &errs)
	return status, served, painted, out.String(), errs.String()
}

func TestAProgramServesByDefault(t *testing.T) {
	for _, args := range [][]string{{}, {"serve"}} {
		if status, served, _, _, stderr := call(t, args...); status != 0 || served != "red" {
			t.Errorf("%q: status %d, served with %q; %s", args, status, served, stderr)
		}
	}
}

func TestTheEnvironmentAndTheFileReachTheCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("colour: green\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, served, _, _, stderr := call(t, "--config", file); served != "green" {
		t.Errorf("served with %q; %s", served, stderr)
	}
	t.Setenv("COLOUR", "blue")
	if _, served, _, _, stderr := call(t, "serve", "--config", file); served != "blue" {
		t.Errorf("served with %q; %s", served, stderr)
	}
}

func TestAFailureIsOneLineAndStatusOne(t *testing.T) {
	status, _, painted, _, stderr := call(t, "paint")
	if status != Failed || painted != "red" || stderr != "service: out of paint\n" {
		t.Errorf("status %d, painted %q, said %q", status, painted, stderr)
	}
}

func TestAWrongErrorIsOneLineAndStatusTwo(t *testing.T) {
	cause := errors.New("no such group")
	p := New("service", "Serves", load, func(context.Context, settings) error { return fmt.Errorf("ask: %w", Wrong(cause)) })
	var errs strings.Builder
	if status := p.run(t.Context(), nil, io.Discard, &errs); status != Misuse || errs.String() != "service: ask: no such group\n" {
		t.Errorf("status %d, said %q", status, errs.String())
	}
	if Wrong(nil) != nil || !errors.Is(Wrong(cause), cause) {
		t.Error("Wrong changes what the error is")
	}
}

func TestMisuseIsStatusTwoAndDoesNothing(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown command":  {"sing"},
		"an unknown flag":     {"--loud"},
		"an extra argument":   {"serve", "twice"},
		"a file that is gone": {"--config", filepath.Join(t.TempDir(), "none.yaml")},
	} {
		status, served, painted, _, stderr := call(t, args...)
		if status != Misuse || served+painted != "" || !strings.HasPrefix(stderr, "service: ") {
			t.Errorf("%s: status %d, served %q, painted %q, said %q", name, status, served, painted, stderr)
		}
	}
}

func TestConfigPrintHidesSecrets(t *testing.T) {
	t.Setenv("TOKEN", "s3cret")
	status, served, _, stdout, _ := call(t, "config", "print")
	if status != 0 || served != "" || !strings.Contains(stdout, "colour: red") || strings.Contains(stdout, "s3cret") {
		t.Errorf("status %d, served %q, printed:\n%s", status, served, stdout)
	}
}
