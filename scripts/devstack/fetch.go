package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/toolchain"
)

func newFetch() *cobra.Command {
	var kafka string
	c := &cobra.Command{
		Use:   "fetch",
		Short: "Download the programs that run would download",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			tools, err := toolchain.New(console.New(os.Stdout, os.Stderr), os.Getenv)
			if err != nil {
				return err
			}
			kind, err := tools.ChooseKafka(c.Context(), kafka)
			if err != nil {
				return err
			}
			found, err := tools.Fetch(c.Context(), kind)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), found)
			return err
		},
	}
	c.Flags().StringVar(&kafka, "kafka", toolchain.KafkaEmbedded, "`kind` of Kafka: embedded, for which nothing is fetched, apache or best")
	return c
}
