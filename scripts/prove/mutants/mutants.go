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
	name        string // its patch is patches/<name>.patch
	description string // what is naive about it
	scenario    string // that concerns it
	check       string // of the verdict, that has to be red, and no other
	patch       []byte // the patch, once it was read
}

// catalog are in the order in which they are shown: those of one scenario together.
var catalog = []mutant{
	{
		name: "mark-before-work", scenario: "kill-notification", check: "notifications",
		description: "a notification is marked as done before it is sent",
	},
	{
		name: "mark-after-effect", scenario: "burst-notification", check: "plain-sink",
		description: "nothing is claimed; a batch is sent, and marked as done at its end",
	},
	{
		name: "pos-after-last", scenario: "late-commits", check: "events",
		description: "the relay reads behind the last pos that it sent",
	},
	{
		name: "skip-locked", scenario: "two-relays", check: "order",
		description: "both relays send at once, each what the other has not locked",
	},
	{
		name: "delete-only", scenario: "cache-race", check: "cache",
		description: "a write removes the cached list, and any list may be stored",
	},
	{
		name: "count-and-mark-apart", scenario: "cut-redis-answers", check: "stats",
		description: "the counters are moved by one call, the marks and the offset by a second",
	},
	{
		name: "sessions-kept", scenario: "failover", check: "failover",
		description: "a session in which the server refused a write goes back to the pool",
	},
	{
		name: "dlq-on-any-error", scenario: "redis-away", check: "dead-letters",
		description: "a record that cannot be handled now is a dead letter",
	},
	{
		name: "offset-of-a-name", scenario: "replaced-topic", check: "notifications",
		description: "a stored offset belongs to the topic of a name, whichever that is by now",
	},
	{
		name: "mark-before-dlq-answer", scenario: "dead-letters", check: "dead-letters",
		description: "the offset is marked before the dead letter is acknowledged",
	},
	{
		name: "batch-passed-in-silence", scenario: "undecodable", check: "dead-letters",
		description: "a batch that cannot be decoded is passed without a dead letter",
	},
}

// selectMutants returns the mutants of these names, or all when there are none, with their patches.
func selectMutants(names []string) ([]mutant, error) {
	var chosen []mutant
	for _, m := range catalog {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		var err error
		if m.patch, err = patches.ReadFile("patches/" + m.name + ".patch"); err != nil {
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
	for _, m := range catalog {
		fmt.Fprintf(&b, "  %-22s %s\n", m.name, m.description)
	}
	return b.String()
}
