package faults

import (
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

// longRunChanges is the number of changes from which on a run uses long faults and many rounds.
const longRunChanges = 100_000

// fullScenario has every fault at least once: in some minutes for 20,000 changes, in about an
// hour for 200,000.
func fullScenario(changes int) Scenario {
	s := Scenario{Name: "full", Description: "every fault", Changes: 20_000, CopyFraction: 0.1, Replay: true, ReplaceTopic: true}
	crashes, rounds := 3, 1
	frozen, redis, kafka := 24*time.Second, 20*time.Second, 20*time.Second
	if changes >= longRunChanges {
		crashes, rounds = 20, 5
		frozen, redis, kafka = time.Minute, 5*time.Minute, 10*time.Minute
	}
	s.Stages = []Stage{
		{Name: "calm", Duration: 3 * time.Second, Tracks: []Track{{{Do: Pause, For: 3 * time.Second}}}},
		failpointStage(crashes),
	}
	for range rounds {
		s.Stages = append(s.Stages, networkStage(), killStage(), freezeStage(frozen), frozenServersStage(), rebalanceStage())
	}
	s.Stages = append(s.Stages,
		Stage{Name: "Redis outage", Duration: redis + 5*time.Second, Tracks: []Track{{{Do: Outage, Target: cluster.Redis, For: redis}}}},
		Stage{Name: "Kafka outage", Duration: kafka + 15*time.Second, Tracks: []Track{{{Do: Outage, Target: cluster.Kafka, For: kafka}}}},
		// The last stage, because the first server does not return.
		Stage{Name: "failover", Duration: 12 * time.Second, Tracks: []Track{failoverTrack()}},
	)
	return s
}

func failpointStage(times int) Stage {
	return Stage{
		Name: "failpoints", Duration: time.Duration(times) * 15 * time.Second,
		Tracks: []Track{
			{{Do: Crash, Target: cluster.Todo, Failpoints: todoFailpoints, Times: times}},
			{{Do: Crash, Target: cluster.Notification, Failpoints: notificationFailpoints, Times: times}},
			{{Do: Crash, Target: cluster.Stats, Failpoints: consumerFailpoints, Times: times}},
		},
	}
}

func networkStage() Stage {
	const rest = time.Second
	harms := func(server string) Track {
		return Track{
			{Do: Delay, Target: server, For: 2 * time.Second, Every: rest},
			{Do: Stall, Target: server, For: 2 * time.Second, Every: rest},
			{Do: DropResponses, Target: server, Times: 3, Every: rest},
			{Do: Cut, Target: server, Times: 3, Every: rest},
		}
	}
	stage := Stage{Name: "links", Duration: 15 * time.Second, Tracks: []Track{{{Do: Poison}, {Do: UndecodableBatch}}}}
	for _, server := range cluster.Servers {
		stage.Tracks = append(stage.Tracks, harms(server))
	}
	return stage
}

func killStage() Stage {
	track := Track{}
	for _, target := range []string{
		cluster.Todo, cluster.Notification, cluster.Stats, cluster.RedisCache, cluster.Redis, cluster.Postgres, cluster.Kafka,
	} {
		track = append(track, Step{Do: Kill, Target: target})
	}
	return Stage{Name: "kills", Duration: 30 * time.Second, Tracks: []Track{track}}
}

// pastSessionTimeout exceeds the session timeout of the consumer groups, which is 10 s.
const pastSessionTimeout = 12 * time.Second

// freezeStage freezes services only: no other fault may delay the replica that takes over the
// relay.
func freezeStage(sender time.Duration) Stage {
	return Stage{Name: "freezes", Duration: sender + 3*time.Second, Tracks: []Track{
		{{Do: Freeze, Target: ActiveRelay, For: sender}},
		{{Do: Freeze, Target: cluster.Notification + "-1", For: pastSessionTimeout}},
		{{Do: Freeze, Target: cluster.Stats + "-2", For: pastSessionTimeout}},
	}}
}

// frozenServersStage freezes pairs of servers that no request needs together.
func frozenServersStage() Stage {
	return Stage{Name: "frozen servers", Duration: 2*pastSessionTimeout + 4*time.Second, Tracks: []Track{
		{{Do: Freeze, Target: cluster.Kafka, For: pastSessionTimeout}, {Do: Freeze, Target: cluster.Redis, For: pastSessionTimeout}},
		{{Do: Freeze, Target: cluster.RedisCache, For: pastSessionTimeout}, {Do: Freeze, Target: cluster.Postgres, For: pastSessionTimeout}},
	}}
}

// rebalanceStage rebalances the groups every 2 s, and flushes both Redis servers meanwhile.
func rebalanceStage() Stage {
	shares := func(service string) Track {
		return Track{{Do: Rebalance, Target: service, Times: 10, Every: 2 * time.Second}}
	}
	return Stage{Name: "rebalances", Duration: 30 * time.Second, Tracks: []Track{
		shares(cluster.Notification), shares(cluster.Stats),
		{
			{Do: Pause, For: 4 * time.Second},
			{Do: Flush, Target: cluster.RedisCache, Every: 4 * time.Second},
			{Do: Flush, Target: cluster.Redis},
		},
	}}
}
