// Package mutants shows that the proof notices: it brings naive designs back to copies of the tree, one
// at a time, and has the scenario that concerns each judged.
package mutants

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed patches/*.patch
var patches embed.FS

// mutant is a naive design.
type mutant struct {
	name     string // its patch is patches/<name>.patch
	says     string // what is naive about it
	scenario string // that concerns it
	row      string // of the verdict, that has to be red, and no other
	diff     []byte // the patch, once it was read
}

// all are in the order in which they are shown: those of one scenario together.
var all = []mutant{
	{
		name: "mark-before-work", scenario: "kill-notification", row: "notifications",
		says: "a notification is marked as done before it is sent",
	},
	{
		name: "mark-after-effect", scenario: "burst-notification", row: "plain-sink",
		says: "nothing is claimed; a batch is sent, and marked as done at its end",
	},
	{
		name: "pos-after-last", scenario: "late-commits", row: "events",
		says: "the relay reads behind the last pos that it sent",
	},
	{
		name: "skip-locked", scenario: "two-relays", row: "order",
		says: "both relays send at once, each what the other has not locked",
	},
	{
		name: "delete-only", scenario: "cache-race", row: "cache",
		says: "a write removes the cached list, and any list may be stored",
	},
	{
		name: "count-and-mark-apart", scenario: "cut-redis-answers", row: "stats",
		says: "the counters are moved by one call, the marks and the offset by a second",
	},
	{
		name: "sessions-kept", scenario: "failover", row: "failover",
		says: "a session in which the server refused a write goes back to the pool",
	},
	{
		name: "dlq-on-any-error", scenario: "redis-away", row: "dead-letters",
		says: "a record that cannot be handled now is a dead letter",
	},
	{
		name: "offset-of-a-name", scenario: "replaced-topic", row: "notifications",
		says: "a stored offset belongs to the topic of a name, whichever that is by now",
	},
	{
		name: "mark-before-dlq-answer", scenario: "dead-letters", row: "dead-letters",
		says: "the offset is marked before the dead letter is acknowledged",
	},
	{
		name: "batch-passed-in-silence", scenario: "undecodable", row: "dead-letters",
		says: "a batch that cannot be decoded is passed without a dead letter",
	},
}

// choose returns the mutants of these names, or all when there are none, with their patches.
func choose(names []string) ([]mutant, error) {
	var chosen []mutant
	for _, m := range all {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		var err error
		if m.diff, err = patches.ReadFile("patches/" + m.name + ".patch"); err != nil {
			return nil, err
		}
		chosen = append(chosen, m)
	}
	for _, name := range names {
		if !slices.ContainsFunc(chosen, func(m mutant) bool { return m.name == name }) {
			return nil, fmt.Errorf("there is no mutant %q, there are:\n%s", name, List())
		}
	}
	return chosen, nil
}

// List says what there is, a line each.
func List() string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "  %-22s %s\n", m.name, m.says)
	}
	return b.String()
}
