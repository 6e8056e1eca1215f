package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"example.com/todo/platform/config"
	"example.com/todo/platform/printable"
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

// call runs a program whose commands serve and paint record their settings.
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
	p.Attach(tree(p, &painted))
	status = p.Run(t.Context(), args, &out, &errs)
	return status, served, painted, out.String(), errs.String()
}

// tree returns a command with a subcommand of one argument.
func tree(p *Program[settings], mixed *string) *cobra.Command {
	parent := &cobra.Command{Use: "colours", Short: "About the colours"}
	parent.AddCommand(&cobra.Command{Use: "mix", RunE: p.With(func(_ *cobra.Command, cfg settings, args []string) error {
		if len(args) != 1 {
			return UsageError(errors.New("mix with one other"))
		}
		*mixed = cfg.Colour + args[0]
		return nil
	})})
	return parent
}

func TestAttachedCommandGetsItsArguments(t *testing.T) {
	if status, _, mixed, _, stderr := call(t, "colours", "mix", "blue"); status != 0 || mixed != "redblue" {
		t.Errorf("status %d, mixed %q; %s", status, mixed, stderr)
	}
	if status, _, _, stdout, _ := call(t, "colours"); status != 0 || !strings.Contains(stdout, "mix") {
		t.Errorf("status %d, help:\n%s", status, stdout)
	}
}

func TestServeIsTheDefaultCommand(t *testing.T) {
	for _, args := range [][]string{{}, {"serve"}} {
		if status, served, _, _, stderr := call(t, args...); status != 0 || served != "red" {
			t.Errorf("%q: status %d, served with %q; %s", args, status, served, stderr)
		}
	}
}

func TestCommandGetsSettingsOfFileAndEnvironment(t *testing.T) {
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

func TestFailureIsOneLineWithExitFailure(t *testing.T) {
	status, _, painted, _, stderr := call(t, "paint")
	if status != ExitFailure || painted != "red" || stderr != "service: out of paint\n" {
		t.Errorf("status %d, painted %q, said %q", status, painted, stderr)
	}
}

func TestUsageErrorIsOneLineWithExitUsage(t *testing.T) {
	cause := errors.New("no such group")
	p := New("service", "Serves", load, func(context.Context, settings) error { return fmt.Errorf("read: %w", UsageError(cause)) })
	var errs strings.Builder
	if status := p.Run(t.Context(), nil, io.Discard, &errs); status != ExitUsage || errs.String() != "service: read: no such group\n" {
		t.Errorf("status %d, said %q", status, errs.String())
	}
	if UsageError(nil) != nil || !errors.Is(UsageError(cause), cause) {
		t.Error("UsageError does not wrap its error")
	}
}

func TestInvalidCommandLineIsExitUsageAndRunsNoCommand(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown command": {"sing"},
		"an unknown flag":    {"--loud"},
		"an extra argument":  {"serve", "twice"},
		"unknown subcommand": {"colours", "sing"},
		"a UsageError":       {"colours", "mix"},
	} {
		status, served, painted, _, stderr := call(t, args...)
		if status != ExitUsage || served+painted != "" || !strings.HasPrefix(stderr, "service: ") {
			t.Errorf("%s: status %d, served %q, painted %q, said %q", name, status, served, painted, stderr)
		}
	}
}

func TestErrorOfAMissingFileNamesTheFlagOrTheVariable(t *testing.T) {
	t.Setenv("CONFIG_FILE", `"settings.yaml"`)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"the variable": {nil, `service: CONFIG_FILE names the file "\"settings.yaml\"", which cannot be read: no such file or directory` + "\n"},
		"the flag":     {[]string{"--config", "none.yaml"}, `service: --config names the file "none.yaml", which cannot be read: no such file or directory` + "\n"},
	} {
		if status, served, _, _, stderr := call(t, tt.args...); status != ExitFailure || served != "" || stderr != tt.want {
			t.Errorf("%s: status %d, served %q, said %q", name, status, served, stderr)
		}
	}
}

// An operator's command has done nothing then. A supervisor of the service sees a failure.
func TestInvalidSettingIsOneLineWithExitFailureOfServeAndExitUsageOfOtherCommands(t *testing.T) {
	t.Setenv("COLOUR", `"red"`)
	want := `service: bad settings: colour: "\"red\"" from environment COLOUR: is in quotes, which are part of the value: set it without them` + "\n"
	for args, wantStatus := range map[string]int{"": ExitFailure, "serve": ExitFailure, "paint": ExitUsage, "colours mix": ExitUsage} {
		status, served, painted, _, stderr := call(t, strings.Fields(args)...)
		if status != wantStatus || served+painted != "" || stderr != want {
			t.Errorf("%q: status %d, served %q, painted %q, said %q", args, status, served, painted, stderr)
		}
	}
}

func TestVersionIsShownWithoutSettings(t *testing.T) {
	version, commit, date = "v1.2.3", "0123abc", "2026-01-15T10:00:00Z"
	t.Cleanup(func() { version, commit, date = "", "", "" })
	status, served, _, stdout, stderr := call(t, "--version", "--config", "none.yaml")
	want := "service version v1.2.3 (commit 0123abc, 2026-01-15T10:00:00Z, " + runtime.Version() + ")\n"
	if status != 0 || served != "" || stdout != want || stderr != "" {
		t.Errorf("status %d, served %q, printed %q and %q, want %q", status, served, stdout, stderr, want)
	}
}

func TestConfigPrintHidesSecrets(t *testing.T) {
	t.Setenv("TOKEN", "s3cret")
	status, served, _, stdout, _ := call(t, "config", "print")
	if status != 0 || served != "" || !strings.Contains(stdout, "colour: red") || strings.Contains(stdout, "s3cret") {
		t.Errorf("status %d, served %q, printed:\n%s", status, served, stdout)
	}
}

func TestErrorOfTheSettingsIsPrintableAndBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("\"co\\e[2J\\u202elour\": red\nother: "+strings.Repeat("x", 50_000)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, _, _, stderr := call(t, "--config", file)
	if status != ExitFailure || printable.EscapeLines(stderr) != stderr || !strings.Contains(stderr, `co\x1b[2j\u202elour`) || len(stderr) > 2*maxErrorChars {
		t.Errorf("status %d, %d bytes: %.300q", status, len(stderr), stderr)
	}
}
