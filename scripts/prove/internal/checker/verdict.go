package checker

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/todo/platform/printable"
)

// Verdict is the result of a run: one check per promise.
type Verdict struct {
	Seed             int64              `json:"seed"`
	RequestedChanges int                `json:"asked"`   // changes that were requested
	Changes          int                `json:"changes"` // changes that were committed
	Began            time.Time          `json:"began"`
	Duration         string             `json:"duration"` // of the workload
	TotalDuration    string             `json:"took"`     // of the whole run, from the workload's start until the history was complete
	Passed           bool               `json:"ok"`       // every promise held
	Checks           []Check            `json:"rows"`
	Faults           []FaultSummary     `json:"faults"`
	Failpoints       []FailpointSummary `json:"crash_points"`
}

// Check is one row of the verdict: a promise, and whether it held.
type Check struct {
	Name    string   `json:"name"` // stable identifier: "events", "order", …
	Promise string   `json:"promise"`
	Figure  string   `json:"figure"` // what was found, for a reader
	OK      bool     `json:"ok"`
	Details []string `json:"details,omitempty"` // the first violations
}

// FaultSummary counts the faults of one kind and target.
type FaultSummary struct {
	Kind             string `json:"kind"`
	Target           string `json:"target"`
	Times            int    `json:"times"`
	WithWorkInFlight int    `json:"counted"` // faults with work in flight
	Requests         int    `json:"requests"`
	Backlog          int    `json:"behind"`
	Longest          string `json:"longest"`
}

// FailpointSummary counts the crashes at one failpoint, and the different work in flight at them.
type FailpointSummary struct {
	Name             string `json:"name"`
	Hits             int    `json:"times"`
	DistinctInFlight int    `json:"events"`
}

// WriteTable writes the verdict for a terminal: the faults, and one row per check, with its first
// violations below a red one.
func (v Verdict) WriteTable(w io.Writer) error {
	var out strings.Builder
	v.writeFaults(&out)
	width := 0
	for _, r := range v.Checks {
		width = max(width, len(r.Name))
	}
	for _, r := range v.Checks {
		fmt.Fprintf(&out, "%s  %-*s  %s\n", statusLabel(r.OK), width, r.Name, printable.Excerpt(r.Figure))
		if r.OK {
			continue
		}
		fmt.Fprintf(&out, "       promised: %s\n", r.Promise)
		for _, detail := range r.Details {
			fmt.Fprintf(&out, "       - %s\n", printable.Excerpt(detail))
		}
	}
	out.WriteString(sprintf("\n%s  %d changes in %s, seed %s\n",
		statusLabel(v.Passed), v.Changes, v.Duration, fmt.Sprint(v.Seed)))
	_, err := io.WriteString(w, out.String())
	return err
}

func (v Verdict) writeFaults(out *strings.Builder) {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(columns, "TARGET\tFAULT\tWITH WORK IN FLIGHT\tREQUESTS\tBACKLOG\tLONGEST\n")
	for _, t := range v.Faults {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", t.Target, t.Kind,
			sprintf("%d of %d\t%d\t%d\t%s", t.WithWorkInFlight, t.Times, t.Requests, t.Backlog, t.Longest))
	}
	fmt.Fprintf(columns, "\nFAILPOINT\tHITS\tDIFFERENT WORK\n")
	for _, p := range v.Failpoints {
		fmt.Fprintf(columns, "%s\t%d\t%d\n", p.Name, p.Hits, p.DistinctInFlight)
	}
	fmt.Fprintf(columns, "\n")
	_ = columns.Flush() // a Builder returns no error
}

// WriteJSON writes the whole verdict as JSON.
func (v Verdict) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func statusLabel(ok bool) string {
	if ok {
		return "ok "
	}
	return "RED"
}
