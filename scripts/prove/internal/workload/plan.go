package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// operations has each operation as often as it is drawn in a hundred calls.
var operations = slices.Concat(
	slices.Repeat([]history.Operation{history.Create}, 25),
	slices.Repeat([]history.Operation{history.Update}, 25),
	slices.Repeat([]history.Operation{history.Complete}, 30),
	slices.Repeat([]history.Operation{history.Reopen}, 15),
	slices.Repeat([]history.Operation{history.Delete}, 5),
)

// The distribution of calls, in percent.
const (
	hotPercent         = 30 // of the calls that may target a hot task
	conditionalPercent = 12 // of the calls: they name an expected version
	outdatedPercent    = 40 // of these: the version is outdated
	cancelPercent      = 1  // of the calls: the client cancels its first attempt
)

// maxCancelDelay is the maximum time until a client cancels. It is about the latency of a
// response, so some of these changes are made and some are not.
const maxCancelDelay = 12 * time.Millisecond

// plan is the part of a call that the seed determines. The task depends on earlier responses.
type plan struct {
	user        int    // index
	key         string // Idempotency-Key of a creation: the other users have a call each with the same key
	operation   history.Operation
	transport   string
	hot         int // index of the hot task, or -1 for one of the client's own
	pick        int // selects one of the client's own tasks
	title       string
	priority    int32
	conditional bool          // names an expected version
	outdated    int64         // how far that is behind the task's
	cancelAfter time.Duration // 0 for never
	usePatch    bool          // completes by an update
	random      *rand.Rand    // for the attempts
}

// newPlan returns the plan of a call; it depends on the arguments alone. The first calls create the
// hot tasks, a multiple of the number of users.
func newPlan(seed int64, number, hot, users int) plan {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(number)))
	percent := func(n int) bool { return random.IntN(100) < n }
	p := plan{
		user: number % users, key: fmt.Sprintf("prove-%d-%d", seed, number/users), operation: operations[random.IntN(len(operations))], transport: "http",
		hot: -1, pick: random.Int(), title: newTitle(random, number), priority: random.Int32N(101),
		usePatch: percent(25), random: random,
	}
	if percent(50) {
		p.transport = "grpc"
	}
	if percent(cancelPercent) {
		p.cancelAfter = 1 + time.Duration(random.Int64N(int64(maxCancelDelay)))
	}
	p.conditional = percent(conditionalPercent)
	if percent(outdatedPercent) {
		p.outdated = 1
	}
	if hot > 0 && percent(hotPercent) && p.operation != history.Create && p.operation != history.Delete {
		p.hot = random.IntN(hot)
		p.hot += p.user - p.hot%users // one of the user's own
	}
	if number < hot {
		p.operation, p.hot, p.cancelAfter = history.Create, number, 0
	}
	return p
}

// oddTitles are texts that programs often mishandle.
var oddTitles = []string{
	`"quoted" \ and \n not a newline`, `<b>&amp;</b>`, `'; DROP TABLE tasks; --`, `%s %d %00`, `naïve façade`, `漢字かな交じり文`,
	"👩\u200d👩\u200d👧 and 🏴", "مرحبا \u200f(rtl)", "e\u0301 and \u212b", "line\u2028separator", `{"json":[1,2]}`, "{{.}} ${HOME} `id`",
}

// newTitle returns a title with the call's number, so that the checker can match its event.
func newTitle(random *rand.Rand, number int) string {
	name := "Call " + strconv.Itoa(number)
	if random.IntN(20) == 0 {
		name += " " + oddTitles[random.IntN(len(oddTitles))]
	}
	return name
}
