package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"example.com/todo/todo-service/internal/task"
)

// gatedStore is a store whose lists wait for a gate.
type gatedStore struct {
	task.Store
	gate    chan struct{}
	waiting atomic.Int32
}

func (s *gatedStore) List(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	s.waiting.Add(1)
	<-s.gate
	return s.Store.List(ctx, owner, q)
}

func TestFewDocumentsAreLoadedAtOnce(t *testing.T) {
	t.Parallel()
	for clients, want := range map[int]int32{1: 2, 3: 6, 100: 8} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			store := &gatedStore{Store: f.store.Store, gate: make(chan struct{})}
			f.store.Store = store
			var requests sync.WaitGroup
			for i := range 100 {
				requests.Go(func() {
					r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
					r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1234", i%clients)
					if got := f.send(r); got.Status != http.StatusOK {
						t.Errorf("%d", got.Status)
					}
				})
			}
			synctest.Wait()
			if got := store.waiting.Load(); got != want {
				t.Errorf("%d documents of %d clients are loaded at once, want %d", got, clients, want)
			}
			close(store.gate)
			requests.Wait()
		})
	}
}

// slowWriter is a client that reads nothing until the gate opens.
type slowWriter struct {
	httptest.ResponseRecorder
	gate    chan struct{}
	largest int // bytes of one write
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.gate
	w.largest = max(w.largest, len(p))
	return w.ResponseRecorder.Write(p)
}

func TestClientsThatReadSlowlyNeitherHoldOthersUpNorWholeDocuments(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for range 300 {
		f.create(t, "Learn Go", 0)
	}
	size := len(f.request(http.MethodGet, "/").Body)
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var requests sync.WaitGroup
		for range 20 {
			requests.Go(func() {
				w := &slowWriter{ResponseRecorder: *httptest.NewRecorder(), gate: gate}
				f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/", http.NoBody))
				if w.Body.Len() != size || w.largest > size/4 {
					t.Errorf("%d bytes, in pieces of up to %d", w.Body.Len(), w.largest)
				}
			})
		}
		synctest.Wait()
		if got := f.request(http.MethodGet, "/"); got.Status != http.StatusOK {
			t.Errorf("another client gets %d", got.Status)
		}
		close(gate)
		requests.Wait()
	})
}
