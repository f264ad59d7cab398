package test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/consentgate/consentgate/caddymodule"
	"github.com/consentgate/consentgate/consent"
	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

// A fence is one fenced block of a document.
type fence struct {
	doc, lang, text string
	line            int
}

// documents returns the texts of the project by path, from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"../*.md", "../docs/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	docs := make(map[string]string)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		docs[strings.TrimPrefix(filepath.ToSlash(path), "../")] = string(text)
	}
	if len(docs) < 8 {
		t.Fatalf("only %d documents: the docs have moved", len(docs))
	}
	return docs
}

// fences returns the fenced blocks of a document, freed of a list's indentation.
func fences(doc, text string) []fence {
	var list []fence
	var open *fence
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		inner := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(inner, "```"):
			indent = line[:len(line)-len(inner)]
			open = &fence{doc: doc, lang: strings.TrimPrefix(inner, "```"), line: i + 2}
		case open != nil && inner == "```":
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return list
}

// each runs f for every block of the language, and fails if there is none.
func each(t *testing.T, lang string, f func(t *testing.T, b fence, next *fence)) {
	t.Helper()
	n := 0
	for doc, text := range documents(t) {
		blocks := fences(doc, text)
		for i := range blocks {
			if blocks[i].lang != lang {
				continue
			}
			n++
			var next *fence
			if i+1 < len(blocks) {
				next = &blocks[i+1]
			}
			t.Run(doc, func(t *testing.T) { f(t, blocks[i], next) })
		}
	}
	if n == 0 {
		t.Fatalf("no %s block", lang)
	}
}

// Every Caddyfile of the docs loads.
func TestDocsCaddyfiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte("version: \"1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_DATA_HOME", dir)
	each(t, "caddyfile", func(t *testing.T, b fence, _ *fence) {
		source := strings.ReplaceAll(b.text, "/etc/consentgate/policy.yaml", file)
		source = regexp.MustCompile(`consent policy\.yaml`).ReplaceAllString(source, "consent * "+file)
		config, warnings, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(source), nil)
		if err != nil {
			t.Fatalf("line %d: %v", b.line, err)
		}
		for _, w := range warnings {
			t.Errorf("line %d: %s", b.line, w)
		}
		var c caddy.Config
		if err := json.Unmarshal(config, &c); err != nil {
			t.Fatal(err)
		}
		c.Logging = quiet()
		if err := caddy.Validate(&c); err != nil {
			t.Errorf("line %d: %v", b.line, err)
		}
		if b.doc == "README.md" && strings.Count(b.text, "\n") > 15 {
			t.Errorf("the first screen's Caddyfile has %d lines", strings.Count(b.text, "\n"))
		}
	})
}

// quiet keeps Caddy from telling what it does.
func quiet() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}}
}

// Every YAML block is a policy, but for Prometheus's own file. One that has
// faults is followed by what is printed.
func TestDocsPolicies(t *testing.T) {
	each(t, "yaml", func(t *testing.T, b fence, next *fence) {
		first, _, _ := strings.Cut(b.text, "\n")
		_, err := policy.Parse("policy.yaml", []byte(b.text))
		switch {
		case first == "# prometheus.yml":
		case first == "# policy.yaml, with faults":
			if err == nil || next == nil || strings.TrimSuffix(next.text, "\n") != err.Error() {
				t.Errorf("line %d: printed is\n%v", b.line, err)
			}
		case err != nil:
			t.Errorf("line %d: %v", b.line, err)
		}
	})
}

// The README's policy uses every key, and the reference names them all.
func TestDocsPolicyKeys(t *testing.T) {
	schema, err := os.ReadFile("../policy/policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(schema, &tree); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	collect(tree, keys)
	if len(keys) < 30 {
		t.Fatalf("only %d keys in the schema", len(keys))
	}
	docs := documents(t)
	example := ""
	for _, b := range fences("README.md", docs["README.md"]) {
		if b.lang == "yaml" {
			example += b.text
		}
	}
	for key := range keys {
		if !regexp.MustCompile(`(?m)(^|[\s{-])` + key + `:`).MatchString(example) {
			t.Errorf("the README's policy has no %s", key)
		}
		if !regexp.MustCompile("`([a-z]+\\.)?" + key + "(\\.[a-z]+)?`").MatchString(docs["docs/configure.md"]) {
			t.Errorf("docs/configure.md does not explain %s", key)
		}
	}
}

// collect gathers the names of all properties of a JSON Schema.
func collect(node any, keys map[string]bool) {
	switch node := node.(type) {
	case map[string]any:
		for name, sub := range node {
			if properties, ok := sub.(map[string]any); ok && name == "properties" {
				for key := range properties {
					keys[key] = true
				}
			}
			collect(sub, keys)
		}
	case []any:
		for _, sub := range node {
			collect(sub, keys)
		}
	}
}

// Both tables of the directive name every option, and no other.
func TestDocsDirective(t *testing.T) {
	var words []string
	for field := range reflect.TypeFor[caddymodule.Handler]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			words = append(words, name)
		}
	}
	slices.Sort(words)
	docs := documents(t)
	for _, section := range []struct{ doc, from, to string }{
		{"README.md", "\n## The directive\n", "\n## "},
		{"docs/configure.md", "\n## The directive\n", "\n### "},
	} {
		_, text, _ := strings.Cut(docs[section.doc], section.from)
		text, _, _ = strings.Cut(text, section.to)
		var named []string
		for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllStringSubmatch(text, -1) {
			named = append(named, m[1])
		}
		slices.Sort(named)
		if !slices.Equal(named, words) {
			t.Errorf("%s has %v, the handler %v", section.doc, named, words)
		}
	}
}

// The README's example of HTML is what the rewriter makes of it.
func TestDocsExample(t *testing.T) {
	each(t, "diff", func(t *testing.T, b fence, _ *fence) {
		var before, after strings.Builder
		for line := range strings.Lines(b.text) {
			if line[0] != '+' {
				before.WriteString(line[1:])
			}
			if line[0] != '-' {
				after.WriteString(line[1:])
			}
		}
		var got bytes.Buffer
		rw := rewriter.New(rewriter.Options{})
		rw.Reset(&got, rewriter.Page{
			Bound:  policy.Default().Bind(consent.State{}, "www.example.com"),
			Scheme: "https", Host: "www.example.com", Path: "/", Stubs: true,
		})
		if _, err := rw.Write([]byte(before.String())); err != nil {
			t.Fatal(err)
		}
		if err := rw.Close(); err != nil {
			t.Fatal(err)
		}
		if got.String() != after.String() {
			t.Errorf("line %d: the rewriter makes\n%s", b.line, got.String())
		}
	})
}

// Every metric that is named exists, and every one that exists is named.
func TestDocsMetrics(t *testing.T) {
	ctx, err := caddy.ProvisionContext(&caddy.Config{Logging: quiet(), AppsRaw: caddy.ModuleMap{"http": json.RawMessage(
		`{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[{"handler":"consent"}]}]}}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	// These have no series before something is counted.
	exist := []string{"choices_total", "cookies_total", "resources_total"}
	for _, f := range families {
		if name, ok := strings.CutPrefix(f.GetName(), "caddy_consent_"); ok && !slices.Contains(exist, name) {
			exist = append(exist, name)
		}
	}
	docs := documents(t)
	for doc, text := range docs {
		for _, m := range regexp.MustCompile(`caddy_consent_([a-z_]+)`).FindAllStringSubmatch(text, -1) {
			if name := strings.TrimSuffix(m[1], "_bucket"); !slices.Contains(exist, name) {
				t.Errorf("%s names caddy_consent_%s, which does not exist", doc, name)
			}
		}
	}
	for _, name := range exist {
		if !strings.Contains(docs["README.md"], "| `"+name+"` |") {
			t.Errorf("the README's table lacks %s", name)
		}
	}
}

// Every link within the project leads somewhere.
func TestDocsLinks(t *testing.T) {
	docs := documents(t)
	n := 0
	for doc, text := range docs {
		for _, b := range fences(doc, text) {
			text = strings.ReplaceAll(text, b.text, "")
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			n++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := doc
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(doc), path))
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s: %s: %v", doc, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(docs[target]), anchor) {
				t.Errorf("%s: %s has no heading %s", doc, target, anchor)
			}
		}
	}
	if n < 20 {
		t.Fatalf("only %d links found", n)
	}
}

// anchors returns the names of a document's headings, as GitHub makes them.
func anchors(text string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		a := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(a, " ", "-"))
	}
	return list
}
