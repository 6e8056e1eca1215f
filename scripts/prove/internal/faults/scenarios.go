package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

// The failpoints of the services. The dead-letter failpoint is one of each consumer, too.
var (
	todoFailpoints = []string{
		"after_commit_before_invalidate", "after_number_before_send", "after_produce_before_mark", "after_publish_before_mark",
	}
	effectFailpoints = []string{"before_effect", "after_effect_before_mark"}
	sendFailpoints   = []string{"after_claim_before_send", "after_send_before_done"}
)

// defaultReaders is the number of list readers where the list is not the subject.
const defaultReaders = 3

// Scenarios returns every scenario for a number of changes, or for each scenario's own if 0. The
// first is the default.
func Scenarios(changes int) []Scenario {
	all := slices.Concat([]Scenario{fullScenario(changes)}, smallScenarios, versionScenarios)
	for n := range all {
		if changes > 0 {
			all[n].Changes = changes
		}
		all[n].Readers = cmp.Or(all[n].Readers, defaultReaders)
	}
	return all
}

// Find returns the scenario with a name. The error lists all names.
func Find(name string, changes int) (Scenario, error) {
	var names []string
	for _, s := range Scenarios(changes) {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("unknown scenario %q; known: %s", name, strings.Join(names, ", "))
}

// smallScenarios have one fault each and take less than a minute.
var smallScenarios = []Scenario{
	{
		Name: "calm", Description: "no fault, but copies and poison", Changes: 1000, CopyFraction: 0.1, Replay: true,
		Stages: []Stage{newStage("poison", 3*time.Second, Track{{Do: Poison}})},
	},
	{
		Name: "replaced-topic", Description: "the topic is deleted and created again while the consumers are down", Changes: 2000,
		ReplaceTopic: true,
	},
	{
		Name: "kill-notification", Description: "notification-service dies at every failpoint", Changes: 2000,
		// Once each: the claims of a dead process block its partition for half a minute.
		// After more crashes no partition would be left to crash in.
		Stages: []Stage{newStage("crashes", 10*time.Second, Track{
			{Do: Crash, Target: cluster.Notification, Failpoints: slices.Concat(sendFailpoints, effectFailpoints), Times: 1},
		})},
	},
	{
		Name: "burst-notification", Description: "notification-service dies with many notifications in flight", Changes: 3000,
		Stages: []Stage{newStage("bursts", 9*time.Second,
			Track{{Do: Stall, Target: cluster.Kafka, For: 2 * time.Second, Times: 3, Every: time.Second}},
			Track{{Do: Crash, Target: cluster.Notification, Failpoints: []string{"after_send_before_done"}, Times: 2}},
		)},
	},
	{
		Name: "two-relays", Description: "both replicas relay a backlog after each stall, and one of them dies", Changes: 4000,
		Stages: []Stage{newStage("kills", 15*time.Second,
			Track{{Do: Kill, Target: cluster.Todo, Times: 3, Every: 3 * time.Second}},
			Track{{Do: Stall, Target: cluster.Kafka, For: time.Second, Times: 4, Every: 2 * time.Second}},
		)},
	},
	{
		Name: "late-commits", Description: "writers commit concurrently while replicas are killed", Changes: 4000,
		Stages: []Stage{newStage("kills", 15*time.Second,
			Track{{Do: Kill, Target: cluster.Todo, Times: 2, Every: 5 * time.Second}},
		)},
	},
	{
		Name: "failover", Description: "the primary of PostgreSQL dies, and its standby is promoted", Changes: 5000,
		Stages: []Stage{
			newStage("calm", 14*time.Second, Track{{Do: Pause, For: 14 * time.Second}}),
			newStage("failover", 12*time.Second, failoverTrack),
		},
	},
	{
		Name: "redis-away", Description: "Redis is down for 12 s", Changes: 2000,
		Stages: []Stage{newStage("outage", 16*time.Second,
			Track{{Do: Outage, Target: cluster.Redis, For: 12 * time.Second}},
		)},
	},
	{
		Name: "owners", Description: "users sign in, and again after Redis lost their sessions", Changes: 2000, SignIn: true, Readers: 12,
		Stages: []Stage{newStage("lost sessions", 16*time.Second,
			Track{{Do: Flush, Target: cluster.Redis, Times: 2, Every: 5 * time.Second}, {Do: Outage, Target: cluster.Redis, For: 4 * time.Second}},
			Track{{Do: Flush, Target: cluster.RedisCache, Times: 4, Every: 3 * time.Second}},
			Track{{Do: Kill, Target: cluster.Todo, Times: 2, Every: 5 * time.Second}},
		)},
	},
	{
		Name: "cut-redis-answers", Description: "Redis executes commands over a slow link, and their responses are lost", Changes: 3000,
		Stages: []Stage{newStage("dropped responses", 15*time.Second,
			Track{{Do: Slow, Target: cluster.Redis, For: 14 * time.Second}},
			Track{{Do: DropResponses, Target: cluster.Redis, Times: 10, Every: time.Second}},
		)},
	},
	{
		Name: "cache-race", Description: "the list is read and changed concurrently, over a slow link to its cache", Changes: 2000, Readers: 60,
		Stages: []Stage{newStage("slow cache", 15*time.Second,
			Track{{Do: Slow, Target: cluster.RedisCache, For: 14 * time.Second}},
		)},
	},
	{
		Name: "dead-letters", Description: "poison, while connections to Kafka are cut and consumers die", Changes: 1500,
		Stages: []Stage{newStage("letters", 30*time.Second,
			Track{{Do: Poison}, {Do: DropResponses, Target: cluster.Kafka, Times: 8, Every: time.Second}},
			Track{{Do: Crash, Target: cluster.Stats, Failpoints: []string{deadLetterFailpoint}, Times: 3}},
		)},
	},
	{
		Name: "undecodable", Description: "batches that no consumer can decode, while consumers are killed", Changes: 1500,
		Stages: []Stage{newStage("batches", 12*time.Second,
			Track{{Do: UndecodableBatch, Times: 2, Every: 4 * time.Second}},
			Track{{Do: Kill, Target: cluster.Stats, Times: 2, Every: 3 * time.Second}},
		)},
	},
}

func newStage(name string, estimate time.Duration, tracks ...Track) Stage {
	return Stage{Name: name, Duration: estimate, Tracks: tracks}
}

// failoverTrack ends with the time in which writes must have recovered.
var failoverTrack = Track{
	{Do: Failover, Target: cluster.Postgres, For: 3 * time.Second},
	{Do: Pause, For: 5 * time.Second},
}
