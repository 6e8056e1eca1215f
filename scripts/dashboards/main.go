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

var dashboards = []spec{
	{"overview", "Todo overview", "The whole todo system: what users see, and what each part does for it.", true, overview()},
	{"objectives", "Todo objectives", "Service level objectives, how fast their error budgets are spent, and the alerts that fire.", false, objectives()},
}

// generate returns the content of each file by its name.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, d := range dashboards {
		built, err := d.build()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		if files[d.name+".json"], err = encode(built); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return files, nil
}

func encode(d any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // the expressions stay readable in a diff
	encoder.SetIndent("", "  ")
	err := encoder.Encode(d)
	return buffer.Bytes(), err
}
