package rewriter

import (
	"bytes"
	"slices"

	"github.com/consentgate/consentgate/rewriter/internal/scan"
)

// Where the readings of a document have parted, a start tag may begin at every
// '<' that a letter follows: in text, in a comment, inside another tag. Its
// bytes up to its '>' are the same in every reading, so each is judged where it
// stands, and held if anybody could run it. The edits are made of bytes that end
// no attribute, comment or string, so in the other readings they are only text.
type candidates struct {
	on   bool
	pos  int   // judged up to here
	work int   // bytes looked at
	seen int   // bytes advanced
	long []int // where tags begin that were too long to be candidates and are judged elsewhere
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
	end, ok := scan.TagEnd(data, i)
	if !ok && !eof {
		if end-i <= rw.opts.MaxHold {
			return false
		}
		ok = true
	}
	if end-i > rw.opts.MaxHold {
		if begin, open := rw.scan.InTag(); open && begin == i || slices.Contains(rw.cand.long, i) {
			return true // judged attribute by attribute
		}
		rw.err = ErrTangled
		return true
	}
	nameEnd := scan.NameEnd(data[:end], i+1)
	e := element{start: i, nameEnd: nameEnd, end: end, elem: scan.ElemOf(data[i+1 : nameEnd]), foreign: true}
	if e.elem == scan.Script && ok && !eof && len(data)-end < rw.opts.MaxInline && !closesScript(data[end:]) {
		return false
	}
	rw.spend(end - i)
	rw.judgeTag(data, e)
	return true
}

// spend accounts for n bytes looked at.
func (rw *Rewriter) spend(n int) {
	rw.cand.work += n
	if rw.cand.work > workFree+workFactor*rw.cand.seen {
		rw.err = ErrTangled
	}
}

func (c *candidates) shift(n int) {
	c.pos -= n
	keep := c.long[:0]
	for _, at := range c.long {
		if at >= n {
			keep = append(keep, at-n)
		}
	}
	c.long = keep
}

// closesScript reports whether b holds the end of a script's text.
func closesScript(b []byte) bool { return scriptEnd(b) >= 0 }

func scriptEnd(b []byte) int {
	for i := 0; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			return -1
		}
		i += n
		if scan.HasPrefixFold(b[i:], "</script") {
			return i
		}
	}
	return -1
}

// candidateScript judges a script without source that may begin in some reading.
func (rw *Rewriter) candidateScript(data []byte, h inlineHold) {
	text := data[h.end:]
	if n := scriptEnd(text[:min(len(text), rw.opts.MaxInline)]); n >= 0 {
		text = text[:n]
	} else if len(text) > rw.opts.MaxInline {
		text = text[:rw.opts.MaxInline]
	}
	rw.spend(len(text))
	rw.judgeInline(data, &h, text)
}
