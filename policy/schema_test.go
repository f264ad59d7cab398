package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/consentgate/consentgate/policy/catalog"
)

func compileSchema(t *testing.T) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	raw, err := os.ReadFile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s, doc.(map[string]any)
}

// decodeYAML decodes as an editor with a YAML language server does.
func decodeYAML(data []byte) (any, error) {
	js, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(js))
}

func TestGoodFiles(t *testing.T) {
	schema, _ := compileSchema(t)
	files, _ := filepath.Glob("testdata/good/*.yaml")
	if len(files) < 3 {
		t.Fatal("testdata/good is missing", files)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(name, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		validate(t, schema, name, data)
	}
	validate(t, schema, "default.yaml", []byte(catalog.DefaultPolicy()))
}

func validate(t *testing.T, schema *jsonschema.Schema, name string, data []byte) {
	t.Helper()
	v, err := decodeYAML(data)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	} else if err := schema.Validate(v); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// unseen are the faults a schema cannot see: it knows neither the catalog nor
// what stands elsewhere in the file, nor the syntax of RE2.
var unseen = []string{
	"category-covers-twice", "category-fixed-signal", "category-twice", "category-uncovered",
	"cookie-consent-no-category", "cookie-essential-blocked", "cookie-pattern", "cookie-twice",
	"host-claimed-twice", "host-tld", "inline-quotes", "inline-short", "pattern-any-host", "pattern-path-regex",
	"pattern-query-regex", "stub-no-methods", "tag", "two-documents", "vendor-category-unknown", "vendor-cookie-category",
	"vendor-no-category", "vendor-nothing-to-match", "vendor-twice", "vendor-unknown", "vendor-unknown-near",
}

func TestSchemaRejects(t *testing.T) {
	schema, _ := compileSchema(t)
	files, _ := filepath.Glob("testdata/errors/*.txt")
	rejected := 0
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, _, _ := strings.Cut(string(raw), dashes)
		v, err := decodeYAML([]byte(doc))
		if err != nil {
			continue // an editor marks it without any schema
		}
		base := strings.TrimSuffix(filepath.Base(name), ".txt")
		err = schema.Validate(v)
		switch {
		case err != nil && slices.Contains(unseen, base):
			t.Errorf("%s: the schema sees it; take it off the list", base)
		case err == nil && !slices.Contains(unseen, base):
			t.Errorf("%s: the schema lets it pass", base)
		case err != nil:
			rejected++
		}
	}
	if rejected < 20 {
		t.Errorf("only %d bad files rejected", rejected)
	}
}

// TestSchemaKeys compares the keys of the schema with those Parse reads.
func TestSchemaKeys(t *testing.T) {
	_, doc := compileSchema(t)
	at := func(path ...string) map[string]any {
		v := doc
		for _, p := range path {
			next, ok := v[p].(map[string]any)
			if !ok {
				t.Fatalf("no %s in the schema", strings.Join(path, "/"))
			}
			v = next
		}
		return v
	}
	var f file
	var v vendorEntry
	for _, test := range []struct {
		schema map[string]any
		fields []field
	}{
		{at("properties"), fileFields(&f)},
		{at("properties", "site", "properties"), siteFields(&f)},
		{at("$defs", "category", "properties"), categoryFields(new(categoryEntry), position{})},
		{at("$defs", "vendor", "properties"), vendorFields(&v, position{})},
		{at("$defs", "vendor", "properties", "inline", "properties"), inlineFields(&v)},
		{at("$defs", "vendor", "properties", "stub", "properties"), stubFields(new(stubEntry), position{})},
		{at("$defs", "urlPattern", "properties"), patternFields(new(patternEntry), position{})},
		{at("$defs", "cookie", "properties"), cookieFields(new(cookieEntry), position{})},
		{at("$defs", "storage", "properties"), storageFields(new(storageEntry), position{})},
	} {
		var got, want []string
		for _, f := range test.fields {
			got = append(got, f.name)
		}
		for k, p := range test.schema {
			want = append(want, k)
			if d, ok := p.(map[string]any); !ok || d["description"] == nil && d["$ref"] != "#/$defs/action" {
				t.Errorf("%s has no description", k)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("Parse reads %v, the schema has %v", got, want)
		}
	}
}
