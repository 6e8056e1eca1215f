// Command bench measures the system against the least program that could do the same work. Each comparison
// alternates between both sides in one run, so that both meet the same machine:
//
//	devstack with --postgres --durable --redis --kafka=apache -- go run ./bench http
//	devstack with --postgres --redis --kafka=apache -- go run ./bench events
//
// It also measures the page in a Chromium, each figure against its limit:
//
//	devstack with --postgres --redis --kafka -- go run ./bench page
//
// The exit code is 1 if a ratio or a figure misses its limit.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/cli"
	"example.com/todo/scripts/internal/proc"
)

func main() { os.Exit(cli.Run(newCommand())) }

func newCommand() *cobra.Command {
	b := &bench{launcher: proc.NewLauncher()}
	c := &cobra.Command{
		Use:       "bench http|events|page",
		Short:     "Measure requests against bare net/http, pgbench and Sarama, the relay and the consumers against kcat, or the page in a Chromium",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"http", "events", "page"},
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			defer func() { _ = os.RemoveAll(b.dir) }()
			defer b.stopServices(ctx)
			if err := b.open(ctx); err != nil {
				return err
			}
			if args[0] == "page" {
				fmt.Printf("one Chromium with a window of 1280 x 800; the rate limit and the limits of streams raised\n\n")
				fmt.Printf("%-64s %9s %9s\n", "", "figure", "limit")
				return b.measurePage(ctx)
			}
			fmt.Printf("medians of %d rounds; all features on, the rate limit raised\n\n", b.rounds)
			fmt.Printf("%-56s %9s %9s %7s %7s\n", "", "ours", "theirs", "ratio", "limit")
			if args[0] == "events" {
				return b.measureEvents(ctx)
			}
			return b.measureHTTP(ctx)
		},
	}
	c.Flags().IntVar(&b.rounds, "rounds", 3, "measurements of each row; the medians count")
	c.Flags().DurationVar(&b.each, "each", 3*time.Second, "http: duration of one measurement")
	c.Flags().IntVar(&b.tasks, "tasks", 1_000_000, "http: tasks in the large database")
	rows := []string{"notify", "hit", "fresh", "create", "complete", "get", "size"}
	c.Flags().StringSliceVar(&b.only, "only", rows, "http: rows to measure")
	c.Flags().IntVar(&b.events, "events", 200_000, "events: events in the log")
	return c
}
