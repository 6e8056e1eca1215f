// Package passwordinput reads a password from a terminal without echo, or from standard
// input.
package passwordinput

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"example.com/todo/platform/apperr"
)

// maxBytes is the number of bytes that are read: more than any valid password has.
const maxBytes = 4096

// Read reads a password. If in is a terminal, Read shows each prompt and reads the password
// after it without echo, each time the same one. If in is no terminal, the password is its
// only line. The error is apperr.Invalid if the input is not one password. Read returns when
// ctx ends.
func Read(ctx context.Context, in io.Reader, promptTo io.Writer, prompts ...string) (string, error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return await(ctx, func() (string, error) { return readLine(in) })
	}
	var password string
	for i, prompt := range prompts {
		answer, err := readHidden(ctx, int(file.Fd()), promptTo, prompt)
		switch {
		case err != nil:
			return "", err
		case i > 0 && answer != password:
			return "", apperr.New(apperr.Invalid, "the two passwords differ")
		}
		password = answer
	}
	return password, nil
}

func readLine(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxBytes+1))
	if err != nil {
		return "", fmt.Errorf("the password cannot be read from standard input: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if strings.Contains(line, "\n") || len(text) > maxBytes {
		return "", apperr.New(apperr.Invalid, "standard input must have one line, the password")
	}
	return line, nil
}

var errInterrupted = errors.New("interrupted: no password was given")

// await returns the result of read or, when ctx ends first, errInterrupted. read then goes
// on, because a read of a file cannot be interrupted.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type input struct {
		line string
		err  error
	}
	result := make(chan input, 1)
	go func() {
		line, err := read()
		result <- input{line, err}
	}()
	select {
	case got := <-result:
		return got.line, got.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

// readHidden reads a line from the terminal without echo, until ctx ends.
func readHidden(ctx context.Context, terminal int, promptTo io.Writer, prompt string) (string, error) {
	// A process that is interrupted while it reads must leave a terminal with echo.
	state, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(promptTo, "%s", prompt)
	defer fmt.Fprintf(promptTo, "\n")
	line, err := await(ctx, func() (string, error) {
		line, err := term.ReadPassword(terminal)
		return string(line), err
	})
	if errors.Is(err, errInterrupted) {
		err = errors.Join(err, term.Restore(terminal, state))
	}
	return line, err
}
