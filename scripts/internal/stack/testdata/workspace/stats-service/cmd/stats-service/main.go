package main

import "example.com/todo/standin/standin"

func main() { standin.Run() }
