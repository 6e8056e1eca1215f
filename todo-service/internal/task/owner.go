package task

// Owner is the user that a task belongs to: the user that created it. Only the owner sees
// and changes it.
type Owner int64

// NoOwner owns the tasks that are created without sign-in.
const NoOwner Owner = 0

// UserID returns the id of the user, or nil for NoOwner.
func (o Owner) UserID() *int64 {
	if o == NoOwner {
		return nil
	}
	return new(int64(o))
}
