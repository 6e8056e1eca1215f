// Package deadletter is the command by which an operator looks at a group's
// dead letters and replays them:
//
//	service dlq list --type things.made --since 2h
//	service dlq show 0:17
//	service dlq replay 0:17
//
// A replay writes the original record, key, value and headers as they were, to
// the topic it came from, with three headers more: replay-group, the only group
// that is to handle it; replay-of, the letter's place; and replays, how often
// the record was replayed by now. The letter itself stays where it is: what
// tells that it was replayed is its copy in the original topic.
package deadletter
