// Package history is the history of a run, as Jepsen uses the word: what the clients did and
// observed, what database, topics and webhook server hold, and which faults were injected. It has
// facts only and knows nothing of the services' code.
package history

import (
	"fmt"
	"slices"
	"time"
)

// Run is the history of one run, and the checker's whole input.
type Run struct {
	Seed      int64
	Changes   int // requested
	StartedAt time.Time
	EndedAt   time.Time // of the workload; the cluster quiesces later
	// CollectedAt is when the history was complete.
	CollectedAt time.Time

	Expected Expected

	Calls      []Call
	Reads      []ListRead
	Poison     []InjectedRecord
	Copies     []InjectedRecord // records of the topic that were written to it again
	Faults     []Fault
	Crashes    []Crash
	Exits      []ProcessExit
	Tasks      []Task          // SQL, by id
	Owners     map[int64]int64 // SQL: the user of each task that has one
	Keys       []Key           // SQL: the task of each Idempotency-Key
	Events     []Event         // SQL, by pos
	Topic      []Record
	DLQ        []Record
	Deliveries []Delivery
	Stats      []StatsReport // of each replica of stats-service, after quiescing
	Replay     Replay
	Memory     []MemorySample

	SignIns         []SignIn
	Sightings       []Sighting       // of each task, title and user, where the user was shown it
	ForeignRequests []ForeignRequest // those with a response
	UserReports     []UserReport     // of each user at each replica, after quiescing

	Released     string        // names the revision of the released version; "" if it did not run
	ServerErrors []ServerError // of all requests of the clients
	Shares       []Share       // of each replica, while both versions ran
}

// Expected is what the scenario sets out to do. A run in which it did not happen proves nothing.
type Expected struct {
	Faults           []ExpectedFault
	Failpoints       []string // names
	HitsPerFailpoint int      // crashes at each failpoint, with different work in flight
	Poison           []string // kinds
	CopyFraction     float64  // fraction of the events that is written to the topic again
	Replay           bool     // topic and dead letters are replayed at the end
	SignIn           bool     // the clients are users
	// Versions is the version that each replica must have run beside the others, by replica. If it
	// is not empty, no response may be a server error.
	Versions map[string]string
}

// The versions of a replica.
const (
	Released = "released"
	Working  = "working"
)

// ExpectedFault is a fault that must happen while work is in flight.
type ExpectedFault struct {
	Kind        string
	Target      string // a prefix if it ends in *
	MinDuration time.Duration
}

// Outcome is what a client knows about the effect of its call.
type Outcome string

// The outcomes; Jepsen calls them ok, fail and info.
const (
	Done    Outcome = "done"    // 2xx, OK
	Refused Outcome = "refused" // no effect: 404, 409, 412, 422, or the request was never sent
	Unknown Outcome = "unknown" // no response, or one that leaves it open
)

// Operation is what a client requests.
type Operation string

// The operations.
const (
	Create   Operation = "create"
	Update   Operation = "change" // of title or priority
	Complete Operation = "complete"
	Reopen   Operation = "reopen"
	Delete   Operation = "delete"
)

// Call is one logical change that a client requested, with all its attempts.
type Call struct {
	Number         int
	Client         int
	User           int64  // whose session the client used; 0 without sign-in
	Transport      string // "http" or "grpc"
	Replica        int    // that gave the last response
	Operation      Operation
	Key            string // Idempotency-Key of a creation
	TaskID         int64  // 0 while a creation has no response
	Title          string // requested title of a creation or update, unique in the run; else ""
	Priority       int32
	Tries          int  // admitted attempts; a change that may have been made is not repeated unless that is safe
	NotAdmitted    int  // attempts without effect: the session was not valid, or could not be checked
	ClientCanceled bool // the client canceled its first attempt before a response could arrive
	Began          time.Time
	Ended          time.Time
	Outcome        Outcome
	Status         string // of the last response, as the transport names it
	Version        int64  // shown in the response, 0 if none
	Done           bool   // shown in the response
}

// ServerError is a response with which a replica reports that it failed: an HTTP status of 500 or more, or a gRPC
// status that corresponds to one. A request without a response is none.
type ServerError struct {
	At      time.Time
	Replica int
	Request string // "http create", "grpc complete", "GET /tasks", "GET /stats"
	Status  string // as the transport names it
}

// Share is what a replica did in a time without replacements.
type Share struct {
	Replica string // "stats-service-1", …
	Version string // of the program that the process executes
	Began   time.Time
	Ended   time.Time
	Records int64 // that a consumer handled, by its own counter; 0 for todo-service
}

// ListRead is one read of the cached list, restricted to the hot tasks.
type ListRead struct {
	Began       time.Time
	Ended       time.Time
	User        int64 // 0 without sign-in
	Replica     int
	CacheStatus string          // Cache-Status of the response
	Versions    map[int64]int64 // by hot task
}

// Groups are the consumer groups. Each of them must dead-letter all poison.
var Groups = []string{"notification-service", "stats-service"}

// UndecodableBatch is the kind of the records in a batch that no consumer can decode. The batch
// becomes one dead letter.
const UndecodableBatch = "undecodable batch"

// InjectedRecord is a record that the rogue producer wrote.
type InjectedRecord struct {
	Kind string // the kind of poison, or "copy"
	Position
	Key     []byte
	Value   []byte // nil for null
	EventID string // of a copy
}

// Fault is one injected fault.
type Fault struct {
	Kind   string // "kill", "freeze", "cut", "delay", "stall", "drop responses", "flush", "failover", "rebalance", "upgrade", …
	Target string // "postgres", "redis", "redis-cache", "kafka", "todo-service-1", …
	Began  time.Time
	Ended  time.Time // when the target had recovered
	// The work in flight at the start: requests without a response, and committed events without
	// their effect. A fault without work in flight does not count.
	Requests int
	Backlog  int
	// ReadyDuringFailover are the replicas that reported ready while no server took writes.
	ReadyDuringFailover []string
}

// MetWork reports whether work was in flight.
func (f Fault) MetWork() bool { return f.Requests > 0 || f.Backlog > 0 }

// Crash is a process that died at a failpoint.
type Crash struct {
	Failpoint string
	Target    string
	InFlight  string
	At        time.Time
}

// ProcessExit is the end of a process of a service.
type ProcessExit struct {
	Target    string // "stats-service-1", …
	At        time.Time
	Status    string // as os.ProcessState formats it: "signal: killed", "exit status 1"
	Requested bool   // prove stopped or killed it; false for failpoints and poison
}

// Task is a row of tasks.
type Task struct {
	ID       int64
	Title    string
	Priority int32
	Done     bool
	Version  int64
}

// Key is a row of idempotency_keys: an Idempotency-Key, and the creation that it stands for.
type Key struct {
	Key     string // of a user: the user's id, a space, and what the client sent
	EventID string
	TaskID  int64
}

// Event is a row of events.
type Event struct {
	Pos    int64
	Seq    int64 // 0 if not assigned
	ID     string
	Type   string
	Task         // after the change; of a deleted task the last state
	UserID int64 // 0 without a user
	At     time.Time
}

// Position is the place of a record in a topic.
type Position struct {
	Partition int32
	Offset    int64
}

func (p Position) String() string { return fmt.Sprintf("%d/%d", p.Partition, p.Offset) }

// Record is a record of a topic.
type Record struct {
	Position
	Key     []byte
	Value   []byte // nil for null
	Headers []Header
	// Time is when the broker appended it: the topic has message.timestamp.type=LogAppendTime.
	Time time.Time
}

// Header is one header of a record.
type Header struct{ Key, Value string }

// Header returns the last header with a name, or "".
func (r Record) Header(key string) string {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == key {
			return h.Value
		}
	}
	return ""
}

// Delivery is a request that the webhook server received.
type Delivery struct {
	At             time.Time
	Key            string // its Idempotency-Key
	TaskID         int64
	Title          string
	SignatureValid bool
	Status         int // HTTP status of the response; 0 if the server dropped the connection or the client had left
}

// StatsReport is a response of GET /stats.
type StatsReport struct {
	Replica  int
	Total    int64
	ByDay    map[string]int64
	Lag      int64
	Complete bool
}

// Replay is the state after the topic was replayed from its beginning, and the dead letters
// twice.
type Replay struct {
	Done         bool
	Deliveries   []Delivery    // new ones
	Stats        []StatsReport // as after quiescing
	UserReports  []UserReport  // as after quiescing
	Events       int           // number of rows
	DLQ          []Record      // all letters
	OtherEffects []string      // other changes, described
}

// MemorySample is the memory of a process at one time.
type MemorySample struct {
	Target   string
	At       time.Time
	Resident int64 // bytes
}

// SignIn is a successful sign-in.
type SignIn struct {
	User         int64
	Began, Ended time.Time
}

// Sighting is a task that a user was shown.
type Sighting struct {
	User    int64
	TaskID  int64
	Title   string
	Where   string    // "GET /tasks", "WatchTasks", "http complete", …
	Replica int       // the first that showed it
	At      time.Time // the first time
	Times   int
}

// ForeignRequest is a user's request for a task of another user, with its response.
type ForeignRequest struct {
	User    int64
	TaskID  int64
	Request string // "GET /tasks/{id}", "grpc complete", …
	Replica int
	At      time.Time
	Status  string // as the transport names it
}

// UserReport is what a user was shown of itself: GET /stats of a replica of stats-service, and
// GET /tasks/counts of the replica of todo-service with the same number.
type UserReport struct {
	User int64
	StatsReport
	Tasks Counts
}

// Counts is a response of GET /tasks/counts.
type Counts struct{ Total, Open, Done int64 }
