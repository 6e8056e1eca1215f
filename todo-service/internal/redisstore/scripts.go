package redisstore

import (
	_ "embed"

	goredis "github.com/redis/go-redis/v9"
)

// The scripts, each documented in its own file. AutoPipeline sends their hash, and the
// text if Redis does not know that.
var (
	//go:embed lua/lookup.lua
	lookupText string
	//go:embed lua/fill.lua
	fillText string
	//go:embed lua/invalidate.lua
	invalidateText string
	//go:embed lua/heal.lua
	healText string
	//go:embed lua/allow.lua
	allowText string

	fillScript       = goredis.NewScript(fillText)
	invalidateScript = goredis.NewScript(invalidateText)
	healScript       = goredis.NewScript(healText)
	allowScript      = goredis.NewScript(allowText)
)
