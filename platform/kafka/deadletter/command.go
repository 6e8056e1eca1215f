package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
)

// Queue is the dead-letter queue of a service.
type Queue struct {
	Kafka      kafka.Config
	Topic      string // the dead-letter topic
	Group      string // the consumer group that the commands select without --group
	TypeHeader string // the header that holds a record's type
}

// Add adds the command dlq to the program. queue returns the dead-letter queue that the settings name.
func Add[C any](p *command.Program[C], queue func(C) Queue) {
	dlq := &cobra.Command{
		Use:   "dlq",
		Short: "Look at dead letters, and replay them",
		Long: `Looks at the records that a consumer group could not handle, and replays them.
A dead letter is named by its place in the dead-letter topic, such as 0:17.`,
	}
	with := func(run func(c *cli, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
		return p.With(func(cmd *cobra.Command, cfg C, args []string) error {
			c := &cli{Queue: queue(cfg), out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(), reported: make(map[string]bool)}
			return run(c, cmd, args)
		})
	}
	dlq.AddCommand(newList(with), newShow(with), newReplay(with))
	p.Attach(dlq)
}

// withCLI adapts a function of a cli to the RunE of a command.
type withCLI func(run func(*cli, *cobra.Command, []string) error) func(*cobra.Command, []string) error

func newList(with withCLI) *cobra.Command {
	var f filter
	var output string
	cmd := &cobra.Command{
		Use: "list [filters]", DisableFlagsInUseLine: true,
		Short: "List dead letters: position, cause and time",
		Long: `Lists the dead letters of this service's consumer group, or of another one, one per line.
REPLAYS is how often the record had been replayed before it failed, REPLAYED how often
it was replayed since.`,
		Example: "  dlq list --since 24h\n  dlq list --error timeout --output json",
		RunE: with(func(c *cli, cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.UsageError(fmt.Errorf("dlq list takes no %q: give a filter, or see dlq show", args[0]))
			}
			if output != formatTable && output != formatJSON {
				return command.UsageError(fmt.Errorf("--output %q: it is table or json", output))
			}
			if err := f.complete(c.Group, nil); err != nil {
				return command.UsageError(err)
			}
			return c.listDeadLetters(cmd.Context(), f, output)
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&output, "output", formatTable, "how to print: the `format` table or json (one object a line)")
	return cmd
}

func newShow(with withCLI) *cobra.Command {
	return &cobra.Command{
		Use:     "show <partition>:<offset>",
		Short:   "Show one dead letter in full",
		Example: "  dlq show 0:17",
		RunE: with(func(c *cli, cmd *cobra.Command, args []string) error {
			at, err := parsePosition(strings.Join(args, " "))
			if err != nil {
				return command.UsageError(err)
			}
			return c.showDeadLetter(cmd.Context(), at)
		}),
	}
}

func newReplay(with withCLI) *cobra.Command {
	var f filter
	var options replayOptions
	cmd := &cobra.Command{
		Use: "replay [filters] [<partition>:<offset>…]", DisableFlagsInUseLine: true,
		Short: "Write dead letters back to their original topics",
		Long: `Writes the original records of dead letters to their original topics, for the group that
failed; other groups skip them. Dead letters that were replayed before are skipped, so
that an interrupted replay can be run again.`,
		Example: "  dlq replay 0:17 3:4\n  dlq replay --since 2h --dry-run\n  dlq replay --all",
		RunE: with(func(c *cli, cmd *cobra.Command, args []string) error {
			if err := f.complete(c.Group, args); err != nil {
				return command.UsageError(err)
			}
			return c.replayDeadLetters(cmd.Context(), f, options)
		}),
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&options.all, "all", false, "replay all dead letters of the group, without a place or a filter")
	flags.BoolVar(&options.dryRun, "dry-run", false, "print what would be replayed, and write nothing")
	flags.BoolVar(&options.again, "again", false, "also replay what was replayed before")
	flags.Float64Var(&options.rate, "rate", 100, "at most this many `records` per second")
	flags.IntVar(&options.maxReplays, "max-replays", 3, "skip what failed again after this `number` of replays")
	return cmd
}

// cli is one execution of a command.
type cli struct {
	Queue
	out, errOut io.Writer // results; summaries and warnings

	reported map[string]bool // warnings about undecodable batches
}

// scan calls visit for each record of the topic, in each partition from the offset in from. A nil from is
// the beginning. An error of visit ends the scan and is returned; reader.SkipPartition skips a partition.
func (c *cli) scan(ctx context.Context, topic string, from map[int32]int64, visit func(kafka.Record) error) error {
	var visitErr error
	_, err := reader.Scan(ctx, c.Kafka, topic, from, func(_ context.Context, batch []kafka.Record) error {
		for _, record := range batch {
			if record.Undecodable != nil {
				c.reportUndecodable(record)
				continue
			}
			if visitErr = visit(record); visitErr != nil {
				return visitErr
			}
		}
		return nil
	})
	if err == nil || visitErr != nil && errors.Is(err, visitErr) {
		return err
	}
	return c.explainKafkaError(ctx, err)
}

// reportUndecodable prints once that a batch is skipped, because it cannot be decoded.
func (c *cli) reportUndecodable(record kafka.Record) {
	warning := fmt.Sprintf("skipped in topic %s, partition %d: %s", record.Topic, record.Partition, singleLine(record.Undecodable))
	if !c.reported[warning] {
		c.reported[warning] = true
		fmt.Fprintf(c.errOut, "%s\n", warning)
	}
}

// explainKafkaError returns err as a usage error of one line that says what to check. If ctx has ended,
// the operator interrupted the command, which is no usage error.
func (c *cli) explainKafkaError(ctx context.Context, err error) error {
	var missing *kafka.TopicError
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.As(err, &missing):
		return command.UsageError(missing)
	}
	return command.UsageError(errors.New(singleLine(err) + "; is it running, and does the setting " + c.Kafka.Sources.Name("brokers") + " name it?"))
}
