package task

// Owner is the id of the user to whom a task belongs; 0: no owner.
type Owner int64
