// Command local-images makes the container images that the compose files name available to the local Docker
// engine. It pulls them. Where no registry can be reached, it builds stand-ins of the same names from Debian's
// packages and Maven's jars, and prints which image is which.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/todo/platform/process"
	"example.com/todo/scripts/internal/cli"
	"example.com/todo/scripts/internal/console"
)

func main() { os.Exit(cli.Run(newCommand())) }

func newCommand() *cobra.Command {
	var compose string
	command := &cobra.Command{
		Use:   "local-images [IMAGE…]",
		Short: "Make the images of the compose files available, by a pull or as stand-ins",
		Long: "Makes the images that the compose files name available to Docker, or only the given ones. An image that is\n" +
			"there is kept. Others are pulled or, where no registry can be reached, built as stand-ins of the same name.\n" +
			"The variable DOCKER chooses the docker program.",
		RunE: func(command *cobra.Command, images []string) error {
			known, err := knownImages(command.Context(), compose)
			if err != nil {
				return err
			}
			if images, err = choose(known, images); err != nil {
				return err
			}
			p, err := newProvider(command.Context(), console.New(os.Stdout, os.Stderr), os.Getenv)
			if err != nil {
				return err
			}
			results, err := p.provide(command.Context(), images)
			return errors.Join(err, printResults(process.Output(os.Stdout), results))
		},
	}
	command.Flags().StringVar(&compose, "compose", filepath.Join("..", "compose"), "`folder` of the compose files")
	return command
}

// printResults prints a table.
func printResults(w io.Writer, results []result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "IMAGE\tIS\tDETAIL\n")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.image, r.from, r.detail)
	}
	return table.Flush()
}
