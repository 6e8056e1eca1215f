package grpcapi

import (
	"fmt"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// maskFields are the fields that an update mask may name. Each function copies a field of
// the request into the change; a field that the request leaves out gets its default.
var maskFields = map[string]func(*task.Change, *pb.UpdateTaskRequest){
	"title":    func(c *task.Change, req *pb.UpdateTaskRequest) { c.Title = new(req.GetTitle()) },
	"priority": func(c *task.Change, req *pb.UpdateTaskRequest) { c.Priority = new(int(req.GetPriority())) },
	"done":     func(c *task.Change, req *pb.UpdateTaskRequest) { c.Done = new(req.GetDone()) },
}

// changeFromRequest returns the change of a request, by AIP-134: without a mask, or with
// an empty one, all fields that the request has; otherwise the fields of the mask.
func changeFromRequest(req *pb.UpdateTaskRequest) (task.Change, error) {
	var c task.Change
	paths := req.GetUpdateMask().GetPaths()
	switch {
	case len(paths) == 0:
		c.Title, c.Done = req.Title, req.Done
		if req.Priority != nil {
			maskFields["priority"](&c, req)
		}
		return c, nil
	case len(paths) == 1 && paths[0] == "*":
		paths = []string{"title", "priority", "done"}
	}
	for _, path := range paths {
		set, ok := maskFields[path]
		if !ok {
			return task.Change{}, apperr.InvalidFields(apperr.Field{Name: "update_mask", Problem: fmt.Sprintf(
				"names %.100q; it may name title, priority and done, or * alone for all", path)})
		}
		set(&c, req)
	}
	return c, nil
}
