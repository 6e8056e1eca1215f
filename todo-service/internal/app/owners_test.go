package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/grpcapi"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
	"example.com/todo/todo-service/internal/web"
)

const (
	victim   task.Owner = 7
	stranger task.Owner = 8
	attempts            = 10_000
)

// mark is in every title of the victim, and in nothing that the stranger sends.
const mark = "ConfidentiaL"

// silentFeed delivers nothing: the hub reads the event log.
type silentFeed struct{}

func (silentFeed) Subscribe(ctx context.Context, onGap func(), _ func(task.Announcement)) error {
	onGap()
	<-ctx.Done()
	return nil
}

// uncached is an httpapi.ListCache without a cache.
type uncached struct{}

func (uncached) Prefetch(ctx context.Context, _ task.Owner) context.Context { return ctx }

func (uncached) Load(ctx context.Context, _ task.Owner, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	return query(ctx)
}

// twoUsers is the page and the API over one database, with the tasks of a victim.
type twoUsers struct {
	store    *pgstore.Store
	tasks    *task.Service
	stranger http.Handler    // the page and the API, as the stranger reaches them
	rpc      *grpcapi.Server // the same over gRPC

	theirs   []task.Task            // the victim's
	ids      map[int64]bool         // of the victim's tasks, deleted ones included
	keys     []string               // that the victim has used
	secrets  []string               // that no response may have: mark and the ids of the events
	ownSeq   int64                  // position of a task of the stranger, the last event of the log at the start
	snapshot map[int64][]task.Event // the victim's events at the start
}

func newTwoUsers(t *testing.T) *twoUsers {
	t.Helper()
	db := openDatabase(t, migratedDatabase(t))
	db.MustExec(`INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (7, 'victim@example.com'), (8, 'stranger@example.com')`)
	store := pgstore.New(db)
	s := &twoUsers{store: store, ids: map[int64]bool{}, secrets: []string{mark}}
	s.tasks = task.NewService(store, time.Now, func(context.Context, task.Owner, string) {})
	hub := watch.NewHub(silentFeed{}, store, slog.New(slog.DiscardHandler), prometheus.NewRegistry())

	s.fill(t)
	s.snapshot = s.histories(t)
	for _, events := range s.snapshot {
		for _, e := range events {
			s.secrets = append(s.secrets, e.ID)
		}
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() { _ = hub.Run(ctx) })
	s.rpc = grpcapi.New(grpcapi.Config{Tasks: s.tasks, Owner: func(context.Context) task.Owner { return stranger }, Watch: hub.Watch})
	s.stranger = newPageAndAPI(web.Config{}, slog.New(slog.DiscardHandler), httpapi.Config{
		Tasks: s.tasks, Owner: func(context.Context) task.Owner { return stranger }, Lists: uncached{},
		Allow:         func(context.Context, netip.Addr) ratelimit.Decision { return ratelimit.Decision{Allowed: true} },
		ClientIP:      func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		Watch:         hub.Watch,
		AcquireStream: func(ratelimit.Client) (func(), error) { return func() {}, nil },
		AcquireSearch: admission.NewSearchLocks().Acquire,
	}, nil)
	return s
}

// fill creates the victim's tasks in many states, and then one of the stranger.
func (s *twoUsers) fill(t *testing.T) {
	t.Helper()
	for i := range 60 {
		key := fmt.Sprintf("key-%d", i)
		parsed, err := task.ParseIdempotencyKey([]string{key})
		if err != nil {
			t.Fatal(err)
		}
		created, err := s.tasks.Create(t.Context(), victim, task.Draft{Title: fmt.Sprintf("Learn %s %d", mark, i), Priority: i, Key: parsed})
		if err != nil {
			t.Fatal(err)
		}
		s.keys, s.ids[created.ID] = append(s.keys, key), true
		if i%3 == 0 {
			created, err = s.tasks.Change(t.Context(), victim, created.ID, task.Change{Done: new(true)}, nil)
		}
		if err == nil && i%7 == 0 {
			err = s.tasks.Delete(t.Context(), victim, created.ID, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.theirs = append(s.theirs, created)
	}
	if _, err := s.tasks.Create(t.Context(), stranger, task.Draft{Title: "Mine"}); err != nil {
		t.Fatal(err)
	}
	if err := s.store.AssignSequence(t.Context(), 10_000); err != nil {
		t.Fatal(err)
	}
	bounds, err := s.store.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.ownSeq = bounds.Head
}

// histories returns the events of each of the victim's tasks.
func (s *twoUsers) histories(t *testing.T) map[int64][]task.Event {
	t.Helper()
	all := map[int64][]task.Event{}
	for id := range s.ids {
		events, _, err := s.tasks.History(t.Context(), victim, id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		all[id] = events
	}
	return all
}

// attempt is a request of the stranger.
type attempt struct {
	method, target string
	header         http.Header
	body           string
}

// send sends the attempt, and once more when a busy machine did not answer it in time.
func (s *twoUsers) send(t *testing.T, a attempt) (w *httptest.ResponseRecorder) {
	t.Helper()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		r := httptest.NewRequestWithContext(ctx, a.method, "http://localhost"+a.target, strings.NewReader(a.body))
		for name, values := range a.header {
			r.Header[name] = values
		}
		w = httptest.NewRecorder()
		s.stranger.ServeHTTP(w, r)
		cancel()
		s.wantNothingShown(t, a, w)
		if w.Code != http.StatusServiceUnavailable {
			return w
		}
	}
	t.Errorf("%s %s: %d %s", a.method, a.target, w.Code, w.Body)
	return w
}

// onTask returns an attempt at a task by its id, which may also be that of no task; t is
// the victim's.
func onTask(random *rand.Rand, t task.Task) func(id int64) attempt {
	header := http.Header{"Content-Type": {"application/json"}}
	if etag := []string{"", "*", fmt.Sprintf("%q", strconv.FormatInt(t.Version, 10)), `"1"`, `"99"`}[random.IntN(5)]; etag != "" {
		header["If-Match"] = []string{etag}
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	version := fmt.Sprintf("version=%d&title=X&priority=1", 1+random.Int64N(t.Version+1))
	after := random.Int64N(t.Version + 2)
	kind := random.IntN(9)
	return func(id int64) attempt {
		return []attempt{
			{"GET", fmt.Sprintf("/tasks/%d", id), http.Header{"If-None-Match": header["If-Match"]}, ""},
			{"PATCH", fmt.Sprintf("/tasks/%d", id), header, `{"title":"X"}`},
			{"PATCH", fmt.Sprintf("/tasks/%d", id), header, `{"done":false}`},
			{"PATCH", fmt.Sprintf("/tasks/%d/done", id), header, ""},
			{"DELETE", fmt.Sprintf("/tasks/%d", id), header, ""},
			{"GET", fmt.Sprintf("/tasks/%d/events?after=%d", id, after), nil, ""},
			{"POST", fmt.Sprintf("/page/tasks/%d", id), form, version},
			{"POST", fmt.Sprintf("/page/tasks/%d/complete", id), form, version},
			{"POST", fmt.Sprintf("/page/tasks/%d/delete", id), form, version},
		}[kind]
	}
}

// onList returns an attempt to list the victim's tasks, from positions at and around them.
func onList(random *rand.Rand, t task.Task) attempt {
	order := []task.Order{task.ByID, task.ByIDDescending, task.ByPriority, task.ByPriorityDescending}[random.IntN(4)]
	last := task.Task{ID: max(1, t.ID+random.Int64N(3)-1), Priority: t.Priority}
	query := "sort=" + string(order) + []string{"", "&after=" + order.Cursor(last)}[random.IntN(2)] +
		[]string{"", "&done=true", "&done=false"}[random.IntN(3)] + []string{"", "&q=learn", "&q=e", "&q=l%20"}[random.IntN(4)]
	switch random.IntN(6) {
	case 0:
		return attempt{"GET", "/tasks", nil, ""}
	case 1:
		return attempt{"GET", "/tasks/counts", nil, ""}
	case 2:
		return attempt{"GET", "/?" + query + fmt.Sprintf("&task=%d", t.ID), nil, ""}
	default:
		return attempt{"GET", "/tasks?limit=" + strconv.Itoa(1+random.IntN(100)) + "&" + query, nil, ""}
	}
}

// A stranger sends 10,000 requests at the tasks, positions, keys and events of a victim. No
// response shows anything of them, and a response about another's task is that about none.
func TestTenThousandAttemptsShowNothingOfAnothersTasks(t *testing.T) {
	t.Parallel()
	s := newTwoUsers(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var attackers sync.WaitGroup
	var next atomic.Int64
	for worker := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, worker))
		attackers.Go(func() {
			for next.Add(1) <= attempts && !t.Failed() {
				s.attack(t, random)
			}
		})
	}
	attackers.Wait()
	if diff := cmp.Diff(s.snapshot, s.histories(t)); diff != "" {
		t.Errorf("the victim's events (-before +after):\n%s", diff)
	}
}

// attack makes one attempt.
func (s *twoUsers) attack(t *testing.T, random *rand.Rand) {
	target := s.theirs[random.IntN(len(s.theirs))]
	switch random.IntN(6) {
	case 5:
		s.attackRPC(t, random, target)
	case 0, 1:
		const none = 1 << 40
		at := onTask(random, target)
		theirs, nothing := at(target.ID), at(none)
		got, want := s.send(t, theirs), s.send(t, nothing)
		if diff := cmp.Diff(describe(nothing, want, none), describe(theirs, got, target.ID)); diff != "" {
			t.Errorf("%s %s (-of no task +of another's):\n%s", theirs.method, theirs.target, diff)
		}
		if want.Code != http.StatusNotFound {
			t.Errorf("%s %s: %d", nothing.method, nothing.target, want.Code)
		}
	case 2:
		s.send(t, onList(random, target))
	case 3:
		s.useKey(t, random)
	default:
		s.resume(t, random)
	}
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// failure is the error in a document of the page. The rest is the stranger's own list, to
// which other attempts add.
var failure = regexp.MustCompile(`(?s)<section class="failure".*?</section>`)

// describe returns a response without what differs between any two requests.
func describe(a attempt, w *httptest.ResponseRecorder, id int64) string {
	w.Header().Del("Content-Length") // of the id
	var header bytes.Buffer
	_ = w.Header().Write(&header)
	body := requestID.ReplaceAllString(w.Body.String(), "")
	if strings.HasPrefix(a.target, "/page/") {
		body = failure.FindString(body)
	}
	return fmt.Sprintf("%d\n%s%s", w.Code, header.String(), strings.ReplaceAll(body, fmt.Sprintf("task %d", id), "task <id>"))
}

// wantNothingShown wants no secret of the victim in a response, and no task.
func (s *twoUsers) wantNothingShown(t *testing.T, a attempt, w *httptest.ResponseRecorder) {
	t.Helper()
	var header bytes.Buffer
	_ = w.Header().Write(&header)
	all := header.String() + w.Body.String()
	for _, secret := range s.secrets {
		if strings.Contains(all, secret) {
			t.Errorf("%s %s shows %q:\n%s", a.method, a.target, secret, all)
		}
	}
	var listed []struct{ ID int64 }
	if json.Unmarshal(w.Body.Bytes(), &listed) == nil && slices.ContainsFunc(listed, func(l struct{ ID int64 }) bool { return s.ids[l.ID] }) {
		t.Errorf("%s %s lists a task of the victim:\n%s", a.method, a.target, all)
	}
}

// useKey creates a task with a key that the victim has used, as the victim did or another.
func (s *twoUsers) useKey(t *testing.T, random *rand.Rand) {
	key := s.keys[random.IntN(10)] // few, so that the stranger's list stays short
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {key}}
	a := attempt{"POST", "/tasks", header, fmt.Sprintf(`{"title":"Mine with %s","priority":1}`, key)}
	if random.IntN(2) == 0 {
		a.header["Idempotency-Key"] = []string{fmt.Sprint(victim) + key}
		a.body = `{"title":"Mine"}`
	}
	w := s.send(t, a)
	var created task.Task
	if err := json.Unmarshal(w.Body.Bytes(), &created); err != nil || w.Code != http.StatusCreated || s.ids[created.ID] || !strings.HasPrefix(created.Title, "Mine") {
		t.Errorf("the key %s: %d %s", a.header["Idempotency-Key"], w.Code, w.Body)
	}
}

// resume watches from a position of the victim's events, until an event of the stranger
// that is behind all of them, or from a position past the log.
func (s *twoUsers) resume(t *testing.T, random *rand.Rand) {
	token := random.Int64N(s.ownSeq)
	past := random.IntN(4) == 0
	if past {
		token = 1<<40 + token
	}
	a := attempt{"GET", "/events", http.Header{"Last-Event-Id": {strconv.FormatInt(token, 10)}}, ""}
	var w *cancelingRecorder
	for range 20 { // a busy machine may answer 503
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r := httptest.NewRequestWithContext(ctx, a.method, "http://localhost"+a.target, http.NoBody)
		r.Header = a.header
		w = &cancelingRecorder{ResponseRecorder: httptest.NewRecorder(), until: fmt.Sprintf("id: %d\n", s.ownSeq), cancel: cancel}
		s.stranger.ServeHTTP(w, r)
		cancel()
		s.wantNothingShown(t, a, w.ResponseRecorder)
		if w.Code != http.StatusServiceUnavailable {
			break
		}
	}
	switch {
	case past && w.Code != http.StatusGone:
		t.Errorf("from %d, past the log: %d", token, w.Code)
	case !past && !strings.Contains(w.Body.String(), `"user_id":8`):
		t.Errorf("from %d: %d, the stranger's own event is not among\n%s", token, w.Code, w.Body)
	}
}

// cancelingRecorder cancels the request once a text was written.
type cancelingRecorder struct {
	*httptest.ResponseRecorder
	until  string
	cancel func()
}

func (w *cancelingRecorder) Write(data []byte) (int, error) {
	n, err := w.ResponseRecorder.Write(data)
	if bytes.Contains(data, []byte(w.until)) {
		w.cancel()
	}
	return n, err
}

func (w *cancelingRecorder) WriteString(text string) (int, error) { return io.WriteString(w, text) }
