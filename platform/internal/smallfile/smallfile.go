// Package smallfile reads small regular files that settings name, such as certificates and secrets.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Read returns the content of the regular file at path, which has at most maxBytes. Its error completes the sentence
// "the setting …" and quotes neither the path nor the content.
func Read(path string, maxBytes int) ([]byte, error) {
	// Opening a FIFO waits for its writer, so the mode is checked before.
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("names a file that does not exist")
	case err != nil:
		return nil, unreadable(err)
	case info.IsDir():
		return nil, errors.New("names a directory instead of a file")
	case !info.Mode().IsRegular():
		return nil, errors.New("names a device or a pipe instead of a regular file")
	}
	file, err := os.Open(path) //nolint:gosec // an operator's setting names the file
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, int64(maxBytes)+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(content) > maxBytes {
		return nil, fmt.Errorf("names a file of more than %d bytes", maxBytes)
	}
	return content, nil
}

// unreadable returns the reason in err without its path.
func unreadable(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("names a file that cannot be read: %w", err)
}
