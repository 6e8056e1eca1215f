package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

// Places at which the services may be told to die, by service.
var (
	todoPoints         = []string{"after_commit_before_invalidate", "after_number_before_send", "after_produce_before_mark", "after_publish_before_mark"}
	consumerPoints     = []string{"before_effect", "after_effect_before_mark", deadLetter}
	notificationPoints = append([]string{"after_claim_before_send", "after_send_before_done"}, consumerPoints...)
)

// fewReaders is enough to see whether lists are old once in a while.
const fewReaders = 3

// Scenarios returns every scenario for so many changes, 0 for as many as the scenario itself wants. The
// first is the default.
func Scenarios(changes int) []Scenario {
	all := append([]Scenario{full(changes)}, small...)
	for n := range all {
		if changes > 0 {
			all[n].Changes = changes
		}
		all[n].Readers = cmp.Or(all[n].Readers, fewReaders)
	}
	return all
}

// Find returns the scenario of a name. The error names all that there are.
func Find(name string, changes int) (Scenario, error) {
	all := Scenarios(changes)
	if i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("there is no scenario %q: there are %s", name, strings.Join(names, ", "))
}

// small are the scenarios of one fault each, of less than a minute.
var small = []Scenario{
	{
		Name: "calm", Says: "nothing happens, but copies", Changes: 1000, Copies: 0.1, Again: true,
		Stages: []Stage{
			{Name: "poison", Takes: 3 * time.Second, Tracks: []Track{{{Do: Poison}}}},
		},
	},
	{
		Name: "replaced-topic", Says: "the topic is deleted and created again while the consumers are down", Changes: 2000,
		Replaced: true,
	},
	{
		Name: "kill-notification", Says: "notification-service dies at every named place", Changes: 2000,
		Stages: []Stage{
			{Name: "crashes", Takes: 10 * time.Second, Tracks: []Track{
				// Once each: what a dead process had claimed holds its partition for half a minute, and with
				// more crashes there would soon be none left to crash in.
				{{Do: Crash, Target: cluster.Notification, Points: without(notificationPoints, deadLetter), Times: 1}},
			}},
		},
	},
	{
		Name: "burst-notification", Says: "notification-service dies while it has many notifications in hand", Changes: 3000,
		Stages: []Stage{
			{Name: "bursts", Takes: 9 * time.Second, Tracks: []Track{
				{{Do: Stall, Target: cluster.Kafka, For: 2 * time.Second, Times: 3, Every: time.Second}},
				{{Do: Crash, Target: cluster.Notification, Points: []string{"after_send_before_done"}, Times: 2}},
			}},
		},
	},
	{
		Name: "two-relays", Says: "both replicas relay, with much to send after each stall, and one of them dies", Changes: 4000,
		Stages: []Stage{
			{Name: "kills", Takes: 15 * time.Second, Tracks: []Track{
				{{Do: Kill, Target: cluster.Todo, Times: 3, Every: 3 * time.Second}},
				{{Do: Stall, Target: cluster.Kafka, For: time.Second, Times: 4, Every: 2 * time.Second}},
			}},
		},
	},
	{
		Name: "late-commits", Says: "many write at once, over a slow link to the database", Changes: 4000,
		Stages: []Stage{
			{Name: "slow database", Takes: 15 * time.Second, Tracks: []Track{
				{{Do: Kill, Target: cluster.Todo, Times: 2, Every: 5 * time.Second}},
			}},
		},
	},
	{
		Name: "failover", Says: "the database's server dies, and its standby is promoted", Changes: 5000,
		Stages: []Stage{
			{Name: "calm", Takes: 14 * time.Second, Tracks: []Track{{{Do: Calm, For: 14 * time.Second}}}},
			{Name: "failover", Takes: 12 * time.Second, Tracks: []Track{failover()}},
		},
	},
	{
		Name: "redis-away", Says: "Redis is away for a while", Changes: 2000,
		Stages: []Stage{
			{Name: "outage", Takes: 16 * time.Second, Tracks: []Track{{{Do: Outage, Target: cluster.Redis, For: 12 * time.Second}}}},
		},
	},
	{
		Name: "cut-redis-answers", Says: "Redis executes, and its answers, which take a while, are lost", Changes: 3000,
		Stages: []Stage{
			{Name: "answers dropped", Takes: 15 * time.Second, Tracks: []Track{
				{{Do: Slow, Target: cluster.Redis, For: 14 * time.Second}},
				{{Do: DropAnswers, Target: cluster.Redis, Times: 10, Every: time.Second}},
			}},
		},
	},
	{
		Name: "cache-race", Says: "many read the list, and it is changed, over a slow link to its cache", Changes: 2000, Readers: 60,
		Stages: []Stage{
			{Name: "slow cache", Takes: 15 * time.Second, Tracks: []Track{
				{{Do: Slow, Target: cluster.RedisCache, For: 14 * time.Second}},
			}},
		},
	},
	{
		Name: "dead-letters", Says: "poison, while the connections to Kafka are cut and consumers die", Changes: 1500,
		Stages: []Stage{
			{Name: "letters", Takes: 30 * time.Second, Tracks: []Track{
				{{Do: Poison}, {Do: DropAnswers, Target: cluster.Kafka, Times: 8, Every: time.Second}},
				{{Do: Crash, Target: cluster.Stats, Points: []string{deadLetter}, Times: 3}},
			}},
		},
	},
	{
		Name: "undecodable", Says: "batches that no consumer can decode, while consumers are killed", Changes: 1500,
		Stages: []Stage{
			{Name: "batches", Takes: 12 * time.Second, Tracks: []Track{
				{{Do: Undecodable, Times: 2, Every: 4 * time.Second}},
				{{Do: Kill, Target: cluster.Stats, Times: 2, Every: 3 * time.Second}},
			}},
		},
	},
}

// failover ends with the time in which writes are judged to have come back.
func failover() Track {
	return Track{
		{Do: Failover, Target: cluster.Postgres, For: 3 * time.Second},
		{Do: Calm, For: 5 * time.Second},
	}
}

func without(points []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(points), func(p string) bool { return p == one })
}
