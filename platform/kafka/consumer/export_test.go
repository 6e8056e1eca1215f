package consumer

import (
	"time"
)

// BoundCalls makes the group less patient with its handler than it is.
func (g *Group) BoundCalls(bound time.Duration) { g.handlerTimeout = bound }
