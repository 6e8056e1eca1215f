package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"example.com/todo/scripts/internal/startup"
	"example.com/todo/scripts/prove/internal/history"
)

// firstVersion is the version that every replica starts with.
func (c *Cluster) firstVersion() string {
	if c.cfg.ReleasedTree != "" {
		return history.Released
	}
	return history.Working
}

// program is the path of a service's program. The folder is named for the version.
func (c *Cluster) program(version, service string) string {
	return filepath.Join(c.bins(), version, service)
}

// buildServices builds each version of the services with their failpoints.
func (c *Cluster) buildServices(ctx context.Context) error {
	for version, tree := range map[string]string{history.Working: c.cfg.Tree, history.Released: c.cfg.ReleasedTree} {
		if tree == "" {
			continue
		}
		// The released version lies in the working tree's repository, whose revision go build would stamp.
		build := startup.BuildCommand(tree, filepath.Join(c.bins(), version), services, "-tags", "failpoints", "-buildvcs=false")
		if err := c.cfg.Tools.Launcher.Run(ctx, build); err != nil {
			return fmt.Errorf("the services of the %s version could not be built: %w", version, err)
		}
	}
	return nil
}

// Replace stops a replica gracefully and starts it again with the program of a version. It returns when the replica
// is ready. It returns an error if the replica had to be killed.
func (c *Cluster) Replace(ctx context.Context, replica, version string) error {
	node := c.Node(replica)
	if err := node.Stop(ctx); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	node.setProgram(c.program(version, replica[:strings.LastIndex(replica, "-")]))
	return node.StartAndWait(ctx)
}

// Version returns the version of the program that the node's process executes.
func (n *Node) Version() (string, error) {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", n.PID()))
	if err != nil {
		return "", fmt.Errorf("the program of %s: %w", n.Name(), err)
	}
	return filepath.Base(filepath.Dir(path)), nil
}
