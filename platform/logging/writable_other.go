//go:build !unix

package logging

import (
	"os"
	"time"
)

func waitWritable(*os.File, time.Duration) bool { return true }
