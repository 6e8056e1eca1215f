package main

import (
	"io"

	"github.com/spf13/cobra"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/stack"
)

func newTail(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "tail [TOPIC]",
		Short: "Print the records of a topic (" + event.Topic + ") with their keys and headers, and go on until Ctrl-C",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			folder, err := stackDir(*dir)
			if err != nil {
				return err
			}
			env, err := stack.Env(folder)
			if err != nil {
				return err
			}
			topic := event.Topic
			if len(args) == 1 {
				topic = args[0]
			}
			return server.TailTopic(c.Context(), env["KAFKA_BROKERS"], topic, func(record string) error {
				_, err := io.WriteString(c.OutOrStdout(), record)
				return err
			})
		},
	}
}
