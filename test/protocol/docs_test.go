package protocol

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A listed row says that the gateway changes some fields, and when.
type listed struct {
	fields []string // in lower case; "…" stands for any beginning
	when   string
}

// listedFields reads a table of docs/headers.md.
func listedFields(t *testing.T, section string) []listed {
	t.Helper()
	text, err := os.ReadFile("../../docs/headers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("docs/headers.md has no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	name := regexp.MustCompile("`([^`]+)`")
	var rows []listed
	for line := range strings.Lines(rest) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		var r listed
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			r.fields = append(r.fields, strings.ToLower(m[1]))
		}
		if len(r.fields) == 0 {
			continue
		}
		r.when = strings.ToLower(strings.TrimSpace(cells[2]))
		if r.when == "as above" {
			r.when = rows[len(rows)-1].when
		}
		rows = append(rows, r)
	}
	if len(rows) < 5 {
		t.Fatalf("docs/headers.md, %q: only %d rows", section, len(rows))
	}
	return rows
}

func (r listed) names(field string) bool {
	field = strings.ToLower(field)
	for _, f := range r.fields {
		suffix, wild := strings.CutPrefix(f, "…")
		if f == field || wild && strings.HasSuffix(field, suffix) {
			return true
		}
	}
	return false
}

// inResponse reports whether the row holds for an answer that is a page or not,
// to a visitor from whom something is held or not. differs says that it has a
// cookie or a hint that some visitors do not get.
func (r listed) inResponse(page, held, differs bool) bool {
	switch {
	case strings.HasPrefix(r.when, "always"):
		return true
	case strings.HasPrefix(r.when, "no page"):
		return !page && differs
	case strings.HasPrefix(r.when, "held"):
		return held
	case strings.Contains(r.when, "any state"):
		return page
	}
	return page && held // rewritten, or sent unread
}

// inRequest is inResponse for a request whose answer may be a page or not.
func (r listed) inRequest(mayBePage, held bool) bool {
	switch {
	case strings.HasPrefix(r.when, "always"):
		return true
	case strings.Contains(r.when, "held"):
		return mayBePage && held
	}
	return mayBePage
}
