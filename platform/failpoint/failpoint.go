// Package failpoint names the places at which a process's death is most
// dangerous, so that a test can kill it right there. It is compiled in under the
// build tag failpoints only; without it every call is empty.
//
// With the tag, the environment decides:
//
//	FAILPOINT=name:n    die, as by SIGKILL, when the place of that name is reached for the n-th time
//	FAILPOINT_LOG=file  first append a line there: the name, a space, and what was in hand
package failpoint

// The places, in the order in which a change meets them.
const (
	AfterCommit     = "after_commit_before_invalidate" // the task and its event are written, the cached list is not dropped
	AfterNumber     = "after_number_before_send"       // events have their place in the log, none is sent
	AfterProduce    = "after_produce_before_mark"      // Kafka acknowledged, the cursor has not moved
	AfterPublish    = "after_publish_before_mark"      // the live feed has them, the cursor has not moved
	BeforeEffect    = "before_effect"                  // a consumer has records in hand
	AfterClaim      = "after_claim_before_send"        // a notification is claimed, not sent
	AfterSend       = "after_send_before_done"         // a notification is sent, its mark is not done
	AfterEffect     = "after_effect_before_mark"       // the effect is there, the group's offset is not
	AfterDeadLetter = "after_dead_letter_before_mark"  // the dead letter is acknowledged, the group's offset has not moved
)

// What a record's value contains that is to bring down its handler, or the
// handler's process.
const (
	Panics = "failpoint: this record panics"
	Kills  = "failpoint: this record kills"
)
