package grpcapi

import (
	"fmt"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// changeFromRequest returns the change of a request, by AIP-134: without a mask, or with
// an empty one, all fields that the request has; otherwise the fields of the mask. A field
// of the mask that the request leaves out gets its default.
func changeFromRequest(req *pb.UpdateTaskRequest) (task.Change, error) {
	c := task.Change{Title: req.Title, Done: req.Done}
	if req.Priority != nil {
		c.Priority = new(int(req.GetPriority()))
	}
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		return c, nil
	}
	if len(paths) == 1 && paths[0] == "*" {
		paths = []string{"title", "priority", "done"}
	}
	c = task.Change{}
	for _, path := range paths {
		switch path {
		case "title":
			c.Title = new(req.GetTitle())
		case "priority":
			c.Priority = new(int(req.GetPriority()))
		case "done":
			c.Done = new(req.GetDone())
		default:
			return task.Change{}, apperr.InvalidFields(apperr.Field{Name: "update_mask", Problem: fmt.Sprintf(
				"names %.100q; it may name title, priority and done, or * alone for all", path)})
		}
	}
	return c, nil
}
