// Package test holds what needs more than one room of the house: the browser
// tests, the example site, and the rules between packages.
package test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/consentgate/consentgate/"

// forbidden lists, for each package tree, the imports it must not have. Imports
// run one way: consent, policy, rewriter, caddymodule; and only caddymodule
// knows Caddy, zap and Prometheus.
var forbidden = map[string][]string{
	"consent":  {module + "policy", module + "rewriter", module + "caddymodule", "github.com/caddyserver/", "go.uber.org/zap", "github.com/prometheus/"},
	"policy":   {module + "rewriter", module + "caddymodule", "github.com/caddyserver/", "go.uber.org/zap", "github.com/prometheus/"},
	"rewriter": {module + "caddymodule", "github.com/caddyserver/", "go.uber.org/zap", "github.com/prometheus/"},
}

func TestImportsRunOneWay(t *testing.T) {
	files := 0
	for tree, bad := range forbidden {
		err := filepath.WalkDir(filepath.Join("..", tree), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			files++
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, im := range f.Imports {
				name, _ := strconv.Unquote(im.Path.Value)
				for _, b := range bad {
					if strings.HasPrefix(name, b) {
						t.Errorf("%s imports %s", path, name)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 20 {
		t.Fatalf("only %d files looked at: the trees have moved", files)
	}
}
