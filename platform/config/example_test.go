package config_test

import (
	"fmt"
	"time"

	"example.com/todo/platform/config"
)

func ExampleLoad() {
	type settings struct {
		HTTP struct {
			Addr           string        `config:"addr"`
			RequestTimeout time.Duration `config:"request_timeout"`
		} `config:"http"`
	}
	var cfg settings
	cfg.HTTP.Addr = ":8080" // a default
	err := config.Load(&cfg, "", []string{"HTTP_REQUEST_TIMEOUT=250ms"})
	fmt.Println(cfg.HTTP.Addr, cfg.HTTP.RequestTimeout, err)

	err = config.Load(&cfg, "", []string{"HTTP_REQUEST_TIMEOUT=5"})
	fmt.Println(err)
	// Output:
	// :8080 250ms <nil>
	// http.request_timeout: "5" from environment HTTP_REQUEST_TIMEOUT: must be a duration with its unit, such as 250ms or 1m30s
}
