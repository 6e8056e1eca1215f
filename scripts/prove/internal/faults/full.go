package faults

import (
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

// long is from how many changes on a run takes its time.
const long = 100_000

// full is every fault, once or more: for 20,000 changes within some minutes, for many more at length.
func full(changes int) Scenario {
	s := Scenario{Name: "full", Says: "every fault", Changes: 20_000, Copies: 0.1, Again: true, Replaced: true}
	crashes, rounds := 3, 1
	frozen, redis, kafka := 24*time.Second, 20*time.Second, 20*time.Second
	if changes >= long {
		crashes, rounds = 20, 5
		frozen, redis, kafka = time.Minute, 5*time.Minute, 10*time.Minute
	}
	s.Stages = []Stage{
		{Name: "calm", Takes: 3 * time.Second, Tracks: []Track{{{Do: Calm, For: 3 * time.Second}}}},
		crashing(crashes),
	}
	for range rounds {
		s.Stages = append(s.Stages, links(), kills(), freezes(frozen), frozenServers(), coming())
	}
	s.Stages = append(s.Stages,
		Stage{Name: "Redis is away", Takes: redis + 5*time.Second, Tracks: []Track{{{Do: Outage, Target: cluster.Redis, For: redis}}}},
		Stage{Name: "Kafka is away", Takes: kafka + 15*time.Second, Tracks: []Track{{{Do: Outage, Target: cluster.Kafka, For: kafka}}}},
		// The last one, because the server that was there before does not come back.
		Stage{Name: "failover", Takes: 12 * time.Second, Tracks: []Track{failover()}},
	)
	return s
}

func crashing(times int) Stage {
	return Stage{
		Name: "crash points", Takes: time.Duration(times) * 15 * time.Second,
		Tracks: []Track{
			{{Do: Crash, Target: cluster.Todo, Points: todoPoints, Times: times}},
			{{Do: Crash, Target: cluster.Notification, Points: notificationPoints, Times: times}},
			{{Do: Crash, Target: cluster.Stats, Points: consumerPoints, Times: times}},
		},
	}
}

func links() Stage {
	const rest = time.Second
	harms := func(server string) Track {
		return Track{
			{Do: Delay, Target: server, For: 2 * time.Second, Every: rest},
			{Do: Stall, Target: server, For: 2 * time.Second, Every: rest},
			{Do: DropAnswers, Target: server, Times: 3, Every: rest},
			{Do: Cut, Target: server, Times: 3, Every: rest},
		}
	}
	stage := Stage{Name: "links", Takes: 15 * time.Second, Tracks: []Track{{{Do: Poison}, {Do: Undecodable}}}}
	for _, server := range cluster.Servers {
		stage.Tracks = append(stage.Tracks, harms(server))
	}
	return stage
}

func kills() Stage {
	track := Track{}
	for _, target := range []string{
		cluster.Todo, cluster.Notification, cluster.Stats, cluster.RedisCache, cluster.Redis, cluster.Postgres, cluster.Kafka,
	} {
		track = append(track, Step{Do: Kill, Target: target})
	}
	return Stage{Name: "kills", Takes: 30 * time.Second, Tracks: []Track{track}}
}

// past is longer than the groups' session timeout, which is 10 s.
const past = 12 * time.Second

// freezes are of the services. Nothing else happens that a replica of todo-service, which is to take
// over, would have to wait for.
func freezes(sender time.Duration) Stage {
	return Stage{Name: "freezes", Takes: sender + 3*time.Second, Tracks: []Track{
		{{Do: Freeze, Target: Sender, For: sender}},
		{{Do: Freeze, Target: cluster.Notification + "-1", For: past}},
		{{Do: Freeze, Target: cluster.Stats + "-2", For: past}},
	}}
}

// frozenServers are two at a time: those that no request needs both of.
func frozenServers() Stage {
	return Stage{Name: "frozen servers", Takes: 2*past + 4*time.Second, Tracks: []Track{
		{{Do: Freeze, Target: cluster.Kafka, For: past}, {Do: Freeze, Target: cluster.Redis, For: past}},
		{{Do: Freeze, Target: cluster.RedisCache, For: past}, {Do: Freeze, Target: cluster.Postgres, For: past}},
	}}
}

// coming has the groups share their work anew every 2 s, while both Redis servers are emptied.
func coming() Stage {
	shares := func(service string) Track {
		return Track{{Do: Rebalance, Target: service, Times: 10, Every: 2 * time.Second}}
	}
	return Stage{Name: "rebalances", Takes: 30 * time.Second, Tracks: []Track{
		shares(cluster.Notification), shares(cluster.Stats),
		{
			{Do: Calm, For: 4 * time.Second},
			{Do: Flush, Target: cluster.RedisCache, Every: 4 * time.Second},
			{Do: Flush, Target: cluster.Redis},
		},
	}}
}
