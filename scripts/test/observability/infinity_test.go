package observability

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// statsBase is where the targets for /stats find stats-service.
const statsBase = "http://stats-service:8081"

// table is what the plugin makes of an answer: in each record, the value of each column.
type table []map[string]gjson.Result

// fetchTable requests the target's URL from stats-service at addr and applies its selectors.
func fetchTable(addr string, q target) (table, error) {
	path, ours := strings.CutPrefix(q.URL, statsBase)
	if !ours || q.Type != "json" || q.Source != "url" || q.Parser != "backend" || q.Format != "table" {
		return nil, fmt.Errorf("this test cannot execute the target %+v", q)
	}
	answer, err := http.Get("http://" + addr + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", q.URL, answer.Status)
	}
	if err != nil {
		return nil, err
	}
	return selectTable(body, q)
}

// selectTable applies selectors as the plugin does: the root selector by gjson, an empty one
// being the whole answer, and in the object, or in each element of the list, the columns'
// selectors by gjson. The plugin shows nothing where a selector finds nothing; here that is
// an error.
func selectTable(body []byte, q target) (records table, err error) {
	root := gjson.ParseBytes(body)
	if q.Root != "" {
		root = root.Get(q.Root)
	}
	for _, record := range root.Array() { // of an object: itself
		row := map[string]gjson.Result{}
		for _, column := range q.Columns {
			cell := record.Get(column.Selector)
			if !cell.Exists() || column.Type == "number" && cell.Type != gjson.Number {
				return nil, fmt.Errorf("the selector %q gives %q in %s", column.Selector, cell, record)
			}
			row[column.Text] = cell
		}
		records = append(records, row)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("the root selector %q gives nothing in %s", q.Root, body)
	}
	return records, nil
}

func TestSelectorsOfTheTargetsGiveTodaysFigure(t *testing.T) {
	t.Parallel()
	body := []byte(`{"completed_total":9,"completed_today":3,"by_day":[{"day":"2024-01-14","completed":6},{"day":"2024-01-15","completed":3}],"lag":null}`)
	targets := statsTargets(readDashboards(t))
	if len(targets) != 2 {
		t.Fatalf("%d targets read /stats, want 2", len(targets))
	}
	for title, q := range targets {
		records, err := selectTable(body, q)
		if err != nil {
			t.Errorf("%s: %v", title, err)
			continue
		}
		last := records[len(records)-1]
		if got := last[q.Columns[len(q.Columns)-1].Text]; got.Int() != 3 {
			t.Errorf("%s: %s, want 3", title, got)
		}
		for name, wrong := range map[string]func(*target){
			"another root":   func(q *target) { q.Root = "by_week" },
			"another column": func(q *target) { q.Columns[0].Selector = "completed_yesterday" },
			"no number":      func(q *target) { q.Columns[0].Selector, q.Columns[0].Type = "day", "number" },
		} {
			broken := q
			broken.Columns = slices.Clone(q.Columns)
			wrong(&broken)
			if records, err := selectTable(body, broken); err == nil {
				t.Errorf("%s, %s: %v, want an error", title, name, records)
			}
		}
	}
}

// statsTargets returns the targets for /stats of all dashboards by the titles of their panels.
func statsTargets(dashboards map[string]dashboardJSON) map[string]target {
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
