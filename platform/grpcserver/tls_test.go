package grpcserver_test

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
)

// callOver calls Say over a new connection.
func callOver(t *testing.T, addr string, cfg *tls.Config) error {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return conn.Invoke(ctx, say, wrapperspb.String("x"), &wrapperspb.StringValue{})
}

func TestServerSpeaksTLSAndDemandsAClientCertificate(t *testing.T) {
	t.Parallel()
	ca, clients := testca.New(t), testca.New(t)
	pair := ca.Issue("first.example")
	echo := echoService{
		say:   func(_ context.Context, text string) (string, error) { return text, nil },
		watch: func(_ string, stream grpc.ServerStream) error { return stream.SendMsg(wrapperspb.String("")) },
	}
	server := startServer(t, echo, nil, nil, func(cfg *grpcserver.Config, _ *grpcserver.Telemetry) {
		cfg.TLSCert, cfg.TLSKey, cfg.TLSClientCA = pair.Cert, pair.Key, clients.File
	})
	trusted := []tls.Certificate{clients.Issue("client").TLS()}
	for name, tt := range map[string]struct {
		cfg      *tls.Config
		accepted bool
	}{
		"no client certificate":            {&tls.Config{RootCAs: ca.Pool(), ServerName: "first.example"}, false},
		"client certificate of another CA": {&tls.Config{RootCAs: ca.Pool(), ServerName: "first.example", Certificates: []tls.Certificate{ca.Issue("client").TLS()}}, false},
		"a client certificate":             {&tls.Config{RootCAs: ca.Pool(), ServerName: "first.example", Certificates: trusted}, true},
	} {
		if err := callOver(t, server.Addr(), tt.cfg); (err == nil) != tt.accepted {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := server.callEcho(t.Context(), "x"); err == nil {
		t.Error("a call without TLS is answered")
	}
	pair.Renew(time.Now().AddDate(0, 1, 0), "second.example")
	testenv.Eventually(t, "the new certificate is used", func() bool {
		return callOver(t, server.Addr(), &tls.Config{RootCAs: ca.Pool(), ServerName: "second.example", Certificates: trusted}) == nil
	})
}
