// Package failpoint implements failpoints: named places in the code at which a test can kill the process. They exist
// only with the build tag failpoints; without it every call is empty. Unlike the rest of platform, this
// package names steps of the services, because it is the only list of all failpoints.
//
// With the tag, the environment arms one failpoint:
//
//	FAILPOINT=name:n    die, as by SIGKILL, at the n-th call of Hit with that name
//	FAILPOINT_LOG=file  first append a line to the file: the name, a space, and the second argument of Hit
package failpoint

// The failpoints, in the order in which a change passes them.
const (
	AfterCommit     = "after_commit_before_invalidate" // the task and its event are committed, the cached list is not invalidated
	AfterNumber     = "after_number_before_send"       // events have their sequence numbers, none is sent
	AfterProduce    = "after_produce_before_mark"      // Kafka acknowledged, the cursor has not moved
	AfterPublish    = "after_publish_before_mark"      // the live feed has the events, the cursor has not moved
	BeforeEffect    = "before_effect"                  // a consumer holds records that it has not processed
	AfterClaim      = "after_claim_before_send"        // a notification is claimed, not sent
	AfterSend       = "after_send_before_done"         // a notification is sent, its claim is not marked as done
	AfterEffect     = "after_effect_before_mark"       // the effect is stored, the group's offset has not moved
	AfterDeadLetter = "after_dead_letter_before_mark"  // the dead letter is acknowledged, the group's offset has not moved
)

// Poison values: a record whose value contains one makes its handler panic, or kills the process.
const (
	Panics = "failpoint: this record panics"
	Kills  = "failpoint: this record kills"
)
