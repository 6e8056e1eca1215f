// Package faults implements fault injection. A scenario is data: stages run one after another,
// the tracks of a stage side by side, the steps of a track in sequence.
//
//	Scenario ─ Stage ─┬─ Track: Step, Step, …
//	          │        └─ Track: Step, …
//	          └ Stage ─── Track: …
//
//	Step ──> await work in flight ──> inject ──> await recovery ──> Recorder
//
// The Injector runs the steps. The Recorder keeps each fault with the work that was in flight.
// Expected derives from a scenario what the checker demands.
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

// Kind is the kind of a step.
type Kind string

// The kinds. Kill to Rebalance, and ReplaceTopic, are faults. Migrate, Upgrade and RollBack are
// recorded as faults, too: they must happen with work in flight.
const (
	Kill             Kind = "kill"           // SIGKILL; the program restarts at once
	Freeze           Kind = "freeze"         // SIGSTOP for a time
	Outage           Kind = "outage"         // SIGKILL, and no restart for a time
	Cut              Kind = "cut"            // connections through the proxy are reset
	Delay            Kind = "delay"          // the proxy adds a latency of 0.2 s for a time
	Slow             Kind = "slow"           // the proxy adds a random latency within the timeout of a call
	Stall            Kind = "stall"          // the proxy forwards nothing for a time
	DropResponses    Kind = "drop responses" // the proxy drops the responses of executed requests, then cuts
	Flush            Kind = "flush"          // FLUSHALL
	Failover         Kind = "failover"       // the primary is killed, the standby promoted after a time
	Rebalance        Kind = "rebalance"      // a third member joins or leaves the service's group
	Crash            Kind = "crash"          // the service's replicas die at each failpoint, Times times
	Poison           Kind = "poison"         // one record of each kind of poison is written
	UndecodableBatch Kind = "undecodable"    // a batch that cannot be decoded is written
	Pause            Kind = "calm"           // no fault for a time
	ReplaceTopic     Kind = "replace"        // of Scenario.ReplaceTopic; no step has it
	Migrate          Kind = "migrate"        // the working tree's migrations are applied
	Upgrade          Kind = "upgrade"        // a replica stops and starts again as the working tree's version
	RollBack         Kind = "roll back"      // a replica stops and starts again as the released version
	Measure          Kind = "measure"        // no fault for a time, in which every replica must do some of the work
)

// Step is one action.
type Step struct {
	Do         Kind
	Target     string        // a server, a replica, a service for any of its replicas, or ActiveRelay
	For        time.Duration // duration of the fault
	Times      int           // repetitions; 0 means 1
	Every      time.Duration // pause after each repetition
	Failpoints []string      // of Crash
}

// ActiveRelay targets the replica of todo-service that is sending events when the step starts.
const ActiveRelay = "sender"

// Track is a sequence of steps.
type Track []Step

// Stage is a set of tracks that run side by side. It ends when all of them have ended.
type Stage struct {
	Name     string
	Duration time.Duration // estimated
	Tracks   []Track
}

// Scenario is a named sequence of stages, and the workload that goes with it.
type Scenario struct {
	Name         string
	Description  string
	Changes      int     // default number
	CopyFraction float64 // fraction of the events that is written to the topic again
	Readers      int     // of the list
	SignIn       bool    // the clients are users, each with tasks of its own
	Replay       bool    // topic and dead letters are replayed at the end
	// ReplaceTopic deletes and creates the topic again while the consumers, which have read it,
	// are stopped. They restart during the workload.
	ReplaceTopic bool
	Stages       []Stage
}

// DurationFrom estimates how long the stages from the n-th on take.
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

// NeedsReleased reports whether the replicas start as the released version.
func (s Scenario) NeedsReleased() bool {
	return slices.ContainsFunc(s.steps(), func(step Step) bool { return step.Do == Upgrade })
}

// Expected returns what must have happened at the end of the scenario.
func (s Scenario) Expected() history.Expected {
	e := history.Expected{CopyFraction: s.CopyFraction, Replay: s.Replay, SignIn: s.SignIn, Versions: s.lastVersions()}
	if s.ReplaceTopic {
		e.Faults = append(e.Faults, history.ExpectedFault{Kind: string(ReplaceTopic), Target: event.Topic})
	}
	for _, step := range s.steps() {
		switch step.Do {
		case Pause, Measure:
		case Poison:
			e.Poison = append(e.Poison, rogueproducer.Kinds()...)
		case UndecodableBatch:
			e.Poison = append(e.Poison, history.UndecodableBatch)
		case Crash:
			e.Failpoints = append(e.Failpoints, step.Failpoints...)
			e.HitsPerFailpoint = step.Times
		default:
			target := step.Target
			if target == ActiveRelay {
				target = cluster.Todo
			}
			if strings.HasSuffix(target, "-service") {
				target += "-*" // any replica
			}
			e.Faults = append(e.Faults, history.ExpectedFault{Kind: string(step.Do), Target: target, MinDuration: step.For})
		}
	}
	slices.Sort(e.Failpoints)
	e.Failpoints = slices.Compact(e.Failpoints)
	return e
}
