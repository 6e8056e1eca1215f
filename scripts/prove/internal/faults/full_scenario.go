package faults

import (
	"slices"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

// longRunChanges is the number of changes from which on a run uses long faults and many rounds.
const longRunChanges = 100_000

// fullScenario has every fault at least once: in some minutes for 20,000 changes, in about an
// hour for 200,000.
func fullScenario(changes int) Scenario {
	s := Scenario{Name: "full", Description: "every fault", Changes: 20_000, CopyFraction: 0.1, Readers: 12, SignIn: true, Replay: true, ReplaceTopic: true}
	crashes, rounds := 3, 1
	frozen, redis, kafka := 24*time.Second, 20*time.Second, 20*time.Second
	if changes >= longRunChanges {
		crashes, rounds = 20, 5
		frozen, redis, kafka = time.Minute, 5*time.Minute, 10*time.Minute
	}
	calm := newStage("calm", 3*time.Second, Track{{Do: Pause, For: 3 * time.Second}})
	s.Stages = []Stage{calm, failpointStage(crashes)}
	for range rounds {
		s.Stages = append(s.Stages, networkStage(), killStage(), freezeStage(frozen), frozenServersStage(), rebalanceStage())
	}
	s.Stages = append(s.Stages,
		redisOutageStage(redis),
		newStage("Kafka outage", kafka+15*time.Second, Track{{Do: Outage, Target: cluster.Kafka, For: kafka}}),
		// The last stage, because the first server does not return.
		newStage("failover", 12*time.Second, failoverTrack),
	)
	return s
}

func failpointStage(times int) Stage {
	consumer := append([]string{deadLetterFailpoint}, effectFailpoints...)
	return newStage("failpoints", time.Duration(times)*15*time.Second,
		Track{{Do: Crash, Target: cluster.Todo, Failpoints: todoFailpoints, Times: times}},
		Track{{Do: Crash, Target: cluster.Notification, Failpoints: slices.Concat(sendFailpoints, consumer), Times: times}},
		Track{{Do: Crash, Target: cluster.Stats, Failpoints: consumer, Times: times}},
	)
}

func networkStage() Stage {
	const rest = time.Second
	stage := newStage("links", 15*time.Second, Track{{Do: Poison}, {Do: UndecodableBatch}})
	for _, server := range cluster.Servers {
		stage.Tracks = append(stage.Tracks, Track{
			{Do: Delay, Target: server, For: 2 * time.Second, Every: rest},
			{Do: Stall, Target: server, For: 2 * time.Second, Every: rest},
			{Do: DropResponses, Target: server, Times: 3, Every: rest},
			{Do: Cut, Target: server, Times: 3, Every: rest},
		})
	}
	return stage
}

func killStage() Stage {
	var track Track
	for _, target := range []string{
		cluster.Todo, cluster.Notification, cluster.Stats, cluster.RedisCache, cluster.Redis, cluster.Postgres, cluster.Kafka,
	} {
		track = append(track, Step{Do: Kill, Target: target})
	}
	return newStage("kills", 30*time.Second, track)
}

// redisOutageStage takes Redis away while events wait for Kafka. Without Redis no signed-in request
// is admitted, so these events are what the consumers meet the outage with.
func redisOutageStage(redis time.Duration) Stage {
	return newStage("Redis outage", redis+8*time.Second,
		Track{{Do: Stall, Target: cluster.Kafka, For: 4 * time.Second}},
		Track{{Do: Pause, For: 2 * time.Second}, {Do: Outage, Target: cluster.Redis, For: redis}},
	)
}

// pastSessionTimeout exceeds the session timeout of the consumer groups, which is 10 s.
const pastSessionTimeout = 12 * time.Second

// freezeStage freezes services only: no other fault may delay the replica that takes over the
// relay.
func freezeStage(sender time.Duration) Stage {
	return newStage("freezes", sender+3*time.Second,
		Track{{Do: Freeze, Target: ActiveRelay, For: sender}},
		Track{{Do: Freeze, Target: cluster.Notification + "-1", For: pastSessionTimeout}},
		Track{{Do: Freeze, Target: cluster.Stats + "-2", For: pastSessionTimeout}},
	)
}

// frozenServersStage freezes pairs of servers that no request needs together.
func frozenServersStage() Stage {
	freeze := func(server string) Step { return Step{Do: Freeze, Target: server, For: pastSessionTimeout} }
	return newStage("frozen servers", 2*pastSessionTimeout+4*time.Second,
		Track{freeze(cluster.Kafka), freeze(cluster.Redis)},
		Track{freeze(cluster.RedisCache), freeze(cluster.Postgres)},
	)
}

// rebalanceStage rebalances the groups every 2 s, and flushes both Redis servers meanwhile.
func rebalanceStage() Stage {
	return newStage("rebalances", 30*time.Second,
		Track{{Do: Rebalance, Target: cluster.Notification, Times: 10, Every: 2 * time.Second}},
		Track{{Do: Rebalance, Target: cluster.Stats, Times: 10, Every: 2 * time.Second}},
		Track{
			{Do: Pause, For: 4 * time.Second},
			{Do: Flush, Target: cluster.RedisCache, Every: 4 * time.Second},
			{Do: Flush, Target: cluster.Redis},
		},
	)
}
