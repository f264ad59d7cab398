package rewriter

import (
	"bytes"
	"html"
	"slices"
	"strings"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// An inlineHold is a script element without a source: its start tag waits until
// enough of its text is known to judge it.
type inlineHold struct {
	on     bool
	typ    scriptType
	style  bool        // a style element of svg: its text is parsed
	config *ampElement // what the text configures
	element
	text int // where its text begins
}

func (h *inlineHold) shift(n int) {
	h.start -= n
	h.nameEnd -= n
	h.end -= n
	h.text -= n
}

// A scriptType says what a script element's type makes of its content.
type scriptType uint8

const (
	isCode    scriptType = iota
	isData               // never fetched, never run
	isRules              // speculation rules: not code, but URLs to load
	isImports            // an import map
	isConfig             // of an AMP element
)

const inert = " type=text/plain"

// scriptTag deals with a script start tag whose attributes are in rw.attrs.
func (rw *Rewriter) scriptTag(data []byte, e element) {
	rw.generic(data, e)
	typ := rw.scriptType(data)
	config := rw.ampConfig
	if typ == isData && rw.configures(data) {
		typ = isConfig
	}
	if !rw.cand.on {
		rw.ampConfig = nil // AMP takes an element's only child
	}
	if typ == isData {
		return
	}
	if d, source, ok := rw.scriptSource(data, e); ok {
		rw.report.decision(d, policy.Script)
		if d.Action == policy.Block {
			rw.holdScript(data, e, d)
			return
		}
		if source && !e.foreign {
			return
		}
	}
	h := inlineHold{on: true, typ: typ, config: config, element: e, text: e.end}
	if rw.cand.on && e.start >= rw.cand.pos {
		rw.candidateScript(data, h)
		return
	}
	rw.inline = h
}

// scriptSource judges the script's sources; ok is false if it has none. Only an
// svg script loads its href, but where it stands is not always known. source
// says that there is a src, so that the element's text is not run.
func (rw *Rewriter) scriptSource(data []byte, e element) (d policy.Decision, source, ok bool) {
	for i := range rw.attrs {
		a := &rw.attrs[i]
		name := data[a.Name:a.NameEnd]
		src := scan.EqualFold(name, "src")
		if !src && !(e.foreign && (scan.EqualFold(name, "href") || scan.EqualFold(name, "xlink:href"))) {
			continue
		}
		source = source || src
		v := rw.decode(data[a.Val:a.ValEnd])
		if len(trimControl(v)) == 0 {
			continue
		}
		if rw.opts.Trace != nil {
			rw.traceAt(a.Name, string(name))
		}
		if v := rw.judgeURL(v, policy.Script); !ok || v.Action == policy.Block && d.Action != policy.Block {
			d, ok = v, true
		}
	}
	if !ok {
		d = allowed // an empty source: nothing is fetched, and the text is not run
	}
	return d, source, ok || source
}

// generic judges the attributes of a script element that load something on any
// element. They are held on their own: the script may be another's.
func (rw *Rewriter) generic(data []byte, e element) {
	for i := range rw.attrs {
		a := &rw.attrs[i]
		name := data[a.Name:a.NameEnd]
		r, k := attrRole(scan.Script, name)
		if r == noRole && !scan.EqualFold(name, "href") && !scan.EqualFold(name, "xlink:href") {
			r, k = rw.otherRole(data, e, name)
		}
		if r == noRole {
			continue
		}
		if d, ok := rw.judgeAttr(data, e, a, r, k); ok && d.Action == policy.Block {
			rw.report.decision(d, k)
			rw.insert(a.Name, "data-cg-")
		}
	}
}

// holdScript makes a script element inert: the type says text, every old type
// and source is renamed. Browsers' preload scanners fetch a source whatever the
// type says, and look at second attributes of the same name.
func (rw *Rewriter) holdScript(data []byte, e element, d policy.Decision) {
	rw.renames = rw.renames[:0]
	var nonce *scan.Attr
	for i := range rw.attrs {
		a := &rw.attrs[i]
		name := data[a.Name:a.NameEnd]
		switch {
		case scan.EqualFold(name, "nonce"):
			nonce = a
		case scan.EqualFold(name, "type"), scan.EqualFold(name, "src"), scan.EqualFold(name, "href"),
			scan.EqualFold(name, "xlink:href"):
			rw.renames = append(rw.renames, i)
		}
	}
	if e.stubs && d.Vendor != nil {
		rw.stub(e.start, d.Vendor, data, nonce)
	}
	rw.hold(data, e, d, inert)
}

// scriptType reads the type and language attributes in rw.attrs.
func (rw *Rewriter) scriptType(data []byte) scriptType {
	types := 0
	typ := isCode
	for i := range rw.attrs {
		a := &rw.attrs[i]
		if !scan.EqualFold(data[a.Name:a.NameEnd], "type") {
			continue
		}
		if types++; types > 1 {
			return isCode // a preload scanner may see the second
		}
		typ = classifyType(rw.decode(data[a.Val:a.ValEnd]))
	}
	return typ
}

// classifyType says what a script type is. Only types that are known to be data
// count as data: an unknown type may be code to a library of the page, such as
// "text/partytown" or the types of Cloudflare's Rocket Loader.
func classifyType(t []byte) scriptType {
	t = trimSpace(t)
	if i := bytes.IndexByte(t, ';'); i >= 0 {
		t = trimSpace(t[:i])
	}
	switch {
	case scan.EqualFold(t, "speculationrules"), scan.EqualFold(t, "webbundle"):
		return isRules
	case scan.EqualFold(t, "importmap"):
		return isImports
	}
	var low [64]byte
	if len(t) == 0 || len(t) > len(low) {
		return isCode
	}
	for i, c := range t {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	s := low[:len(t)]
	if bytes.HasSuffix(s, []byte("+json")) || bytes.HasSuffix(s, []byte("/json")) || bytes.HasPrefix(s, []byte("x-shader/")) {
		return isData
	}
	switch string(s) {
	case "text/plain", "text/html", "text/template", "text/x-template", "text/x-handlebars",
		"text/x-handlebars-template", "text/x-mustache", "text/x-jquery-tmpl", "text/x-jsrender",
		"text/ng-template", "text/x-dot-template", "text/x-underscore-template", "text/x-kendo-template",
		"text/css", "text/xml", "application/xml", "text/csv", "text/markdown", "text/x-markdown",
		"text/x-magento-init", "text/x-magento-template", "text/x-config", "math/tex", "text/x-mathjax-config":
		return isData
	}
	return isCode
}

func trimSpace(s []byte) []byte { return bytes.Trim(s, " \t\n\f\r") }

// scriptText follows the text of a script element.
func (rw *Rewriter) scriptText(data []byte) {
	h := &rw.inline
	if !h.on || h.style {
		return
	}
	s := &rw.scan
	limit := rw.textLimit(h.start, h.text)
	long := s.End > limit
	if !s.Last && !long {
		return
	}
	if long {
		rw.report.LateInline++
	}
	h.on = false
	rw.judgeInline(data, h, data[h.text:min(s.End, limit)])
}

// textLimit returns where the text of an element ends at the latest that is held
// with its tag to be judged. A long tag leaves it half of MaxInline.
func (rw *Rewriter) textLimit(start, text int) int {
	return max(start+rw.opts.MaxInline, text+rw.opts.MaxInline/2)
}

// judgeInline decides about an inline script by its text, or the text's
// beginning.
func (rw *Rewriter) judgeInline(data []byte, h *inlineHold, text []byte) policy.Decision {
	rw.work += h.end - h.start + len(text)
	rw.parseAttrs(data, h.element)
	if rw.ownStub(data, text) {
		return allowed
	}
	var d policy.Decision
	kind := policy.Hint
	text = rw.readable(text)
	rw.calls = rw.calls[:0]
	switch h.typ {
	case isRules:
		d = rw.judgeRules(text)
	case isImports:
		kind = policy.Script
		d = rw.importMap(text, h)
	case isConfig:
		kind = h.config.kind
		d = rw.judgeConfig(text, h.config)
	default:
		kind = policy.Inline
		d, rw.calls = rw.page.Bound.Inline(text, rw.calls[:0])
		if h.foreign && d.Action == policy.Allow && bytes.IndexByte(text, '&') >= 0 {
			// The text of an svg script is parsed, so references count.
			d, rw.calls = rw.page.Bound.Inline([]byte(html.UnescapeString(string(text))), rw.calls[:0])
		}
		if h.foreign && d.Action == policy.Allow && bytes.Contains(text, []byte("<!")) {
			// Comments do not count, and what stands in sections does.
			d, rw.calls = rw.page.Bound.Inline(textContent(text), rw.calls[:0])
		}
	}
	if rw.opts.Trace != nil {
		rw.traceAt(h.text, "")
		rw.traceCode(d, kind)
	}
	if d.Vendor != nil || d.Action == policy.Block {
		rw.report.decision(d, kind)
	}
	if d.Action == policy.Block {
		rw.holdScript(data, h.element, d)
	}
	if h.stubs {
		for _, v := range rw.calls {
			rw.stub(h.start, v, data, rw.nonce(data))
		}
	}
	return d
}

// readable returns script text with every two-byte character of the document's
// encoding as "xx", if that has any whose second byte may look like a backslash,
// which no reader of scripts must fall for.
func (rw *Rewriter) readable(code []byte) []byte {
	if !rw.doubleByte {
		return code
	}
	s := rw.newCSS()
	out := rw.code[:0]
	for i := 0; i < len(code); i++ {
		if s.lead(code[i]) && i+1 < len(code) && code[i+1] >= 0x40 {
			out = append(out, "xx"...)
			i++
			continue
		}
		out = append(out, code[i])
	}
	rw.code = out
	return out
}

func (rw *Rewriter) nonce(data []byte) *scan.Attr {
	for i := range rw.attrs {
		if a := &rw.attrs[i]; scan.EqualFold(data[a.Name:a.NameEnd], "nonce") {
			return a
		}
	}
	return nil
}

// judgeRules decides about speculation rules: the quoted strings that are URLs.
func (rw *Rewriter) judgeRules(text []byte) policy.Decision {
	if bytes.Contains(text, []byte(`"where"`)) && !ownLinks(text) {
		return rw.unsure()
	}
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			return allowed
		}
		text = text[i+1:]
		end := stringEnd(text)
		if end < 0 {
			return allowed
		}
		v := text[:end]
		text = text[end+1:]
		if bytes.IndexByte(v, '\\') >= 0 {
			rw.plain = unescapeJSON(rw.plain[:0], v)
			v = rw.plain
		}
		if !bytes.ContainsAny(v, `:/\`) {
			continue // a key or keyword
		}
		if d := rw.judgeURL(v, policy.Hint); d.Action == policy.Block {
			return d
		}
	}
}

// stringEnd returns where the JSON string ends whose text is at the start of s, -1
// if it does not.
func stringEnd(s []byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// ownLinks reports whether document rules that take links from the page name the
// addresses they mean. Without, or with only exceptions, they take any vendor's.
func ownLinks(rules []byte) bool {
	names := func(key string) bool { return bytes.Contains(rules, []byte(key)) }
	return names(`"href_matches"`) && (names(`"and"`) || !names(`"not"`) && !names(`"or"`))
}

// unescapeJSON appends the text of the JSON string s (RFC 8259, section 7). Pairs
// of surrogates are not joined: no host is written in them.
func unescapeJSON(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			switch s[i] {
			case 't', 'n', 'r', 'b', 'f':
				dst = append(dst, '\n') // controls; a URL parser drops or escapes them
				continue
			case 'u':
				if i+4 < len(s) {
					var r rune
					for _, c := range s[i+1 : i+5] {
						r = r<<4 | rune(hexValue(c))
					}
					dst = append(dst, string(r)...)
					i += 4
				}
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0
}

// stubMark is the attribute of an inserted stub.
const stubMark = "data-cg-stub"

// stub notes the insertion of the vendor's stub at pos, once a document.
func (rw *Rewriter) stub(pos int, v *policy.Vendor, data []byte, nonce *scan.Attr) {
	if v.Stub == "" || rw.hasStub(v) {
		return
	}
	rw.stubs = append(rw.stubs, v)
	if rw.opts.Trace != nil {
		rw.traceStub(pos, v)
	}
	rw.insert(pos, "<script ")
	if nonce != nil && !nonce.Open {
		end := nonce.ValEnd
		if nonce.Quote != 0 {
			end++
		}
		from := len(rw.ins)
		rw.ins = append(rw.ins, data[nonce.Name:end]...)
		rw.ins = append(rw.ins, ' ')
		rw.edits = append(rw.edits, edit{pos, from, len(rw.ins)})
	}
	rw.insert(pos, stubMark, "=", v.ID, ">", v.Stub, "</script>")
}

func (rw *Rewriter) hasStub(v *policy.Vendor) bool {
	for _, s := range rw.stubs {
		if s == v {
			return true
		}
	}
	return false
}

// flushStubs inserts the stubs that event handlers asked for, in front of the
// script whose attributes are in rw.attrs, or at the end if data is nil.
func (rw *Rewriter) flushStubs(pos int, data []byte) {
	var nonce *scan.Attr
	if data != nil {
		nonce = rw.nonce(data)
	}
	for _, v := range rw.later {
		rw.stub(pos, v, data, nonce)
	}
	rw.later = rw.later[:0]
}

// marked reports whether the script whose attributes are in rw.attrs says that it
// is a stub of ours. Those that wait may be among it and the next ones.
func (rw *Rewriter) marked(data []byte) bool {
	for i := range rw.attrs {
		if a := &rw.attrs[i]; scan.EqualFold(data[a.Name:a.NameEnd], stubMark) {
			return true
		}
	}
	return false
}

// ownStub reports whether the script is a stub of ours, so that a page that
// passes twice does not get two. The mark alone proves nothing: the text must be
// the vendor's stub.
func (rw *Rewriter) ownStub(data, text []byte) bool {
	for i := range rw.attrs {
		a := &rw.attrs[i]
		if !scan.EqualFold(data[a.Name:a.NameEnd], stubMark) {
			continue
		}
		all := rw.page.Bound.Policy().Vendors()
		n, ok := slices.BinarySearchFunc(all, string(data[a.Val:a.ValEnd]), func(v *policy.Vendor, id string) int {
			return strings.Compare(v.ID, id)
		})
		if !ok || all[n].Stub == "" || string(text) != all[n].Stub {
			return false
		}
		v := all[n]
		if !rw.hasStub(v) {
			rw.stubs = append(rw.stubs, v)
		}
		return true
	}
	return false
}
