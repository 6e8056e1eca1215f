package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Descendants returns the ids of the processes that pid started, and those that they started, whatever
// process group they are in. Where there is no /proc it returns none.
func Descendants(pid int) []int {
	var all []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // a process that has ended has none
	for _, task := range tasks {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), Descendants(child)...)
			}
		}
	}
	return all
}
