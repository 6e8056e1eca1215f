// Command bench measures the system against the least program that could do the same work. Each comparison
// alternates between both sides in one run, so that both meet the same machine:
//
//	devstack with --postgres --durable --redis --kafka=apache -- go run ./bench http
//	devstack with --postgres --redis --kafka=apache -- go run ./bench events
//
// The exit code is 1 if a ratio misses its limit.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/platform/process"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := process.Context()
	defer stop()
	root := &cobra.Command{Use: "bench", Short: "Measure the system against bare programs", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(newHTTP(), newEvents(), newBare())
	return root.ExecuteContext(ctx)
}

func newHTTP() *cobra.Command {
	var o httpOptions
	c := &cobra.Command{
		Use:   "http",
		Short: "Measure requests against bare net/http, pgbench and Sarama",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runHTTP(c.Context(), o) },
	}
	var rows []string
	for _, row := range httpRows {
		rows = append(rows, row.name)
	}
	c.Flags().DurationVar(&o.duration, "each", 3*time.Second, "duration of one measurement")
	c.Flags().IntVar(&o.rounds, "rounds", 3, "measurements of each row; the medians count")
	c.Flags().IntVar(&o.tasks, "tasks", 1_000_000, "tasks in the large database")
	c.Flags().StringSliceVar(&o.only, "only", rows, "rows to measure: "+strings.Join(rows, ","))
	return c
}

func newEvents() *cobra.Command {
	var o eventsOptions
	c := &cobra.Command{
		Use:   "events",
		Short: "Measure the relay and the consumers against kcat",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runEvents(c.Context(), o) },
	}
	c.Flags().IntVar(&o.events, "events", 200_000, "events in the log")
	c.Flags().IntVar(&o.rounds, "rounds", 3, "measurements of each row; the medians count")
	return c
}

// newBare is the hidden command of the bare HTTP server, which is a process of its own.
func newBare() *cobra.Command {
	return &cobra.Command{
		Use:    "bare ADDR FILE",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE:   func(_ *cobra.Command, args []string) error { return serveBare(args[0], args[1]) },
	}
}
