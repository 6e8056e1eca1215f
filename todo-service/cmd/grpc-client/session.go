package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// tokenVariable is the environment variable with a token. It has precedence over sessions
// that are kept in files.
const tokenVariable = "TODO_TOKEN"

// storedSession is what a user has after login: the token, and the URL of the HTTP API that it
// is from. The zero value means no login.
type storedSession struct {
	Token   string `json:"token"`
	HTTPURL string `json:"http_url"`
}

// session returns the session for the server of --addr.
func (c *cli) session() (storedSession, error) {
	if token, set := os.LookupEnv(tokenVariable); set && token != "" {
		if strings.ContainsFunc(token, func(r rune) bool { return r < '!' || r > '~' }) {
			return storedSession{}, usageError{errors.New(tokenVariable + " must be visible ASCII characters")}
		}
		return storedSession{Token: token, HTTPURL: c.httpURL}, nil
	}
	return loadSession(c.addr)
}

// sessionFile returns the path of the file with the session for a server. There is one for
// each address, because no token may reach another server.
func sessionFile(addr string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for the session: %w", err)
	}
	return filepath.Join(dir, "todo-grpc-client", url.QueryEscape(addr)+".json"), nil
}

func loadSession(addr string) (storedSession, error) {
	path, err := sessionFile(addr)
	if err != nil {
		return storedSession{}, nil //nolint:nilerr // without a folder there was no login
	}
	content, err := os.ReadFile(path) //nolint:gosec // in the folder of the user
	if errors.Is(err, fs.ErrNotExist) {
		return storedSession{}, nil
	}
	var s storedSession
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil || s.Token == "" {
		// The error of a decoder could show a part of the token.
		return storedSession{}, fmt.Errorf("%s has no session that can be read: delete it, and %s", path, signInHint())
	}
	return s, nil
}

// save replaces the file with the session for a server. Only the user can read it.
func (s storedSession) save(addr string) error {
	path, err := sessionFile(addr)
	if err != nil {
		return err
	}
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "unfinished-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // fails after the renaming
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// removeSession removes the file with the session for a server.
func removeSession(addr string) error {
	path, err := sessionFile(addr)
	if err != nil {
		return err
	}
	return os.Remove(path)
}
