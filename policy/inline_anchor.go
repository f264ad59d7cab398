package policy

import "strings"

// The scan for signatures reads a script at every second byte, four bytes at a
// time. So of each signature it must know two pieces of four bytes that begin one
// byte apart. The second one is the signature's anchor; the first begins a byte in
// front of it. A script may write both in several ways: with white space between
// their bytes, with another quote, with escapes. The scan knows each spelling.
const gramLen = 4

// commonGrams lists the commonest grams of the inline scripts of real pages, in
// lower case, the most frequent first.
const commonGrams = "ion tio ent cti unc fun nct men con ing var ect tur ind ati ame ele ate get for set thi age his ndo dow " +
	"dat typ ype etu win ret nam ons urn ont ter sta ume rea com pro let tri eme ata scr ode all ble nte ser " +
	"eve ow. ver .co res art nts ass ist lem abl ten ess the tor tra ven ine tag cri doc ocu app las per cum " +
	"cat oad u00 loa nt. ore tru nde lse use rip der end ipt one rat ort eat ext wid tic is. lic lis and str " +
	"new tar tat nst par ers cod eta ide lin ead ner .ge arg ren htt ttp que url als ert pla igh cla are ite " +
	"gle ght orm pos idt tim dth tex ete rue add ize tin eco fal eof lec def ery oll min ett but .re sto col " +
	"rec ack cre sho jec ace tab por ste ime tel goo ins nce val lay .in err rin ure oog ogl est ost cal .pu " +
	"iti fin peo tps eng ove len sel ade nit des top ngt pag ile und ick siz div ase spe ive sio oun .se gth " +
	"ail ope ute ink lle eig red amp pre rti sit bje edi ini tch obj int ull ush ads pus anc ook emo rro ima " +
	"bil rma att ear .le nse spa ena loc ror nal efi atu ene asp ust hea tem tom .ad ere han pec .pa lue era " +
	"che ted sli rge ali pho alu out onf t.c rac act tto tit nul slo mat hei ref nti lot src met uer den ire " +
	"tti led eti rot lea equ man mob ctr ram rem dde mai our nfi req obi tes rib mag gen oid rou dis rop ain " +
	".on =fu lat tal .js www ww."

// gramRate is how often the scan meets a gram, of four bytes in lower case, as a
// share of the places it looks at. It is rough: it only has to tell good anchors
// from bad ones.
func gramRate(gram [gramLen]byte) float64 {
	rate := 1.0
	for i := range 2 {
		g := string(gram[i : i+3])
		r := 3e-5
		if n := strings.Index(commonGrams, g); n >= 0 && n%4 == 0 {
			r = 0.05 / float64(20+n/4)
		}
		for _, c := range []byte(g) {
			if !isNameByte(c) {
				r /= 2
			}
		}
		rate = min(rate, r)
	}
	return rate
}

// Every spelling of an anchor fills the scan's table, so that other bytes look
// like it: that is what one costs, in the measure of gramRate. An anchor with
// more than maxSpellings is not taken.
const (
	spellingRate = 4e-6
	maxSpellings = 2 << 10
)

// setAnchor finds the anchor that the scan will meet least often where the
// signature does not stand. It returns false if there is none.
func (p *inlinePattern) setAnchor() bool {
	if !p.telling() {
		return false
	}
	p.anchor = -1
	rate := spellingRate * maxSpellings
	// Those that can be written in one way only come first: they set a mark that
	// spares looking at all spellings of the others.
	for _, plain := range []bool{true, false} {
		for at := 0; at+gramLen <= len(p.text); at++ {
			if p.plain(at) != plain {
				continue
			}
			if r := p.anchorRate(at, rate); r < rate {
				p.anchor, rate = at, r
			}
		}
	}
	if p.anchor < 0 && !p.tight {
		p.tight = true // it is all marks, which nobody spaces out
		return p.setAnchor()
	}
	return p.anchor >= 0
}

// anchorRate is how often the scan would meet the anchor at byte at. It stops
// counting at limit.
func (p *inlinePattern) anchorRate(at int, limit float64) float64 {
	rate := 0.0
	seen := make(map[[gramLen]byte]bool)
	p.grams(at, func(g gram) bool {
		low := g.bytes
		for i := range low {
			low[i] |= foldBit
		}
		if !seen[low] {
			seen[low] = true
			rate += gramRate(low) + spellingRate
		}
		return rate < limit
	})
	return rate
}

// plain reports whether the anchor at byte at, and the byte in front of it, are a
// piece of one word or address.
func (p *inlinePattern) plain(at int) bool {
	if at == 0 {
		return false
	}
	for i := at - 1; i < at+gramLen; i++ {
		if i >= at && p.gap[i] || !isPlain(p.text[i]) {
			return false
		}
	}
	return true
}

// isPlain tells the bytes that a script writes as they are: see hidden.
func isPlain(c byte) bool { return isNameByte(c) || c == '.' || c == '-' }

// telling reports whether the signature has three bytes in a row that are neither
// quotes nor slashes, and one more behind them.
func (p *inlinePattern) telling() bool {
	run := 0
	for i := 0; i+1 < len(p.text); i++ {
		if run++; p.text[i] == '\'' || p.text[i] == '/' {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// A gram is one spelling of four bytes of a signature.
type gram struct {
	bytes [gramLen]byte
	exact [gramLen]bool // whether the case of a letter counts
	ahead bool          // it begins a byte in front of the anchor
}

// grams calls f with each spelling of the two grams for the anchor at byte at, the
// same one more than once perhaps, until f returns false.
func (p *inlinePattern) grams(at int, f func(gram) bool) {
	s := speller{p: p, f: f}
	s.spell(at, 0)
	if s.done {
		return
	}
	s.ahead = true
	for _, c := range p.before(at) {
		s.bytes[0], s.exact[0] = c, p.shape != addressShape
		s.spell(at, 1)
	}
}

// before returns every byte that may stand in front of byte at of the signature.
func (p *inlinePattern) before(at int) (ends []byte) {
	if at == 0 {
		for c := range 256 {
			ends = append(ends, byte(c))
		}
		return ends
	}
	c := p.text[at-1]
	same := spellings(c)
	ends = append(ends, same...)
	// The last digit of an escape, which a script inside a string may have for any
	// byte.
	for _, b := range same {
		digit := hexDigits[b&15]
		ends = append(ends, digit, digit&^foldBit)
	}
	if p.gap[at] && !p.tight {
		for _, space := range scriptSpaces {
			ends = append(ends, space[len(space)-1])
		}
	}
	return ends
}

// A speller writes the bytes of a gram in every way a script may.
type speller struct {
	p     *inlinePattern
	f     func(gram) bool
	bytes [gramLen]byte
	exact [gramLen]bool
	ahead bool
	done  bool
}

// spell goes on with byte i of the signature, n bytes being written.
func (s *speller) spell(i, n int) {
	switch {
	case s.done:
	case n == gramLen:
		s.done = !s.f(gram{s.bytes, s.exact, s.ahead})
	default:
		if n > 0 && !(s.ahead && n == 1) && s.p.gap[i] && !s.p.tight {
			for _, space := range scriptSpaces {
				s.text(i, n, space, s.spell)
			}
		}
		s.char(i, n)
	}
}

func (s *speller) put(i, n int, c byte, exact bool) {
	s.bytes[n], s.exact[n] = c, exact
	s.spell(i, n+1)
}

// text writes as much of a text as has room, and then goes on.
func (s *speller) text(i, n int, text string, then func(i, n int)) {
	for k := 0; k < len(text) && n < gramLen; k++ {
		s.bytes[n], s.exact[n] = text[k], false
		n++
	}
	if n == gramLen {
		then = s.spell
	}
	then(i, n)
}

// char writes byte i of the signature in all the ways that widthAt knows. Letters,
// digits and a few marks are only written plainly: see hidden.
func (s *speller) char(i, n int) {
	c := s.p.text[i]
	same := spellings(c)
	for _, b := range same {
		s.put(i+1, n, b, s.p.shape != addressShape)
	}
	if isPlain(c) {
		return
	}
	next := func(_, n int) { s.spell(i+1, n) }
	for _, b := range same {
		code := string([]byte{hexDigits[b>>4], hexDigits[b&15]})
		s.text(i, n, `\x`+code, next)
		s.text(i, n, `\u00`+code, next)
	}
	if c == '/' || c == '\'' {
		s.text(i, n, `\`, s.char) // once more: escapes can be escaped
	}
}

const hexDigits = "0123456789abcdef"

// spellings returns the bytes that stand for one of a signature: quotes of all
// three kinds are one.
func spellings(c byte) []byte {
	if c == '\'' {
		return []byte("'\"`")
	}
	return []byte{c}
}

// scriptSpaces holds the white space of scripts (ECMA-262 sections 12.2 and 12.3),
// in UTF-8, and windows-1252's no-break space.
var scriptSpaces = func() (all []string) {
	for r := rune(0); r <= 0xffff; r++ {
		if s := string(r); spaceAt([]byte(s), 0) > 0 {
			all = append(all, s)
		}
	}
	return append(all, "\xa0")
}()
