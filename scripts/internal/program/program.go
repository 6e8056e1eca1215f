// Package program finds the programs of the servers: on PATH, in the folders where systems keep them,
// or fetched.
package program

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Postgres returns the folder of postgres and initdb.
func Postgres() (string, error) {
	for _, dir := range postgresDirs() {
		if runs(filepath.Join(dir, "postgres")) && runs(filepath.Join(dir, "initdb")) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no postgres and initdb on PATH or in /usr/lib/postgresql")
}

func postgresDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(found, func(a, b string) int { return strings.Compare(b, a) })
	return append(dirs, found...)
}

func runs(path string) bool {
	_, err := exec.LookPath(path)
	return err == nil
}

// Redis returns the path of redis-server.
func Redis() (string, error) { return exec.LookPath("redis-server") }
