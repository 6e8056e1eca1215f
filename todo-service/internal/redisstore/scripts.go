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
	//go:embed lua/lookup_user.lua
	lookupUserText string
	//go:embed lua/fill.lua
	fillText string
	//go:embed lua/invalidate.lua
	invalidateText string
	//go:embed lua/invalidate_user.lua
	invalidateUserText string
	//go:embed lua/forget_users.lua
	forgetUsersText string
	//go:embed lua/heal.lua
	healText string
	//go:embed lua/heal_users.lua
	healUsersText string
	//go:embed lua/allow.lua
	allowText string

	fillScript           = goredis.NewScript(fillText)
	invalidateScript     = goredis.NewScript(invalidateText)
	invalidateUserScript = goredis.NewScript(invalidateUserText)
	forgetUsersScript    = goredis.NewScript(forgetUsersText)
	healScript           = goredis.NewScript(healText)
	healUsersScript      = goredis.NewScript(healUsersText)
	allowScript          = goredis.NewScript(allowText)
)
