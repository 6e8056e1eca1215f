// Package history is what a run of prove leaves behind for the audit: what the
// clients were told, what the database, the topics and the provider hold, and
// which faults happened. It holds facts only; nothing here knows how the services
// work.
package history

import "time"

// Run is everything that the audit judges.
type Run struct {
	Seed      int64
	Changes   int // asked for
	StartedAt time.Time
	EndedAt   time.Time // of the workload; quiet came later
	// CollectedAt is when all the evidence was there.
	CollectedAt time.Time

	Expected Expected

	Calls      []Call
	Reads      []ListRead
	Poison     []InjectedRecord
	Copies     []InjectedRecord // records of the topic that were written to it again
	Faults     []Fault
	Crashes    []Crash
	Exits      []ProcessExit
	Tasks      []Task  // SQL, by id
	Keys       []Key   // SQL: which task an Idempotency-Key made
	Events     []Event // SQL, by pos
	Topic      []Record
	DLQ        []Record
	Deliveries []Delivery
	Stats      []StatsReport // of each replica of stats-service, after quiet
	Replay     Replay
	Memory     []MemorySample
}

// Expected is what the scenario set out to do: a run in which it did not happen
// proves nothing.
type Expected struct {
	Faults           []ExpectedFault
	Failpoints       []string // crash points
	HitsPerFailpoint int      // that each of them is reached, with something else in hand
	Poison           []string // kinds
	CopyFraction     float64  // of the events, the share written to the topic again
	Replay           bool     // topic and dead letters are replayed in the end
}

// ExpectedFault is a fault that has to happen, with work in flight.
type ExpectedFault struct {
	Kind        string
	Target      string        // ends in * when any of several will do
	MinDuration time.Duration // at least
}

// Outcome is what a client knows of its call.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"    // 2xx, OK
	Refused Outcome = "refused" // an answer that says that nothing was done: 404, 409, 412, 422; or the request never left
	Unknown Outcome = "unknown" // no answer, or one that leaves it open
)

// Operation is what a client asks for.
type Operation string

// The operations.
const (
	Create   Operation = "create"
	Update   Operation = "change" // of title or priority
	Complete Operation = "complete"
	Reopen   Operation = "reopen"
	Delete   Operation = "delete"
)

// Call is one logical change that a client asked for, with all its tries.
type Call struct {
	Number         int
	Client         int
	Transport      string // "http" or "grpc"
	Replica        int    // that gave the last answer
	Operation      Operation
	Key            string // the Idempotency-Key of a creation
	TaskID         int64  // 0 while a creation is not answered
	Title          string // that it asks for, of a creation or a change: no other call asks for the same; else ""
	Priority       int32
	Tries          int  // a change is not tried again when it may have happened; the rest may be
	ClientCanceled bool // the client hung up on its first try, sooner than it can be answered
	Began          time.Time
	Ended          time.Time
	Outcome        Outcome
	Status         string // of the last answer, as the transport names it
	Version        int64  // that the answer shows, 0 when it shows none
	Done           bool   // that the answer shows
}

// ListRead is one reading of the cached list, as far as the hot tasks go.
type ListRead struct {
	Began       time.Time
	Ended       time.Time
	Replica     int
	CacheStatus string          // the answer's Cache-Status
	Versions    map[int64]int64 // hot task → version shown
}

// UndecodableBatch is the kind of the records of a batch that no consumer can
// decode: the batch becomes one dead letter.
const UndecodableBatch = "undecodable batch"

// InjectedRecord is a record that prove itself wrote to the topic.
type InjectedRecord struct {
	Kind      string // the kind of poison; "copy" for a copy
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte // nil is null
	EventID   string // of a copy
	// Groups are the consumer groups whose dead letter it has to become.
	Groups []string
	At     time.Time
}

// Fault is one injected fault.
type Fault struct {
	Kind   string // "kill", "freeze", "cut", "delay", "stall", "drop answers", "flush", "failover", "rebalance"
	Target string // "postgres", "redis", "redis-cache", "kafka", "todo-service-1", …
	Began  time.Time
	Ended  time.Time // when the target was well again
	// What was under way when it began: requests without an answer, and events
	// committed and not yet in effect. A fault with neither does not count.
	Requests int
	Backlog  int
	// ReadyDuringFailover are, of a failover, the replicas that said so while no server took writes.
	ReadyDuringFailover []string
}

// MetWork tells whether work was in flight.
func (f Fault) MetWork() bool { return f.Requests > 0 || f.Backlog > 0 }

// Crash is a process that died at a named place.
type Crash struct {
	Failpoint string
	Target    string
	InFlight  string
	At        time.Time
}

// ProcessExit is the end of a process of one of the services.
type ProcessExit struct {
	Target    string // "stats-service-1", …
	At        time.Time
	Status    string // as os.ProcessState says it: "signal: killed", "exit status 1"
	Requested bool   // prove stopped or killed it; not so at a crash point, or of poison
}

// Task is a row of tasks.
type Task struct {
	ID       int64
	Title    string
	Priority int32
	Done     bool
	Version  int64
}

// Key is an Idempotency-Key, and the event of the creation that it stands for.
type Key struct {
	Key     string
	EventID string
	TaskID  int64
}

// Event is a row of events.
type Event struct {
	Pos    int64
	Seq    int64 // 0: not numbered
	ID     string
	Type   string
	TaskID int64
	Title  string
	// Priority, Version and Done are the task's after the change.
	Priority int32
	Version  int64
	Done     bool
	At       time.Time
}

// Record is a record of a topic.
type Record struct {
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte // nil is null
	Headers   []Header
	// Time is when the broker appended it: the topic has
	// message.timestamp.type=LogAppendTime.
	Time time.Time
}

// Header is one header of a record.
type Header struct{ Key, Value string }

// Header returns the last header of that name, or "".
func (r Record) Header(key string) string {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return ""
}

// Delivery is a request that the provider received.
type Delivery struct {
	At             time.Time
	Key            string // its Idempotency-Key
	TaskID         int64
	Title          string
	SignatureValid bool // the signature is right
	Status         int  // the status that the provider gave; 0: it dropped the connection, or the client had left
}

// StatsReport is what GET /stats said.
type StatsReport struct {
	Replica  int
	Total    int64
	ByDay    map[string]int64
	Lag      int64
	Complete bool
}

// Replay is what was there after everything was replayed: the topic from its
// beginning, and the dead letters twice.
type Replay struct {
	Done         bool
	Deliveries   []Delivery    // since
	Stats        []StatsReport // afterwards, as the rest
	Events       int           // rows
	DLQ          []Record      // all
	OtherEffects []string      // what else changed, in words
}

// MemorySample is what a process held at a time.
type MemorySample struct {
	Target   string
	At       time.Time
	Resident int64 // bytes
	During   string
}
