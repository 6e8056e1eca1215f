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
	check       string // the check that must be red, and no other; "" if none may be
	patch       []byte // contents of the patch file, once read; nil for the unchanged tree
}

// catalog is in the order in which the mutants run; those of one scenario are neighbours.
var catalog = []mutant{
	{
		name: "done-before-send", scenario: "kill-notification", check: "notifications",
		description: "a notification is recorded as done before it is sent",
	},
	{
		name: "send-without-claim", scenario: "burst-notification", check: "duplicate-deliveries",
		description: "no notification is claimed; a batch is sent and then recorded as done",
	},
	{
		name: "cursor-by-pos", scenario: "late-commits", check: "events",
		description: "the relay's cursor is the last pos that it sent",
	},
	{
		name: "skip-locked", scenario: "two-relays", check: "order",
		description: "both relays send at once, each the events that the other has not locked",
	},
	{
		name: "delete-only", scenario: "cache-race", check: "cache",
		description: "a write deletes the cached list, and every reader may store a list",
	},
	{
		name: "count-and-offset-apart", scenario: "cut-redis-answers", check: "stats",
		description: "one call to Redis moves the counters, a second the dedup keys and the offset",
	},
	{
		name: "readonly-session-reused", scenario: "failover", check: "failover",
		description: "a session in which the server refused a write returns to the pool",
	},
	{
		name: "dlq-on-any-error", scenario: "redis-away", check: "dead-letters",
		description: "any error of the handler dead-letters the record",
	},
	{
		name: "offset-by-topic-name", scenario: "replaced-topic", check: "notifications",
		description: "a stored offset belongs to the topic's name, even if the topic was replaced",
	},
	{
		name: "commit-before-dlq-ack", scenario: "dead-letters", check: "dead-letters",
		description: "the offset is committed before the dead letter is acknowledged",
	},
	{
		name: "batch-skipped-silently", scenario: "undecodable", check: "dead-letters",
		description: "a batch that cannot be decoded is skipped without a dead letter",
	},
	{
		name: "list-key-without-user", scenario: "owners", check: "owners",
		description: "the lists of all users have one key in Redis",
	},
	{
		name: "history-without-owner", scenario: "owners", check: "owners",
		description: "the query of a task's history lacks the owner",
	},
	{
		name: "feed-without-owner", scenario: "owners", check: "owners",
		description: "every watcher receives the live events of all users",
	},
	{
		name: "session-remembered", scenario: "owners", check: "owners",
		description: "a replica does not check a session again that it knows",
	},
	{
		name: "column-renamed", scenario: "producer-first", check: "server-errors",
		description: "a migration renames a column that the released version still uses",
	},
	{
		name: "event-field-removed", scenario: "producer-first", check: "dead-letters",
		description: "events lack a field that the released consumers require",
	},
	{
		name: "dedup-key-renamed", scenario: "consumers-first", check: "duplicate-deliveries",
		description: "the new version keeps its dedup keys in Redis under another name",
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
			return nil, fmt.Errorf("unknown mutant %q; known:\n%s", name, List())
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
