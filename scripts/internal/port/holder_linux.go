package port

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// stateListen is the code of the state LISTEN in /proc/net/tcp.
const stateListen = "0A"

// Holder returns the process that listens on a port, as "name (pid 1)". It returns "" if the process is
// unknown, for instance another user's.
func Holder(port int) string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for _, inode := range listenerInodes(string(content), port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is not malformed
	for _, path := range descriptors {
		target, err := os.Readlink(path)
		if err != nil || !sockets[target] {
			continue
		}
		pid := strings.Split(path, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// listenerInodes parses a table of /proc/net and returns the inodes of the sockets that listen on port.
func listenerInodes(table string, port int) []string {
	var inodes []string
	for _, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != stateListen {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
