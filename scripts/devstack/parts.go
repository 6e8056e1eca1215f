package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/stack"
)

// stackCommand returns a command that acts on the stack in dir and prints output.
func stackCommand(
	dir *string, use, short string, arguments cobra.PositionalArgs,
	act func(c *cobra.Command, folder string, args []string) (output string, err error),
) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: arguments, RunE: func(c *cobra.Command, args []string) error {
		folder, err := stackDir(*dir)
		if err != nil {
			return err
		}
		output, err := act(c, folder, args)
		if err != nil {
			return err
		}
		_, err = io.WriteString(c.OutOrStdout(), output)
		return err
	}}
}

// onePart requires the name of a part as the only argument.
func onePart(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one part, as in make " + c.Name() + " PART=kafka; the parts are " + stack.PartNames())
	}
	return nil
}

func newStop(dir *string) *cobra.Command {
	return partCommand(dir, "stop", "Stop one part of the running stack")
}

func newStart(dir *string) *cobra.Command {
	return partCommand(dir, "start", "Start a part that was stopped, and wait until it is ready")
}

func partCommand(dir *string, verb, short string) *cobra.Command {
	return stackCommand(dir, verb+" PART", short, onePart, func(c *cobra.Command, folder string, args []string) (string, error) {
		return fmt.Sprintf("%s %s: done\n", verb, args[0]), stack.Control(c.Context(), folder, verb, args[0])
	})
}

func newStatus(dir *string) *cobra.Command {
	return stackCommand(dir, "status", "List the parts and their process ids", cobra.NoArgs,
		func(c *cobra.Command, folder string, _ []string) (string, error) {
			return stack.Status(c.Context(), folder)
		})
}

func newReset(dir *string) *cobra.Command {
	return stackCommand(dir, "reset", "Remove the data and the logs", cobra.NoArgs,
		func(_ *cobra.Command, folder string, _ []string) (string, error) {
			return fmt.Sprintf("the data in %s is gone\n", folder), stack.Reset(folder)
		})
}

func newTail(dir *string) *cobra.Command {
	short := "Print the records of a topic (" + event.Topic + ") with their keys and headers, and go on until Ctrl-C"
	return stackCommand(dir, "tail [TOPIC]", short, cobra.MaximumNArgs(1),
		func(c *cobra.Command, folder string, args []string) (string, error) {
			env, err := stack.Env(folder)
			if err != nil {
				return "", err
			}
			topic := event.Topic
			if len(args) == 1 {
				topic = args[0]
			}
			return "", stack.KafkaOf(env).TailTopic(c.Context(), topic, func(record string) error {
				_, err := io.WriteString(c.OutOrStdout(), record)
				return err
			})
		})
}
