package policy

import (
	"encoding/binary"
	"slices"
)

// An inlineSignature is one piece of code that gives a vendor away.
type inlineSignature struct {
	vendor *Vendor
	text   string // without white space, with single quotes
	loader bool   // the code fetches the vendor; otherwise it only calls its global
}

// An inlineMatcher finds vendors in the text of inline scripts. It is immutable
// and safe for concurrent use.
//
// It has two speeds. Nearly all scripts hold no signature of a vendor that is not
// granted; for those there is one pass over the bytes, looking for a rare
// piece of each signature. Where such a piece stands, the whole
// signature is compared. Only if one is there, the script is read as JavaScript,
// to see where it stands: in code, in a comment, in an address that is loaded, or
// in a text that merely mentions it.
//
// What it does not see: a signature that is put together at run time from pieces
// ('fbeve'+'nts.js'), one with a comment inside, and one in code that is itself
// encoded.
type inlineMatcher struct {
	table    [1 << (gramBits - 6)]uint64 // a bit for each hash of a gram: a signature has one like it
	heads    [1 << headBits]uint32       // by fewer bits of the hash: the first of its entries, plus one
	entries  []gramEntry
	patterns []inlinePattern
	vendors  []*Vendor
}

// A gramEntry is a signature that has a gram, and where. The entries of one head
// are chained.
type gramEntry struct {
	gram    uint32 // as gramAt returns it
	fold    uint32 // the bits of a gram in a script that do not count
	next    uint32 // the next entry, plus one
	pattern uint32
	shift   int8 // how many bytes behind the anchor's first byte the gram begins
}

// gramBits makes the scan's table small enough for the first-level cache, and
// still large enough that most of its bits are zero. headBits keeps chains short.
const (
	gramBits = 17
	headBits = 12
)

// inlineUsable tells whether a signature can be searched for: it needs three
// bytes in a row that are neither quotes nor slashes.
func inlineUsable(text string) bool {
	_, ok := newInlinePattern(text, 0, false)
	return ok
}

// compileInline builds a matcher. Signatures that are not inlineUsable are left
// out; whoever reads them from a file reports them.
func compileInline(sigs []inlineSignature) *inlineMatcher {
	m := &inlineMatcher{}
	index := make(map[*Vendor]int)
	for _, s := range sigs {
		v, ok := index[s.vendor]
		if !ok {
			v = len(m.vendors)
			index[s.vendor] = v
			m.vendors = append(m.vendors, s.vendor)
		}
		p, ok := newInlinePattern(s.text, v, s.loader)
		if !ok {
			continue
		}
		known := make(map[gramEntry]bool)
		p.grams(p.anchor, func(g gram) bool {
			e := gramEntry{gram: gramAt(g.bytes[:], 0), pattern: uint32(len(m.patterns)), shift: int8(g.shift)}
			for i, exact := range g.exact {
				if !exact && isLetter(g.bytes[i]) {
					e.fold |= foldBit << (8 * i)
				}
			}
			if e.gram |= e.fold; !known[e] {
				known[e] = true
				m.add(e)
			}
			return true
		})
		m.patterns = append(m.patterns, p)
	}
	return m
}

func (m *inlineMatcher) add(e gramEntry) {
	h := gramHash(e.gram | folds&0xffffffff)
	m.table[h>>6] |= 1 << (h & 63)
	head := &m.heads[h>>(gramBits-headBits)]
	e.next = *head
	m.entries = append(m.entries, e)
	*head = uint32(len(m.entries))
}

func isLetter(c byte) bool { return c|foldBit-'a' < 26 }

// gramHash hashes a gram in lower case.
func gramHash(gram uint32) uint32 { return gram * 0x9E3779B1 >> (32 - gramBits) }

// match looks for signatures in the text of an inline script. blocked tells
// whether a vendor is not granted; the others are not looked at. loader is the
// first blocked vendor that the script loads, nil if it loads none; such a script
// is held, so what else it does is not looked at. Otherwise out is calls with
// every blocked vendor appended, once each, whose global the script calls.
//
// It fails closed: a script that cannot be read, or that ends in the middle of a
// program, loads every vendor it mentions. Without hits there is no allocation,
// unless the script writes letters as escapes.
func (m *inlineMatcher) match(code []byte, blocked func(*Vendor) bool, calls []*Vendor) (loader *Vendor, out []*Vendor) {
	j := inlineJudges.Get().(*inlineJudge)
	defer inlineJudges.Put(j)
	if i := firstHidden(code); i >= 0 {
		j.plain = reveal(j.plain[:0], code)
		code = j.plain
	}
	j.hits = m.search(code, blocked, j.hits[:0])
	if len(j.hits) == 0 {
		return nil, calls
	}
	j.reset(m, code)
	defer j.release()
	j.run(j.hits)
	slices.Sort(j.touched)
	first, out := len(code), calls
	for _, v := range j.touched {
		at, ok := j.loader(v)
		switch {
		case ok && at < first:
			first, loader = at, m.vendors[v]
		case !ok && j.found[v].call:
			out = append(out, m.vendors[v])
		}
	}
	if loader != nil {
		return loader, calls
	}
	return nil, out
}

// search appends to hits every signature of a blocked vendor in the bytes of code.
func (m *inlineMatcher) search(code []byte, blocked func(*Vendor) bool, hits []inlineHit) []inlineHit {
	for i := m.next(code, 0); i >= 0; i = m.next(code, i+2) {
		g := gramAt(code, i)
		for k := m.heads[gramHash(g|folds&0xffffffff)>>(gramBits-headBits)]; k != 0; {
			e := &m.entries[k-1]
			k = e.next
			if g|e.fold != e.gram || i < int(e.shift) {
				continue
			}
			p := &m.patterns[e.pattern]
			if start, end, ok := p.locate(code, i-int(e.shift), p.anchor); ok && blocked(m.vendors[p.vendor]) {
				hits = append(hits, inlineHit{start, end, int(e.pattern)})
			}
		}
	}
	return hits
}

// folds makes eight bytes lower case, as foldBit does one.
const folds = 0x2020202020202020

// next returns the first even place at or behind the even i where a gram may
// stand, or -1. It takes six grams at a time, three out of eight bytes.
func (m *inlineMatcher) next(code []byte, i int) int {
	t := &m.table
	for ; i+16 <= len(code); i += 12 {
		w := (*[16]byte)(code[i:])
		x := binary.LittleEndian.Uint64(w[:]) | folds
		y := binary.LittleEndian.Uint64(w[6:]) | folds
		if h := gramHash(uint32(x)); t[h>>6]&(1<<(h&63)) != 0 {
			return i
		}
		if h := gramHash(uint32(x >> 16)); t[h>>6]&(1<<(h&63)) != 0 {
			return i + 2
		}
		if h := gramHash(uint32(x >> 32)); t[h>>6]&(1<<(h&63)) != 0 {
			return i + 4
		}
		if h := gramHash(uint32(y)); t[h>>6]&(1<<(h&63)) != 0 {
			return i + 6
		}
		if h := gramHash(uint32(y >> 16)); t[h>>6]&(1<<(h&63)) != 0 {
			return i + 8
		}
		if h := gramHash(uint32(y >> 32)); t[h>>6]&(1<<(h&63)) != 0 {
			return i + 10
		}
	}
	for ; i+gramLen <= len(code)+1; i += 2 {
		if h := gramHash(gramAt(code, i) | folds&0xffffffff); t[h>>6]&(1<<(h&63)) != 0 {
			return i
		}
	}
	return -1
}

// gramAt returns the gram at code[i:]. At the end of code the last byte may be
// missing; it then is zero.
func gramAt(code []byte, i int) uint32 {
	if i+gramLen <= len(code) {
		return binary.LittleEndian.Uint32(code[i:])
	}
	g := code[i : i+gramLen-1]
	return uint32(g[0]) | uint32(g[1])<<8 | uint32(g[2])<<16
}
