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
	var loc policy.Location
	i := bytes.IndexByte(v, ':')
	if i < 0 || rw.base.resolve(v, &loc) != urlScript {
		return allowed, false
	}
	code := unpercent(dropBreaks(v[i+1:]))
	d, ok := rw.judgeCode(code, e)
	if d.Action == policy.Allow && bytes.IndexByte(code, '<') >= 0 {
		// What the code evaluates to takes the place of the page.
		if doc := rw.judgeDocument(code); doc.Action == policy.Block {
			return doc, true
		}
	}
	return d, ok
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
