package app

import (
	"example.com/todo/contracts/event"
	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka/deadletter"
)

// AddDeadLetters adds the command dlq to the program.
func AddDeadLetters(p *command.Program[Config]) {
	deadletter.Add(p, func(cfg Config) deadletter.Queue {
		return deadletter.Queue{Kafka: cfg.Kafka, Topic: event.DLQTopic, Group: name, TypeHeader: event.HeaderType}
	})
}
