package deadletter_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each mistake is told in one line that says what, why and what to try, and
// nothing is done.
func TestAMistakeIsOneLineAndDoesNothing(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(w env) {
		other := withHeader(w.deadLetter(1, "k", "v"), "consumer-group", w.group("others"))
		lost := withHeader(w.deadLetter(2, "lost", "v"), "original-topic", w.topic+"-gone")
		w.send(w.deadLetter(0, "k", "v"), other, lost, &kgo.Record{Topic: w.dlq, Value: []byte("no letter")})
		for args, want := range map[string]string{
			"list --group nobody": `there is no consumer group "nobody", and no dead letter of it: groups with dead letters are ` +
				w.group("others") + ", " + w.group("readers"),
			"replay --all --group nobody":  `there is no consumer group "nobody"`,
			"list --since yesterday":       `--since "yesterday" is no time: give one such as 2026-01-15T10:00:00Z, or how long ago, such as 2h30m`,
			"replay --until -2h":           `--until "-2h" is no time`,
			"list --since 1h --until 2h":   `--since 1h is after --until 2h: no time is between them`,
			"list --output yaml":           `it is table or json`,
			"list 0:0":                     `dlq list takes no "0:0": give a filter, or see dlq show`,
			"list --colour":                `unknown flag: --colour`,
			"look":                         `takes no "look"`,
			"show":                         `dlq show takes one place, such as 0:17, as dlq list shows it`,
			"show 0:0 0:1":                 `dlq show takes one place`,
			"show first":                   `"first" is no place: give <partition>:<offset>, such as 0:17, as dlq list shows it`,
			"show 0:-1":                    `"0:-1" is no place`,
			"show 0:1:2":                   `"0:1:2" is no place`,
			"show 0:99":                    `there is no dead letter at 0:99: dlq list shows where they are`,
			"show 99:0":                    `there is no dead letter at 99:0`,
			"replay":                       `this would replay every dead letter of group "` + w.group("readers") + `": say which, by places or filters, or --all`,
			"replay 0:0 1:99":              `there is no dead letter at 1:99`,
			"replay 0:0 0:1":               `the dead letter at 0:1 is of group "` + w.group("others") + `", not of "` + w.group("readers") + `": name it with --group`,
			"replay 0:0 0:3":               `the record at 0:3 is no dead letter, it does not say whose it is: dlq show 0:3 shows it`,
			"replay 0":                     `"0" is no place`,
			"replay --all --rate 0":        `--rate 0 is no rate: give how many records per second, more than 0`,
			"replay --all --rate NaN":      `--rate NaN is no rate`,
			"replay --all --rate fast":     `invalid argument "fast" for "--rate" flag`,
			"replay --all --max-replays 0": `--max-replays 0 would replay nothing: give 1 or more`,
		} {
			said := w.run(strings.Fields(args)...)
			if said.status != 2 || !strings.HasPrefix(said.notes, "service: ") || !strings.Contains(said.notes, want) ||
				strings.Count(said.notes, "\n") != 1 || said.stdout != "" {
				w.Errorf("%s: %+v, want %q", args, said, want)
			}
		}
		if got := w.readTopic(w.topic); len(got) != 0 {
			w.Errorf("%d records were replayed", len(got))
		}
	})
}

func TestAKafkaThatIsAwayIsOneLine(t *testing.T) {
	t.Parallel()
	for args, away := range map[string]func(w *env){
		"list": func(w *env) { w.fake.Close() },
		"replay --all": func(w *env) { // frozen
			w.fake.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				w.fake.KeepControl()
				return nil, nil, true
			})
		},
		"show 0:0": func(w *env) { // another program, which never answers
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				w.Fatal(err)
			}
			w.Cleanup(func() { listener.Close() })
			w.brokers = []string{listener.Addr().String()}
		},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			w := newInProcessEnv(t)
			w.send(w.deadLetter(0, "k", "v"))
			away(&w)
			begun := time.Now()
			said := w.run(strings.Fields(args)...)
			if took := time.Since(begun); said.status != 2 || took > 10*time.Second || strings.Count(said.notes, "\n") != 1 ||
				!strings.Contains(said.notes, "no answer from Kafka at "+w.brokers[0]) ||
				!strings.HasSuffix(said.notes, "; is it running, and does the setting kafka.brokers name it?\n") {
				t.Errorf("after %v: %+v", took, said)
			}
		})
	}
}

func TestAMissingDeadLetterTopicIsOneLine(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(w env) {
		w.dlq += "-none"
		for _, args := range []string{"list", "show 0:0", "replay --all"} {
			said := w.run(strings.Fields(args)...)
			want := `service: topic "` + w.dlq + `" does not exist: create it, or name another Kafka in the setting kafka.brokers` + "\n"
			if said.status != 2 || said.notes != want {
				t.Errorf("%s: %+v", args, said)
			}
		}
	})
}

// A Kafka that goes away in the middle is no mistake of the caller's.
func TestAKafkaThatGoesAwayMeanwhileSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	w := newInProcessEnv(t)
	w.send(w.deadLetter(0, "k", "1"), w.deadLetter(1, "k", "2"), w.deadLetter(2, "k", "3"))
	out, notes := &interrupter{text: "replayed to", left: 2, cancel: w.fake.Close}, &strings.Builder{}
	status := w.runTo(w.timeoutContext(), out, notes, "replay", "--all")
	if said := notes.String(); status != 1 || !strings.HasPrefix(said, "service: replayed 2, skipped 0: ") || strings.Count(said, "\n") != 1 ||
		!strings.Contains(said, "and then: the dead letter at 0:2 could not be written to topic ") || !strings.HasSuffix(said, "; run it again for the rest\n") {
		t.Errorf("status %d: %s", status, said)
	}
}
