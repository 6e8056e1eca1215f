package main

import (
	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/server"
)

// newKafkaEmbedded is the hidden command that server.EmbeddedKafka runs as its process.
func newKafkaEmbedded() *cobra.Command {
	var addr, data string
	c := &cobra.Command{
		Use:    "kafka-embedded",
		Short:  "Run the embedded Kafka broker",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return server.RunEmbeddedKafka(c.Context(), addr, data)
		},
	}
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:9092", "`host:port` to listen on")
	c.Flags().StringVar(&data, "data", "", "folder of the broker's log")
	_ = c.MarkFlagRequired("data")
	return c
}
