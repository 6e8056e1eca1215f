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

// Run listens on every address that the environment names, over TLS with the certificate that it names, until SIGTERM.
func Run() {
	if len(os.Args) == 2 && os.Args[1] == "migrate" {
		fmt.Println("migrated", os.Getenv("POSTGRES_DSN"), os.Getenv("POSTGRES_DSN_FILE"))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	http.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	for _, listener := range []string{"HTTP", "GRPC", "OPS"} {
		addr, cert := os.Getenv(listener+"_ADDR"), os.Getenv(listener+"_TLS_CERT")
		switch {
		case addr == "":
		case cert == "":
			go func() { log.Fatal(http.ListenAndServe(addr, nil)) }()
		default:
			go func() { log.Fatal(http.ListenAndServeTLS(addr, cert, os.Getenv(listener+"_TLS_KEY"), nil)) }()
		}
	}
	fmt.Println("up with", os.Getenv("RATE_LIMIT_REQUESTS"), "requests")
	<-ctx.Done()
}
