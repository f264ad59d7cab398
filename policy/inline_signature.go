package policy

import (
	"slices"
	"strings"
)

// An inlineShape says where in a script a signature has to stand to mean what it
// says. It follows from the signature's text alone.
type inlineShape uint8

const (
	// codeShape is a piece of program text, such as f._fbq or
	// 'gtm.start':newDate().getTime(): it begins in code.
	codeShape inlineShape = iota
	// literalShape is one whole string literal, such as 'facebook-jssdk'.
	literalShape
	// addressShape is a piece of a URL, a file name or an attribute name: it
	// stands inside a string.
	addressShape
)

// gramLen is the length of the pieces of a signature that the fast scan looks
// for. It looks at every second byte only, so each signature has two of them, one
// byte apart: together they are anchorLen bytes.
const (
	gramLen   = 3
	anchorLen = gramLen + 1
)

// An inlinePattern is one signature, made ready to be compared with raw script
// text.
type inlinePattern struct {
	text   string      // as in the catalog: no white space, single quotes
	vendor int         // index into inlineMatcher.vendors
	loader bool        // it fetches the vendor; otherwise it only calls its global
	shape  inlineShape //
	gap    []bool      // gap[i]: white space may stand between text[i-1] and text[i]
	anchor int         // where in text the scan's anchorLen bytes begin
}

// newInlinePattern compiles a signature. ok is false if the text has no gramLen
// bytes in a row that are free of quotes and slashes, with one more behind them;
// such a text is too short to say anything.
func newInlinePattern(text string, vendor int, loader bool) (p inlinePattern, ok bool) {
	p = inlinePattern{text: text, vendor: vendor, loader: loader, shape: shapeOf(text)}
	p.gap = gapsOf(text, p.shape)
	p.anchor = rarestAnchor(text, p.gap)
	return p, p.anchor >= 0
}

// shapeOf tells the shape of a signature. Addresses are made of URL characters
// alone, with perhaps the closing quote of their literal, and have a slash, a
// hyphen or an ending that no property of a program has.
func shapeOf(text string) inlineShape {
	inner := strings.Trim(text, "'")
	if len(inner)+2 == len(text) && !strings.Contains(inner, "'") {
		return literalShape
	}
	body := strings.TrimSuffix(text, "'")
	for i := 0; i < len(body); i++ {
		if !isNameByte(body[i]) && !strings.ContainsRune("./:?&=#%-~+@{", rune(body[i])) {
			return codeShape
		}
	}
	last := body[strings.LastIndexByte(body, '.')+1:]
	switch {
	case strings.Contains(body, "/"):
		return addressShape
	case last == "js", last == "com", last == "net", last == "org", last == "io":
		return addressShape
	case strings.Contains(body, "-") && !strings.ContainsAny(body, "=+."):
		return addressShape
	case strings.Count(body, ".") > 1 && last != "" && body == strings.ToLower(body) && !strings.ContainsAny(body, "_=+-"):
		return addressShape // a host name of three labels or more
	}
	return codeShape
}

// gapsOf tells between which bytes of a signature white space may stand in a
// script: between tokens of code, never inside a name, a literal or an address.
func gapsOf(text string, shape inlineShape) []bool {
	gap := make([]bool, len(text))
	if shape != codeShape {
		return gap
	}
	quoted := false
	for i := 1; i < len(text); i++ {
		if text[i-1] == '\'' {
			quoted = !quoted
		}
		gap[i] = !quoted && (!isNameByte(text[i-1]) || !isNameByte(text[i]))
	}
	// White space was taken out behind these words too: "newDate" was "new Date".
	for _, word := range [...]string{"new", "function", "var", "let", "const", "return", "typeof"} {
		for from := 0; ; {
			i := strings.Index(text[from:], word)
			if i < 0 {
				break
			}
			i += from
			from = i + len(word)
			if (i == 0 || !isNameByte(text[i-1])) && from < len(text) && isNameByte(text[from]) {
				gap[from] = true
			}
		}
	}
	return gap
}

// commonBytes lists the bytes of ordinary script text, the most frequent first.
const commonBytes = "etnarosicdlpumhfgbvwyxk.j-0_12q=z345678$9"

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
	".on =fu lat tal .js"

// rarestAnchor finds the anchorLen bytes of a signature that ordinary scripts hold
// least often. But for the last they are free of quotes and slashes, which scripts
// may write escaped, and, if there is a choice, of gaps. It returns -1 if there
// are none.
func rarestAnchor(text string, gap []bool) int {
	best, bestRank := -1, 0
	for i := 0; i+anchorLen <= len(text); i++ {
		rank, usable := 0, true
		for k := i; k < i+gramLen; k++ {
			usable = usable && text[k] != '\'' && text[k] != '/'
			if k > i && gap[k] {
				rank -= 1000
			}
		}
		if !usable {
			continue
		}
		for k := i; k <= i+1; k++ {
			rank += byteRank(text[k]) + byteRank(text[k+1]) + byteRank(text[k+2])
			if n := strings.Index(commonGrams, strings.ToLower(text[k:k+gramLen])); n >= 0 && n%anchorLen == 0 {
				rank -= 20000 / (20 + n/anchorLen) // frequencies fall about like this
			}
		}
		if gap[i+gramLen] {
			rank -= 200 // many spellings
		}
		if best < 0 || rank > bestRank {
			best, bestRank = i, rank
		}
	}
	return best
}

// grams calls f with each spelling of the pattern's two grams, and where in the
// text it begins.
func (p *inlinePattern) grams(f func(gram [gramLen]byte, at int)) {
	t := p.text[p.anchor : p.anchor+anchorLen]
	f([gramLen]byte{t[0], t[1], t[2]}, p.anchor)
	ends := []byte{t[3]}
	switch t[3] {
	case '\'':
		ends = []byte("'\"`\\")
	case '/':
		ends = []byte(`/\`)
	}
	if p.gap[p.anchor+gramLen] {
		// White space; the last are first bytes of such in UTF-8.
		ends = append(ends, " \t\n\v\f\r\xa0\xc2\xe1\xe2\xe3\xef"...)
	}
	for i, end := range ends {
		// Lower case makes some of them equal.
		if !slices.ContainsFunc(ends[:i], func(b byte) bool { return b|foldBit == end|foldBit }) {
			f([gramLen]byte{t[1], t[2], end}, p.anchor+1)
		}
	}
}

// byteRank tells how rare a byte is.
func byteRank(c byte) int {
	if r := strings.IndexByte(commonBytes, c|foldBit); r >= 0 {
		return r
	}
	return len(commonBytes)
}

// foldBit makes ASCII letters lower case. What it does to other bytes only costs
// the scan a needless look.
const foldBit = 0x20

// locate checks whether the pattern stands in code with its byte from at byte at,
// and returns the bytes it covers.
func (p *inlinePattern) locate(code []byte, at, from int) (start, end int, ok bool) {
	end = at
	for k := from; k < len(p.text); k++ {
		if k > from && p.gap[k] {
			for n := spaceAt(code, end); n > 0; n = spaceAt(code, end) {
				end += n
			}
		}
		n := widthAt(code, end, p.text[k], p.shape == addressShape)
		if n == 0 {
			return 0, 0, false
		}
		end += n
	}
	start = at
	for k := from - 1; k >= 0; k-- {
		if p.gap[k+1] {
			for n := spaceBefore(code, start); n > 0; n = spaceBefore(code, start) {
				start -= n
			}
		}
		n := widthBefore(code, start, p.text[k], p.shape == addressShape)
		if n == 0 {
			return 0, 0, false
		}
		start -= n
	}
	if !p.bordered(code, start, end) {
		return 0, 0, false
	}
	return start, end, true
}

// bordered tells whether a code signature is not just the tail of a longer name
// (selfie_fbq), nor the beginning of a comparison where it wants an assignment.
func (p *inlinePattern) bordered(code []byte, start, end int) bool {
	if p.shape == addressShape {
		return true
	}
	if isNameByte(p.text[0]) && start > 0 && isNameByte(code[start-1]) {
		return false
	}
	if p.text[len(p.text)-1] == '=' && end < len(code) && (code[end] == '=' || code[end] == '>') {
		return false
	}
	return true
}

// widthAt returns how many bytes at code[i:] write the signature byte c, zero if
// they write something else. Quotes of all three kinds are one; slashes, quotes
// and other marks may be escaped, more than once in strings within strings.
func widthAt(code []byte, i int, c byte, fold bool) int {
	if i >= len(code) {
		return 0
	}
	b := code[i]
	if b == '\\' {
		if got, n := escapeAt(code, i); n > 0 {
			if sameByte(got, c, fold) {
				return n
			}
			return 0
		}
		if c != '/' && c != '\'' {
			return 0
		}
		j := i
		for j < len(code) && code[j] == '\\' {
			j++
		}
		if j < len(code) && sameByte(code[j], c, false) {
			return j + 1 - i
		}
		return 0
	}
	if sameByte(b, c, fold) {
		return 1
	}
	return 0
}

// widthBefore is widthAt for the bytes that end at code[:i].
func widthBefore(code []byte, i int, c byte, fold bool) int {
	if i == 0 {
		return 0
	}
	if sameByte(code[i-1], c, fold) {
		j := i - 1
		if c == '/' || c == '\'' {
			for j > 0 && code[j-1] == '\\' {
				j--
			}
		}
		return i - j
	}
	for _, n := range [...]int{4, 6} {
		if i >= n && code[i-n] == '\\' {
			if got, w := escapeAt(code, i-n); w == n && sameByte(got, c, fold) {
				return n
			}
		}
	}
	return 0
}

// sameByte compares a byte of a script with one of a signature.
func sameByte(b, c byte, fold bool) bool {
	switch {
	case b == c:
		return true
	case c == '\'':
		return b == '"' || b == '`'
	case fold && b >= 'A' && b <= 'Z':
		return b|foldBit == c|foldBit
	case fold && c >= 'A' && c <= 'Z':
		return b == c|foldBit
	}
	return false
}

// isNameByte tells the ASCII bytes that names are made of.
func isNameByte(b byte) bool {
	return b|foldBit-'a' < 26 && b >= 'A' || b-'0' < 10 || b == '_' || b == '$'
}
