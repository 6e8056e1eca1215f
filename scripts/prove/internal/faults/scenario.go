// Package faults is what is done to the system while it works: scenarios, which are lists of steps, and
// the Injector that takes the steps and writes down what was in flight.
package faults

import (
	"slices"
	"strings"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/rogueproducer"
)

// Kind is what a step does.
type Kind string

// The kinds. Those up to Rebalance, and Replace, are faults.
const (
	Kill             Kind = "kill"         // by SIGKILL; the program is started again at once
	Freeze           Kind = "freeze"       // by SIGSTOP, for so long
	Outage           Kind = "outage"       // killed, and away for so long
	Cut              Kind = "cut"          // the link's connections are reset
	Delay            Kind = "delay"        // the link holds back everything by a fifth of a second, for so long
	Slow             Kind = "slow"         // the link holds back each piece as long as it likes, within what a call may take
	Stall            Kind = "stall"        // the link moves nothing, for so long
	DropResponses    Kind = "drop answers" // requests are executed, their answers lost, and then the link is cut
	Flush            Kind = "flush"        // FLUSHALL
	Failover         Kind = "failover"     // the database's server is killed; its standby is promoted after so long
	Rebalance        Kind = "rebalance"    // a third member of the service's group comes, or goes
	Crash            Kind = "crash"        // each of Points is reached Times times by the service's replicas
	Poison           Kind = "poison"       // one record of each kind is written to the topic
	UndecodableBatch Kind = "undecodable"  // a batch that cannot be decoded is written to the topic
	Pause            Kind = "calm"         // nothing, for so long
	ReplaceTopic     Kind = "replace"      // of Scenario.Replaced, which no step does
)

// Step is one thing to do.
type Step struct {
	Do         Kind
	Target     string        // a server, a replica, or a service: any of its replicas, or Sender
	For        time.Duration // how long it lasts
	Times      int           // how often; 0 is once
	Every      time.Duration // the pause after each time
	Failpoints []string      // of Crash
}

// ActiveRelay is the target that is the replica of todo-service that is sending events at that moment.
const ActiveRelay = "sender"

// Track is a list of steps, one after another.
type Track []Step

// Stage is a part of a scenario whose tracks run side by side; it ends when all of them have ended.
type Stage struct {
	Name     string
	Duration time.Duration // about
	Tracks   []Track
}

// Scenario is everything that is done to the system.
type Scenario struct {
	Name         string
	Description  string
	Changes      int     // unless others are asked for
	CopyFraction float64 // of the events, the share that is written to the topic again
	Readers      int     // of the list
	Replay       bool    // topic and dead letters are replayed in the end
	// ReplaceTopic says that the topic is deleted and created again while the consumers,
	// which have read it, are down, and that they come back amid the clients' work.
	ReplaceTopic bool
	Stages       []Stage
}

// DurationFrom is how long the stages from the n-th on take, about.
func (s Scenario) DurationFrom(n int) time.Duration {
	var sum time.Duration
	for _, stage := range s.Stages[min(n, len(s.Stages)):] {
		sum += stage.Duration
	}
	return sum
}

func (s Scenario) steps() []Step {
	var steps []Step
	for _, stage := range s.Stages {
		for _, track := range stage.Tracks {
			steps = append(steps, track...)
		}
	}
	return steps
}

// Expected is what has to have happened when the scenario is over.
func (s Scenario) Expected() history.Expected {
	e := history.Expected{CopyFraction: s.CopyFraction, Replay: s.Replay}
	if s.ReplaceTopic {
		e.Faults = append(e.Faults, history.ExpectedFault{Kind: string(ReplaceTopic), Target: event.Topic})
	}
	for _, step := range s.steps() {
		switch step.Do {
		case Pause:
		case Poison:
			e.Poison = append(e.Poison, rogueproducer.Kinds()...)
		case UndecodableBatch:
			e.Poison = append(e.Poison, history.UndecodableBatch)
		case Crash:
			for _, point := range step.Failpoints {
				if !slices.Contains(e.Failpoints, point) {
					e.Failpoints = append(e.Failpoints, point)
				}
			}
			e.HitsPerFailpoint = step.Times
		default:
			e.Faults = append(e.Faults, step.expectedFault())
		}
	}
	return e
}

func (s Step) expectedFault() history.ExpectedFault {
	target := s.Target
	switch {
	case target == ActiveRelay:
		target = cluster.Todo + "-*"
	case strings.HasSuffix(target, "-service"):
		target += "-*"
	}
	return history.ExpectedFault{Kind: string(s.Do), Target: target, MinDuration: s.For}
}
