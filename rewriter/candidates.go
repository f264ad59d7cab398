package rewriter

import (
	"bytes"
	"slices"

	"github.com/consentgate/consentgate/policy"
	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// Where the readings of a document have parted, a start tag may begin at every
// '<' that a letter follows: in text, in a comment, inside another tag. Its
// bytes up to its '>' are the same in every reading, so each is judged where it
// stands, and held if anybody could run it. The edits are made of bytes that end
// no attribute, comment or string, so in the other readings they are only text.
type candidates struct {
	on   bool
	pos  int  // judged up to here
	work int  // bytes looked at
	seen int  // bytes advanced
	wait bool // the tag at pos is not complete, or its text is not
	walk scan.TagWalk
	end  int     // of the tag at pos, once found; else 0
	free [2]span // where no end tag of a script, of a style stands
	long []int   // where tags begin that were too long to be candidates and are judged elsewhere
}

// The work spent on overlapping candidates may grow with the document, but not
// with its square.
const (
	workFactor = 64
	workFree   = 4 << 20
)

// candidates judges every possible tag in data and returns from where on bytes
// must be held.
func (rw *Rewriter) candidates(data []byte, eof bool) int {
	c := &rw.cand
	for c.pos < len(data) {
		n := bytes.IndexByte(data[c.pos:], '<')
		if n < 0 {
			c.seen += len(data) - c.pos
			c.pos = len(data)
			break
		}
		c.pos, c.seen = c.pos+n, c.seen+n
		i := c.pos
		if i+1 == len(data) && !eof {
			return i
		}
		if i+1 < len(data) && isLetter(data[i+1]) && !rw.candidate(data, i, eof) {
			return i
		}
		if rw.err != nil {
			return i
		}
		c.pos, c.seen = i+1, c.seen+1
	}
	return c.pos
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// candidate judges the tag that may begin at data[i]; false means that more
// input is needed.
func (rw *Rewriter) candidate(data []byte, i int, eof bool) bool {
	c := &rw.cand
	if !c.wait {
		c.wait, c.walk, c.end = true, scan.TagWalk{Pos: i + 1}, 0
	}
	end, ok := c.end, true
	if end == 0 {
		rw.work += len(data) - c.walk.Pos
		if end, ok = c.walk.End(data); ok {
			rw.work -= len(data) - end
			c.end = end
		}
	}
	if !ok && !eof && end-i <= rw.opts.MaxHold {
		return false
	}
	if end-i > rw.opts.MaxHold {
		c.wait = false
		if begin, open := rw.scan.InTag(); open && begin == i || slices.Contains(c.long, i) {
			return true // judged attribute by attribute
		}
		rw.err = ErrTangled
		return true
	}
	nameEnd := scan.NameEnd(data[:end], i+1)
	e := element{start: i, nameEnd: nameEnd, end: end, elem: scan.ElemOf(data[i+1 : nameEnd]), foreign: true}
	if ok && !eof && len(data) < rw.textLimit(i, end) {
		switch e.elem {
		case scan.Script:
			ok = rw.ends(&c.free[0], data, end, "</script")
		case scan.Style:
			ok = rw.ends(&c.free[1], data, end, "</style")
		}
		if !ok {
			return false
		}
	}
	c.wait = false
	if rw.opts.Trace != nil {
		rw.traceCandidate(data, e)
	}
	rw.spend(end - i)
	rw.parseAttrs(data, e)
	rw.judgeTag(data, e)
	if e.elem == scan.Style {
		rw.candidateStyle(data, e)
	}
	return true
}

// A span is a piece of the data without a certain end tag. One may stand behind
// it.
type span struct {
	from, to int
	hit      bool // one does
}

// ends reports whether the end tag stands in data[from:]. What the span tells is
// not searched again: a text may be that of many candidates.
func (rw *Rewriter) ends(f *span, data []byte, from int, tag string) bool {
	if from < f.from || from > f.to {
		*f = span{from: from, to: from}
	}
	if f.hit {
		return true
	}
	n := endOf(data[f.to:], tag)
	to := f.to + n
	if f.hit = n >= 0; !f.hit {
		to = max(f.to, len(data)-len(tag))
	}
	rw.work += to - f.to
	f.to = to
	return f.hit
}

// candidateStyle judges the text of a style element that may begin in some
// reading.
func (rw *Rewriter) candidateStyle(data []byte, e element) {
	text := data[e.end:min(len(data), rw.textLimit(e.start, e.end))]
	if n := endOf(text, "</style"); n >= 0 {
		text = text[:n]
	}
	rw.spend(len(text))
	s := rw.newCSS()
	_, rw.hits = s.scan(text, 0, true, len(text), rw.hits[:0])
	for _, h := range rw.hits {
		if rw.opts.Trace != nil {
			rw.traceAt(e.end+h.start, "")
		}
		if d := rw.judgeLongCSS(text[h.start:h.end], h.cut); d.Action == policy.Block {
			rw.report.decision(d, policy.Style)
			rw.insert(e.end+h.start, cssPrefix)
		}
	}
	if bytes.ContainsAny(text, "&<") {
		if rw.opts.Trace != nil {
			rw.traceAt(e.end, "")
		}
		if d := rw.blockedCSS(textContent(text)); d.Action == policy.Block {
			rw.parseAttrs(data, e)
			rw.holdStyle(data, e, d)
		}
	}
}

// spend accounts for n bytes looked at.
func (rw *Rewriter) spend(n int) {
	rw.work += n
	rw.cand.work += n
	if rw.cand.work > workFree+workFactor*rw.cand.seen {
		rw.err = ErrTangled
	}
}

func (c *candidates) shift(n int) {
	c.pos -= n
	c.walk.Pos -= n
	for i := range c.free {
		c.free[i].from -= n
		c.free[i].to -= n
	}
	if c.end > 0 {
		c.end -= n
	}
	keep := c.long[:0]
	for _, at := range c.long {
		if at >= n {
			keep = append(keep, at-n)
		}
	}
	c.long = keep
}

// endOf returns where the lower-case end tag stands in b, -1 if it does not.
func endOf(b []byte, tag string) int {
	for i := 0; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			return -1
		}
		i += n
		if scan.HasPrefixFold(b[i:], tag) {
			return i
		}
	}
	return -1
}

// candidateScript judges a script without source that may begin in some reading.
func (rw *Rewriter) candidateScript(data []byte, h inlineHold) {
	text := data[h.end:min(len(data), rw.textLimit(h.start, h.end))]
	if n := endOf(text, "</script"); n >= 0 {
		text = text[:n]
	}
	rw.spend(len(text))
	rw.judgeInline(data, &h, text)
}
