module example.com/todo/standin

go 1.26.0
