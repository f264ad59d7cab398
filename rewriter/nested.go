package rewriter

import (
	"bytes"
	"encoding/base64"
	"html"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

const (
	maxDepth    = 3       // documents inside documents
	maxDataCode = 1 << 20 // bytes of a data: URL that are looked into
)

// nest scans a document that stands inside an attribute. The edits are left in
// the returned Rewriter; clean is false if it could not be judged as a whole.
func (rw *Rewriter) nest(doc []byte) (child *Rewriter, clean bool) {
	if rw.depth+1 > maxDepth {
		return nil, false
	}
	if rw.child == nil {
		rw.child = New(rw.opts)
	}
	c := rw.child
	page := rw.page
	page.Stubs = false
	c.Reset(nil, page)
	c.depth = rw.depth + 1
	scratch := c.base.scratch
	c.base = rw.base
	c.base.scratch, c.base.set = scratch, false
	if rw.opts.Trace != nil {
		c.trace.outer = rw.traceOuter()
	}
	c.run(doc, true)
	rw.work += c.looked()
	for _, n := range c.report.Counts {
		rw.report.add(n.Vendor, n.Kind, n.Action, n.N)
	}
	rw.report.LateInline += c.report.LateInline
	rw.report.Overlong += c.report.Overlong
	return c, c.err == nil && c.sent == 0
}

// srcdoc rewrites the document of a srcdoc attribute in place: every inserted
// byte is legal in any quoting, so only the positions must be mapped. Where they
// cannot be, the attribute is held whole.
func (rw *Rewriter) srcdoc(raw []byte, a *scan.Attr) (policy.Decision, bool) {
	doc := raw
	var pos []int
	refs := bytes.IndexByte(raw, '&') >= 0
	if refs {
		pos = rw.pos[:0]
		doc = decodeAttr(nil, raw, &pos)
		rw.pos = pos
	}
	if bytes.IndexByte(doc, '<') < 0 {
		return allowed, false
	}
	c, clean := rw.nest(doc)
	if clean && len(c.edits) == 0 {
		return allowed, false
	}
	unsure := rw.unsure()
	if c != nil && c.held.Vendor != nil {
		unsure = c.held
	}
	if !clean || a.Quote == 0 || a.Open {
		return unsure, true
	}
	n, m := len(rw.edits), len(rw.ins)
	c.sortEdits()
	for _, e := range c.edits {
		at := e.pos
		if refs {
			at = pos[e.pos]
			if openReference(raw, pos, e.pos) {
				rw.edits, rw.ins = rw.edits[:n], rw.ins[:m]
				return unsure, true
			}
		}
		from := len(rw.ins)
		rw.ins = append(rw.ins, c.ins[e.from:e.to]...)
		rw.edits = append(rw.edits, edit{a.Val + at, from, len(rw.ins)})
	}
	return allowed, false
}

// openReference reports whether the decoded byte before offset i came from a
// character reference without ';': a letter inserted behind it would change it.
func openReference(raw []byte, pos []int, i int) bool {
	if i == 0 || i >= len(pos) {
		return false
	}
	from, to := pos[i-1], pos[i]
	return raw[from] == '&' && to-from > 1 && raw[to-1] != ';'
}

// styleAttr puts the prefix in front of blocked URLs in a style attribute.
func (rw *Rewriter) styleAttr(raw []byte, a *scan.Attr) (policy.Decision, bool) {
	css := raw
	var pos []int
	refs := bytes.IndexByte(raw, '&') >= 0
	if refs {
		pos = rw.pos[:0]
		rw.value = decodeAttr(rw.value[:0], raw, &pos)
		css, rw.pos = rw.value, pos
	}
	if !mayLoad(css) {
		return allowed, false
	}
	s := rw.newCSS()
	_, hits := s.scan(css, 0, true, len(css), rw.hits[:0])
	rw.hits = hits
	rw.work += s.work
	for _, h := range hits {
		d := rw.judgeCSS(css[h.start:h.end])
		if d.Action != policy.Block {
			continue
		}
		at := h.start
		if refs {
			if openReference(raw, pos, h.start) {
				return d, true
			}
			at = pos[h.start]
		}
		rw.report.decision(d, policy.Style)
		rw.insert(a.Val+at, cssPrefix)
	}
	return allowed, false
}

// mayLoad reports whether there can be a URL in a style sheet: none is without a
// parenthesis, a string, an escape or an at-keyword.
func mayLoad(css []byte) bool {
	for _, c := range css {
		if cssClass[c]&cssURL != 0 {
			return true
		}
	}
	return false
}

// newCSS returns a scanner for a style sheet of the document.
func (rw *Rewriter) newCSS() cssScanner {
	return cssScanner{doubleByte: rw.doubleByte, shiftJIS: rw.shiftJIS}
}

// blockedCSS returns the decision about the first blocked URL in a style sheet
// that cannot be edited.
func (rw *Rewriter) blockedCSS(text []byte) policy.Decision {
	s := rw.newCSS()
	_, hits := s.scan(text, 0, true, len(text), nil)
	rw.work += s.work
	for _, h := range hits {
		if d := rw.judgeCSS(text[h.start:h.end]); d.Action == policy.Block {
			return d
		}
	}
	return allowed
}

// judgeLongCSS decides about a URL in a streamed style sheet. One longer than what
// is held is judged by what it begins with, however much of it is there.
func (rw *Rewriter) judgeLongCSS(u []byte, cut bool) policy.Decision {
	if !cut && len(u) <= rw.opts.MaxHold {
		return rw.judgeCSS(u)
	}
	if u = trimControl(u); scan.HasPrefixFold(u, "data:") && inertData(u[len("data:"):min(len(u), 64)], policy.Style) {
		return allowed
	}
	d := rw.unsure()
	if rw.opts.Trace != nil {
		rw.traceURL(u, nil, d, policy.Style)
	}
	return d
}

func (rw *Rewriter) judgeCSS(u []byte) policy.Decision {
	if bytes.IndexByte(u, '\\') >= 0 {
		s := rw.newCSS()
		rw.plain = s.decode(rw.plain[:0], u)
		u = rw.plain
	}
	return rw.judgeURL(u, policy.Style)
}

// styleText follows the text of a style element.
func (rw *Rewriter) styleText(data []byte) {
	if !rw.inCSS {
		return
	}
	end := rw.scan.End
	if rw.scan.Last {
		rw.inCSS = false
	}
	rw.parsedStyle(data, end)
	from := rw.cssPos
	rw.cssPos, rw.hits = rw.css.scan(data[:end], from, rw.scan.Last, rw.opts.MaxHold, rw.hits[:0])
	for _, h := range rw.hits {
		if rw.opts.Trace != nil {
			rw.traceAt(h.start, "")
		}
		d := rw.judgeLongCSS(data[h.start:h.end], h.cut)
		rw.report.decision(d, policy.Style)
		if d.Action == policy.Block {
			rw.insert(h.start, cssPrefix)
		}
	}
}

// parsedStyle judges the text of a style element that may stand in svg. There it
// is not raw: references and comments in it count, so the style sheet may read
// otherwise than its bytes. Such a sheet is held whole if that reading loads
// something blocked, or is longer than what is held of an inline script.
func (rw *Rewriter) parsedStyle(data []byte, end int) {
	h := &rw.inline
	if !h.on || !h.style {
		return
	}
	limit := rw.textLimit(h.start, h.text)
	long := end > limit
	if !rw.scan.Last && !long {
		return
	}
	h.on = false
	text := data[h.text:min(end, limit)]
	if !bytes.ContainsAny(text, "&<") {
		return
	}
	if rw.opts.Trace != nil {
		rw.traceAt(h.text, "")
	}
	d := rw.unsure()
	if !long {
		d = rw.blockedCSS(textContent(text))
	}
	if d.Action != policy.Block {
		return
	}
	rw.parseAttrs(data, h.element)
	rw.holdStyle(data, h.element, d)
}

// holdStyle makes the style element whose attributes are in rw.attrs inert, unless
// its type does so already.
func (rw *Rewriter) holdStyle(data []byte, e element, d policy.Decision) {
	rw.renames = rw.renames[:0]
	css := true
	for i := range rw.attrs {
		a := &rw.attrs[i]
		if !scan.EqualFold(data[a.Name:a.NameEnd], "type") {
			continue
		}
		v := rw.decode(data[a.Val:a.ValEnd])
		css = len(rw.renames) > 0 || len(v) == 0 || scan.EqualFold(v, "text/css")
		rw.renames = append(rw.renames, i)
	}
	if css {
		rw.report.decision(d, policy.Style)
		rw.hold(data, e, d, inert)
	}
}

// textContent returns the text that the children of an element of svg have
// together: comments and tags left out, CDATA sections opened, references decoded.
func textContent(s []byte) []byte {
	var out []byte
	for len(s) > 0 {
		i := bytes.IndexByte(s, '<')
		if i < 0 {
			i = len(s)
		}
		out = append(out, html.UnescapeString(string(s[:i]))...)
		s = s[i:]
		open, end := "<", ">"
		switch {
		case bytes.HasPrefix(s, []byte("<!--")):
			open, end = "<!--", "-->"
		case bytes.HasPrefix(s, []byte("<![CDATA[")):
			open, end = "<![CDATA[", "]]>"
		case len(s) == 0:
			return out
		}
		body, rest, _ := bytes.Cut(s[len(open):], []byte(end))
		if open == "<![CDATA[" {
			out = append(out, body...)
		}
		s = rest
	}
	return out
}

// judgeData decides about a data: URL by what it carries.
func (rw *Rewriter) judgeData(u []byte, k policy.Kind) policy.Decision {
	switch k {
	case policy.Script, policy.Frame, policy.Object, policy.Refresh, policy.Style:
	default:
		return allowed
	}
	u = dropBreaks(u)
	u = trimControl(u)
	if k == policy.Style && bytes.HasPrefix(u, []byte(cssPrefix)) {
		return allowed // held already: what follows the prefix is a fragment
	}
	comma := bytes.IndexByte(u, ',')
	if comma < 0 {
		return allowed
	}
	head, body := u[len("data:"):comma], u[comma+1:]
	if oddCharset(head) {
		return rw.unsure()
	}
	if inertData(head, k) {
		return allowed
	}
	if len(body) > maxDataCode {
		return rw.unsure()
	}
	code := unpercent(body)
	if h := trimSpace(head); len(h) >= len("base64") && scan.EqualFold(h[len(h)-len("base64"):], "base64") {
		code = unbase64(code)
	}
	switch k {
	case policy.Script:
		d, calls := rw.page.Bound.Inline(code, rw.calls[:0])
		rw.calls = calls
		return d
	case policy.Style:
		if rw.depth == maxDepth {
			return rw.unsure()
		}
		rw.depth++                            // a style sheet may import another data: URL, and so on
		d := rw.blockedCSS(bytes.Clone(code)) // which is decoded where this one may lie
		rw.depth--
		return d
	}
	if xmlBeyondHTML(head, code) {
		return rw.unsure()
	}
	return rw.judgeDocument(code)
}

// inertData reports whether a data: URL of this type runs and loads nothing:
// pictures, fonts, documents of plug-ins.
func inertData(head []byte, k policy.Kind) bool {
	if k == policy.Script {
		return false
	}
	head = trimSpace(head)
	for _, t := range [...]string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "font/", "application/font", "application/x-font", "application/vnd.ms-fontobject"} {
		if scan.HasPrefixFold(head, t) {
			return true
		}
	}
	switch k {
	case policy.Style:
		// A url() names a picture, but @import may call anything a style sheet.
		return scan.HasPrefixFold(head, "image/")
	default:
		return scan.HasPrefixFold(head, "application/pdf") || scan.HasPrefixFold(head, "text/plain")
	}
}

// oddCharset reports whether the head of a data: URL names an encoding that is
// not ASCII in its markup, or one this package does not know.
func oddCharset(head []byte) bool {
	const key = "charset="
	i := 0
	for !scan.HasPrefixFold(head[i:], key) {
		if i++; i >= len(head) {
			return false
		}
	}
	label, _, _ := bytes.Cut(head[i+len(key):], []byte(";"))
	switch string(bytes.ToLower(bytes.Trim(label, " \"'"))) {
	case "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252":
		return false
	}
	return true
}

// xmlBeyondHTML reports whether a data: document is XML that uses what a reader of
// HTML does not see: instructions, declarations, references, prefixed names.
func xmlBeyondHTML(head, doc []byte) bool {
	if !bytes.Contains(bytes.ToLower(head), []byte("xml")) && !bytes.Contains(bytes.ToLower(head), []byte("xsl")) {
		return false
	}
	doc = bytes.TrimPrefix(doc, []byte("<?xml "))
	if bytes.Contains(doc, []byte("<?")) || bytes.Contains(doc, []byte("<!")) || bytes.IndexByte(doc, '&') >= 0 {
		return true
	}
	for {
		i := bytes.IndexByte(doc, '<')
		if i < 0 {
			return false
		}
		doc = doc[i+1:]
		if name := doc[:scan.NameEnd(doc, 0)]; bytes.IndexByte(name, ':') >= 0 {
			return true
		}
	}
}

// judgeDocument decides about a document that cannot be edited in place.
func (rw *Rewriter) judgeDocument(doc []byte) policy.Decision {
	c, clean := rw.nest(doc)
	if clean && len(c.edits) == 0 {
		return allowed
	}
	if c != nil && c.held.Vendor != nil {
		return c.held
	}
	return rw.unsure()
}

// judgeScriptURL decides about a javascript: URL by its code, and by the document
// the code may evaluate to.
func (rw *Rewriter) judgeScriptURL(u []byte, k policy.Kind) policy.Decision {
	i := bytes.IndexByte(u, ':')
	if i < 0 || k == policy.Image || k == policy.Media {
		return allowed // pictures do not run it
	}
	code := unpercent(dropBreaks(u[i+1:]))
	if d, calls := rw.page.Bound.Inline(code, rw.calls[:0]); d.Action == policy.Block {
		rw.calls = calls
		return d
	}
	if bytes.IndexByte(code, '<') >= 0 {
		return rw.judgeDocument(code)
	}
	return allowed
}

// dropBreaks takes out what the URL parser drops wherever it stands.
func dropBreaks(u []byte) []byte {
	if !bytes.ContainsAny(u, "\t\n\r") {
		return u
	}
	out := make([]byte, 0, len(u))
	for _, c := range u {
		if c != '\t' && c != '\n' && c != '\r' {
			out = append(out, c)
		}
	}
	return out
}

// unpercent decodes percent escapes (WHATWG URL standard, section 1.3).
func unpercent(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isDigit(s[i+1], true) && isDigit(s[i+2], true) {
			out = append(out, hexValue(s[i+1])<<4|hexValue(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}

// unbase64 decodes as much as is valid (WHATWG Infra standard, section 7,
// forgiving-base64 decode).
func unbase64(s []byte) []byte {
	clean := make([]byte, 0, len(s))
	for _, c := range s {
		if !scan.IsSpace(c) && c != '=' {
			clean = append(clean, c)
		}
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(out, clean)
	return out[:n]
}
