package rewriter

import (
	"bytes"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// Roles of attributes that load something in rare places.
const (
	roleFollow  role = roleOthers + iota // a URL that is followed, and run if its scheme is javascript:
	roleBase                             // the URL against which others of the element are resolved
	roleKeyword                          // a vendor by its keyword in AMP
	roleWidget                           // whatever AMP builds a vendor's widget from
	roleJSON                             // JSON that names URLs
)

// otherRole returns how an attribute that attrRole does not know loads something.
// The attributes of the element are in rw.attrs, but for a tag that is judged
// attribute by attribute.
func (rw *Rewriter) otherRole(data []byte, e element, name []byte) (role, policy.Kind) {
	if e.elem == scan.AMP {
		return ampRole(e.amp, name)
	}
	switch len(name) {
	case 3:
		// MathML's picture of a glyph.
		if e.foreign && e.elem == scan.Other && scan.EqualFold(name, "src") {
			return roleURL, policy.Image
		}
	case 4:
		if scan.EqualFold(name, "href") {
			return rw.hrefRole(data, e)
		}
	case 5:
		if e.elem == scan.Param && scan.EqualFold(name, "value") && rw.namesAddress(data, e) {
			return roleURL, policy.Object
		}
	case 6:
		if scan.EqualFold(name, "action") {
			return roleFollow, policy.Inline
		}
	case 8:
		if (e.elem == scan.Object || e.elem == scan.Embed) && scan.EqualFold(name, "codebase") {
			return roleBase, policy.Object
		}
	case 10:
		switch {
		case scan.EqualFold(name, "formaction"):
			return roleFollow, policy.Inline
		case scan.EqualFold(name, "xlink:href"):
			return rw.hrefRole(data, e)
		}
	case 14:
		switch {
		case scan.EqualFold(name, "attributionsrc"):
			return roleURLs, policy.Hint
		case e.elem == scan.Video && scan.EqualFold(name, "environmentmap"):
			return roleURL, policy.Image // of <model>
		}
	}
	if e.foreign && takesPaint(name) {
		return roleStyle, policy.Image
	}
	return noRole, 0
}

// hrefRole returns what an href does on an element whose own name does not make
// it load: templates of gradients and patterns, and paths of text and motion, are
// fetched by browsers that follow references out of the document (SVG 2, section
// 3.4); anything else is a link.
func (rw *Rewriter) hrefRole(data []byte, e element) (role, policy.Kind) {
	switch e.elem {
	case scan.Base, scan.Animate, scan.Set:
		return noRole, 0 // the first is judged elsewhere, the others name their target
	}
	if e.foreign && rw.refersOut(data, e) {
		return roleURL, policy.Image
	}
	return roleFollow, policy.Inline
}

// piecemeal reports whether the element's tag is too long to be seen at once.
func (e *element) piecemeal() bool { return e.nameEnd == 0 }

// A longName is what the name of a longTag says, which is gone when its attributes
// are judged.
type longName struct {
	amp    *ampElement
	refers bool // see referencesOut
}

func (rw *Rewriter) nameLong(name []byte) {
	rw.long.refers = referencesOut(name)
	if rw.long.elem == scan.AMP {
		rw.long.amp = rw.ampTag(name)
	}
}

func (rw *Rewriter) refersOut(data []byte, e element) bool {
	if e.piecemeal() {
		return rw.long.refers
	}
	return referencesOut(data[e.start+1 : e.nameEnd])
}

// referencesOut reports whether the svg element of that name takes its content
// from where its href points.
func referencesOut(name []byte) bool {
	switch len(name) {
	case 4:
		return scan.EqualFold(name, "tref")
	case 5:
		return scan.EqualFold(name, "mpath")
	case 6:
		return scan.EqualFold(name, "filter")
	case 7:
		return scan.EqualFold(name, "pattern")
	case 8:
		return scan.EqualFold(name, "textpath")
	case 14:
		return scan.EqualFold(name, "lineargradient") || scan.EqualFold(name, "radialgradient")
	}
	return false
}

// namesAddress reports whether the param element's name makes its value the
// address of the object around it.
func (rw *Rewriter) namesAddress(data []byte, e element) bool {
	if e.piecemeal() {
		return true // its name may be gone, or be still to come
	}
	for _, a := range rw.attrs {
		if !scan.EqualFold(data[a.Name:a.NameEnd], "name") {
			continue
		}
		switch v := trimControl(rw.decode(data[a.Val:a.ValEnd])); len(v) {
		case 3:
			if scan.EqualFold(v, "src") || scan.EqualFold(v, "url") {
				return true
			}
		case 4:
			if scan.EqualFold(v, "code") || scan.EqualFold(v, "data") {
				return true
			}
		case 5:
			if scan.EqualFold(v, "movie") {
				return true
			}
		}
	}
	return false
}

// judgeOther decides about an attribute with one of the roles of otherRole, v
// being its decoded value.
func (rw *Rewriter) judgeOther(v []byte, e element, r role, k policy.Kind) (policy.Decision, bool) {
	switch r {
	case roleFollow:
		return rw.judgeFollowed(v, e)
	case roleBase:
		return rw.judgeBase(v, k)
	case roleKeyword:
		return rw.judgeKeyword(v, e.amp.types, k), true
	case roleWidget:
		return rw.judgeWidget(v, e.amp), true
	case roleJSON:
		d := rw.judgeStrings(v, k)
		return d, d.Action == policy.Block
	}
	return policy.Decision{}, false
}

// judgeFollowed decides about the URL of a link or form: only code is held, since
// visitors may go where they like.
func (rw *Rewriter) judgeFollowed(v []byte, e element) (policy.Decision, bool) {
	code, ok := scriptCode(v)
	if !ok {
		return allowed, false
	}
	code = unpercent(dropBreaks(code))
	d, ok := rw.judgeCode(code, e)
	if d.Action == policy.Allow && bytes.IndexByte(code, '<') >= 0 {
		// What the code evaluates to takes the place of the page.
		if doc := rw.judgeDocument(code); doc.Action == policy.Block {
			return doc, true
		}
	}
	return d, ok
}

// maxAnimated is how many values of an animation may be code: each is read up to
// the end of all.
const maxAnimated = 16

// judgeAnimated decides about the values of an animation, which may make a link run
// code. d is what was decided about the addresses in them, ok whether there are any.
// A ';' inside the code separates values too, so from each on the rest is looked at.
func (rw *Rewriter) judgeAnimated(v []byte, e element, d policy.Decision, ok bool) (policy.Decision, bool) {
	runs := 0
	for more := true; more; _, v, more = bytes.Cut(v, []byte(";")) {
		if _, is := scriptCode(v); !is {
			continue
		}
		if runs++; runs > maxAnimated {
			return rw.unsure(), true
		}
		if c, is := rw.judgeFollowed(v, e); is && c.Action == policy.Block {
			return c, true
		}
	}
	return d, ok
}

// scriptCode returns what follows the scheme of a javascript: URL. It reads the
// scheme as the URL parser does, which no base takes part in (WHATWG URL standard,
// section 4.4): nearly every link ends at its first letter.
func scriptCode(v []byte) (code []byte, ok bool) {
	for len(v) > 0 && v[0] <= ' ' {
		v = v[1:]
	}
	const scheme = "javascript:"
	n := 0
	for i, c := range v {
		switch {
		case c == '\t' || c == '\n' || c == '\r':
		case !scan.EqualFold(v[i:i+1], scheme[n:n+1]):
			return nil, false
		default:
			if n++; n == len(scheme) {
				return v[i+1:], true
			}
		}
	}
	return nil, false
}

// judgeBase decides about the URL that others are resolved against: by itself, and
// as for a connection, whatever path they add.
func (rw *Rewriter) judgeBase(v []byte, k policy.Kind) (policy.Decision, bool) {
	var loc policy.Location
	switch rw.base.resolve(v, &loc) {
	case urlNet:
	case urlBad:
		return rw.unsure(), true
	default:
		return allowed, false
	}
	if d := rw.page.Bound.Resource(k, loc); d.Action == policy.Block {
		return d, true
	}
	loc.Path, loc.Query = rootPath, nil
	d := rw.page.Bound.Resource(policy.Hint, loc)
	if d.Vendor == nil {
		return allowed, false
	}
	return d, d.Action == policy.Block
}

// takesPaint reports whether an attribute of an svg element is a CSS property
// whose value may be a url() that is fetched (SVG 2, section 6.6).
func takesPaint(name []byte) bool {
	switch len(name) {
	case 4:
		return scan.EqualFold(name, "fill") || scan.EqualFold(name, "mask")
	case 6:
		return scan.EqualFold(name, "cursor") || scan.EqualFold(name, "filter") || scan.EqualFold(name, "stroke") ||
			scan.EqualFold(name, "marker")
	case 9:
		return scan.EqualFold(name, "clip-path")
	case 10:
		return scan.EqualFold(name, "marker-end") || scan.EqualFold(name, "marker-mid")
	case 12:
		return scan.EqualFold(name, "marker-start")
	}
	return false
}
