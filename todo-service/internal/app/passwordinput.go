package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"example.com/todo/platform/command"
)

// maxPasswordInput is the number of bytes that are read: more than any valid password has.
const maxPasswordInput = 4096

// readPassword asks for a password, twice and without echo, if in is a terminal. Otherwise
// it returns the first line of in, which must be the only one.
func readPassword(ctx context.Context, in io.Reader, prompts io.Writer) (string, error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return readPasswordLine(in)
	}
	password, err := promptPassword(ctx, int(file.Fd()), prompts, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := promptPassword(ctx, int(file.Fd()), prompts, "Again: ")
	if err == nil && again != password {
		err = command.UsageError(errors.New("the two passwords differ"))
	}
	return password, err
}

func readPasswordLine(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxPasswordInput+1))
	if err != nil {
		return "", fmt.Errorf("the password cannot be read from standard input: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if strings.Contains(line, "\n") || len(text) > maxPasswordInput {
		return "", command.UsageError(errors.New("standard input must have one line, the password"))
	}
	return line, nil
}

// promptPassword reads a line from the terminal without echo, until ctx ends.
func promptPassword(ctx context.Context, terminal int, prompts io.Writer, prompt string) (string, error) {
	// A process that is interrupted while it reads must leave a terminal with echo.
	state, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(prompts, "%s", prompt)
	defer fmt.Fprintf(prompts, "\n")
	type input struct {
		line []byte
		err  error
	}
	read := make(chan input, 1)
	go func() {
		line, err := term.ReadPassword(terminal)
		read <- input{line, err}
	}()
	select {
	case got := <-read:
		return string(got.line), got.err
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted: no password was given"), term.Restore(terminal, state))
	}
}
