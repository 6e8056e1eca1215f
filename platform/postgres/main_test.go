package postgres_test

import (
	"crypto/rand"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// database makes a database of the test's own and returns its URL.
func database(t *testing.T) *url.URL {
	t.Helper()
	dsn, err := url.Parse(testenv.RequireEnv(t, "TEST_POSTGRES_DSN"))
	if err != nil || dsn.Scheme == "" {
		t.Fatal("TEST_POSTGRES_DSN is not a URL")
	}
	admin := open(t, dsn.String())
	name := "test_" + strings.ToLower(rand.Text())
	admin.MustExec("CREATE DATABASE " + name)
	t.Cleanup(func() { admin.MustExec("DROP DATABASE " + name + " WITH (FORCE)") })
	dsn.Path = "/" + name
	return dsn
}

func open(t *testing.T, dsn string) *sqlx.DB {
	t.Helper()
	cfg := postgres.Defaults()
	cfg.DSN = config.Secret(dsn)
	db, err := postgres.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// proxy stands before a server and can freeze: it still accepts connections and
// data, as the kernel of a frozen host does, and passes nothing on.
type proxy struct {
	net.Listener
	mu     sync.Mutex
	thawed *sync.Cond
	frozen bool
}

// behindProxy returns dsn with a proxy in the place of the server.
func behindProxy(t *testing.T, dsn *url.URL) (*proxy, string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: lis}
	p.thawed = sync.NewCond(&p.mu)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := lis.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", dsn.Host)
			if err != nil {
				client.Close()
				continue
			}
			serving.Go(func() { p.pipe(server, client) })
			serving.Go(func() { p.pipe(client, server) })
		}
	})
	t.Cleanup(func() {
		lis.Close()
		p.freeze(false)
		serving.Wait()
	})
	through := *dsn
	through.Host = lis.Addr().String()
	return p, through.String()
}

func (p *proxy) freeze(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = frozen
	p.thawed.Broadcast()
}

func (p *proxy) pipe(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.frozen {
			p.thawed.Wait()
		}
		p.mu.Unlock()
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			io.Copy(io.Discard, from) // until the other side closes
			return
		}
	}
}
