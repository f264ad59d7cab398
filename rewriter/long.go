package rewriter

import (
	"bytes"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// A longTag is a start tag longer than MaxHold. Its attributes are judged one by
// one and sent on, so that a picture of megabytes inside a data: URL passes
// through little memory. A script tag cannot be judged so: it is sent with its
// name and an inert type only.
type longTag struct {
	longName

	on      bool
	end     bool // it is an end tag, whose attributes mean nothing
	swallow bool // nothing of the tag but its name is sent
	skip    bool // the attribute at hand is decided; its end is awaited
	quote   byte // that attribute's quote, 0 if none
	elem    scan.Elem
	pos     int // where the next attribute begins
	open    longOpen
	read    int // of an open attribute: where the search for its end goes on
}

// A longOpen says in which part of an attribute of a long tag the input ended.
type longOpen uint8

const (
	openNew    longOpen = iota // nothing of it is known
	openName                   // in the name
	openSpace                  // in white space in front of '=' or the value
	openValue                  // in a value without quotes
	openQuoted                 // in one with quotes
)

// goesOn reports whether the open attribute at pos has no end in data[:limit], so
// that small pieces of input do not read it from its beginning each time.
func (l *longTag) goesOn(data []byte, limit int) bool {
	if l.open == openNew {
		return false
	}
	n := -1
	switch rest := data[l.read:limit]; l.open {
	case openName:
		n = bytes.IndexAny(rest, "/>= \t\n\f\r")
	case openSpace:
		n = len(rest) - len(bytes.TrimLeft(rest, " \t\n\f\r"))
		if n == len(rest) {
			n = -1
		}
	case openValue:
		n = bytes.IndexAny(rest, "> \t\n\f\r")
	case openQuoted:
		n = bytes.IndexByte(rest, l.quote)
	}
	if n < 0 {
		l.read = limit
	}
	return n < 0
}

// waits notes where the open attribute a broke off.
func (l *longTag) waits(data []byte, a scan.Attr, limit int) {
	l.pos, l.read, l.quote = a.Name, limit, a.Quote
	switch {
	case a.Quote != 0:
		l.open = openQuoted
	case a.ValEnd > a.Val:
		l.open = openValue
	case scan.IsSpace(data[limit-1]), data[limit-1] == '=' && limit-1 > a.Name:
		l.open = openSpace
	default:
		l.open = openName
	}
}

func (l *longTag) shift(n int) {
	l.pos -= n
	l.read -= n
}

// enterLong begins with the tag at data[begin].
func (rw *Rewriter) enterLong(data []byte, begin int) {
	rw.scan.Outgrown(data)
	if data[begin+1] == '/' {
		rw.long = longTag{on: true, end: true}
		return
	}
	rw.report.Overlong++
	if rw.opts.Trace != nil {
		rw.traceLong(data, begin)
	}
	nameEnd := scan.NameEnd(data, begin+1)
	if nameEnd-begin > rw.opts.MaxHold {
		rw.err = ErrTangled // nobody knows what element this is
		return
	}
	rw.long = longTag{on: true, elem: rw.scan.Elem, pos: nameEnd}
	rw.nameLong(data[begin+1 : nameEnd])
	if rw.scan.Elem != scan.Script {
		return
	}
	if rw.cand.on || rw.depth > 0 {
		rw.err = ErrTangled // nothing can be cut out of a document with several readings
		return
	}
	rw.long.swallow = true
	rw.report.add(Unclassified, policy.Script, policy.Block, 1)
	rw.insert(nameEnd, inert, " data-cg-vendor=", Unclassified, " data-cg-category=none data-cg-held")
	rw.emit(data, nameEnd, true)
	rw.sent = len(data)
}

// endLong deals with the end of the long tag at scan.End.
func (rw *Rewriter) endLong(data []byte) {
	rw.longAttrs(data, rw.scan.End, true)
	if rw.long.swallow {
		rw.sent = max(rw.scan.End-1, 0)
		if rw.scan.End > 0 && data[rw.scan.End-1] != '>' {
			rw.sent = rw.scan.End // the input ended inside the tag
		}
	}
	rw.long = longTag{}
}

// longAttrs judges the attributes up to limit and returns from where on bytes
// must be held.
func (rw *Rewriter) longAttrs(data []byte, limit int, final bool) int {
	l := &rw.long
	if l.end {
		return limit
	}
	if l.swallow {
		if !final {
			rw.sent = limit
		}
		return limit
	}
	if l.skip {
		var n int
		if l.quote != 0 {
			n = bytes.IndexByte(data[l.pos:limit], l.quote)
		} else {
			n = bytes.IndexAny(data[l.pos:limit], " \t\n\f\r>")
		}
		if n < 0 {
			l.pos = limit
			return limit
		}
		l.skip = false
		l.pos += n
		if l.quote != 0 {
			l.pos++
		}
	}
	if !final && limit-l.pos <= rw.opts.MaxHold && l.goesOn(data, limit) {
		return l.pos
	}
	l.open = openNew
	rw.work += limit - l.pos
	rw.parsed = scan.Attrs(rw.parsed[:0], data[:limit], l.pos)
	rw.attrs = rw.parsed
	for i := range rw.attrs {
		a := rw.attrs[i]
		if valueBegin(data[:limit], a)-a.Name > rw.opts.MaxHold {
			rw.err = ErrTangled // nobody knows what attribute this is
			return limit
		}
		if a.Open && !final && limit-a.Name <= rw.opts.MaxHold {
			l.waits(data, a, limit)
			return a.Name
		}
		rw.longAttr(data, a)
		l.pos = a.ValEnd
		if a.Quote != 0 && !a.Open {
			l.pos++
		}
		if a.Open && !final {
			l.skip, l.quote, l.pos = true, a.Quote, limit
			return limit
		}
	}
	return l.pos
}

// valueBegin returns where the value of an attribute begins, or what follows the
// attribute if it has none.
func valueBegin(data []byte, a scan.Attr) int {
	i := a.NameEnd
	for i < len(data) && (scan.IsSpace(data[i]) || data[i] == '=' && a.Val > a.NameEnd) && (a.Val <= a.NameEnd || i < a.Val) {
		i++
	}
	return i
}

// longAttr judges one attribute of a long tag.
func (rw *Rewriter) longAttr(data []byte, a scan.Attr) {
	name := data[a.Name:a.NameEnd]
	foreign := rw.scan.Foreign() || rw.cand.on
	e := element{elem: rw.long.elem, foreign: foreign, amp: rw.long.amp}
	r, k := attrRole(rw.long.elem, name)
	if r == noRole {
		r, k = rw.otherRole(data, e, name)
	}
	switch {
	case rw.long.elem == scan.Base && scan.EqualFold(name, "href"):
		if rw.baseHref(data, &a) {
			rw.insert(a.Name, "data-cg-")
		}
		return
	case r == noRole:
		return
	}
	var d policy.Decision
	ok := true
	if a.ValEnd-a.Name > rw.opts.MaxHold {
		d = rw.unsure()
		if r == roleURL && (k == policy.Image || k == policy.Media) && scan.HasPrefixFold(trimControl(data[a.Val:a.ValEnd]), "data:") {
			d = allowed
		}
		if rw.opts.Trace != nil {
			rw.traceAt(a.Name, string(name))
			rw.traceURL(data[a.Val:a.ValEnd], nil, d, k)
		}
	} else {
		d, ok = rw.judgeAttr(data, e, &a, r, k)
	}
	if !ok {
		return
	}
	rw.report.decision(d, k)
	if d.Action == policy.Block {
		rw.insert(a.Name, "data-cg-")
	}
}
