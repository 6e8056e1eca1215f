// Package command is the frame of a service's program: its subcommands, its
// settings, its signals and its exit status.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"example.com/todo/platform/config"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/printable"
	"example.com/todo/platform/process"
)

// The exit statuses of a program.
const (
	ExitFailure = 1 // it did not do what it was asked
	ExitUsage   = 2 // it was asked wrongly: on the command line, or by its settings
)

// longestComplaint, in characters, has room for a line about each setting.
const longestComplaint = 16 << 10

// Program is a service as it is started. C is the type of its settings.
type Program[C any] struct {
	root *cobra.Command
	load func(file string, environ []string) (C, error)
	file string
}

// New returns a program that serves by default, or when called with "serve", and
// that shows its settings on "config print". load returns the settings in
// effect, out of the file ("" for none) and the environment.
func New[C any](name, short string, load func(file string, environ []string) (C, error), serve func(context.Context, C) error) *Program[C] {
	p := &Program[C]{load: load}
	p.root = &cobra.Command{Use: name, Short: short, Args: noArgs, SilenceErrors: true, SilenceUsage: true, RunE: p.with(serve)}
	p.root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err} })
	p.root.PersistentFlags().StringVar(&p.file, "config", os.Getenv("CONFIG_FILE"), "settings `file` (YAML)")
	p.root.CompletionOptions.DisableDefaultCmd = true

	p.Add("serve", "Run the service (the default)", serve)
	settings := &cobra.Command{Use: "config", Short: "About the settings", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	settings.AddCommand(&cobra.Command{Use: "print", Short: "Show the settings in effect", Args: noArgs,
		RunE: p.with(func(_ context.Context, cfg C) error { return config.Print(p.root.OutOrStdout(), cfg) })})
	p.root.AddCommand(settings)
	return p
}

// Add adds a subcommand that works with the settings, and returns it.
func (p *Program[C]) Add(use, short string, run func(context.Context, C) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: p.with(run)}
	p.root.AddCommand(cmd)
	return cmd
}

// Attach adds a subcommand that was built elsewhere, with those below it. One
// that does nothing by itself shows its help, and takes no arguments.
func (p *Program[C]) Attach(cmd *cobra.Command) {
	if cmd.RunE == nil {
		cmd.Args = noArgs
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	p.root.AddCommand(cmd)
}

// With makes of run what a command that is to be attached does: it is called
// with the settings and the arguments, in which it has to find what is Wrong.
func (p *Program[C]) With(run func(cmd *cobra.Command, cfg C, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return p.with(func(_ context.Context, cfg C) error { return run(cmd, cfg, args) })(cmd, args)
	}
}

// Main runs the program as the process was called, until it is done or told to
// stop (see process.Context), and returns the exit status. What failed is on
// standard error. What the libraries of the services log is part of the process's log.
// The process keeps within nine tenths of its cgroup's memory, if it can, or
// within what GOMEMLIMIT says, and its heap small while it has little to do,
// unless GOGC says otherwise.
func (p *Program[C]) Main() int {
	heedMemory(memlimit.FromCgroup)
	paceCollector()
	redirectLibraries()
	ctx, stop := process.Context()
	defer stop()
	return p.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Run is Main with the surroundings given; args are without the program's name.
// When the reader of stdout leaves, a command that has nothing else to do ends
// without a word and with 0.
func (p *Program[C]) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p.root.SetArgs(args)
	p.root.SetOut(process.Output(stdout))
	p.root.SetErr(stderr)
	err := p.root.ExecuteContext(ctx)
	if err == nil || process.IsBrokenPipe(err) {
		return 0
	}
	p.complain(ctx, err, stderr)
	if errors.As(err, &misuse{}) {
		return ExitUsage
	}
	return ExitFailure
}

// logged are settings that say how the program logs.
type logged interface{ Logging() logging.Config }

// complain says what failed: in the log once it is open, because its reader may parse
// every line of standard error, and otherwise as text.
func (p *Program[C]) complain(ctx context.Context, err error, stderr io.Writer) {
	log := logging.Opened()
	if log == nil {
		fmt.Fprintf(stderr, "%s: %s\n", p.root.Name(), printable.EscapeLines(printable.Truncate(err.Error(), longestComplaint)))
		return
	}
	attrs := []slog.Attr{slog.Any("error", err)}
	var panicked interface{ Stack() []byte } // of lifecycle
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack())))
	}
	log.LogAttrs(ctx, slog.LevelError, "the process ends: it failed", attrs...)
}

// misuse is a mistake of the caller's rather than in the running.
type misuse struct{ error }

// UsageError marks an error as the caller's mistake, or as something for the caller
// to see to before trying again: the program exits with Misuse. Wrong(nil) is nil.
func UsageError(err error) error {
	if err == nil {
		return nil
	}
	return misuse{err}
}

func (e misuse) Unwrap() error { return e.error }

func (p *Program[C]) with(run func(context.Context, C) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if err := p.checkFile(cmd.Flags().Changed("config")); err != nil {
			return misuse{err}
		}
		cfg, err := p.load(p.file, os.Environ())
		if err != nil {
			// Settings that are right are in effect, also beside some that are wrong.
			if l, ok := any(cfg).(logged); ok && l.Logging().Format == "json" {
				logging.Open(l.Logging(), p.root.Name())
			}
			return misuse{fmt.Errorf("bad settings:\n%w", err)}
		}
		return run(cmd.Context(), cfg)
	}
}

// checkFile refuses a file of settings that is not there, by what named it.
func (p *Program[C]) checkFile(byFlag bool) error {
	if p.file == "" {
		return nil
	}
	_, err := os.Stat(p.file)
	if err == nil {
		return nil
	}
	named := "CONFIG_FILE"
	if byFlag {
		named = "--config"
	}
	return fmt.Errorf("%s names the file %q, which cannot be read: %w", named, p.file, errors.Unwrap(err))
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse{fmt.Errorf("%s takes no %q; see --help", cmd.CommandPath(), args[0])}
	}
	return nil
}
