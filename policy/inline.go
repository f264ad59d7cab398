package policy

import (
	"cmp"
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
	heads    [1<<headBits + 1]uint32     // by fewer bits of the hash: where its entries begin; they end where the next one's do
	entries  []gramEntry
	patterns []inlinePattern
	vendors  []*Vendor
}

// A gramEntry is a signature that has a gram. Those that share a head stand one
// behind the other.
type gramEntry struct {
	gram uint32 // the bits of a script's bytes that do not count are set
	info uint32 // from above: the pattern, whether the gram begins a byte ahead, which letters fold
}

func (e gramEntry) pattern() int { return int(e.info >> 5) }
func (e gramEntry) ahead() int   { return int(e.info >> 4 & 1) }
func (e gramEntry) fold() uint32 { return foldMasks[e.info&15] }

// foldMasks has foldBit in each byte whose bit is set in the index.
var foldMasks = func() (t [16]uint32) {
	for bits := range t {
		for i := range gramLen {
			if bits>>i&1 != 0 {
				t[bits] |= foldBit << (8 * i)
			}
		}
	}
	return t
}()

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
		p.grams(p.anchor, func(g gram) bool {
			e := gramEntry{gram: gramAt(g.bytes[:], 0), info: uint32(len(m.patterns)) << 5}
			for i, exact := range g.exact {
				if !exact && isLetter(g.bytes[i]) {
					e.info |= 1 << i
				}
			}
			if g.ahead {
				e.info |= 1 << 4
			}
			e.gram |= e.fold()
			m.entries = append(m.entries, e)
			return true
		})
		m.patterns = append(m.patterns, p)
	}
	m.index()
	return m
}

// index sorts the entries by their heads and fills the tables.
func (m *inlineMatcher) index() {
	slices.SortFunc(m.entries, func(a, b gramEntry) int {
		return cmp.Or(cmp.Compare(a.hash(), b.hash()), cmp.Compare(a.info, b.info), cmp.Compare(a.gram, b.gram))
	})
	m.entries = slices.Compact(m.entries)
	for _, e := range m.entries {
		h := e.hash()
		m.table[h>>6] |= 1 << (h & 63)
		m.heads[h>>(gramBits-headBits)+1]++
	}
	for i := range m.heads[1:] {
		m.heads[i+1] += m.heads[i]
	}
}

func (e gramEntry) hash() uint32 { return gramHash(e.gram | foldAll) }

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
	defer j.release()
	if i := firstHidden(code); i >= 0 {
		j.plain = reveal(j.plain[:0], code)
		code = j.plain
	}
	j.hits = m.search(code, blocked, j.hits[:0])
	if len(j.hits) == 0 {
		return nil, calls
	}
	j.reset(m, code)
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
		h := gramHash(g|foldAll) >> (gramBits - headBits)
		for k := m.heads[h]; k < m.heads[h+1]; k++ {
			e := m.entries[k]
			if g|e.fold() != e.gram {
				continue
			}
			p := &m.patterns[e.pattern()]
			if start, end, ok := p.locate(code, i+e.ahead(), p.anchor); ok && blocked(m.vendors[p.vendor]) {
				hits = append(hits, inlineHit{start, end, e.pattern()})
			}
		}
	}
	return hits
}

// folds makes eight bytes lower case, as foldBit does one, and foldAll four.
const (
	folds   = 0x2020202020202020
	foldAll = folds & 0xffffffff
)

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
	for ; i+gramLen <= len(code); i += 2 {
		if h := gramHash(gramAt(code, i) | foldAll); t[h>>6]&(1<<(h&63)) != 0 {
			return i
		}
	}
	return -1
}

// gramAt returns the gram at code[i:].
func gramAt(code []byte, i int) uint32 { return binary.LittleEndian.Uint32(code[i:]) }
