package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

// knownImages returns the names of all images that this command can provide, sorted: those that the compose files
// in dir name without building them, and those with a stand-in.
func knownImages(ctx context.Context, dir string) ([]string, error) {
	named, err := composeImages(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, s := range standIns {
		named = append(named, s.image)
	}
	slices.Sort(named)
	return slices.Compact(named), nil
}

// composeImages returns the names of the images that the compose files in dir use and do not build.
func composeImages(ctx context.Context, dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no compose files in %s: --compose chooses the folder", dir)
	}
	used, built := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		if err := readComposeFile(ctx, file, used, built); err != nil {
			return nil, err
		}
	}
	var images []string
	for image := range used {
		if !built[image] {
			images = append(images, image)
		}
	}
	return images, nil
}

// readComposeFile adds the images of a compose file to used, and those that it builds to built, too.
func readComposeFile(ctx context.Context, file string, used, built map[string]bool) error {
	// The settings are in the repository's root, above the folder of the compose files.
	var settings []string
	if env := filepath.Join(filepath.Dir(filepath.Dir(file)), ".env"); fileExists(env) {
		settings = []string{env}
	}
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithName("local-images"),
		cli.WithOsEnv, cli.WithEnvFiles(settings...), cli.WithDotEnv,
		cli.WithProfiles([]string{"*"}),
		// A file that is merged with another one is not complete by itself.
		cli.WithConsistency(false),
	)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	for _, service := range project.Services {
		if service.Image == "" {
			continue
		}
		used[service.Image] = true
		if service.Build != nil {
			built[service.Image] = true
		}
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// choose returns the given images, which must be known, or all if none is given.
func choose(known, given []string) ([]string, error) {
	if len(given) == 0 {
		return known, nil
	}
	for _, image := range given {
		if !slices.Contains(known, image) {
			return nil, fmt.Errorf("%s: no compose file names it and it has no stand-in; known images: %s", image, strings.Join(known, ", "))
		}
	}
	return given, nil
}
