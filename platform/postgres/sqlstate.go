package postgres

import (
	"errors"

	"github.com/lib/pq"
)

// errorClass says what an error response of the server means for the statement and its session.
type errorClass struct {
	transient   bool // the same statement may succeed later
	endsSession bool // later statements of the session would fail in the same way
	notExecuted bool // the statement was not executed; another session may execute it
	serverWide  bool // the cause is in the server, so that a new session may fail in the same way
	ambiguous   bool // the statement may have been executed, or the response may be a pooler's
}

// errorClasses maps SQLSTATE codes and, for codes that are missing, their classes. An error in neither
// is permanent: a defect of the service, or data that violates a constraint.
var errorClasses = map[string]errorClass{
	"08":         {transient: true, endsSession: true, ambiguous: true},                     // connection exception; also the code of poolers
	"25":         {transient: true, endsSession: true},                                      // transaction state
	readOnlyCode: {transient: true, endsSession: true, notExecuted: true, serverWide: true}, // read-only: a standby, or a read-only session
	"26":         {transient: true, endsSession: true, notExecuted: true},                   // no such prepared statement
	"34":         {transient: true, endsSession: true, notExecuted: true},                   // no such portal
	"42P05":      {transient: true, endsSession: true, notExecuted: true},                   // a prepared statement of this name exists
	"40":         {transient: true},                                                         // rolled back: serialization failure, deadlock
	"40003":      {transient: true, ambiguous: true},                                        // completion unknown
	"53":         {transient: true},                                                         // out of connections, memory or disk space
	"55":         {transient: true},                                                         // locked, in use, or in the wrong state
	"57":         {transient: true, ambiguous: true},                                        // shut down, crashed, starting up
	"57014":      {transient: true},                                                         // canceled, also by the end of a context
	"58":         {transient: true, endsSession: true, serverWide: true, ambiguous: true},   // I/O and other system errors
	"72":         {transient: true},                                                         // the snapshot is too old
	"XX":         {endsSession: true, serverWide: true, ambiguous: true},                    // internal error of the server
}

// stalePlan is the class of a prepared statement whose result columns a migration changed.
var stalePlan = errorClass{transient: true, endsSession: true, notExecuted: true}

func classOf(response *pq.Error) errorClass {
	code := string(response.Code)
	// 0A000 is also the code of every unsupported feature. The message depends on the server's language, the
	// routine does not.
	if code == "0A000" && response.Routine == "RevalidateCachedQuery" {
		return stalePlan
	}
	if m, ok := errorClasses[code]; ok {
		return m
	}
	return errorClasses[code[:min(2, len(code))]]
}

// IsContended reports whether the server rolled a statement back because of another transaction
// (SQLSTATE class 40). The caller may execute the same statement again at once.
func IsContended(err error) bool {
	var response *pq.Error
	return errors.As(err, &response) && len(response.Code) == 5 && response.Code[:2] == "40" && !classOf(response).ambiguous
}

// IsReadOnly reports whether a statement failed because the server or the session is read-only.
func IsReadOnly(err error) bool {
	var response *pq.Error
	return errors.As(err, &response) && response.Code == readOnlyCode || errors.Is(err, errReadOnly)
}

const readOnlyCode = "25006"
