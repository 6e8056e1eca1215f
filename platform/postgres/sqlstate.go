package postgres

import (
	"errors"

	"github.com/lib/pq"
)

// errorClass is what an answer of the server says about the statement and its session.
type errorClass struct {
	// transient: the same statement may succeed later.
	transient bool
	// endsSession: the session keeps the state that made the statement fail.
	endsSession bool
	// notExecuted: nothing was executed, and another session may execute it.
	notExecuted bool
	// serverWide: a new session may well fail likewise, because of the server.
	serverWide bool
	// ambiguous: the answer may come from a pooler, or leave open whether the statement
	// was carried out.
	ambiguous bool
}

// errorClasses has SQLSTATE codes and, for the codes that it lacks, their classes. What is
// in neither is a defect or a refusal of the data: it does not pass.
var errorClasses = map[string]errorClass{
	"08":         {transient: true, endsSession: true, ambiguous: true},                     // connection exception; what poolers answer
	"25":         {transient: true, endsSession: true},                                      // transaction state
	readOnlyCode: {transient: true, endsSession: true, notExecuted: true, serverWide: true}, // read-only: a standby, or a session that is told so
	"26":         {transient: true, endsSession: true, notExecuted: true},                   // no such prepared statement
	"34":         {transient: true, endsSession: true, notExecuted: true},                   // no such portal
	"42P05":      {transient: true, endsSession: true, notExecuted: true},                   // a prepared statement of this name is there already
	"40":         {transient: true},                                                         // rolled back: serialization failure, deadlock
	"40003":      {transient: true, ambiguous: true},                                        // completion unknown
	"53":         {transient: true},                                                         // connections, memory or disk are used up
	"55":         {transient: true},                                                         // locked, in use, not in the state that is needed
	"57":         {transient: true, ambiguous: true},                                        // shut down, crashed, starting up
	"57014":      {transient: true},                                                         // canceled: also what a context's end becomes on the server
	"58":         {transient: true, endsSession: true, serverWide: true, ambiguous: true},   // the system around the server
	"72":         {transient: true},                                                         // the snapshot is too old
	"XX":         {endsSession: true, serverWide: true, ambiguous: true},                    // the server's own trouble
}

// stalePlan is of a prepared statement whose result has other columns since somebody
// altered a table. Its code, 0A000, is shared by whatever PostgreSQL does not support;
// the routine is what tells, as the message may be in any language.
var stalePlan = errorClass{transient: true, endsSession: true, notExecuted: true}

func classOf(answer *pq.Error) errorClass {
	code := string(answer.Code)
	if code == "0A000" && answer.Routine == "RevalidateCachedQuery" {
		return stalePlan
	}
	if m, ok := errorClasses[code]; ok {
		return m
	}
	return errorClasses[code[:min(2, len(code))]]
}

// IsContended says that the server rolled a statement back because of another
// transaction (SQLSTATE class 40): the same statement may be executed at once.
func IsContended(err error) bool {
	var answer *pq.Error
	return errors.As(err, &answer) && len(answer.Code) == 5 && answer.Code[:2] == "40" && !classOf(answer).ambiguous
}

// IsReadOnly says that a statement was refused because the server takes no writes.
func IsReadOnly(err error) bool {
	var answer *pq.Error
	return errors.As(err, &answer) && answer.Code == readOnlyCode || errors.Is(err, errReadOnly)
}

const readOnlyCode = "25006"

// wasRolledBack says that an answer is the server's own word that nothing is left of the
// statement.
func wasRolledBack(answer *pq.Error) bool { return !answer.Fatal() && !classOf(answer).ambiguous }
