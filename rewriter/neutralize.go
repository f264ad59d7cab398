package rewriter

import (
	"bytes"
	"slices"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// An element is a start tag under judgement, as offsets into the data.
type element struct {
	start, nameEnd, end int
	elem                scan.Elem
	foreign             bool // stands in svg or math, or may do so
	stubs               bool // a stub may be inserted in front of it
	amp                 *ampElement
}

// A role says how an attribute loads something.
type role uint8

const (
	noRole      role = iota
	roleURL          // one URL
	roleSrcset       // image candidates
	roleURLs         // URLs separated by spaces
	roleSrcdoc       // a document
	roleStyle        // CSS declarations
	roleEvent        // script
	roleRefresh      // "5; url=…"
	roleValues       // URLs separated by semicolons
	roleOthers       // further roles: see otherRole
)

// startTag deals with the start tag the scanner found.
func (rw *Rewriter) startTag(data []byte, open bool) {
	s := &rw.scan
	if s.Elem == scan.Style && !open && !s.Empty {
		rw.work += rw.css.work
		rw.css, rw.inCSS, rw.cssPos = rw.newCSS(), true, s.End
	}
	if rw.long.on {
		rw.endLong(data)
		return
	}
	if s.End-s.Start > rw.opts.MaxHold {
		if rw.enterLong(data, s.Start); rw.err == nil {
			rw.endLong(data)
		}
		if rw.cand.on {
			rw.cand.long = append(rw.cand.long, s.Start)
		}
		return
	}
	if rw.cand.on && s.Start >= rw.cand.pos {
		return // judged with all the other tags that somebody may see
	}
	e := element{
		start: s.Start, nameEnd: s.NameEnd, end: s.End, elem: s.Elem, foreign: s.Foreign(),
		stubs: rw.page.Stubs && !open && !rw.cand.on && !s.InNoscript && s.InTemplate == 0 && !s.Foreign() && !s.Ghost(),
	}
	if rw.attrs = s.Attrs; !s.HasAttrs {
		rw.parseAttrs(data, e)
	}
	if e.elem == scan.Script && e.stubs && len(rw.later) > 0 {
		if !rw.marked(data) {
			rw.flushStubs(e.start, data)
		}
	}
	rw.judgeTag(data, e)
	if open || s.Empty {
		rw.inline.on = false // no text follows
	}
	if e.elem == scan.Style && rw.inCSS && e.foreign {
		rw.inline = inlineHold{on: true, style: true, element: e, text: e.end}
	}
}

// parseAttrs puts the attributes of a tag into rw.attrs.
func (rw *Rewriter) parseAttrs(data []byte, e element) {
	rw.parsed = scan.Attrs(rw.parsed[:0], data[:e.end], e.nameEnd)
	rw.attrs = rw.parsed
}

// judgeTag decides about the start tag whose attributes are in rw.attrs, and notes
// the edits that hold it.
func (rw *Rewriter) judgeTag(data []byte, e element) {
	rw.work += e.end - e.start
	rw.renames = rw.renames[:0]
	kind, idle := policy.Image, false // idle: the element itself loads nothing
	switch e.elem {
	case scan.Script:
		rw.scriptTag(data, e)
		return
	case scan.Base:
		rw.baseTag(data)
	case scan.Link:
		kind = rw.linkKind(data)
		idle = kind == noKind
	case scan.Meta:
		idle = !rw.isRefresh(data)
	case scan.AMP:
		e.amp = rw.ampTag(data[e.start+1 : e.nameEnd])
	}
	var first, blocked policy.Decision
	var firstKind, blockedKind policy.Kind
	seen, held := false, false
	for i := range rw.attrs {
		a := &rw.attrs[i]
		name := data[a.Name:a.NameEnd]
		r, k := attrRole(e.elem, name)
		if r == noRole {
			r, k = rw.otherRole(data, e, name)
		}
		if r == noRole || idle && !anywhere(r, k) {
			continue
		}
		if e.elem == scan.Link && !anywhere(r, k) {
			k = kind
		}
		d, ok := rw.judgeAttr(data, e, a, r, k)
		switch {
		case !ok:
		case d.Action == policy.Block:
			rw.renames = append(rw.renames, i)
			if !held {
				blocked, blockedKind, held = d, k, true
			}
		case !seen:
			first, firstKind, seen = d, k, true
		}
	}
	switch {
	case held:
		rw.report.decision(blocked, blockedKind)
		rw.hold(data, e, blocked, "")
	case seen:
		rw.report.decision(first, firstKind)
	}
}

// anywhere reports whether an attribute of this role loads something on every
// element: style, background, ping, event handlers.
func anywhere(r role, k policy.Kind) bool {
	return r == roleStyle || r == roleEvent || r == roleURLs || r == roleURL && k == policy.Image
}

// noKind says that a link element loads nothing.
const noKind = policy.Kind(policy.NumKinds)

// hold notes the marker and the renamed attributes of a held element.
func (rw *Rewriter) hold(data []byte, e element, d policy.Decision, typ string) {
	if rw.held.Vendor == nil {
		rw.held = d
	}
	if rw.opts.Trace != nil {
		rw.traceHeld(e, d)
	}
	vendor, category := Unclassified, "none"
	if d.Vendor != nil {
		vendor = d.Vendor.ID
	}
	if sc := rw.page.Bound.Policy().Scheme(); d.Category >= 0 && d.Category < len(sc.Categories) && d.Vendor != nil {
		category = sc.Categories[d.Category].ID
	}
	end := ""
	if len(rw.attrs) > 0 && data[rw.attrs[0].Name] == '=' {
		end = "/" // in a name that begins with it, "=" must not become the mark's
	}
	// A name that ends with "<" has a slash behind it: another reading may see an
	// end tag there, which no mark must come into.
	marked := data[e.nameEnd-1] != '<'
	if marked {
		rw.insert(e.nameEnd, typ, " data-cg-vendor=", vendor, " data-cg-category=", category, " data-cg-held", end)
	}
	for _, i := range rw.renames {
		a := &rw.attrs[i]
		if !marked && a.Name == e.nameEnd+1 && scan.EqualFold(data[a.Name:a.NameEnd], "style") {
			rw.err = ErrTangled // renaming it would undo the end tag of a style element
			return
		}
		rw.insert(a.Name, "data-cg-")
	}
}

// judgeAttr decides about one attribute that loads something; ok is false if
// there is nothing to hold or count as a whole.
func (rw *Rewriter) judgeAttr(data []byte, e element, a *scan.Attr, r role, k policy.Kind) (d policy.Decision, ok bool) {
	raw := data[a.Val:a.ValEnd]
	rw.work += len(raw)
	if rw.opts.Trace != nil {
		rw.traceAt(a.Name, string(data[a.Name:a.NameEnd]))
	}
	if r == roleStyle {
		return rw.styleAttr(raw, a)
	}
	if r == roleSrcdoc {
		return rw.srcdoc(raw, a)
	}
	v := rw.decode(raw)
	switch r {
	case roleURL:
		return rw.judgeURL(v, k), len(v) > 0
	case roleSrcset:
		for len(v) > 0 {
			var u []byte
			if u, v = nextCandidate(v); len(u) > 0 {
				if d = rw.judgeURL(u, k); d.Action == policy.Block {
					return d, true
				}
				ok = true
			}
		}
	case roleURLs, roleValues:
		sep := " \t\n\f\r"
		if r == roleValues {
			sep = ";"
		}
		for len(v) > 0 {
			i := bytes.IndexAny(v, sep)
			u := v
			if v = nil; i >= 0 {
				u, v = u[:i], u[i+1:]
			}
			if len(u) > 0 {
				if d = rw.judgeURL(u, k); d.Action == policy.Block {
					return d, true
				}
				ok = true
			}
		}
		if r == roleValues {
			if c := rw.blockedCSS(rw.decode(raw)); c.Action == policy.Block {
				return c, true // an animated property, not an address
			}
			return rw.judgeAnimated(rw.decode(raw), e, d, ok)
		}
	case roleRefresh:
		if u, has := refreshURL(v); has {
			return rw.judgeURL(u, k), true
		}
	case roleEvent:
		return rw.judgeCode(v, e)
	default:
		return rw.judgeOther(v, e, r, k)
	}
	return d, ok
}

// judgeCode decides about an event handler or another short piece of code.
func (rw *Rewriter) judgeCode(code []byte, e element) (policy.Decision, bool) {
	code = rw.readable(code)
	d, calls := rw.page.Bound.Inline(code, rw.calls[:0])
	rw.calls = calls
	if rw.opts.Trace != nil {
		rw.traceCode(d, policy.Inline)
	}
	if e.stubs && d.Action == policy.Allow {
		// A stub next to the element would change the page's structure where
		// style sheets may count children; the next script is early enough.
		for _, v := range calls {
			if v.Stub != "" && !rw.hasStub(v) && !slices.Contains(rw.later, v) {
				rw.later = append(rw.later, v)
			}
		}
	}
	return d, d.Action == policy.Block || d.Vendor != nil
}

// decode returns the attribute value with its character references decoded.
func (rw *Rewriter) decode(raw []byte) []byte {
	if bytes.IndexByte(raw, '&') < 0 {
		return raw
	}
	rw.value = decodeAttr(rw.value[:0], raw, nil)
	return rw.value
}

var allowed = policy.Decision{Action: policy.Allow, Reason: policy.Data, Category: -1}

// judgeURL decides about the resource a decoded URL reference names.
func (rw *Rewriter) judgeURL(u []byte, k policy.Kind) policy.Decision {
	rw.work += len(u)
	var loc policy.Location
	var d policy.Decision
	switch rw.base.resolve(u, &loc) {
	case urlNet:
		d = rw.page.Bound.Resource(k, loc)
	case urlEmpty, urlLocal:
		return allowed
	case urlData:
		d = rw.judgeData(u, k)
	case urlScript:
		d = rw.judgeScriptURL(u, k)
	default:
		d = rw.unsure()
	}
	if rw.opts.Trace != nil {
		rw.traceURL(u, &loc, d, k)
	}
	return d
}

// unsure is the decision about what could not be judged: it is held, unless
// there is nothing to hold for this visitor.
func (rw *Rewriter) unsure() policy.Decision {
	if rw.page.Bound.Unrestricted() {
		return allowed
	}
	return policy.Decision{Category: -1}
}

// roleNames has bit n set at letter c if an attribute of some role has a name of n
// bytes that begins with c.
var roleNames = func() (t [256]uint16) {
	for _, name := range [...]string{
		"style", "background", "ping", "src", "srcdoc", "srcset", "imagesrcset", "poster", "data", "href", "xlink:href",
		"to", "from", "by", "values", "content",
	} {
		bit := uint16(1) << len(name)
		t[name[0]] |= bit
		t[name[0]-'a'+'A'] |= bit
	}
	return t
}()

// attrRole returns how the attribute loads something on the element, and what.
func attrRole(e scan.Elem, name []byte) (role, policy.Kind) {
	if len(name) > 2 && name[0]|0x20 == 'o' && name[1]|0x20 == 'n' {
		return roleEvent, policy.Inline
	}
	if len(name) > 11 || roleNames[name[0]]&(1<<len(name)) == 0 {
		return noRole, 0
	}
	var low [12]byte
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	switch string(low[:len(name)]) {
	case "style":
		return roleStyle, policy.Style
	case "background":
		return roleURL, policy.Image
	case "ping":
		return roleURLs, policy.Hint
	case "src":
		switch e {
		case scan.Iframe, scan.Frame:
			return roleURL, policy.Frame
		case scan.Embed:
			return roleURL, policy.Object
		case scan.Img, scan.Image, scan.Input:
			return roleURL, policy.Image
		case scan.Source, scan.Video, scan.Audio, scan.Track:
			return roleURL, policy.Media
		}
	case "srcdoc":
		if e == scan.Iframe {
			return roleSrcdoc, policy.Frame
		}
	case "srcset", "imagesrcset":
		switch e {
		case scan.Img, scan.Image, scan.Source, scan.Link:
			return roleSrcset, policy.Image
		}
	case "poster":
		if e == scan.Video {
			return roleURL, policy.Image
		}
	case "data":
		if e == scan.Object {
			return roleURL, policy.Object
		}
	case "href", "xlink:href":
		switch e {
		case scan.Link:
			return roleURL, policy.Hint
		case scan.Image, scan.Use, scan.FeImage:
			return roleURL, policy.Image
		}
	case "to", "from", "by", "values":
		if e == scan.Animate || e == scan.Set {
			// They may animate an href.
			return roleValues, policy.Image
		}
	case "content":
		if e == scan.Meta {
			return roleRefresh, policy.Refresh
		}
	}
	return noRole, 0
}

// baseTag follows <base href>. A base on a blocked vendor's host is held wherever
// it stands, since it also counts for references in front of it, and preload
// scanners take it from places where the document does not.
func (rw *Rewriter) baseTag(data []byte) {
	counts := rw.scan.InTemplate == 0 && !rw.scan.Foreign() && !rw.scan.InNoscript
	for i := range rw.attrs {
		a := &rw.attrs[i]
		if !scan.EqualFold(data[a.Name:a.NameEnd], "href") {
			continue
		}
		if rw.baseHref(data, a) {
			rw.insert(a.Name, "data-cg-")
		} else if counts && a.ValEnd-a.Name <= maxBase {
			rw.base.rebase(rw.decode(data[a.Val:a.ValEnd]))
			counts = false
		}
	}
}

// baseHref reports whether a base's href must be held, and counts that.
func (rw *Rewriter) baseHref(data []byte, a *scan.Attr) bool {
	if a.ValEnd-a.Name > maxBase {
		return rw.unsure().Action == policy.Block
	}
	var loc policy.Location
	if rw.base.resolve(rw.decode(data[a.Val:a.ValEnd]), &loc) != urlNet {
		return false
	}
	// As for a connection: whatever path a reference adds.
	loc.Path, loc.Query = rootPath, nil
	d := rw.page.Bound.Resource(policy.Hint, loc)
	if rw.opts.Trace != nil {
		rw.traceAt(a.Name, "href")
		rw.traceURL(nil, &loc, d, policy.Hint)
	}
	if d.Action != policy.Block || d.Vendor == nil {
		return false
	}
	rw.report.decision(d, policy.Hint)
	return true
}

// isRefresh reports whether the meta element is a refresh.
func (rw *Rewriter) isRefresh(data []byte) bool {
	for _, a := range rw.attrs {
		if scan.EqualFold(data[a.Name:a.NameEnd], "http-equiv") &&
			scan.EqualFold(trimControl(rw.decode(data[a.Val:a.ValEnd])), "refresh") {
			return true
		}
	}
	return false
}

// linkKind returns what the link element loads, noKind if nothing. If it has
// several rel attributes or keywords, the one that runs most decides.
func (rw *Rewriter) linkKind(data []byte) policy.Kind {
	kind := noKind
	for _, a := range rw.attrs {
		if !scan.EqualFold(data[a.Name:a.NameEnd], "rel") {
			continue
		}
		v := rw.decode(data[a.Val:a.ValEnd])
		for len(v) > 0 {
			i := bytes.IndexAny(v, " \t\n\f\r")
			word := v
			if v = nil; i >= 0 {
				word, v = word[:i], word[i+1:]
			}
			if k := relKind(word); k < kind {
				kind = k
			}
		}
	}
	return kind
}

// relKind returns what a link type loads.
func relKind(word []byte) policy.Kind {
	switch {
	case scan.EqualFold(word, "modulepreload"):
		return policy.Script
	case scan.EqualFold(word, "stylesheet"):
		return policy.Style
	case scan.EqualFold(word, "icon"), scan.EqualFold(word, "mask-icon"),
		scan.HasPrefixFold(word, "apple-touch-"):
		return policy.Image
	case scan.EqualFold(word, "preload"), scan.EqualFold(word, "prefetch"),
		scan.EqualFold(word, "prerender"), scan.EqualFold(word, "preconnect"),
		scan.EqualFold(word, "dns-prefetch"), scan.EqualFold(word, "manifest"), scan.EqualFold(word, "next"),
		scan.EqualFold(word, "compression-dictionary"):
		return policy.Hint
	}
	return noKind
}
