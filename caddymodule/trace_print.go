package caddymodule

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter"
)

// longestURL is how many bytes of an address are printed.
const longestURL = 160

// A tracePrinter prints what a rewriter saw in a document.
type tracePrinter struct {
	doc    []byte
	page   rewriter.Page
	events []rewriter.TraceEvent
	lines  []int // where the lines of the document begin
	out    bytes.Buffer

	lastAt, lastCol int // the last place asked for
}

func (p *tracePrinter) add(ev rewriter.TraceEvent) { p.events = append(p.events, ev) }

// print writes one line an event, in the order of the document.
func (p *tracePrinter) print(heldOnly bool) {
	p.lines, p.lastCol = append(p.lines[:0], 0), 1
	for i, c := range p.doc {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	slices.SortStableFunc(p.events, func(a, b rewriter.TraceEvent) int { return cmp.Compare(a.Start, b.Start) })
	fmt.Fprintf(&p.out, "%-9s %7s  %s\n", "line:col", "byte", "seen")
	seen := int64(-1) // where the last start tag of the page itself began
	for _, ev := range p.events {
		switch {
		case heldOnly && !held(ev):
			continue
		case ev.Sort == rewriter.TraceStart && ev.Depth == 0:
			seen = ev.Start
		case ev.Sort == rewriter.TraceCandidate && ev.Depth == 0 && ev.Start == seen:
			continue // the first reading has it too
		}
		line, col := p.place(ev.Start)
		fmt.Fprintf(&p.out, "%-9s %7d  %s%s\n", fmt.Sprintf("%d:%d", line, col), ev.Start, p.indent(ev), p.text(ev))
	}
}

// held reports whether the event is about something that is held, or about why
// more is judged than one parser sees.
func held(ev rewriter.TraceEvent) bool {
	switch ev.Sort {
	case rewriter.TraceURL, rewriter.TraceCode:
		return ev.Decision.Action == policy.Block
	}
	return ev.Sort == rewriter.TraceHeld || ev.Sort == rewriter.TraceDiverged || ev.Sort == rewriter.TraceLong
}

// place returns the line and column of a byte, both from 1. Columns count
// characters.
func (p *tracePrinter) place(at int64) (line, col int) {
	n := min(int(max(at, 0)), len(p.doc))
	line = sort.Search(len(p.lines), func(i int) bool { return p.lines[i] > n })
	from, before := p.lines[line-1], 0
	if from <= p.lastAt && p.lastAt <= n {
		from, before = p.lastAt, p.lastCol-1 // a page may be one line of megabytes
	}
	p.lastAt, p.lastCol = n, before+utf8.RuneCount(p.doc[from:n])+1
	return line, p.lastCol
}

// indent puts judgements under the tag, and inner documents under the attribute
// they stand in.
func (p *tracePrinter) indent(ev rewriter.TraceEvent) string {
	s := strings.Repeat("  | ", ev.Depth)
	switch ev.Sort {
	case rewriter.TraceURL, rewriter.TraceCode, rewriter.TraceHeld:
		s += "  "
	}
	return s
}

func (p *tracePrinter) text(ev rewriter.TraceEvent) string {
	element := printable(ev.Element)
	var s string
	switch ev.Sort {
	case rewriter.TraceStart:
		s = "start tag <" + element + ">"
	case rewriter.TraceEnd:
		s = "end tag </" + element + ">"
	case rewriter.TraceText:
		s = fmt.Sprintf("text of %s, %d bytes", element, ev.End-ev.Start)
		if ev.Depth > 0 {
			s = "text of " + element
		}
	case rewriter.TraceComment:
		s = "comment"
		if ev.Depth == 0 {
			s = commentName(p.doc[ev.Start:ev.End])
		}
	case rewriter.TraceOpen:
		s = "unfinished comment: the page ends inside"
		if element != "" {
			s = "unfinished tag of " + element + ": the page ends inside"
		}
	case rewriter.TraceDiverged:
		s = "readings diverge: " + ev.Why + "; from here on every possible tag is judged"
	case rewriter.TraceCandidate:
		s = "possible start tag <" + element + ">"
	case rewriter.TraceLong:
		s = "tag <" + element + "> is longer than max_hold: its attributes are judged one by one"
		if element == "script" {
			s = "tag <script> is longer than max_hold: it is held without its attributes"
		}
	case rewriter.TraceURL:
		s = fmt.Sprintf("%s %s: %s", attrName(ev), shortURL(ev.URL), p.decision(ev.Decision, ev.Kind.String()))
	case rewriter.TraceCode:
		s = "code"
		if ev.Attr != "" {
			s += " of " + attrName(ev)
		}
		s += ": " + p.decision(ev.Decision, ev.Kind.String())
	case rewriter.TraceStub:
		s = "stub of " + ev.Decision.Vendor.ID + " goes in here, for code that calls it"
	case rewriter.TraceHeld:
		s = fmt.Sprintf("held <%s>: %s", element, p.decision(ev.Decision, ""))
	}
	switch ev.Sort {
	case rewriter.TraceStart, rewriter.TraceEnd, rewriter.TraceText, rewriter.TraceOpen:
		if ev.Within != "" {
			s += ", in " + ev.Within
		}
		if ev.Unsure {
			s += " (perhaps)"
		}
	}
	return s
}

// decision spells out what the policy answered: who, which category, why.
func (p *tracePrinter) decision(d policy.Decision, kind string) string {
	words := []string{d.Action.String()}
	if kind != "" {
		words = append(words, kind)
	}
	vendor := rewriter.Unclassified
	if d.Vendor != nil {
		vendor = d.Vendor.ID
	}
	if d.Vendor != nil || d.Reason == policy.Unclassified {
		words = append(words, "vendor="+vendor)
	}
	if sc := p.page.Bound.Policy().Scheme(); d.Category >= 0 && d.Category < len(sc.Categories) {
		words = append(words, "category="+sc.Categories[d.Category].ID)
	}
	return strings.Join(append(words, "reason="+d.Reason.String()), " ")
}

// attrName names what is judged: an attribute, or the element's text.
func attrName(ev rewriter.TraceEvent) string {
	if ev.Attr == "" {
		return "text"
	}
	return printable(ev.Attr)
}

// commentName tells apart what browsers skip.
func commentName(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("<!--")):
		return fmt.Sprintf("comment, %d bytes", len(b))
	case len(b) >= len("<!doctype") && strings.EqualFold(string(b[:len("<!doctype")]), "<!doctype"):
		return "doctype"
	case bytes.HasPrefix(b, []byte("<![CDATA[")):
		return fmt.Sprintf("CDATA section, %d bytes", len(b))
	case bytes.Equal(b, []byte("</>")):
		return "nothing: </>"
	}
	return fmt.Sprintf("bogus comment, %d bytes", len(b))
}

func shortURL(u string) string {
	if len(u) > longestURL {
		u = u[:longestURL] + "…"
	}
	return printable(u)
}

// printable keeps a page from writing to the terminal what it likes.
func printable(s string) string {
	q := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// summary writes what was read, and what is held and passes, by vendor.
func (p *tracePrinter) summary(r *rewriter.Report) {
	fmt.Fprintf(&p.out, "\n%d bytes read, %d sent; character set %s\n", r.BytesIn, r.BytesOut, p.page.Charset)
	for _, part := range []struct {
		action policy.Action
		word   string
	}{{policy.Block, "held"}, {policy.Allow, "allowed"}} {
		vendors := map[string][]string{}
		for _, c := range r.Counts {
			if c.Action == part.action {
				vendors[c.Vendor] = append(vendors[c.Vendor], fmt.Sprintf("%d %s", c.N, c.Kind))
			}
		}
		names := make([]string, 0, len(vendors))
		for name := range vendors {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			slices.Sort(vendors[name])
			fmt.Fprintf(&p.out, "%s: %s: %s\n", part.word, name, strings.Join(vendors[name], ", "))
		}
		if len(names) == 0 && part.action == policy.Block {
			fmt.Fprintln(&p.out, "held: nothing")
		}
	}
	for _, ev := range p.events {
		if ev.Sort == rewriter.TraceDiverged && ev.Depth == 0 {
			line, col := p.place(ev.Start)
			fmt.Fprintf(&p.out, "readings diverge at %d:%d, byte %d\n", line, col, ev.Start)
		}
	}
	if r.Overlong > 0 {
		fmt.Fprintf(&p.out, "%d tags longer than max_hold\n", r.Overlong)
	}
	if r.LateInline > 0 {
		fmt.Fprintf(&p.out, "%d inline scripts longer than max_inline, judged by their beginning\n", r.LateInline)
	}
	if p.page.Bound.Unrestricted() {
		fmt.Fprintln(&p.out, "everything is granted: the gateway sends this page without reading it")
	}
}
