package httpapi

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

// writeStallTimeout is how long a client of a stream may take nothing before it is cut off.
const writeStallTimeout = 10 * time.Second

// Watcher follows the log of changes. Watch returns every announcement behind the
// place that token names, in order, until ctx ends; an empty token means what
// comes once Watch has returned. A bookmark begins the sequence, and comes
// whenever nothing happens for a while. What is no token is refused
// (fault.Invalid), and so is one that is no place in the log (fault.Gone). The
// sequence ends with the error that ended it.
type Watcher interface {
	Watch(ctx context.Context, token string) (iter.Seq2[task.Announcement, error], error)
}

// watchEvents streams changes as server-sent events. It begins with the answer's
// header: what happens after a client has received that is in the stream.
func (a *api) watchEvents(w http.ResponseWriter, r *http.Request) error {
	token, err := parseLastEventID(r)
	if err != nil {
		return err
	}
	release, err := a.Streams.Acquire(a.ClientIPs.FromHTTP(r))
	if err != nil {
		return err
	}
	defer release()
	stream := httpserver.NewStream(w, r, writeStallTimeout)
	changes, err := a.Watcher.Watch(stream.Context(), token)
	if err != nil {
		stream.Close(nil)
		if apperr.Of(err).Kind == apperr.Invalid {
			return httpserver.StatusError(http.StatusBadRequest, "Last-Event-ID must be the id of an event")
		}
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // of proxies that would collect the events first
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		stream.Close(nil)
		return nil
	}
	stream.Close(a.sendEvents(stream, changes))
	return nil
}

// sendEvents writes changes until they end, and returns what is not as it should be.
func (a *api) sendEvents(stream *httpserver.Stream, changes iter.Seq2[task.Announcement, error]) error {
	place := int64(0)
	for change, err := range changes {
		if stream.Context().Err() != nil {
			return nil // the client has left
		}
		if err != nil {
			reason := apperr.Of(err)
			if reason.Kind == apperr.Gone {
				place = invalidPosition
			}
			_, _ = stream.Write(reconnectEvent(place, reason.Message)) // it ends in any case
			return err
		}
		event := bookmarkEvent(change.Seq)
		if !change.Bookmark() {
			if event, err = a.events.Encode(change); err != nil {
				return err
			}
		}
		if _, err := stream.Write(event); err != nil {
			return err
		}
		place = change.Seq
	}
	return nil
}

// bookmarkEvent has no data: clients note its id and see no event.
func bookmarkEvent(place int64) []byte { return fmt.Appendf(nil, ":\nid: %d\n\n", place) }

// encodeEvent is a server-sent event.
func encodeEvent(a task.Announcement) ([]byte, error) {
	data, err := eventcodec.ToContract(a.Event).Marshal()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", a.Seq, a.Event.Type, data), nil
}

// invalidPosition is a place that no log has: who comes back with it is answered 410, although
// what is now at the place where he was may look like what he has yet to see.
const invalidPosition = math.MaxInt64

// reconnectEvent tells a client to come back, and where to resume. Clients come back
// spread over two seconds, so that a server's watchers do not all at once.
func reconnectEvent(place int64, why string) []byte {
	return fmt.Appendf(nil, ": %s\nretry: %d\nid: %d\n\n", why, 1000+rand.N(2000), place)
}

// parseLastEventID reads where a stream resumes; "" means from now on.
func parseLastEventID(r *http.Request) (string, error) {
	if r.URL.RawQuery != "" {
		return "", parseQuery(r.URL.RawQuery, func(_, _ string) string { return "is not a parameter: there are none" })
	}
	switch ids := r.Header.Values("Last-Event-ID"); len(ids) {
	case 0:
		return "", nil
	case 1:
		return ids[0], nil
	}
	return "", httpserver.StatusError(http.StatusBadRequest, "Last-Event-ID must be given once")
}
