// Package cookies holds Set-Cookie and Cookie lines, those of real sites and
// hostile ones, and what becomes of each: in Chromium, and at the gateway. The
// tests beside it send them over the wire, those of test/e2e let Chromium judge.
// The README in testdata tells the form of the tables.
package cookies

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/consentgate/consentgate/test/cases"
)

//go:embed testdata/*.txt
var files embed.FS

// A Verdict is what the gateway does with a line or a pair.
type Verdict string

const (
	Kept Verdict = "kept" // byte by byte, whoever the visitor is
	Held Verdict = "held" // until all is granted
	Gone Verdict = "gone" // always
)

// Passes reports whether it stays in an answer to a visitor who granted
// everything, or nothing.
func (v Verdict) Passes(granted bool) bool { return v == Kept || v == Held && granted }

// An Answer is a case of the table of Set-Cookie lines: the cookie fields of one
// response.
type Answer struct {
	Line    int // of its heading
	Name    string
	HTTPS   bool
	Host    string // of the site
	Date    string // the response's Date field, "" for the present
	Failed  bool   // Chromium takes no such response at all
	Refused bool   // Go's client takes none, and every Caddy answers 502
	Opaque  bool   // the stored name or value is no UTF-8, and cannot be told
	Fields  []Field
}

// Host is the site's, where a case names no other.
const Host = "www.shop.test"

// A Field is one Set-Cookie field.
type Field struct {
	Verdict Verdict
	Line    string // the field's value as the site sends it
	Tidied  string // as any Caddy passes it on
	Stores  bool
	Cookie, Value,
	Sent string // the cookie in Chromium's next Cookie header, "" if it stays out
}

// A Request is a case of the table of Cookie lines: those of one request.
type Request struct {
	Line    int // of its heading
	Name    string
	Lines   []string
	Refused bool // Go's server answers 400 itself

	// The one line the site gets of a visitor who said nothing, and of one who
	// granted everything; "" if it gets none.
	Undecided, Granted string
}

// Answers returns the table of Set-Cookie lines.
func Answers() ([]Answer, error) {
	var all []Answer
	err := each("testdata/set-cookie.txt", func(b block) error {
		a := Answer{Line: b.line, Name: b.name, Host: Host}
		for _, key := range b.keys {
			word, value, _ := strings.Cut(key, "=")
			switch word {
			case "https":
				a.HTTPS = true
			case "failed":
				a.Failed = true
			case "opaque":
				a.Opaque = true
			case "refused":
				a.Refused = true
			case "host":
				a.Host = value
			case "date":
				a.Date = value
			default:
				return fmt.Errorf("unknown key %q", key)
			}
		}
		for _, row := range b.rows {
			if err := a.add(row); err != nil {
				return err
			}
		}
		if len(a.Fields) == 0 {
			return fmt.Errorf("no lines")
		}
		all = append(all, a)
		return nil
	})
	return all, err
}

func (a *Answer) add(row string) error {
	mark, rest, _ := strings.Cut(row, " ")
	text, err := cases.Expand(rest)
	if err != nil {
		return err
	}
	switch v := Verdict(mark); v {
	case Kept, Held, Gone:
		// Go's client unfolds lines and cuts off blanks around them.
		tidied := strings.Trim(strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(text), " \t")
		a.Fields = append(a.Fields, Field{Verdict: v, Line: text, Tidied: tidied})
		return nil
	}
	if len(a.Fields) == 0 {
		return fmt.Errorf("%q stands before any line", row)
	}
	f := &a.Fields[len(a.Fields)-1]
	switch mark {
	case ">":
		var ok bool
		f.Cookie, f.Value, ok = strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q: no name=value", row)
		}
		f.Stores, f.Sent = true, text
		if f.Cookie == "" {
			f.Sent = f.Value
		}
	case "<":
		f.Sent = text
	default:
		return fmt.Errorf("%q: unknown mark", row)
	}
	return nil
}

// Requests returns the table of Cookie lines.
func Requests() ([]Request, error) {
	var all []Request
	err := each("testdata/cookie.txt", func(b block) error {
		r := Request{Line: b.line, Name: b.name, Refused: slices.Contains(b.keys, "refused")}
		said := make(map[string]string)
		for _, row := range b.rows {
			mark, rest, _ := strings.Cut(row, " ")
			text, err := cases.Expand(rest)
			if err != nil {
				return err
			}
			switch mark {
			case ":":
				r.Lines = append(r.Lines, text)
			case "none", "all":
				said[mark] = text
			default:
				return fmt.Errorf("%q: unknown mark", row)
			}
		}
		if len(r.Lines) == 0 {
			return fmt.Errorf("no lines")
		}
		var ok bool
		if r.Granted, ok = said["all"]; !ok {
			r.Granted = strings.Join(r.Lines, "; ")
		}
		if r.Undecided, ok = said["none"]; !ok {
			r.Undecided = r.Granted
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// A block is one case of a table.
type block struct {
	line int
	name string
	keys []string
	rows []string
}

// each reads a table and calls f for every case.
func each(file string, f func(block) error) error {
	text, err := files.ReadFile(file)
	if err != nil {
		return err
	}
	var b block
	seen := make(map[string]bool)
	flush := func() error {
		if b.line == 0 {
			return nil
		}
		if seen[b.name] {
			return fmt.Errorf("%s:%d: a second case %q", file, b.line, b.name)
		}
		seen[b.name] = true
		if err := f(b); err != nil {
			return fmt.Errorf("%s:%d: %w", file, b.line, err)
		}
		return nil
	}
	for i, row := range strings.Split(string(text), "\n") {
		head, ok := strings.CutPrefix(row, "=== ")
		switch {
		case ok:
			if err := flush(); err != nil {
				return err
			}
			words := strings.Split(head, " | ")
			b = block{line: i + 1, name: words[0], keys: words[1:]}
		case row == "" || strings.HasPrefix(row, "#"):
		default:
			b.rows = append(b.rows, row)
		}
	}
	return flush()
}
