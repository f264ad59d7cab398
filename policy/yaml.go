package policy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a policy file. A person's file stays far below them; they keep a
// hostile one from costing memory or stack.
const (
	maxFileSize = 1 << 20 // bytes
	maxLine     = 8 << 10 // bytes of one line: the lexer is quadratic in it
	maxTokens   = 60_000  // YAML tokens: the parser is quadratic in the entries of one mapping
	maxDepth    = 32      // brackets within brackets
	maxIndent   = 200     // column of a list entry, which bounds nesting by indentation
)

// text is a scalar of the file together with where it stands.
type text struct {
	s   string
	at  position
	set bool // the key is there and has a value
	bad bool // the key is there, but its value is a fault already reported
}

// missing reports whether the key is not there.
func (t text) missing() bool { return !t.set && !t.bad }

// A reader turns the YAML tree into the file's types and collects faults.
type reader struct{ faults }

// A field is one key of a mapping and what to do with its value.
type field struct {
	name string
	read func(r *reader, n ast.Node)
}

// parseYAML returns the document's content, or nil if it is empty or broken.
func (r *reader) parseYAML(data []byte) ast.Node {
	if len(data) > maxFileSize {
		r.add(position{}, "split off what the gateway does not need", "the file is larger than %d KiB", maxFileSize>>10)
		return nil
	}
	if at, ok := firstInvalid(data); !ok {
		r.add(at, "save the file as UTF-8 text", "a byte that is not UTF-8 text")
		return nil
	}
	for i, l := range bytes.Split(data, []byte("\n")) {
		if len(l) > maxLine {
			r.add(position{i + 1, 1}, "break it up", "a line of more than %d KiB", maxLine>>10)
			return nil
		}
	}
	tokens := lexer.Tokenize(string(bytes.TrimPrefix(data, []byte("\ufeff"))))
	if !r.checkTokens(tokens) {
		return nil
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, what := position{}, err.Error()
		if e := yaml.Error(nil); errors.As(err, &e) {
			at, what = tokenAt(e.GetToken()), e.GetMessage()
		}
		r.add(at, "mend the YAML here or on the line before", "not YAML: %s", oneLine(what))
		return nil
	}
	var body ast.Node
	for _, d := range tree.Docs {
		if d == nil || d.Body == nil || d.Body.Type() == ast.CommentType || d.Body.Type() == ast.NullType {
			continue
		}
		if body != nil {
			r.add(nodeAt(d.Body), `remove the "---" and what follows it`, "a second YAML document")
			return nil
		}
		body = d.Body
	}
	return body
}

// checkTokens refuses what the file does not need and what the parser, which
// recurses, could be driven too deep with.
func (r *reader) checkTokens(tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		r.add(tokenAt(tokens[maxTokens]), "split off what the gateway does not need", "more than %d words and signs", maxTokens)
		return false
	}
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			r.add(tokenAt(t), "write the value out in each place", "YAML anchors, aliases and merge keys are not supported")
			return false
		case token.TagType, token.DirectiveType:
			r.add(tokenAt(t), "remove it", "YAML tags and directives are not supported")
			return false
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.MappingKeyType:
			r.add(tokenAt(t), `write "key: value"`, `YAML's "? key" form is not supported`)
			return false
		case token.SequenceEntryType:
			if t.Position.Column > maxIndent {
				depth = maxDepth + 1
			}
		}
		if depth > maxDepth {
			r.add(tokenAt(t), "a policy file never needs that", "nested too deep")
			return false
		}
	}
	return true
}

// firstInvalid finds the first byte that is not UTF-8.
func firstInvalid(data []byte) (position, bool) {
	if utf8.Valid(data) {
		return position{}, true
	}
	line, start := 1, 0
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 {
			return position{line, utf8.RuneCount(data[start:i]) + 1}, false
		}
		i += n
		if c == '\n' {
			line, start = line+1, i
		}
	}
	return position{}, true
}

func tokenAt(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}

func nodeAt(n ast.Node) position {
	// A mapping's own token is the colon behind its first key.
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return tokenAt(m.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return tokenAt(m.Key.GetToken())
	}
	return tokenAt(n.GetToken())
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\t", `\t`)), " ")
}

// mapping reads a mapping: known keys by their fields, anything else a fault.
// what names the mapping in errors. It returns false if n is something else.
func (r *reader) mapping(n ast.Node, what string, fields []field) bool {
	m, ok := n.(ast.MapNode)
	if !ok {
		r.add(nodeAt(n), `write "key: value" lines`, "%s must be a mapping, not %s", what, kindOf(n))
		return false
	}
	known := make([]string, len(fields))
	for i := range fields {
		known[i] = fields[i].name
	}
	seen := make(map[string]position, len(fields))
	for it := m.MapRange(); it.Next(); {
		at := tokenAt(it.Key().GetToken())
		key, ok := scalar(it.Key())
		if !ok {
			r.add(at, "keys are plain words", "%s has a key that is not a word", what)
			continue
		}
		if first, dup := seen[key]; dup {
			r.add(at, "keep one of them", "key %s stands twice in %s, first in line %d", quote(key), what, first.line)
			continue
		}
		seen[key] = at
		i := slices.Index(known, key)
		if i < 0 {
			r.add(at, suggest(key, known, "known keys are "+strings.Join(known, ", ")), "unknown key %s in %s", quote(key), what)
			continue
		}
		if v := it.Value(); v != nil && v.Type() != ast.NullType {
			fields[i].read(r, v)
		}
	}
	return true
}

// list reads a list, each entry by read.
func (r *reader) list(n ast.Node, what string, read func(r *reader, n ast.Node)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.add(nodeAt(n), `write a list: "- " before each entry`, "%s must be a list, not %s", what, kindOf(n))
		return
	}
	for i, v := range seq.Values {
		if v == nil || v.Type() == ast.NullType {
			at := nodeAt(seq)
			if v != nil {
				at = nodeAt(v)
			}
			r.add(at, "fill it in or remove it", "entry %d of %s is empty", i+1, what)
			continue
		}
		read(r, v)
	}
}

func (r *reader) text(n ast.Node, what string) (text, bool) {
	s, ok := scalar(n)
	if !ok {
		r.add(nodeAt(n), "write a single value", "%s must be text, not %s", what, kindOf(n))
		return text{at: nodeAt(n), bad: true}, false
	}
	return text{s: s, at: nodeAt(n), set: true}, true
}

// textField, boolField and so on make the fields of a mapping.

func textField(name string, into *text) field {
	return field{name, func(r *reader, n ast.Node) {
		*into, _ = r.text(n, name)
	}}
}

func boolField(name string, into *bool) field {
	return field{name, func(r *reader, n ast.Node) {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.add(nodeAt(n), "write true or false", "%s must be true or false, not %s", name, kindOf(n))
			return
		}
		*into = b.Value
	}}
}

func textsField(name string, into *[]text) field {
	return field{name, func(r *reader, n ast.Node) {
		r.list(n, name, func(r *reader, n ast.Node) {
			if t, ok := r.text(n, "an entry of "+name); ok {
				*into = append(*into, t)
			}
		})
	}}
}

// listField is a list of mappings; what names one of them.
func listField[T any](name, what string, into *[]T, fields func(*T, position) []field) field {
	return field{name, func(r *reader, n ast.Node) {
		r.list(n, name, func(r *reader, n ast.Node) {
			var t T
			if r.mapping(n, what, fields(&t, nodeAt(n))) {
				*into = append(*into, t)
			}
		})
	}}
}

// mappingField is a mapping of its own.
func mappingField(name string, fields func(position) []field) field {
	return field{name, func(r *reader, n ast.Node) { r.mapping(n, name, fields(nodeAt(n))) }}
}

// scalar returns a scalar as it is written: version 1.10 stays "1.10".
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	if s, ok := scalar(n); ok {
		return quote(s)
	}
	return fmt.Sprintf("a YAML %s", strings.ToLower(n.Type().YAMLName()))
}
