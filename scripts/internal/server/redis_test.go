package server

import (
	"bufio"
	"io"
	"net"
	"testing"
)

func TestRedisIsReadyOnlyAfterPong(t *testing.T) {
	t.Parallel()
	for answer, ready := range map[string]bool{
		"+PONG\r\n": true, "-LOADING Redis is loading the dataset in memory\r\n": false, "": false,
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if line, _ := bufio.NewReader(conn).ReadString('\n'); line == "PING\r\n" {
				io.WriteString(conn, answer)
			}
		}()
		err = Redis{Port: l.Addr().(*net.TCPAddr).Port}.ready(t.Context())
		if (err == nil) != ready {
			t.Errorf("after %q: %v, want ready %v", answer, err, ready)
		}
		l.Close()
	}
}
