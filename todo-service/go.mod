module example.com/todo/todo-service

go 1.26.0

replace example.com/todo/contracts => ../contracts

replace example.com/todo/platform => ../platform

require (
	example.com/todo/contracts v0.0.0
	example.com/todo/platform v0.0.0
)

require github.com/google/uuid v1.6.0 // indirect
