// Package mutants implements mutation testing of the architecture: it applies naive designs, one
// at a time, to a copy of the source tree, runs the scenario that concerns each, and expects one
// check of the verdict to turn red.
package mutants

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed patches/*.patch
var patches embed.FS

// mutant is a naive design that a check must catch.
type mutant struct {
	name        string // the patch is patches/<name>.patch
	description string // what is naive about it
	scenario    string // the scenario to run
	check       string // the check that must be red, and no other
	patch       []byte // contents of the patch file, once read
}

// catalog is in the order in which the mutants run; those of one scenario are neighbours.
var catalog = []mutant{
	{
		name: "mark-before-work", scenario: "kill-notification", check: "notifications",
		description: "a notification is marked as done before it is sent",
	},
	{
		name: "mark-after-effect", scenario: "burst-notification", check: "duplicate-deliveries",
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

// selectMutants returns the mutants with these names and their patches, or all without names.
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

// List describes the mutants, one per line.
func List() string {
	var b strings.Builder
	for _, m := range catalog {
		fmt.Fprintf(&b, "  %-22s %s\n", m.name, m.description)
	}
	return b.String()
}
