package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var redisVersion = regexp.MustCompile(`v=(\d+)\.`)

// hasReadOnlyKeys reports whether the server is Redis 7, whose users may have keys that they may only read.
func (r Redis) hasReadOnlyKeys(ctx context.Context) (bool, error) {
	output, err := exec.CommandContext(ctx, r.Program, "--version").Output()
	if err != nil {
		return false, fmt.Errorf("%s: %w", r.Program, err)
	}
	found := redisVersion.FindSubmatch(output)
	if found == nil {
		return false, fmt.Errorf("%s prints no version: %q", r.Program, output)
	}
	major, err := strconv.Atoi(string(found[1]))
	return major >= 7, err
}

// redisACL returns the content of an ACL file: Rules with the hashes of the passwords. Without hasReadOnlyKeys, keys
// that a user may read it may also write, by its commands, and the commands of Redis 7 are left out.
func (s *Security) redisACL(hasReadOnlyKeys bool) (string, error) {
	hashes := map[string]string{}
	for _, account := range append(slices.Clone(s.Users), s.Operator) {
		variable := strings.ToUpper(strings.ReplaceAll(account.Name, "-", "_"))
		hashes[variable] = fmt.Sprintf("%x", sha256.Sum256([]byte(account.Password)))
	}
	var lines []string
	err := s.readRules(func(fields []string) error {
		var missing error
		line := os.Expand(strings.Join(fields, " "), func(variable string) string {
			if hashes[variable] == "" {
				missing = fmt.Errorf("there is no account for $%s", variable)
			}
			return hashes[variable]
		})
		if !hasReadOnlyKeys {
			line = strings.NewReplacer("%R~", "~", " +eval_ro", "", " +evalsha_ro", "").Replace(line)
		}
		lines = append(lines, line+"\n")
		return missing
	})
	return strings.Join(lines, ""), err
}
