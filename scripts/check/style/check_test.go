package style

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The limits, in lines but for the last.
const (
	maxDocLines      = 8 // of a doc comment of an unexported name
	maxFileLines     = 400
	maxTestFileLines = 500
	maxFuncLines     = 70 // of a function's body, comments not counted
	maxExported      = 12 // names of a package
)

//go:embed banned.txt
var banned string

var (
	bannedInComments = regexp.MustCompile(`(?i)\b(` + strings.Join(bannedWords("comment"), "|") + `)\b`)
	bannedInNames    = regexp.MustCompile(`^(` + strings.Join(bannedWords("name"), "|") + `)`)
	camelWord        = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+|[0-9]+`)
)

// bannedWords returns the words of the lines of banned.txt that start with kind.
func bannedWords(kind string) []string {
	var words []string
	for line := range strings.Lines(banned) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == kind {
			words = append(words, f[1:]...)
		}
	}
	return words
}

// file is one parsed Go file.
type file struct {
	path   string
	isTest bool
	set    *token.FileSet
	syntax *ast.File
	lines  []string
	found  []string
}

// parseFile returns nil for a generated file.
func parseFile(path string, source []byte) (*file, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(syntax) {
		return nil, err
	}
	return &file{
		path: path, isTest: strings.HasSuffix(path, "_test.go"), set: set, syntax: syntax,
		lines: strings.Split(strings.TrimSuffix(string(source), "\n"), "\n"),
	}, nil
}

func (f *file) line(at token.Pos) int { return f.set.Position(at).Line }

func (f *file) report(at token.Pos, format string, args ...any) {
	found := fmt.Sprintf("%s:%d: ", f.path, f.line(at)) + fmt.Sprintf(format, args...)
	if !slices.Contains(f.found, found) {
		f.found = append(f.found, found)
	}
}

// check returns the violations in one file, as "path:line: message".
func (f *file) check() []string {
	limit := maxFileLines
	if f.isTest {
		limit = maxTestFileLines
	}
	if len(f.lines) > limit {
		f.report(f.syntax.Package, "the file has %d lines, at most %d are allowed", len(f.lines), limit)
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			f.checkName(name)
		}
		return true
	})
	if f.isTest {
		return f.found
	}
	for _, group := range f.syntax.Comments {
		for _, comment := range group.List {
			for _, word := range bannedInComments.FindAllString(comment.Text, -1) {
				f.report(comment.Pos(), "comment with %q: name the actor", word)
			}
		}
	}
	for _, decl := range f.syntax.Decls {
		f.checkDoc(decl)
		if function, ok := decl.(*ast.FuncDecl); ok {
			f.checkLength(function)
		}
	}
	return f.found
}

func (f *file) checkName(name *ast.Ident) {
	for _, word := range camelWord.FindAllString(name.Name, -1) {
		if bannedInNames.MatchString(strings.ToLower(word)) {
			f.report(name.Pos(), "%s: use the pattern's name instead of %q", name.Name, word)
		}
	}
}

// checkDoc limits the doc comments of unexported names.
func (f *file) checkDoc(decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		f.checkDocLines(d.Doc, d.Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				f.checkDocLines(s.Doc, s.Name)
				f.checkDocLines(d.Doc, s.Name)
			case *ast.ValueSpec:
				f.checkDocLines(s.Doc, s.Names[0])
				f.checkDocLines(d.Doc, s.Names[0])
			}
		}
	}
}

func (f *file) checkDocLines(doc *ast.CommentGroup, name *ast.Ident) {
	if doc == nil || name.IsExported() {
		return
	}
	if n := len(strings.Split(strings.TrimSpace(doc.Text()), "\n")); n > maxDocLines {
		f.report(doc.Pos(), "the doc comment of %s has %d lines, at most %d are allowed", name.Name, n, maxDocLines)
	}
}

// checkLength limits functions. A nolint:funlen with a reason, as golangci-lint reads it, is an exception.
func (f *file) checkLength(function *ast.FuncDecl) {
	if function.Body == nil {
		return
	}
	if function.Doc != nil && strings.Contains(function.Doc.List[len(function.Doc.List)-1].Text, "nolint:funlen // ") {
		return
	}
	n, first := 0, f.line(function.Body.Lbrace)
	for _, line := range f.lines[first:max(first, f.line(function.Body.Rbrace)-1)] {
		if !strings.HasPrefix(strings.TrimSpace(line), "//") {
			n++
		}
	}
	if n > maxFuncLines {
		f.report(function.Pos(), "%s has %d lines, at most %d are allowed", function.Name.Name, n, maxFuncLines)
	}
}

// checkPackage returns the violations of the files of one folder, as "path:line: message".
func checkPackage(dir string, files []*file, limitExports bool) []string {
	var found []string
	documented, tests := false, true
	exported := map[string]bool{}
	for _, f := range files {
		found = append(found, f.check()...)
		if f.isTest {
			continue
		}
		tests = false
		documented = documented || f.syntax.Doc != nil
		for _, name := range exportedNames(f.syntax) {
			exported[name] = true
		}
	}
	if !documented && !tests {
		found = append(found, dir+": the package has no package comment")
	}
	if limitExports && len(exported) > maxExported {
		found = append(found, fmt.Sprintf("%s: the package exports %d names, at most %d are allowed: %s",
			dir, len(exported), maxExported, strings.Join(slices.Sorted(maps.Keys(exported)), ", ")))
	}
	return found
}

// exportedNames returns the names of the exported functions, types, variables and constants. A group of constants is
// an enumeration: it counts as its first one, or as its type.
func exportedNames(syntax *ast.File) []string {
	var all []*ast.Ident
	for _, decl := range syntax.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				all = append(all, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					all = append(all, s.Name)
				case *ast.ValueSpec:
					all = append(all, s.Names...)
				}
				if d.Tok == token.CONST && len(all) > 0 && all[len(all)-1].IsExported() {
					if t, ok := spec.(*ast.ValueSpec).Type.(*ast.Ident); ok && t.IsExported() {
						all = all[:len(all)-1]
					}
					break
				}
			}
		}
	}
	var names []string
	for _, name := range all {
		if name.IsExported() {
			names = append(names, name.Name)
		}
	}
	return names
}
