// Loads a compose file as docker compose does (its schema, ${NAME:-default} from the environment, anchors)
// and prints the project as JSON.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	var project *types.Project
	var text []byte
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithOsEnv)
	if err == nil {
		project, err = options.LoadProject(context.Background())
	}
	if err == nil {
		text, err = project.MarshalJSON()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}
