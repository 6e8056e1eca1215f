package workload_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/signin"
)

// sessionStore has the sessions of a fake service; a nil one stands for no sign-in. Every user with an e-mail
// "user-<id>" may sign in.
type sessionStore struct {
	mu     sync.Mutex
	users  map[string]int64 // by token
	issued int
	down   int // sessions cannot be checked that many times
}

func (s *sessionStore) signIn(w http.ResponseWriter, r *http.Request) {
	var body struct{ Email string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	id, err := strconv.ParseInt(strings.TrimPrefix(body.Email, "user-"), 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		s.issued++
		token := fmt.Sprint("token-", s.issued)
		s.users[token] = id
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":%q,"user":{"id":%d}}`, token, id)
	}
}

// check returns the user of a header or metadata Authorization, or the code of the refusal.
func (s *sessionStore) check(authorization string) (user int64, refusal codes.Code) {
	if s == nil {
		return 0, codes.OK
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	user = s.users[strings.TrimPrefix(authorization, "Bearer ")]
	switch {
	case s.down > 0:
		s.down--
		return 0, codes.Unavailable
	case user == 0:
		return 0, codes.Unauthenticated
	}
	return user, codes.OK
}

// lose ends all sessions. The next checks fail.
func (s *sessionStore) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users, s.down = map[string]int64{}, 10
}

const uncheckedSession = "sessions are unavailable at the moment; try again"

func writeRefusal(w http.ResponseWriter, refusal codes.Code) {
	if refusal == codes.Unauthenticated {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintf(w, `{"detail":%q}`, uncheckedSession)
}

func (r *replica) authenticate(ctx context.Context) (user int64, err error) {
	user, refusal := r.store.sessions.check(strings.Join(metadata.ValueFromIncomingContext(ctx, "authorization"), ""))
	if refusal != codes.OK {
		return 0, status.Error(refusal, uncheckedSession)
	}
	return user, nil
}

func taskJSON(t *pb.Task) string {
	text, _ := json.Marshal(map[string]any{"id": t.Id, "title": t.Title, "done": t.Done, "version": t.Version}) // it has no other types
	return string(text)
}

// serveRead answers a GET. The only events of a task, and of a stream, are of its last change.
func (r *replica) serveRead(w http.ResponseWriter, req *http.Request, user int64) {
	path, events := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/tasks"), "/events")
	var rows []string
	for _, t := range r.store.list(user) {
		rows = append(rows, taskJSON(t))
	}
	switch id, _ := strconv.ParseInt(strings.TrimPrefix(path, "/"), 10, 64); {
	case events && path == "": // the stream
		for _, row := range rows {
			fmt.Fprintf(w, "id: 1\nevent: task.updated\ndata: {\"task\":%s}\n\n", row)
		}
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	case path == "":
		w.Header().Set("Cache-Status", "todo; hit")
		fmt.Fprintf(w, "[%s]", strings.Join(rows, ","))
	case r.store.get(user, id) == nil:
		w.WriteHeader(http.StatusNotFound)
	case events:
		fmt.Fprintf(w, `[{"id":"x","task":%s}]`, taskJSON(r.store.get(user, id)))
	default:
		fmt.Fprint(w, taskJSON(r.store.get(user, id)))
	}
}

func (r *replica) read(ctx context.Context, id int64) (*pb.Task, error) {
	user, err := r.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	t := r.store.get(user, id)
	if t == nil {
		return nil, status.Error(codes.NotFound, "no such task")
	}
	return t, nil
}

func (r *replica) GetTask(ctx context.Context, req *pb.GetTaskRequest) (*pb.GetTaskResponse, error) {
	t, err := r.read(ctx, req.GetId())
	return &pb.GetTaskResponse{Task: t}, err
}

func (r *replica) ListTaskEvents(ctx context.Context, req *pb.ListTaskEventsRequest) (*pb.ListTaskEventsResponse, error) {
	t, err := r.read(ctx, req.GetId())
	return &pb.ListTaskEventsResponse{Events: []*pb.TaskEvent{{Task: t}}}, err
}

func (r *replica) ListTasks(ctx context.Context, _ *pb.ListTasksRequest) (*pb.ListTasksResponse, error) {
	user, err := r.authenticate(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.ListTasksResponse{Tasks: r.store.list(user)}, nil
}

func (r *replica) WatchTasks(_ *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.TaskEvent]) error {
	user, err := r.authenticate(stream.Context())
	if err != nil {
		return err
	}
	for _, t := range r.store.list(user) {
		if err := stream.Send(&pb.TaskEvent{Task: t, ResumeToken: "1"}); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// newUsers returns users that have signed in.
func newUsers(t *testing.T, addr string, n int) (users []*signin.User) {
	t.Helper()
	for i := range n {
		user := signin.NewUser(fmt.Sprint("user-", 71+i), "password")
		if _, err := user.Token(t.Context(), addr); err != nil {
			t.Fatal(err)
		}
		users = append(users, user)
	}
	return users
}

func TestUsersShareConnectionsAndKeysAndSeeTheirOwnTasks(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	store.sessions = &sessionStore{users: map[string]int64{}}
	cfg := newConfig(800, store.serve(t, 0, nil), store.serve(t, 1, nil))
	cfg.Users, cfg.HotTasks = newUsers(t, cfg.Targets[0].HTTP, 3), 6
	cfg.Rate = func() float64 { return 120 }
	w := runWorkload(t, cfg)

	usersOfKey := map[string]map[int64]bool{}
	for _, c := range w.Calls() {
		if c.User < 71 || c.User > 73 || c.TaskID != 0 && store.owners[c.TaskID] != c.User {
			t.Errorf("call %d of user %d is for task %d of user %d", c.Number, c.User, c.TaskID, store.owners[c.TaskID])
		}
		if c.Key != "" {
			if usersOfKey[c.Key] == nil {
				usersOfKey[c.Key] = map[int64]bool{}
			}
			if usersOfKey[c.Key][c.User] {
				t.Errorf("two calls of user %d have the key %s", c.User, c.Key)
			}
			usersOfKey[c.Key][c.User] = true
		}
	}
	shared := 0
	for _, users := range usersOfKey {
		if len(users) > 1 {
			shared++
		}
	}
	if shared < 20 {
		t.Errorf("%d keys were sent by several users", shared)
	}
	requireSightingsOfOwnTasks(t, store, w.Sightings())
	requireForeignRequests(t, store, w.ForeignRequests())
	for _, r := range w.Reads() {
		if len(r.Versions) != 2 {
			t.Errorf("user %d was shown %d of 2 hot tasks", r.User, len(r.Versions))
		}
		for task := range r.Versions {
			if store.owners[task] != r.User {
				t.Errorf("user %d read the list with task %d of user %d", r.User, task, store.owners[task])
			}
		}
	}
}

func requireSightingsOfOwnTasks(t *testing.T, store *taskStore, sightings []history.Sighting) {
	t.Helper()
	times := map[string]int{}
	for _, s := range sightings {
		times[s.Where] += s.Times
		if store.owners[s.TaskID] != s.User || s.Title == "" || s.At.IsZero() {
			t.Errorf("%+v, and the task is user %d's", s, store.owners[s.TaskID])
		}
	}
	for _, where := range []string{
		"GET /tasks", "GET /tasks/{id}", "GET /tasks/{id}/events", "GET /events", "http create", "http complete",
		"ListTasks", "GetTask", "ListTaskEvents", "WatchTasks", "grpc create", "grpc complete",
	} {
		if times[where] == 0 {
			t.Errorf("nothing was shown by %s: %v", where, times)
		}
	}
}

func requireForeignRequests(t *testing.T, store *taskStore, requests []history.ForeignRequest) {
	t.Helper()
	times := map[string]int{}
	for _, r := range requests {
		times[r.Request]++
		if owner := store.owners[r.TaskID]; owner == 0 || owner == r.User || r.Status != "404" && r.Status != "NotFound" {
			t.Errorf("%+v, and the task is user %d's", r, owner)
		}
	}
	for _, request := range []string{
		"GET /tasks/{id}", "GET /tasks/{id}/events", "http change", "http complete", "http reopen", "http delete",
		"GetTask", "ListTaskEvents", "grpc change", "grpc complete", "grpc reopen", "grpc delete",
	} {
		if times[request] == 0 {
			t.Errorf("no user made the request %s: %v", request, times)
		}
	}
}

func TestClientsSignInAgainAndRepeatCallsThatWereNotAdmitted(t *testing.T) {
	t.Parallel()
	store := newTaskStore()
	store.sessions = &sessionStore{users: map[string]int64{}}
	cfg := newConfig(600, store.serve(t, 0, nil), store.serve(t, 1, nil))
	cfg.Users, cfg.HotTasks = newUsers(t, cfg.Targets[0].HTTP, 2), 4
	dispatched := 0
	cfg.Rate = func() float64 {
		if dispatched++; dispatched%100 == 0 {
			store.sessions.lose()
		}
		return 300
	}
	w := runWorkload(t, cfg)

	notAdmitted := 0
	for _, c := range w.Calls() {
		notAdmitted += c.NotAdmitted
		if !c.ClientCanceled && (c.Outcome == history.Unknown || c.Tries != 1 || isSignedOutStatus(c.Status)) {
			t.Errorf("%+v", c)
		}
	}
	if notAdmitted < 20 {
		t.Errorf("%d attempts were not admitted", notAdmitted)
	}
	for _, user := range cfg.Users {
		if n := len(user.SignIns()); n < 3 {
			t.Errorf("user %d signed in %d times", user.ID(), n)
		}
	}
}

func isSignedOutStatus(status string) bool {
	return slices.Contains([]string{"401", "Unauthenticated", "503", "Unavailable"}, status)
}
