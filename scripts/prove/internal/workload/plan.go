package workload

import (
	"math/rand/v2"
	"strconv"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// How the calls are shared out, of a hundred.
const (
	creations   = 25
	changes     = 25
	completions = 30
	reopenings  = 15 // and what is left deletes

	onHot        = 30 // of the calls that a hot task can get
	conditional  = 12 // name the version that the task must have
	stale        = 40 // of these: name one that has passed
	abandonments = 1  // the client hangs up on its first try
)

// abandonWithin is how soon a client hangs up that does: about as long as an
// answer takes, so that some changes are made and some are not.
const abandonWithin = 12 * time.Millisecond

// condition is what a call demands of the task's version.
type condition int

const (
	anyVersion condition = iota
	current
	outdated
)

// plan is what the seed says of one call. Which of its tasks a client then takes
// depends on the answers so far.
type plan struct {
	operation history.Operation
	grpc      bool
	hot       int // which hot task, or -1: one of the client's own
	pick      int // which of its own
	title     string
	priority  int32
	condition condition
	abandon   time.Duration // 0: waits for the answer
	patch     bool          // completes by the general way of changing a task
	random    *rand.Rand    // for what the tries need
}

// planOf returns the plan of a call: the same for the same seed and number. The
// first calls create the hot tasks.
func planOf(seed int64, number, hot int) plan {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(number)))
	percent := func(n int) bool { return random.IntN(100) < n }
	p := plan{
		operation: operation(random.IntN(100)), grpc: percent(50), hot: -1, pick: random.Int(),
		title: title(random, number), priority: random.Int32N(101),
		patch: percent(25), random: random,
	}
	if percent(abandonments) {
		p.abandon = 1 + time.Duration(random.Int64N(int64(abandonWithin)))
	}
	if percent(conditional) {
		p.condition = current
		if percent(stale) {
			p.condition = outdated
		}
	}
	if hot > 0 && percent(onHot) && p.operation != history.Create && p.operation != history.Delete {
		p.hot = random.IntN(hot)
	}
	if number < hot {
		p.operation, p.hot, p.abandon = history.Create, number, 0
	}
	if p.operation == history.Create {
		p.condition = anyVersion
	}
	return p
}

func operation(n int) history.Operation {
	switch {
	case n < creations:
		return history.Create
	case n < creations+changes:
		return history.Change
	case n < creations+changes+completions:
		return history.Complete
	case n < creations+changes+completions+reopenings:
		return history.Reopen
	}
	return history.Delete
}

// odd is what titles may contain and programs stumble over.
var odd = []string{
	`"quoted" \ and \n not a newline`, `<b>&amp;</b>`, `'; DROP TABLE tasks; --`, `%s %d %00`, `naïve façade`, `漢字かな交じり文`,
	"👩\u200d👩\u200d👧 and 🏴", "مرحبا \u200f(rtl)", "e\u0301 and \u212b", "line\u2028separator", `{"json":[1,2]}`, "{{.}} ${HOME} `id`",
}

// title names the call, so that the change can be found in the history.
func title(random *rand.Rand, number int) string {
	name := "Call " + strconv.Itoa(number)
	if random.IntN(20) == 0 {
		name += " " + odd[random.IntN(len(odd))]
	}
	return name
}

// key is the Idempotency-Key of a creation.
func key(seed int64, number int) string {
	return "prove-" + strconv.FormatInt(seed, 10) + "-" + strconv.Itoa(number)
}
