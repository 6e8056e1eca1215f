package client

import (
	"io"
	"net"
	"testing"
)

// Sarama authenticates again before a request, when the broker limits the age of a session.
func TestOnlyTheResponseToAFetchRequestIsIntercepted(t *testing.T) {
	t.Parallel()
	ours, broker := net.Pipe()
	defer ours.Close()
	defer broker.Close()
	conn := &trackedConn{Conn: ours, socket: ours, dialer: newDialer(nil)}
	intercepted := 0
	receive := func(socket io.Reader) ([]byte, error) {
		intercepted++
		response := make([]byte, 4)
		_, err := io.ReadFull(socket, response)
		return []byte("done"), err
	}
	conn.dialer.next.Store(&receive)
	exchange := func(apiKey byte) string {
		go func() {
			request := make([]byte, 8)
			io.ReadFull(broker, request)
			broker.Write([]byte("body"))
		}()
		if _, err := conn.Write([]byte{0, 0, 0, 4, 0, apiKey, 0, 1}); err != nil {
			t.Error(err)
		}
		response := make([]byte, 4)
		if _, err := io.ReadFull(conn, response); err != nil {
			t.Error(err)
		}
		return string(response)
	}
	const saslHandshake, saslAuthenticate, fetch = 17, 36, 1
	for _, key := range []byte{saslHandshake, saslAuthenticate} {
		if got := exchange(key); got != "body" || intercepted != 0 {
			t.Errorf("the response to request %d: %s, %d intercepted", key, got, intercepted)
		}
	}
	for range 2 {
		if exchange(fetch); intercepted != 1 {
			t.Errorf("%d responses to fetch requests are intercepted", intercepted)
		}
	}
}
