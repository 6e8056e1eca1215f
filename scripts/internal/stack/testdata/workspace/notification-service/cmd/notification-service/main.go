package main

import (
	"fmt"
	"os"

	"example.com/todo/standin/standin"
)

func main() {
	if err := standin.Run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
