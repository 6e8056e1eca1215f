package postgres_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
)

// pooler is a fake connection pooler in transaction mode: a client has a server session to itself from the
// first statement of a transaction to the last. Each client adds one session, with its own credentials.
type pooler struct {
	keepsStatements  bool        // prepared statements follow their client, as in PgBouncer 1.21 and newer
	refusedParameter string      // a startup parameter
	statementMode    bool        // BEGIN ends the connection
	lifo             bool        // the session released last is acquired next, instead of all in turn
	unreplicated     atomic.Bool // warns that a commit did not wait for a synchronous standby

	target    string
	mu        sync.Mutex
	idle      []*serverSession
	available chan struct{} // has one value for each idle session
}

func (p *pooler) acquireSession() *serverSession {
	<-p.available
	p.mu.Lock()
	defer p.mu.Unlock()
	at := 0
	if p.lifo {
		at = len(p.idle) - 1
	}
	session := p.idle[at]
	p.idle = slices.Delete(p.idle, at, at+1)
	return session
}

func (p *pooler) releaseSession(session *serverSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, session)
	p.available <- struct{}{}
}

type serverSession struct {
	net.Conn
	in    *bufio.Reader
	known map[string]bool // prepared statements, if the pooler keeps them
}

// message is a protocol message with its kind and length.
type message []byte

func (m message) kind() byte { return m[0] }
func (m message) is(command string) bool {
	return m.kind() == 'Q' && strings.HasPrefix(string(m[5:]), command)
}

func readMessage(r io.Reader) (message, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	m := make(message, 1+binary.BigEndian.Uint32(head[1:]))
	copy(m, head)
	_, err := io.ReadFull(r, m[5:])
	return m, err
}

func newMessage(kind byte, body string) message {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(m, body...)
}

func refusal(text string) message {
	return newMessage('E', "SFATAL\x00VFATAL\x00C08P01\x00M"+text+"\x00\x00")
}

// start starts p in front of the server of dsn and returns the DSN of p.
func (p *pooler) start(t *testing.T, dsn *url.URL) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.target, p.available = dsn.Host, make(chan struct{}, 100)
	var serving sync.WaitGroup
	serving.Go(func() {
		for number := 0; ; number++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer client.Close()
				p.serve(client, fmt.Sprintf("client%d_", number))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
		for _, session := range p.idle {
			session.Close()
		}
	})
	through := *dsn
	through.Host = listener.Addr().String()
	return through.String()
}

func (p *pooler) serve(client net.Conn, name string) {
	in := bufio.NewReader(client)
	if !p.logIn(client, in) {
		return
	}
	prepared := map[string]message{}
	var session *serverSession
	var batch []message
	for {
		m, err := readMessage(in)
		if err != nil || m.kind() == 'X' || p.statementMode && m.is("BEGIN") {
			if session != nil {
				session.Close()
			}
			if err == nil && m.kind() != 'X' {
				client.Write(refusal("transaction blocks not allowed in statement pooling mode"))
			}
			return
		}
		if batch = append(batch, m); m.kind() != 'Q' && m.kind() != 'S' {
			continue
		}
		if session == nil {
			session = p.acquireSession()
		}
		if p.keepsStatements {
			batch = session.translate(batch, prepared, name)
		}
		ready, err := session.exchange(batch, client)
		if batch = nil; err != nil {
			session.Close()
			return
		}
		if ready[5] == 'I' { // before the client continues
			p.releaseSession(session)
			session = nil
		}
		if p.unreplicated.Load() {
			client.Write(newMessage('N', "SWARNING\x00C01000\x00Mcanceling wait for synchronous replication\x00RSyncRepWaitForLSN\x00\x00"))
		}
		client.Write(ready)
	}
}

// logIn opens a server session with the credentials of the client, and releases it.
func (p *pooler) logIn(client net.Conn, in *bufio.Reader) bool {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return false
	}
	startup := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(in, startup); err != nil {
		return false
	}
	if p.refusedParameter != "" && bytes.Contains(startup, []byte(p.refusedParameter)) {
		client.Write(refusal("unsupported startup parameter: " + p.refusedParameter))
		return false
	}
	conn, err := net.Dial("tcp", p.target)
	if err != nil {
		return false
	}
	session := &serverSession{conn, bufio.NewReader(conn), map[string]bool{}}
	conn.Write(append(head, startup...))
	for {
		m, err := readMessage(session.in)
		if err != nil {
			conn.Close()
			return false
		}
		if m.kind() == 'Z' {
			p.releaseSession(session)
			client.Write(m)
			return true
		}
		client.Write(m)
		if m.kind() == 'R' {
			if request := m[8]; request != 0 && request != 12 { // neither AuthenticationOk nor AuthenticationSASLFinal
				answer, err := readMessage(in)
				if err != nil {
					conn.Close()
					return false
				}
				conn.Write(answer)
			}
		}
	}
}

// exchange sends a batch that ends with Sync or Query. It forwards the response to the client, but for its
// last message, which it returns.
func (s *serverSession) exchange(batch []message, client io.Writer) (ready message, err error) {
	if _, err := s.Write(bytes.Join(asBytes(batch), nil)); err != nil {
		return nil, err
	}
	for {
		m, err := readMessage(s.in)
		if err != nil || m.kind() == 'Z' {
			return m, err
		}
		if _, err := client.Write(m); err != nil {
			return nil, err
		}
	}
}

func asBytes(batch []message) (all [][]byte) {
	for _, m := range batch {
		all = append(all, m)
	}
	return all
}

// translate makes the names of the client's prepared statements unique, and prepares in this session those
// that the client prepared in another one.
func (s *serverSession) translate(batch []message, prepared map[string]message, client string) (out []message) {
	for _, m := range batch {
		body := string(m[5:])
		switch {
		case m.kind() == 'P' && body[0] != 0:
			m = newMessage('P', client+body)
			name, _, _ := strings.Cut(client+body, "\x00")
			prepared[name], s.known[name] = m, true
		case m.kind() == 'B' && body[1] != 0: // of the unnamed portal
			s.ensure(client+body[1:], prepared)
			m = newMessage('B', "\x00"+client+body[1:])
		case (m.kind() == 'D' || m.kind() == 'C') && body[0] == 'S' && body[1] != 0:
			s.ensure(client+body[1:], prepared)
			m = newMessage(m.kind(), "S"+client+body[1:])
		}
		out = append(out, m)
	}
	return out
}

func (s *serverSession) ensure(named string, prepared map[string]message) {
	name, _, _ := strings.Cut(named, "\x00")
	if parse := prepared[name]; parse != nil && !s.known[name] {
		s.known[name] = true
		_, _ = s.exchange([]message{parse, newMessage('S', "")}, io.Discard)
	}
}

func TestStartFailsInOneLineBehindAPoolerThatSharesSessions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pooler         *pooler
		serve, migrate string // texts of their errors
	}{
		"transaction mode":                                          {&pooler{}, "prepared statements apart", "prepared statements apart"},
		"transaction mode, with prepared statements":                {&pooler{keepsStatements: true}, "", "migrate over a direct connection"},
		"transaction mode, with prepared statements, the last used": {&pooler{keepsStatements: true, lifo: true}, "", "migrate over a direct connection"},
		"statement mode":                                            {&pooler{keepsStatements: true, statementMode: true}, "at BEGIN", "at BEGIN"},
		"startup parameters refused":                                {&pooler{refusedParameter: "tcp_user_timeout"}, "ignore_startup_parameters", "ignore_startup_parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := database(t)
			dsn.RawQuery += "&idle_in_transaction_session_timeout=15000"
			db := open(t, test.pooler.start(t, dsn))
			for range 2 { // the second is not disturbed by leftovers of the first
				expectStartupError(t, postgres.CheckSessions(t.Context(), db), test.serve)
				expectStartupError(t, postgres.Migrate(t.Context(), db, migrations("00001_one.sql"), slog.New(slog.DiscardHandler)), test.migrate)
			}
			if test.serve != "" {
				return
			}
			stmt, err := db.Preparex("SELECT $1::int")
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					for want := range 20 {
						var got int
						if err := stmt.Get(&got, want); err != nil || got != want {
							t.Errorf("through the pooler: %d instead of %d, %v", got, want, err)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// expectStartupError fails the test unless err is a permanent error of one line that contains text, or nil for "".
func expectStartupError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "":
		if err != nil {
			t.Errorf("got %v", err)
		}
	case err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n"):
		t.Errorf("got %v, want a line with %q", err, text)
	case apperr.Of(err).Kind == apperr.Unavailable:
		t.Errorf("%v is transient", err)
	}
}

func TestCheckSessionsWithoutAPooler(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	expectStartupError(t, postgres.CheckSessions(t.Context(), open(t, dsn.String())), "")
	endless := *dsn
	endless.RawQuery += "&idle_in_transaction_session_timeout=0"
	expectStartupError(t, postgres.CheckSessions(t.Context(), open(t, endless.String())), "ALTER ROLE")
	silent := *dsn
	silent.RawQuery += "&client_min_messages=error"
	expectStartupError(t, postgres.CheckSessions(t.Context(), open(t, silent.String())), "client_min_messages")
}

func TestCommitWithoutItsSynchronousStandbyIsAnError(t *testing.T) {
	t.Parallel()
	p := &pooler{keepsStatements: true}
	db := open(t, p.start(t, database(t)))
	db.MustExec("CREATE TABLE t (n int)")
	stmt, err := db.Preparex("INSERT INTO t VALUES ($1) RETURNING n") //nolint:sqlclosecheck // closed below
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	var n int
	var all []int
	for name, do := range map[string]func(arg *recordingArgument) error{
		"executed":           func(*recordingArgument) error { _, err := db.Exec("INSERT INTO t VALUES (7)"); return err },
		"one row":            func(*recordingArgument) error { return db.Get(&n, "INSERT INTO t VALUES (7) RETURNING n") },
		"prepared, executed": func(arg *recordingArgument) error { _, err := stmt.Exec(arg); return err },
		"prepared, one row":  func(arg *recordingArgument) error { return stmt.Get(&n, arg) },
		"prepared, all rows": func(arg *recordingArgument) error { return stmt.Select(&all, arg) },
		"transaction": func(*recordingArgument) error {
			return postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
				p.unreplicated.Store(false)
				_, err := tx.Exec("INSERT INTO t VALUES (7)")
				p.unreplicated.Store(true)
				return err
			})
		},
	} {
		p.unreplicated.Store(true)
		arg := &recordingArgument{}
		err := do(arg)
		if err == nil || apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable || arg.rolledBack != 0 || arg.sent > 1 {
			t.Errorf("%s: %v, %+v", name, err, arg)
		}
		p.unreplicated.Store(false)
		if err := do(arg); err != nil && name != "transaction" {
			t.Errorf("%s, confirmed: %v", name, err)
		}
	}
}
