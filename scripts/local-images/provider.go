package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/filelock"
	"example.com/todo/scripts/internal/toolchain"
)

// The labels of a stand-in: what it was made of, and the recipe that it was built by.
const (
	standInLabel = "todo.stand-in"
	recipeLabel  = "todo.stand-in.recipe"
)

// engine is what a provider needs of Docker.
type engine interface {
	labels(ctx context.Context, image string) (map[string]string, error)
	pull(ctx context.Context, image string) error
	build(ctx context.Context, image, target string, labels map[string]string, archive io.Reader) error
	run(ctx context.Context, args ...string) (string, error)
}

// provider makes images available to a Docker engine.
type provider struct {
	engine  engine
	machine *machine
	console *console.Console
	// unreachable has the registries that did not answer, with the error.
	unreachable map[string]error
	baseRecipe  string // "" before the base image was provided
}

// result says where an image is from.
type result struct {
	image, from, detail string
}

const (
	fromUpstream = "upstream"
	fromStandIn  = "stand-in"
	notAvailable = "not available"
)

func newProvider(ctx context.Context, c *console.Console, getenv func(string) string) (*provider, error) {
	tools, err := toolchain.New(c, getenv)
	if err != nil {
		return nil, err
	}
	docker := newDocker(getenv)
	if err := docker.checkEngine(ctx); err != nil {
		return nil, err
	}
	return &provider{
		engine: docker, console: c, unreachable: map[string]error{},
		machine: &machine{finder: tools.Finder, authorities: caBundle},
	}, nil
}

// provide makes the images available, one after another, and returns where each is from. The results are those of
// the images before an error.
func (p *provider) provide(ctx context.Context, images []string) ([]result, error) {
	// Two processes would install Debian twice.
	_, release, err := filelock.Lock(ctx, filepath.Join(p.machine.finder.Cache.Dir, "local-images.lock"))
	if err != nil {
		return nil, err
	}
	defer release()
	var results []result
	for _, image := range images {
		r, err := p.provideImage(ctx, image)
		if err != nil {
			return results, fmt.Errorf("%s: %w", image, err)
		}
		results = append(results, r)
	}
	return results, nil
}

func (p *provider) provideImage(ctx context.Context, image string) (result, error) {
	labels, err := p.engine.labels(ctx, image)
	if err != nil && !errors.Is(err, errAbsent) {
		return result{}, err
	}
	if err == nil && labels[standInLabel] == "" {
		return result{image, fromUpstream, "was there"}, nil
	}
	var pullErr error
	if errors.Is(err, errAbsent) {
		if pullErr = p.pull(ctx, image); pullErr == nil {
			return result{image, fromUpstream, "pulled"}, nil
		}
	}
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	i := slices.IndexFunc(standIns, func(s standIn) bool { return s.image == image })
	if i < 0 {
		if errors.Is(pullErr, errUnreachable) {
			pullErr = errUnreachable // its details were printed
		}
		return result{image, notAvailable, fmt.Sprintf("%s, and %s", pullErr, explainAbsence(image))}, nil
	}
	madeOf, err := p.provideStandIn(ctx, standIns[i], labels)
	return result{image, fromStandIn, madeOf}, err
}

// pull pulls an image, unless its registry did not answer before.
func (p *provider) pull(ctx context.Context, image string) error {
	name, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return fmt.Errorf("not a name of an image: %w", err)
	}
	registry := reference.Domain(name)
	if err := p.unreachable[registry]; err != nil {
		return err
	}
	p.console.Progress("pulling %s", image)
	err = p.engine.pull(ctx, image)
	if errors.Is(err, errUnreachable) && ctx.Err() == nil {
		p.console.Progress("no more pulls from %s, stand-ins take their place: %s", registry, err)
		p.unreachable[registry] = err
	}
	return err
}

// explainAbsence says why image has no stand-in.
func explainAbsence(image string) string {
	repository, _, _ := strings.Cut(image, ":")
	for _, s := range standIns {
		if strings.HasPrefix(s.image, repository+":") {
			return "the stand-in is of " + s.image + " alone"
		}
	}
	return "there is no stand-in"
}

// provideStandIn builds a stand-in unless labels, those of the image that is there, are of the same recipe. It
// returns what the stand-in is made of.
func (p *provider) provideStandIn(ctx context.Context, s standIn, labels map[string]string) (string, error) {
	if err := p.provideBase(ctx); err != nil {
		return "", err
	}
	b := buildContext{folder: s.folder}
	if s.sources != nil {
		var err error
		if b.sources, err = s.sources(ctx, p.machine); err != nil {
			return "", err
		}
	}
	recipe, err := b.recipe(p.baseRecipe + s.madeOf + s.version)
	if err != nil {
		return "", err
	}
	if labels[recipeLabel] == recipe {
		return labels[standInLabel], nil
	}
	return p.build(ctx, s, b, recipe)
}

// provideBase builds the base image unless it is there.
func (p *provider) provideBase(ctx context.Context) error {
	if p.baseRecipe != "" {
		return nil
	}
	labels, err := p.engine.labels(ctx, baseImage.image)
	if err != nil && !errors.Is(err, errAbsent) {
		return err
	}
	b := buildContext{folder: baseImage.folder}
	if b.sources, err = baseSources(ctx, p.machine); err != nil {
		return err
	}
	recipe, err := b.recipe("")
	if err != nil {
		return err
	}
	if labels[recipeLabel] != recipe {
		if _, err := p.build(ctx, baseImage, b, recipe); err != nil {
			return err
		}
	}
	p.baseRecipe = recipe
	return nil
}

// unlabelledImage is the name of a stand-in whose version is not known yet.
const unlabelledImage = "todo/stand-in-unlabelled"

// build builds a stand-in and returns what it is made of.
func (p *provider) build(ctx context.Context, s standIn, b buildContext, recipe string) (string, error) {
	start := time.Now()
	p.console.Progress("building a stand-in of %s", s.image)
	labels := map[string]string{standInLabel: s.madeOf, recipeLabel: recipe}
	name, first := s.image, labels
	if s.version != "" {
		// The image gets its labels, and upstream's name, when the version of what is in it is known.
		name, first = unlabelledImage, nil
	}
	archive := b.open()
	defer func() { _ = archive.Close() }()
	if err := p.engine.build(ctx, name, s.target, first, archive); err != nil {
		return "", err
	}
	if s.version != "" {
		version, err := p.engine.run(ctx, "run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", name, "-c", s.version)
		if err != nil {
			return "", err
		}
		labels[standInLabel] = fmt.Sprintf(s.madeOf, version)
		if err := p.addLabels(ctx, s.image, labels); err != nil {
			return "", err
		}
	}
	p.console.Progress("built it in %s", time.Since(start).Round(time.Second))
	return labels[standInLabel], nil
}

// addLabels makes image from the unlabelled image, which it removes.
func (p *provider) addLabels(ctx context.Context, image string, labels map[string]string) error {
	dockerfile := buildContext{sources: []source{{name: "Dockerfile", content: "FROM " + unlabelledImage + "\n"}}}
	archive := dockerfile.open()
	defer func() { _ = archive.Close() }()
	if err := p.engine.build(ctx, image, "", labels, archive); err != nil {
		return err
	}
	_, err := p.engine.run(ctx, "image", "rm", unlabelledImage)
	return err
}
