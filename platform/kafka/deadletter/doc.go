// Package deadletter implements the administration of a dead-letter queue: the commands by which an
// operator lists, shows and replays the dead letters of a consumer group.
//
//	service dlq list --type things.made --since 2h
//	service dlq show 0:17
//	service dlq replay 0:17
//
// A dead letter is named by its position, partition:offset, in the dead-letter topic.
//
//	consumer group --fails--> dead-letter topic --replay--> original topic --> the same group
//
// A replay writes the original record, with its key, value and headers, to its original topic and adds
// three headers: replay-group, the only group that handles it; replay-of, the dead letter's position;
// and replays, how often the record was replayed. The dead letter stays in its topic: a replay in the
// original topic is the only evidence that it was replayed.
package deadletter
