package deadletter

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/todo/platform/command"
)

// Add gives the program the command dlq. queue takes out of the settings which
// dead letters the service is concerned with.
func Add[C any](p *command.Program[C], queue func(C) Queue) {
	dlq := &cobra.Command{
		Use:   "dlq",
		Short: "Look at dead letters, and replay them",
		Long: `Looks at the records that a consumer group could not handle, and replays them.
A dead letter is named by its place in the topic of the dead letters, such as 0:17.`,
	}
	at := func(work func(d *cli, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
		return p.With(func(cmd *cobra.Command, cfg C, args []string) error {
			return work(&cli{Queue: queue(cfg), out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr()}, cmd, args)
		})
	}
	dlq.AddCommand(newList(at), newShow(at), newReplay(at))
	p.Attach(dlq)
}

// commandFunc makes what a command runs of what is to be done at a desk.
type commandFunc func(work func(*cli, *cobra.Command, []string) error) func(*cobra.Command, []string) error

func newList(at commandFunc) *cobra.Command {
	var filters filterFlags
	var output outputFormat
	cmd := &cobra.Command{
		Use: "list [filters]", DisableFlagsInUseLine: true,
		Short: "List dead letters: which, why and when",
		Long: `Lists the dead letters of this service's consumer group, or of another, one a line.
REPLAYS is how often the record had been replayed when it failed, REPLAYED how often
that failed record was replayed since.`,
		Example: "  dlq list --since 24h\n  dlq list --error timeout --output json",
		RunE: at(func(d *cli, cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return command.UsageError(fmt.Errorf("dlq list takes no %q: give a filter, or see dlq show", args[0]))
			}
			f, err := filters.parse(d.Group, nil)
			if err != nil {
				return command.UsageError(err)
			}
			return d.listDeadLetters(cmd.Context(), f, output)
		}),
	}
	filters.register(cmd)
	cmd.Flags().Var(&output, "output", "how to print: table or json (one object a line)")
	return cmd
}

func newShow(at commandFunc) *cobra.Command {
	return &cobra.Command{
		Use:     "show <partition>:<offset>",
		Short:   "Show all of one dead letter",
		Example: "  dlq show 0:17",
		RunE: at(func(d *cli, cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.UsageError(errors.New("dlq show takes one place, such as 0:17, as dlq list shows it"))
			}
			where, err := parsePosition(args[0])
			if err != nil {
				return command.UsageError(err)
			}
			return d.showDeadLetter(cmd.Context(), where)
		}),
	}
}

func newReplay(at commandFunc) *cobra.Command {
	var filters filterFlags
	var options replayOptions
	cmd := &cobra.Command{
		Use: "replay [filters] [<partition>:<offset>…]", DisableFlagsInUseLine: true,
		Short: "Send dead letters back to where they came from",
		Long: `Writes the original records of dead letters to the topics they came from, for the
group that failed; other groups pass them over. What was replayed already is skipped,
so an interrupted replay can be run again.`,
		Example: "  dlq replay 0:17 3:4\n  dlq replay --since 2h --dry-run\n  dlq replay --all",
		RunE: at(func(d *cli, cmd *cobra.Command, args []string) error {
			f, err := filters.parse(d.Group, args)
			if err != nil {
				return command.UsageError(err)
			}
			return d.replayDeadLetters(cmd.Context(), f, options)
		}),
	}
	filters.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&options.all, "all", false, "replay all of the group's, without a place or a filter")
	flags.BoolVar(&options.dryRun, "dry-run", false, "only say what would be done")
	flags.BoolVar(&options.again, "again", false, "replay also what was replayed already")
	flags.Float64Var(&options.rate, "rate", 100, "how many `records` per second, at most")
	flags.IntVar(&options.maxReplays, "max-replays", 3, "leave alone what failed again after this `number` of replays")
	return cmd
}

// outputFormat is how a list is printed.
type outputFormat string

const (
	formatTable outputFormat = "table"
	formatJSON  outputFormat = "json"
)

// String, Set and Type make format a flag.
func (f *outputFormat) String() string {
	if *f == "" {
		return string(formatTable)
	}
	return string(*f)
}

func (f *outputFormat) Set(name string) error {
	if name != string(formatTable) && name != string(formatJSON) {
		return errors.New("it is table or json")
	}
	*f = outputFormat(name)
	return nil
}

func (f *outputFormat) Type() string { return "format" }
