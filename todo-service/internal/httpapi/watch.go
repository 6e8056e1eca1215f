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
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

// writeStallTimeout is how long a stream's client may read nothing before the server
// disconnects it.
const writeStallTimeout = 10 * time.Second

// watchEvents streams changes as server-sent events. The stream has every change that is
// committed after the client has received the response's header.
func (a *api) watchEvents(w http.ResponseWriter, r *http.Request) error {
	token, err := parseLastEventID(r)
	if err != nil {
		return err
	}
	release, err := a.AcquireStream(a.client(r))
	if err != nil {
		return err
	}
	defer release()
	stream := httpserver.NewStream(w, r, writeStallTimeout)
	ctx, stop := a.sessionWatcher().Watch(stream.Context())
	defer stop()
	changes, err := a.Watch(ctx, a.Owner(ctx), token)
	if err != nil {
		stream.Close(nil)
		if apperr.Of(err).Kind == apperr.Invalid {
			return httpserver.StatusError(http.StatusBadRequest, "Last-Event-ID must be the id of an event")
		}
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	setCacheControl(header, "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // proxies must not collect events first
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		stream.Close(nil)
		return nil
	}
	stream.Close(a.sendEvents(ctx, stream, changes))
	return nil
}

// sessionWatcher returns what ends streams with their session, or nil, which ends none.
func (a *api) sessionWatcher() *session.Watcher {
	if a.SignIn == nil {
		return nil
	}
	return a.SignIn.Credentials.Watcher
}

// sendEvents writes changes until the sequence ends, as it does with ctx. It returns nil if
// the client has disconnected.
func (a *api) sendEvents(ctx context.Context, stream *httpserver.Stream, changes iter.Seq2[task.Announcement, error]) error {
	position := int64(0)
	for change, err := range changes {
		if stream.Context().Err() != nil {
			return nil // the client has disconnected
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			reason := apperr.Of(err)
			if reason.Kind == apperr.Unauthenticated {
				_, _ = stream.Write(unauthenticatedEvent(reason.Message)) // the stream ends even if this fails
				return err
			}
			if reason.Kind == apperr.Gone {
				position = invalidPosition
			}
			_, _ = stream.Write(reconnectEvent(position, reason.Message)) // the stream ends even if this fails
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
		position = change.Seq
	}
	return nil
}

// bookmarkEvent returns an event without data: a client stores its id and dispatches
// nothing.
func bookmarkEvent(position int64) []byte { return fmt.Appendf(nil, ":\nid: %d\n\n", position) }

// encodeEvent returns an announcement as a server-sent event.
func encodeEvent(a task.Announcement) ([]byte, error) {
	data, err := eventcodec.ToContract(a.Event).Marshal()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", a.Seq, a.Event.Type, data), nil
}

// invalidPosition is sent as the last event id when the watched part of the log is gone. A
// client that reconnects with it gets 410. Its real position might exist in a replaced
// log, with other events.
const invalidPosition = math.MaxInt64

// reconnectEvent returns the last event of a stream: the position to resume from, and a
// random delay of 1 to 3 s, which spreads the reconnects of a server's watchers.
func reconnectEvent(position int64, reason string) []byte {
	return fmt.Appendf(nil, ": %s\nretry: %d\nid: %d\n\n", reason, 1000+rand.N(2000), position)
}

// unauthenticatedEvent returns the last event of a stream whose session has ended. A client
// that reconnects gets 401.
func unauthenticatedEvent(reason string) []byte {
	return fmt.Appendf(nil, "event: unauthenticated\ndata: {\"error\":%q}\n\n", reason)
}

// parseLastEventID returns the position to resume from; "" means from now on.
func parseLastEventID(r *http.Request) (string, error) {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return "", err
	}
	switch ids := r.Header.Values("Last-Event-ID"); len(ids) {
	case 0:
		return "", nil
	case 1:
		return ids[0], nil
	}
	return "", httpserver.StatusError(http.StatusBadRequest, "Last-Event-ID must be given once")
}
