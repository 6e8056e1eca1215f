// Package standin is a service that does nothing but be there.
package standin

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// Run listens on every address that the environment names, until SIGTERM.
func Run() {
	if len(os.Args) == 2 && os.Args[1] == "migrate" {
		fmt.Println("migrated", os.Getenv("POSTGRES_DSN"))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	http.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	for _, variable := range []string{"HTTP_ADDR", "GRPC_ADDR", "OPS_ADDR"} {
		if addr := os.Getenv(variable); addr != "" {
			go func() { log.Fatal(http.ListenAndServe(addr, nil)) }()
		}
	}
	fmt.Println("up with", os.Getenv("RATE_LIMIT_REQUESTS"), "requests")
	<-ctx.Done()
}
