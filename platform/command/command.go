// Package command is the process bootstrap of a service: subcommands, settings, signals, exit status, memory
// limits, and the loggers of libraries.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"example.com/todo/platform/config"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/printable"
	"example.com/todo/platform/process"
)

// The exit statuses besides 0.
const (
	ExitFailure = 1 // the command failed, or the settings of serve are wrong
	ExitUsage   = 2 // the command line is wrong, or the settings of another command
)

// maxErrorChars, in characters, has room for a line about each setting.
const maxErrorChars = 16 << 10

// Program is the command line of a service. C is the type of its settings.
type Program[C any] struct {
	root  *cobra.Command
	serve *cobra.Command
	load  func(file string, environ []string) (C, error)
	file  string
}

// New returns a program with the commands "serve", which is the default, and "config print". load returns the
// settings from the file ("" for none) and the environment.
func New[C any](name, short string, load func(file string, environ []string) (C, error), serve func(context.Context, C) error) *Program[C] {
	p := &Program[C]{load: load}
	p.root = &cobra.Command{Use: name, Short: short, Version: describeBuild(), Args: noArgs, SilenceErrors: true, SilenceUsage: true}
	p.root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	p.root.PersistentFlags().StringVar(&p.file, "config", os.Getenv("CONFIG_FILE"), "settings `file` (YAML)")
	p.root.CompletionOptions.DisableDefaultCmd = true

	p.serve = p.Add("serve", "Run the service (the default)", serve)
	p.root.RunE = p.serve.RunE
	settings := &cobra.Command{Use: "config", Short: "About the settings"}
	settings.AddCommand(&cobra.Command{Use: "print", Short: "Show the settings in effect", Args: noArgs,
		RunE: p.With(func(cmd *cobra.Command, cfg C, _ []string) error { return config.Print(cmd.OutOrStdout(), cfg) })})
	p.Attach(settings)
	return p
}

// Add adds a subcommand that calls run with the settings, and returns it.
func (p *Program[C]) Add(use, short string, run func(context.Context, C) error) *cobra.Command {
	return AddLoading(p, use, short, p.load, run)
}

// AddLoading adds a subcommand that calls run with the settings that load returns, instead of those of the program. They
// need not be all: the settings of serve, which it does not read, may be invalid.
func AddLoading[C, S any](p *Program[C], use, short string, load func(file string, environ []string) (S, error), run func(context.Context, S) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs,
		RunE: with(p, load, func(cmd *cobra.Command, cfg S, _ []string) error { return run(cmd.Context(), cfg) })}
	p.root.AddCommand(cmd)
	return cmd
}

// Attach adds a subcommand with its own subcommands. If it has no RunE, it shows its help and takes no arguments.
func (p *Program[C]) Attach(cmd *cobra.Command) {
	if cmd.RunE == nil {
		cmd.Args = noArgs
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	p.root.AddCommand(cmd)
}

// With returns the RunE of a command for Attach: it calls run with the settings and the arguments. run validates
// the arguments and returns a UsageError.
func (p *Program[C]) With(run func(cmd *cobra.Command, cfg C, args []string) error) func(*cobra.Command, []string) error {
	return with(p, p.load, run)
}

func with[C, S any](p *Program[C], load func(file string, environ []string) (S, error), run func(cmd *cobra.Command, cfg S, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if _, err := os.Stat(p.file); p.file != "" && err != nil {
			named := "CONFIG_FILE"
			if cmd.Flags().Changed("config") {
				named = "--config"
			}
			cfg, _ := load("", os.Environ())
			p.openJSONLog(cfg)
			return settingsError{fmt.Errorf("%s names the file %q, which cannot be read: %w", named, p.file, errors.Unwrap(err))}
		}
		cfg, err := load(p.file, os.Environ())
		if err != nil {
			p.openJSONLog(cfg)
			separator := " "
			if strings.Contains(err.Error(), "\n") {
				separator = "\n"
			}
			return settingsError{fmt.Errorf("bad settings:%s%w", separator, err)}
		}
		return run(cmd, cfg, args)
	}
}

// openJSONLog opens the log of the settings for the report of their errors. The settings of the log may be valid
// although others are not.
func (p *Program[C]) openJSONLog(cfg any) {
	if l, ok := cfg.(interface{ Logging() logging.Config }); ok && l.Logging().Format == "json" {
		logging.Open(l.Logging(), p.root.Name())
	}
}

// Main runs the program with the arguments of the process until it ends or receives a stop signal (see
// process.Context), and returns the exit status. Errors are printed to standard error.
//
// It also sets what belongs to the whole process: Go's memory limit from the cgroup (GOMEMLIMIT has
// precedence), the garbage collection percentage (GOGC has precedence), and the loggers of libraries.
func (p *Program[C]) Main() int {
	setMemoryLimit(memlimit.FromCgroup)
	setGCPercent()
	redirectLibraries()
	ctx, stop := process.Context()
	defer stop()
	return p.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Run executes the command of args, which are without the program's name, and returns the exit status. A command
// that fails because the reader of stdout has closed it ends silently, with 0.
func (p *Program[C]) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p.root.SetArgs(args)
	p.root.SetOut(process.Output(stdout))
	p.root.SetErr(stderr)
	executed, err := p.root.ExecuteContextC(ctx)
	if err == nil || process.IsBrokenPipe(err) {
		return 0
	}
	p.reportError(ctx, err, stderr)
	isServe := executed == p.root || executed == p.serve
	if errors.As(err, &usageError{}) || !isServe && errors.As(err, &settingsError{}) {
		return ExitUsage
	}
	return ExitFailure
}

// reportError writes the error of a command to the log, or as text if the log is not open.
func (p *Program[C]) reportError(ctx context.Context, err error, stderr io.Writer) {
	// The reader of the log may parse every line of standard error.
	log := logging.Opened()
	if log == nil {
		fmt.Fprintf(stderr, "%s: %s\n", p.root.Name(), printable.EscapeLines(printable.Truncate(err.Error(), maxErrorChars)))
		return
	}
	attrs := []slog.Attr{slog.Any("error", err)}
	var panicked interface{ Stack() []byte } // of package lifecycle
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack())))
	}
	log.LogAttrs(ctx, slog.LevelError, "the process ends: the command failed", attrs...)
}

type settingsError struct{ error }

func (e settingsError) Unwrap() error { return e.error }

type usageError struct{ error }

// UsageError wraps an error that the user must correct before trying again. The program exits with ExitUsage.
// UsageError(nil) is nil.
func UsageError(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func (e usageError) Unwrap() error { return e.error }

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no %q; see --help", cmd.CommandPath(), args[0])}
	}
	return nil
}

// memoryShare is the part of the cgroup's memory limit that Go may use. The rest is for the stacks
// of threads, the kernel's buffers, and allocations faster than the garbage collector.
const memoryShare = 0.9

// gcPercent is how much the heap may grow between two garbage collections, in percent of the
// memory in use. A service uses about 8 MiB. With Go's default of 100, a busy service collected
// some 25 times per second, which cost up to a sixth of its throughput. The heap may reach five
// times the memory in use, unless the memory limit is lower.
const gcPercent = 400

// setMemoryLimit sets Go's memory limit to memoryShare of the cgroup's limit (version 1 or 2), which
// granted returns. GOMEMLIMIT has precedence. If the cgroup's limit cannot be read, no limit is set.
func setMemoryLimit(granted memlimit.Provider) {
	// Near the limit the garbage collector works harder, instead of the kernel killing the process.
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare), memlimit.WithProvider(granted))
}

func setGCPercent() {
	if os.Getenv("GOGC") == "" { // GOGC has precedence
		debug.SetGCPercent(gcPercent)
	}
}
