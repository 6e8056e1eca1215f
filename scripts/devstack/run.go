package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/stack"
	"example.com/todo/scripts/internal/toolchain"
)

func newRun(dir *string) *cobra.Command {
	var kafka, ports string
	var secure bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Run PostgreSQL, Redis, Kafka and the three services until Ctrl-C",
		Long: `Builds and runs everything. Data, logs and built programs are in .dev/ of the repository.
Every other variable reaches the services, such as RATE_LIMIT_REQUESTS=10.

Ports, all on 127.0.0.1, and the variables that change them:
` + stack.PortHelp(),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			tools, kind, err := chooseTools(c.Context(), kafka)
			if err != nil {
				return err
			}
			chosen, release, err := stack.ResolvePorts(c.Context(), ports, os.Getenv, kind)
			if err != nil {
				return err
			}
			defer release()
			root, err := repository()
			if err != nil {
				return err
			}
			folder, err := stackDir(*dir)
			if err != nil {
				return err
			}
			return stack.Run(c.Context(), tools, stack.Settings{
				Root: root, Dir: folder, Kafka: kind, Secure: secure, Ports: chosen, Environ: os.Environ(),
			})
		},
	}
	c.Flags().StringVar(&kafka, "kafka", toolchain.KafkaEmbedded, "`kind` of Kafka: embedded; apache, which needs Java 17; or best: apache where that is")
	c.Flags().BoolVar(&secure, "secure", false, "sign-in, TLS, and a user of each server for each service, with data of its own")
	c.Flags().StringVar(&ports, "ports", "chosen", "`how` ports are found: chosen by the variables, or free (both are written to stack.env)")
	return c
}

func newFetch() *cobra.Command {
	var kafka string
	c := &cobra.Command{
		Use:   "fetch",
		Short: "Download the programs that run would download",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			tools, kind, err := chooseTools(c.Context(), kafka)
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

func chooseTools(ctx context.Context, kafka string) (tools toolchain.Tools, kind string, err error) {
	if tools, err = toolchain.New(console.New(os.Stdout, os.Stderr), os.Getenv); err != nil {
		return tools, "", err
	}
	kind, err = tools.ChooseKafka(ctx, kafka)
	return tools, kind, err
}

// stackDir returns the folder of the stack: --dir, or .dev of the repository.
func stackDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	root, err := repository()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, ".dev"), nil
}

// repository returns the nearest folder with a go.work, from the working directory up.
func repository() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("there is no go.work in " + here + " or above it: run this in the repository")
		}
	}
}
