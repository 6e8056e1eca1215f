// Package standin is a service that does nothing but be there.
package standin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// Run listens on every address that the environment names, until SIGTERM.
func Run() error {
	if len(os.Args) == 2 && os.Args[1] == "migrate" {
		fmt.Println("migrated", os.Getenv("POSTGRES_DSN"))
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	http.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	failed := make(chan error, 3)
	for _, variable := range []string{"HTTP_ADDR", "GRPC_ADDR", "OPS_ADDR"} {
		if addr := os.Getenv(variable); addr != "" {
			listener, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			go func() { failed <- http.Serve(listener, nil) }()
		}
	}
	fmt.Println("up with", os.Getenv("RATE_LIMIT_REQUESTS"), "requests")
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}
