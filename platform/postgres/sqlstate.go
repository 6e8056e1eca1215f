package postgres

import (
	"errors"

	"github.com/lib/pq"
)

// meaning is what an answer of the server says about the statement and its session.
type meaning struct {
	// passes: the same statement may succeed later.
	passes bool
	// condemns: the session keeps the state that made the statement fail.
	condemns bool
	// elsewhere: nothing was executed, and another session may execute it.
	elsewhere bool
	// shared: a new session may well fail likewise, because of the server.
	shared bool
	// unsettled: the answer may come from a pooler, or leave open whether the statement
	// was carried out.
	unsettled bool
}

// meanings has SQLSTATE codes and, for the codes that it lacks, their classes. What is
// in neither is a defect or a refusal of the data: it does not pass.
var meanings = map[string]meaning{
	"08":         {passes: true, condemns: true, unsettled: true},               // connection exception; what poolers answer
	"25":         {passes: true, condemns: true},                                // transaction state
	readOnlyCode: {passes: true, condemns: true, elsewhere: true, shared: true}, // read-only: a standby, or a session that is told so
	"26":         {passes: true, condemns: true, elsewhere: true},               // no such prepared statement
	"34":         {passes: true, condemns: true, elsewhere: true},               // no such portal
	"42P05":      {passes: true, condemns: true, elsewhere: true},               // a prepared statement of this name is there already
	"40":         {passes: true},                                                // rolled back: serialization failure, deadlock
	"40003":      {passes: true, unsettled: true},                               // completion unknown
	"53":         {passes: true},                                                // connections, memory or disk are used up
	"55":         {passes: true},                                                // locked, in use, not in the state that is needed
	"57":         {passes: true, unsettled: true},                               // shut down, crashed, starting up
	"57014":      {passes: true},                                                // canceled: also what a context's end becomes on the server
	"58":         {passes: true, condemns: true, shared: true, unsettled: true}, // the system around the server
	"72":         {passes: true},                                                // the snapshot is too old
	"XX":         {condemns: true, shared: true, unsettled: true},               // the server's own trouble
}

// stalePlan is of a prepared statement whose result has other columns since somebody
// altered a table. Its code, 0A000, is shared by whatever PostgreSQL does not support;
// the routine is what tells, as the message may be in any language.
var stalePlan = meaning{passes: true, condemns: true, elsewhere: true}

func meaningOf(answer *pq.Error) meaning {
	code := string(answer.Code)
	if code == "0A000" && answer.Routine == "RevalidateCachedQuery" {
		return stalePlan
	}
	if m, ok := meanings[code]; ok {
		return m
	}
	return meanings[code[:min(2, len(code))]]
}

// IsContended says that the server rolled a statement back because of another
// transaction (SQLSTATE class 40): the same statement may be executed at once.
func IsContended(err error) bool {
	var answer *pq.Error
	return errors.As(err, &answer) && len(answer.Code) == 5 && answer.Code[:2] == "40" && !meaningOf(answer).unsettled
}

// IsReadOnly says that a statement was refused because the server takes no writes.
func IsReadOnly(err error) bool {
	var answer *pq.Error
	return errors.As(err, &answer) && answer.Code == readOnlyCode || errors.Is(err, errReadOnly)
}

const readOnlyCode = "25006"

// changedNothing says that an answer is the server's own word that nothing is left of the
// statement.
func changedNothing(answer *pq.Error) bool { return !answer.Fatal() && !meaningOf(answer).unsettled }
