// Dashboards writes the Grafana dashboards as JSON files:
//
//	go run ./dashboards -out ../compose/grafana/dashboards
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "the folder that the files are written to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	files, err := generate()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the content of each file by its name.
func generate() (map[string][]byte, error) {
	built, err := buildDashboard("todo-overview", "Todo overview", "The whole todo system: what users see, and what each part does for it.", overview())
	if err != nil {
		return nil, fmt.Errorf("todo-overview: %w", err)
	}
	content, err := encode(built)
	return map[string][]byte{"overview.json": content}, err
}

func encode(d any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // the expressions stay readable in a diff
	encoder.SetIndent("", "  ")
	err := encoder.Encode(d)
	return buffer.Bytes(), err
}
