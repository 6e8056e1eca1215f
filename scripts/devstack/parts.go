package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/stack"
)

func newStop(dir *string) *cobra.Command {
	return partCommand("stop", "Stop one part of the running stack", dir)
}

func newStart(dir *string) *cobra.Command {
	return partCommand("start", "Start a part that was stopped, and wait until it is ready", dir)
}

// partCommand returns a command that acts on one part of the running stack.
func partCommand(verb, short string, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " PART",
		Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one part, as in make " + verb + " PART=kafka; the parts are " + stack.PartNames())
			}
			folder, err := stackDir(*dir)
			if err != nil {
				return err
			}
			if err := stack.Control(c.Context(), folder, verb, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s: done\n", verb, args[0])
			return err
		},
	}
}

func newStatus(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the parts and their process ids",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			folder, err := stackDir(*dir)
			if err != nil {
				return err
			}
			status, err := stack.Status(c.Context(), folder)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), status)
			return err
		},
	}
}

func newReset(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "reset",
		Short: "Remove the data and the logs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			folder, err := stackDir(*dir)
			if err != nil {
				return err
			}
			if err := stack.Reset(folder); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the data in %s is gone\n", folder)
			return err
		},
	}
}
