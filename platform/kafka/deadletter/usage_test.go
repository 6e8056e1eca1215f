package deadletter_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka/internal/brokertest"
)

func TestUsageErrorIsOneLineAndHasNoEffect(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		other := withHeader(e.deadLetter(1, "k", "v"), "consumer-group", e.Group("others"))
		lost := withHeader(e.deadLetter(2, "lost", "v"), "original-topic", e.Topic+"-gone")
		e.send(e.deadLetter(0, "k", "v"), other, lost, &kgo.Record{Topic: e.DLQ, Value: []byte("no dead letter")})
		for args, want := range map[string]string{
			"list --group unknown": `there is no consumer group "unknown", and no dead letter of it: groups with dead letters are ` +
				e.Group("others") + ", " + e.Group("readers"),
			"replay --all --group unknown": `there is no consumer group "unknown"`,
			"list --since yesterday":       `invalid argument "yesterday" for "--since" flag: it is no time: give one such as 2026-01-15T10:00:00Z, or how long ago, such as 2h30m`,
			"replay --until -2h":           `invalid argument "-2h" for "--until" flag: it is no time`,
			"list --since 2026-01-15T10:00:00Z --until 2026-01-15T09:00:00Z": `--since 2026-01-15T10:00:00Z is after --until 2026-01-15T09:00:00Z: no time is between them`,
			"list --output yaml":           `it is table or json`,
			"list 0:0":                     `dlq list takes no "0:0": give a filter, or see dlq show`,
			"list --colour":                `unknown flag: --colour`,
			"look":                         `takes no "look"`,
			"show":                         `"" is no place: give <partition>:<offset>, such as 0:17, as dlq list shows it`,
			"show 0:0 0:1":                 `"0:0 0:1" is no place`,
			"show first":                   `"first" is no place: give <partition>:<offset>, such as 0:17, as dlq list shows it`,
			"show 0:-1":                    `"0:-1" is no place`,
			"show 0:1:2":                   `"0:1:2" is no place`,
			"show 0:99":                    `there is no dead letter at 0:99: dlq list shows where they are`,
			"show 99:0":                    `there is no dead letter at 99:0`,
			"replay":                       `this would replay every dead letter of group "` + e.Group("readers") + `": select some by places or filters, or give --all`,
			"replay 0:0 1:99":              `there is no dead letter at 1:99`,
			"replay 0:0 0:1":               `the dead letter at 0:1 is of group "` + e.Group("others") + `", not of "` + e.Group("readers") + `": name it with --group`,
			"replay 0:0 0:3":               `the record at 0:3 is no dead letter, because it names no consumer group: dlq show 0:3 shows it`,
			"replay 0":                     `"0" is no place`,
			"replay --all --rate 0":        `--rate 0 is no rate: give how many records per second, more than 0`,
			"replay --all --rate NaN":      `--rate NaN is no rate`,
			"replay --all --rate fast":     `invalid argument "fast" for "--rate" flag`,
			"replay --all --max-replays 0": `--max-replays 0 would replay nothing: give 1 or more`,
		} {
			got := e.run(strings.Fields(args)...)
			if got.status != 2 || !strings.HasPrefix(got.stderr, "service: ") || !strings.Contains(got.stderr, want) ||
				strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
				e.Errorf("%s: %+v, want %q", args, got, want)
			}
		}
		if got := e.readTopic(e.Topic); len(got) != 0 {
			e.Errorf("%d records were replayed", len(got))
		}
	})
}

func TestUnreachableKafkaIsAOneLineError(t *testing.T) {
	t.Parallel()
	for args, disable := range map[string]func(e *env){
		"list": func(e *env) { e.Fake.Close() },
		"replay --all": func(e *env) { // frozen
			e.Fake.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				e.Fake.KeepControl()
				return nil, nil, true
			})
		},
		"show 0:0": func(e *env) { // another program, which never responds
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				e.Fatal(err)
			}
			e.Cleanup(func() { listener.Close() })
			e.Brokers = []string{listener.Addr().String()}
		},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			e := newInProcessEnv(t)
			e.send(e.deadLetter(0, "k", "v"))
			disable(&e)
			start := time.Now()
			got := e.run(strings.Fields(args)...)
			if took := time.Since(start); got.status != 2 || took > 10*time.Second || strings.Count(got.stderr, "\n") != 1 ||
				!strings.Contains(got.stderr, "no answer from Kafka at "+e.Brokers[0]) ||
				!strings.HasSuffix(got.stderr, "; is it running, and does the setting kafka.brokers name it?\n") {
				t.Errorf("after %v: %+v", took, got)
			}
		})
	}
}

func TestMissingDeadLetterTopicIsAOneLineError(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		e.DLQ += "-none"
		for _, args := range []string{"list", "show 0:0", "replay --all"} {
			got := e.run(strings.Fields(args)...)
			want := `service: topic "` + e.DLQ + `" does not exist: create it, or name another Kafka in the setting kafka.brokers` + "\n"
			if got.status != 2 || got.stderr != want {
				t.Errorf("%s: %+v", args, got)
			}
		}
	})
}

// An outage during a replay is a failure, not a usage error.
func TestReplaySaysHowManyItReplayedBeforeAnOutage(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	e.send(e.deadLetter(0, "k", "1"), e.deadLetter(1, "k", "2"), e.deadLetter(2, "k", "3"))
	out, stderr := &interrupter{text: "replayed to", remaining: 2, cancel: e.Fake.Close}, &strings.Builder{}
	status := e.runTo(brokertest.TimeoutContext(e.T), out, stderr, "replay", "--all")
	if got := stderr.String(); status != 1 || !strings.HasPrefix(got, "service: replayed 2, skipped 0: ") || strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, "then failed: the dead letter at 0:2 cannot be written to topic ") || !strings.HasSuffix(got, "; run it again for the rest\n") {
		t.Errorf("status %d: %s", status, got)
	}
}
