// Dashboards writes the Grafana dashboards as JSON files:
//
//	go run ./dashboards -out ../compose/grafana
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
	out := flag.String("out", "", "the folder that the files are written below")
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
	for path, content := range files {
		if err := os.WriteFile(filepath.Join(out, path), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// dashboards are the dashboards by the folders of their files. With sign-in Grafana cannot read /stats: the overview in
// secure has only the gauge, which is the same figure.
var dashboards = map[string][]spec{
	"dashboards": {
		todoOverview(completionsRow()),
		{"objectives", "Todo objectives", "Service level objectives, how fast their error budgets are spent, and the alerts that fire.", false, objectives()},
	},
	"secure": {todoOverview(completionsGaugeRow())},
}

func todoOverview(completions row) spec {
	return spec{"overview", "Todo overview", "The whole todo system: what users see, and what each part does for it.", true, overview(completions)}
}

// generate returns the content of each file by its path.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for folder, specs := range dashboards {
		for _, d := range specs {
			path := filepath.Join(folder, d.name+".json")
			built, err := d.build()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if files[path], err = encode(built); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
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
