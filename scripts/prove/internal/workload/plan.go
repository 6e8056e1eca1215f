package workload

import (
	"math/rand/v2"
	"strconv"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// How the calls are shared out, of a hundred.
const (
	createPercent   = 25
	updatePercent   = 25
	completePercent = 30
	reopenPercent   = 15 // and what is left deletes

	hotPercent         = 30 // of the calls that a hot task can get
	conditionalPercent = 12 // name the version that the task must have
	outdatedPercent    = 40 // of these: name one that has passed
	cancelPercent      = 1  // the client hangs up on its first try
)

// maxCancelDelay is how soon a client hangs up that does: about as long as an
// answer takes, so that some changes are made and some are not.
const maxCancelDelay = 12 * time.Millisecond

// condition is what a call demands of the task's version.
type condition int

const (
	anyVersion condition = iota
	currentVersion
	outdatedVersion
)

// plan is what the seed says of one call. Which of its tasks a client then takes
// depends on the answers so far.
type plan struct {
	operation   history.Operation
	useGRPC     bool
	hot         int // which hot task, or -1: one of the client's own
	pick        int // which of its own
	title       string
	priority    int32
	condition   condition
	cancelAfter time.Duration // 0: waits for the answer
	usePatch    bool          // completes by the general way of changing a task
	random      *rand.Rand    // for what the tries need
}

// newPlan returns the plan of a call: the same for the same seed and number. The
// first calls create the hot tasks.
func newPlan(seed int64, number, hot int) plan {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(number)))
	percent := func(n int) bool { return random.IntN(100) < n }
	p := plan{
		operation: drawOperation(random.IntN(100)), useGRPC: percent(50), hot: -1, pick: random.Int(),
		title: newTitle(random, number), priority: random.Int32N(101),
		usePatch: percent(25), random: random,
	}
	if percent(cancelPercent) {
		p.cancelAfter = 1 + time.Duration(random.Int64N(int64(maxCancelDelay)))
	}
	if percent(conditionalPercent) {
		p.condition = currentVersion
		if percent(outdatedPercent) {
			p.condition = outdatedVersion
		}
	}
	if hot > 0 && percent(hotPercent) && p.operation != history.Create && p.operation != history.Delete {
		p.hot = random.IntN(hot)
	}
	if number < hot {
		p.operation, p.hot, p.cancelAfter = history.Create, number, 0
	}
	if p.operation == history.Create {
		p.condition = anyVersion
	}
	return p
}

func drawOperation(n int) history.Operation {
	switch {
	case n < createPercent:
		return history.Create
	case n < createPercent+updatePercent:
		return history.Update
	case n < createPercent+updatePercent+completePercent:
		return history.Complete
	case n < createPercent+updatePercent+completePercent+reopenPercent:
		return history.Reopen
	}
	return history.Delete
}

// oddTitles is what titles may contain and programs stumble over.
var oddTitles = []string{
	`"quoted" \ and \n not a newline`, `<b>&amp;</b>`, `'; DROP TABLE tasks; --`, `%s %d %00`, `naïve façade`, `漢字かな交じり文`,
	"👩\u200d👩\u200d👧 and 🏴", "مرحبا \u200f(rtl)", "e\u0301 and \u212b", "line\u2028separator", `{"json":[1,2]}`, "{{.}} ${HOME} `id`",
}

// newTitle names the call, so that the change can be found in the history.
func newTitle(random *rand.Rand, number int) string {
	name := "Call " + strconv.Itoa(number)
	if random.IntN(20) == 0 {
		name += " " + oddTitles[random.IntN(len(oddTitles))]
	}
	return name
}

// idempotencyKey is the Idempotency-Key of a creation.
func idempotencyKey(seed int64, number int) string {
	return "prove-" + strconv.FormatInt(seed, 10) + "-" + strconv.Itoa(number)
}
