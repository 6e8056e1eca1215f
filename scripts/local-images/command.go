package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// output runs a command that was made with ctx. It returns the standard output without the white space around it. An
// error contains the end of what the command printed.
func output(ctx context.Context, command *exec.Cmd) (string, error) {
	const shown = 4000 // bytes of the end
	var out, messages bytes.Buffer
	command.Stdout, command.Stderr = &out, &messages
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		// debootstrap reports its errors on the standard output.
		printed := append(out.Bytes(), messages.Bytes()...)
		name := strings.Join(command.Args[:min(2, len(command.Args))], " ")
		return "", fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(printed[max(0, len(printed)-shown):]))
	}
	return strings.TrimSpace(out.String()), nil
}
