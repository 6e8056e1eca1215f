package workload_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/prove/internal/workload"
)

// taskStore is the state of a fake service, shared by its replicas: tasks that follow the API's
// rules, and every change in order.
type taskStore struct {
	mu      sync.Mutex
	next    int64
	tasks   map[int64]*pb.Task
	keys    map[string]int64 // by user and key
	owners  map[int64]int64
	changes []appliedChange

	sessions *sessionStore // nil without sign-in
}

type appliedChange struct {
	operation string
	id        int64
	title     string
	replica   int
}

func newTaskStore() *taskStore {
	return &taskStore{tasks: map[int64]*pb.Task{}, keys: map[string]int64{}, owners: map[int64]int64{}}
}

func (s *taskStore) create(replica int, user int64, key, title string) *pb.Task {
	title, key = norm.NFC.String(title), fmt.Sprint(user, " ", key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := s.keys[key]; id != 0 {
		return &pb.Task{Id: id, Title: title, Version: 1}
	}
	s.next++
	s.tasks[s.next], s.keys[key], s.owners[s.next] = &pb.Task{Id: s.next, Title: title, Version: 1}, s.next, user
	s.changes = append(s.changes, appliedChange{"create", s.next, title, replica})
	return &pb.Task{Id: s.next, Title: title, Version: 1}
}

// change returns the task after a change, or the code of the refusal.
func (s *taskStore) change(replica int, user, id int64, expected, title string, done *bool, remove bool) (*pb.Task, codes.Code) {
	title = norm.NFC.String(title)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[id]
	switch {
	case t == nil || s.owners[id] != user:
		return nil, codes.NotFound
	case expected != "" && expected != strconv.FormatInt(t.Version, 10):
		return nil, codes.Aborted
	case remove:
		delete(s.tasks, id)
		s.changes = append(s.changes, appliedChange{"delete", id, t.Title, replica})
		return nil, codes.OK
	case done != nil && t.Done != *done:
		t.Done = *done
		s.changes = append(s.changes, appliedChange{map[bool]string{true: "complete", false: "reopen"}[*done], id, t.Title, replica})
		t.Version++
	case title != "":
		t.Title = title
		s.changes = append(s.changes, appliedChange{"change", id, title, replica})
		t.Version++
	}
	return &pb.Task{Id: id, Title: t.Title, Done: t.Done, Version: t.Version}, codes.OK
}

// list returns the user's tasks.
func (s *taskStore) list(user int64) (tasks []*pb.Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.tasks)) {
		if t := s.tasks[id]; s.owners[id] == user && len(tasks) < 1000 {
			tasks = append(tasks, &pb.Task{Id: id, Title: t.Title, Done: t.Done, Version: t.Version})
		}
	}
	return tasks
}

// get returns a task of the user, or nil.
func (s *taskStore) get(user, id int64) *pb.Task {
	tasks := s.list(user)
	if i := slices.IndexFunc(tasks, func(t *pb.Task) bool { return t.Id == id }); i >= 0 {
		return tasks[i]
	}
	return nil
}

// replica is one replica of the fake service. It calls lose after each change: true drops the
// response.
type replica struct {
	pb.UnimplementedTaskServiceServer
	store  *taskStore
	number int
	lose   func() bool
}

// serve starts a replica.
func (s *taskStore) serve(t *testing.T, number int, lose func() bool) workload.Target {
	t.Helper()
	if lose == nil {
		lose = func() bool { return false }
	}
	r := &replica{store: s, number: number, lose: lose}
	httpServer := httptest.NewServer(r)
	t.Cleanup(httpServer.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterTaskServiceServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return workload.Target{HTTP: httpServer.Listener.Addr().String(), GRPC: listener.Addr().String()}
}

func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost && req.URL.Path == "/sessions" {
		r.store.sessions.signIn(w, req)
		return
	}
	user, refusal := r.store.sessions.check(req.Header.Get("Authorization"))
	if refusal != codes.OK {
		writeRefusal(w, refusal)
		return
	}
	if req.Method == http.MethodGet {
		r.serveRead(w, req, user)
		return
	}
	var body struct {
		Title string
		Done  *bool
	}
	if content, _ := io.ReadAll(req.Body); len(content) > 0 {
		if err := json.Unmarshal(content, &body); err != nil || req.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	path, completes := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/tasks/"), "/done")
	id, _ := strconv.ParseInt(path, 10, 64)
	if completes {
		body.Done = &completes
	}
	var task *pb.Task
	code, ok := codes.OK, http.StatusOK
	if req.Method == http.MethodPost {
		task, ok = r.store.create(r.number, user, req.Header.Get("Idempotency-Key"), body.Title), http.StatusCreated
	} else {
		task, code = r.store.change(r.number, user, id, strings.Trim(req.Header.Get("If-Match"), `"`), body.Title, body.Done, req.Method == http.MethodDelete)
	}
	if r.lose() {
		panic(http.ErrAbortHandler)
	}
	switch {
	case code == codes.NotFound:
		w.WriteHeader(http.StatusNotFound)
	case code == codes.Aborted:
		w.WriteHeader(http.StatusPreconditionFailed)
	case task == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(ok)
		fmt.Fprint(w, taskJSON(task))
	}
}

func (r *replica) respond(task *pb.Task, code codes.Code) (*pb.Task, error) {
	if r.lose() {
		return nil, status.Error(codes.Unavailable, "it may have been done")
	}
	if code != codes.OK {
		return nil, status.Error(code, "refused")
	}
	return task, nil
}

func (r *replica) CreateTask(ctx context.Context, req *pb.CreateTaskRequest) (*pb.CreateTaskResponse, error) {
	user, err := r.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	key := strings.Join(metadata.ValueFromIncomingContext(ctx, "idempotency-key"), "")
	t, err := r.respond(r.store.create(r.number, user, key, req.GetTitle()), codes.OK)
	return &pb.CreateTaskResponse{Task: t}, err
}

func (r *replica) CompleteTask(ctx context.Context, req *pb.CompleteTaskRequest) (*pb.CompleteTaskResponse, error) {
	user, err := r.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	done := true
	t, err := r.respond(r.store.change(r.number, user, req.GetId(), formatVersion(req.ExpectedVersion), "", &done, false))
	return &pb.CompleteTaskResponse{Task: t}, err
}

func (r *replica) UpdateTask(ctx context.Context, req *pb.UpdateTaskRequest) (*pb.UpdateTaskResponse, error) {
	user, err := r.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	t, err := r.respond(r.store.change(r.number, user, req.GetId(), formatVersion(req.ExpectedVersion), req.GetTitle(), req.Done, false))
	return &pb.UpdateTaskResponse{Task: t}, err
}

func (r *replica) DeleteTask(ctx context.Context, req *pb.DeleteTaskRequest) (*pb.DeleteTaskResponse, error) {
	user, err := r.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	_, err = r.respond(r.store.change(r.number, user, req.GetId(), formatVersion(req.ExpectedVersion), "", nil, true))
	return &pb.DeleteTaskResponse{}, err
}

func formatVersion(version *int64) string {
	if version == nil {
		return ""
	}
	return strconv.FormatInt(*version, 10)
}
