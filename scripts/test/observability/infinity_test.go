package observability

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// statsBase is where the targets for /stats find stats-service.
const statsBase = "http://stats-service:8081"

// table is what the plugin makes of an answer: in each record, the value of each column.
type table []map[string]gjson.Result

// fetchTable requests the target's URL from stats-service at addr and applies its selectors
// as the plugin does: the root selector by gjson, an empty one being the whole answer, and in
// the object, or in each element of the list, the columns' selectors by gjson.
func fetchTable(t *testing.T, addr string, q target) table {
	t.Helper()
	path, ours := strings.CutPrefix(q.URL, statsBase)
	if !ours || q.Type != "json" || q.Source != "url" || q.Parser != "backend" || q.Format != "table" {
		t.Fatalf("a target that this test cannot execute: %+v", q)
	}
	answer, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", q.URL, answer.Status, err)
	}
	root := gjson.ParseBytes(body)
	if q.Root != "" {
		root = root.Get(q.Root)
	}
	var records table
	for _, record := range root.Array() { // of an object: itself
		row := map[string]gjson.Result{}
		for _, column := range q.Columns {
			cell := record.Get(column.Selector)
			if !cell.Exists() || column.Type == "number" && cell.Type != gjson.Number {
				t.Fatalf("%s: the selector %q gives %q in %s", q.URL, column.Selector, cell, record)
			}
			row[column.Text] = cell
		}
		records = append(records, row)
	}
	if len(records) == 0 {
		t.Fatalf("%s: the root selector %q gives nothing in %s", q.URL, q.Root, body)
	}
	return records
}

// statsTargets returns the targets for /stats of all dashboards by the titles of their panels.
func statsTargets(dashboards []dashboardJSON) map[string]target {
	targets := map[string]target{}
	for _, d := range dashboards {
		for _, panel := range d.Panels {
			for _, q := range panel.Targets {
				if q.Datasource.Type == statsType {
					targets[panel.Title] = q
				}
			}
		}
	}
	return targets
}
